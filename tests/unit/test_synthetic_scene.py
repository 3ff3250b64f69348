# SPDX-License-Identifier: Apache-2.0
"""Made scenes as a whole: what may be asked for, the same bytes again, and what frames agree on."""

from __future__ import annotations

import dataclasses
import tracemalloc
from typing import Any

import cv2
import numpy as np
import pytest

from poseact_engine.errors import ConfigError, DependencyError
from poseact_engine.synthetic.scene import Scene, SceneConfig
from poseact_engine.synthetic.truth import FrameTruth
from poseact_engine.types import ACTIONS

SIZES = (640, 360), (1920, 1080)


def same_truth(one: FrameTruth, other: FrameTruth) -> bool:
    return all(
        np.array_equal(getattr(one, field.name), getattr(other, field.name))
        for field in dataclasses.fields(FrameTruth)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"people": 21}, r"scene\.people: expected at most 20 people, got 21"),
        ({"people": -1}, r"scene\.people: expected a whole number, 0 or more, got -1"),
        ({"seconds": 0}, r"scene\.seconds: expected more than 0, at most 3600, got 0"),
        ({"seconds": float("nan")}, r"scene\.seconds"),
        ({"seed": -1}, r"scene\.seed"),
        ({"size": (641, 360)}, r"scene\.size: expected even sides of 64 to 4096 px"),
        ({"size": (62, 360)}, r"scene\.size"),
        ({"size": (1920, 600)}, r"scene\.size: expected a side at most 3 times the other"),
        ({"size": (640.0, 360)}, r"scene\.size: expected width and height, whole numbers"),
        ({"fps": (0, 1)}, r"scene\.fps: expected a numerator and a denominator"),
        ({"fps": (1000, 1)}, r"scene\.fps"),
        ({"actions": ("dancing",)}, r"scene\.actions: expected names among carrying, falling_d"),
    ],
)
def test_wrong_configs_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SceneConfig(**changes)


def test_missing_opencv_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(DependencyError, match=r"pip install 'poseact-engine\[video\]'"):
        Scene(SceneConfig())


def test_the_same_config_makes_the_same_bytes() -> None:
    config = SceneConfig(seconds=0.5, fps=(10, 1), seed=11)
    threads = cv2.getNumThreads()
    one = Scene(config)
    first, again = list(one.frames()), list(one.frames())
    try:
        cv2.setNumThreads(1 if threads > 1 else 3)
        other = list(Scene(config).frames())
    finally:
        cv2.setNumThreads(threads)
    assert len(first) == len(one) == 5
    for a, b, c in zip(first, again, other, strict=True):
        assert a.picture.tobytes() == b.picture.tobytes() == c.picture.tobytes()
        assert same_truth(a.truth, b.truth)
        assert same_truth(a.truth, c.truth)
    assert a.picture.shape == (360, 640, 3)
    assert a.picture.dtype == np.uint8
    different = next(Scene(dataclasses.replace(config, seed=12)).frames())
    assert different.picture.tobytes() != first[0].picture.tobytes()


@pytest.mark.parametrize("seed", [0, 3])
def test_truths_are_those_of_the_frames(seed: int) -> None:
    scene = Scene(SceneConfig(seconds=2, fps=(4, 1), seed=seed))
    frames = list(scene.frames())
    for frame, truth in zip(frames, scene.truths(), strict=True):
        assert same_truth(frame.truth, truth)
        assert truth.time_s == truth.index / 4


def test_falls_that_can_be_seen_are_listed() -> None:
    listed = made = 0
    for seed in range(4):
        config = SceneConfig(
            seconds=8, seed=seed, people=2, fps=(10, 1), actions=("walking", "falling_down")
        )
        scene = Scene(config)
        takes = [fall for take in scene.takes for fall in take.falls]
        made += len(takes)
        listed += len(scene.falls)
        for fall in scene.falls:
            assert any((f.start_s, f.end_s) == (fall.start_s, fall.end_s) for f in takes)
            assert fall.end_s <= 7.0
            during = scene._renderer.truth(0, (fall.start_s + fall.end_s) / 2)
            row = int(np.flatnonzero(during.ids == fall.id)[0])
            assert ACTIONS[during.actions[row]] == "falling_down"
    assert made >= listed >= 3


def test_joints_are_projected_samples_of_the_take() -> None:
    scene = Scene(SceneConfig(seconds=1.5, fps=(30, 1), seed=5, people=2))
    for truth in scene.truths():
        for person, keypoints in zip(truth.ids, truth.keypoints_px, strict=True):
            # 30 frames a second of 60 samples: every second sample, exactly.
            sample = scene.takes[int(person) - 1].joints_m[2 * truth.index, :17]
            xy, _ = scene.camera.project(sample)
            np.testing.assert_allclose(keypoints[:, :2], xy, atol=1e-3)


def test_large_pictures_show_the_same() -> None:
    config = SceneConfig(seconds=1, fps=(1, 1), seed=9)
    small, large = (Scene(dataclasses.replace(config, size=s)) for s in SIZES)
    one, other = next(small.truths()), next(large.truths())
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_allclose(3 * one.boxes_px, other.boxes_px, atol=0.1)
    joints = 3 * (one.keypoints_px[..., :2] + 0.5) - 0.5
    np.testing.assert_allclose(joints, other.keypoints_px[..., :2], atol=0.1)
    np.testing.assert_allclose(one.visible, other.visible, atol=0.05)
    double = next(Scene(dataclasses.replace(config, size=(1280, 720))).frames()).picture
    reduced = cv2.resize(double, (640, 360), interpolation=cv2.INTER_AREA)
    pictures = next(small.frames()).picture, reduced
    blurred = [cv2.GaussianBlur(p, (0, 0), 4).astype(float) for p in pictures]
    assert np.abs(blurred[0] - blurred[1]).mean() < 6


def test_frames_leave_nothing_behind() -> None:
    scene = Scene(SceneConfig(seconds=4, fps=(15, 1), seed=2, people=2, size=(320, 180)))
    frames = scene.frames()
    for _ in range(10):
        next(frames)
    tracemalloc.start()
    try:
        for _ in range(5):
            next(frames)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(40):
            next(frames)
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


def test_an_empty_scene_has_frames() -> None:
    scene = Scene(SceneConfig(people=0, seconds=0.1, fps=(30, 1)))
    frames = list(scene.frames())
    assert len(frames) == 3
    assert scene.falls == ()
    assert frames[0].truth.keypoints_px.shape == (0, 17, 3)
    assert frames[0].truth.boxes_px.shape == (0, 4)
