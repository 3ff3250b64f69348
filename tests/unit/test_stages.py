# SPDX-License-Identifier: Apache-2.0
"""The stages that call models, with models whose answers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.action import ActionStage
from poseact_engine.backends.registry import open_model
from poseact_engine.config import ActionConfig, DetectConfig, PoseConfig
from poseact_engine.detect import DetectStage
from poseact_engine.errors import ManifestError
from poseact_engine.manifest import Placement
from poseact_engine.pose import PoseStage
from poseact_engine.types import Frame, FrameBatch, Tracks, WindowBatch
from tests.models import (
    ACTIONS,
    STANDING,
    make_action,
    make_bright_detector,
    make_detector,
    make_pose,
)

Box = tuple[int, int, int, int]
RED, GREEN, BLUE = 0, 1, 2


def frame(
    size: tuple[int, int], boxes: dict[int, Box], *, stream: int = 0, index: int = 0
) -> Frame:
    """A black picture (width, height) with one filled box per colour."""
    rgb = np.zeros((size[1], size[0], 3), np.uint8)
    for channel, (x0, y0, x1, y1) in boxes.items():
        rgb[y0:y1, x0:x1, channel] = 255
    return Frame.from_rgb(rgb, stream=stream, index=index)


def detect_stage(path: Path, **options: object) -> DetectStage:
    config = DetectConfig(model=path, **options)  # type: ignore[arg-type]
    return DetectStage(open_model(path, task="detector"), config)


def tracks(boxes: Sequence[Sequence[float]], frames: Sequence[int], first_id: int = 1) -> Tracks:
    count = len(frames)
    return Tracks(
        boxes_px=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.ones(count, np.float32),
        ids=np.arange(first_id, first_id + count, dtype=np.int64),
        frame=np.array(frames, np.int32),
        stream=np.zeros(count, np.int32),
        observed=np.ones(count, np.bool_),
        ended_stream=np.empty(0, np.int32),
        ended_ids=np.empty(0, np.int64),
    )


# ---------------------------------------------------------------- detect


@pytest.mark.parametrize("placement", ["top_left", "center"])
@pytest.mark.parametrize("max_batch", [1, 2, 8])
def test_boxes_come_back_in_frame_pixels(
    tmp_path: Path, placement: Placement, max_batch: int
) -> None:
    path = make_bright_detector(tmp_path / "d.onnx", (160, 160), placement=placement)
    stage = detect_stage(path, max_batch=max_batch)
    shown: list[tuple[tuple[int, int], dict[int, Box]]] = [
        ((640, 360), {GREEN: (100, 80, 180, 300)}),
        ((320, 480), {}),
        ((160, 160), {RED: (10, 20, 40, 100), BLUE: (90, 30, 120, 130)}),
        ((96, 64), {BLUE: (60, 8, 90, 60)}),
        ((640, 360), {RED: (0, 0, 640, 360)}),
    ]
    people = stage(FrameBatch([frame(size, boxes) for size, boxes in shown]))
    assert people.detected.tolist() == [True] * 5
    assert people.frame.dtype == np.int32
    assert people.frame.tolist() == [0, 2, 2, 3, 4]
    expected = [box for _, boxes in shown for box in boxes.values()]
    steps = np.array([max(w, h) / 160 for (w, h), boxes in shown for _ in boxes])
    assert (np.abs(people.boxes_px - expected) <= np.maximum(steps, 1)[:, None]).all()
    np.testing.assert_allclose(people.scores, 0.9)


def test_same_size_frames_are_exact(tmp_path: Path) -> None:
    stage = detect_stage(make_bright_detector(tmp_path / "d.onnx", (96, 128)))
    box = (13, 7, 50, 90)
    people = stage(FrameBatch([frame((128, 96), {RED: box})]))
    np.testing.assert_allclose(people.boxes_px, [box], atol=1e-4)


def test_every_nth_frame_of_each_stream(tmp_path: Path) -> None:
    stage = detect_stage(make_bright_detector(tmp_path / "d.onnx"), every=3)
    streams = [0, 0, 1, 0, 0, 1, 0, 1, 1, 0]
    seen: list[bool] = []
    for cut in (streams[:4], streams[4:5], streams[5:]):  # the grouping into steps is no matter
        batch = FrameBatch([frame((64, 64), {RED: (8, 8, 40, 40)}, stream=s) for s in cut])
        people = stage(batch)
        seen += people.detected.tolist()
        assert people.frame.tolist() == np.flatnonzero(people.detected).tolist()
    assert seen == [n % 3 == 0 for n in (0, 1, 0, 2, 3, 1, 4, 2, 3, 5)]
    stage.end_stream(0)
    again = stage(FrameBatch([frame((64, 64), {}, stream=0), frame((64, 64), {}, stream=1)]))
    assert again.detected.tolist() == [True, False]


def test_weak_boxes_crowds_and_overlaps(tmp_path: Path) -> None:
    boxes = [(0, 0, 30, 30), (1, 1, 31, 31), (40, 0, 60, 20), (40, 30, 60, 60)]
    path = make_detector(tmp_path / "d.onnx", boxes, scores=[0.9, 0.8, 0.6, 0.05], nms_iou=0.5)
    batch = FrameBatch([frame((64, 64), {})] * 2)
    people = detect_stage(path)(batch)
    np.testing.assert_allclose(people.boxes_px, [boxes[0], boxes[2]] * 2, atol=1e-4)
    assert people.frame.tolist() == [0, 0, 1, 1]
    assert detect_stage(path, max_people=1)(batch).frame.tolist() == [0, 1]
    assert len(detect_stage(path, min_score=0.95)(batch).scores) == 0
    loose = make_detector(tmp_path / "l.onnx", boxes, scores=[0.9, 0.8, 0.6, 0.05])
    assert len(detect_stage(loose, min_score=0.0)(batch).scores) == 8


def test_boxes_outside_the_picture_are_dropped(tmp_path: Path) -> None:
    """The letterbox of a wide picture ends at half its height."""
    boxes = [(4, 40, 20, 60), (4, 20, 20, 60)]
    stage = detect_stage(make_detector(tmp_path / "d.onnx", boxes))
    people = stage(FrameBatch([frame((128, 64), {})]))
    np.testing.assert_allclose(people.boxes_px, [(8, 40, 40, 64)], atol=1e-3)


def test_step_without_frames(tmp_path: Path) -> None:
    people = detect_stage(make_bright_detector(tmp_path / "d.onnx"))(FrameBatch([]))
    assert people.boxes_px.shape == (0, 4)
    assert people.detected.shape == people.scores.shape == people.frame.shape == (0,)


# ---------------------------------------------------------------- pose


def expected_joints(box: Sequence[float]) -> NDArray[np.float64]:
    """By hand: the box's centre, its longer side in 3:4 times 1.25, shares of 191 and 255 px."""
    x0, y0, x1, y1 = box
    width = max(x1 - x0, (y1 - y0) * 3 / 4) * 1.25
    step = width / 192
    inside = STANDING.astype(np.float64) * (191, 255)
    return (inside - (96, 128)) * step + ((x0 + x1) / 2, (y0 + y1) / 2)


@pytest.mark.parametrize("max_batch", [1, 2, 32])
def test_joints_come_back_in_frame_pixels(tmp_path: Path, max_batch: int) -> None:
    path = make_pose(tmp_path / "p.onnx")
    stage = PoseStage(open_model(path, task="pose"), PoseConfig(model=path, max_batch=max_batch))
    batch = FrameBatch([frame((640, 360), {}), frame((320, 480), {})])
    boxes = [(10, 20, 60, 200), (300, 100, 500, 160), (-50, -40, 30, 90)]
    poses = stage(batch, tracks(boxes, [0, 0, 1]))
    assert poses.keypoints_px.dtype == np.float32
    expected = np.array([expected_joints(b) for b in boxes])
    np.testing.assert_allclose(poses.keypoints_px[..., :2], expected, atol=1e-3)
    np.testing.assert_allclose(poses.keypoints_px[..., 2], 0.8)
    assert stage(batch, tracks([], [])).keypoints_px.shape == (0, 17, 3)


# ---------------------------------------------------------------- action


def windows(poses: NDArray[np.float32], row: Sequence[int], ids: Sequence[int]) -> WindowBatch:
    return WindowBatch(
        poses_px=poses,
        row=np.array(row, np.int32),
        stream=np.zeros(len(row), np.int32),
        ids=np.array(ids, np.int64),
        end_s=np.zeros(len(row)),
    )


def spread(axis: int, count: int) -> NDArray[np.float32]:
    """Windows of people who are long in x (0) or in y (1)."""
    poses = np.ones((count, 9, 17, 3), np.float32)
    poses[..., axis] = np.linspace(0, 50, 17)
    return poses


@pytest.mark.parametrize("max_batch", [1, 3, 256])
def test_latest_action_of_each_track(tmp_path: Path, max_batch: int) -> None:
    path = make_action(tmp_path / "a.onnx")
    model = open_model(path, task="action")
    stage = ActionStage(model, ActionConfig(model=path, max_batch=max_batch))
    assert stage.classes == ACTIONS
    lying, standing = ACTIONS.index("lying_down"), ACTIONS.index("standing")

    rows = tracks([(0, 0, 9, 9)] * 3, [0, 0, 0])  # tracks 1, 2, 3
    poses = np.concatenate([spread(0, 1), spread(1, 1)])
    actions = stage(windows(poses, [0, 2], [1, 3]), rows)
    assert actions.window_probabilities.argmax(axis=1).tolist() == [lying, standing]
    assert np.isnan(actions.probabilities[1]).all()
    assert actions.probabilities[[0, 2]].argmax(axis=1).tolist() == [lying, standing]

    none = np.empty((0, 9, 17, 3), np.float32)
    actions = stage(windows(none, [], []), rows)
    assert actions.window_probabilities.shape == (0, 6)
    assert actions.probabilities[[0, 2]].argmax(axis=1).tolist() == [lying, standing]
    stage.end_stream(0)
    assert np.isnan(stage(windows(none, [], []), rows).probabilities).all()


def test_a_stage_refuses_the_model_of_another(tmp_path: Path) -> None:
    detector = open_model(make_bright_detector(tmp_path / "d.onnx"), task="detector")
    pose = open_model(make_pose(tmp_path / "p.onnx"), task="pose")
    path = tmp_path / "x.onnx"
    with pytest.raises(ManifestError, match="task pose"):
        DetectStage(pose, DetectConfig(model=path))
    with pytest.raises(ManifestError, match="task detector"):
        PoseStage(detector, PoseConfig(model=path))
    with pytest.raises(ManifestError, match="task pose"):
        ActionStage(pose, ActionConfig(model=path))
