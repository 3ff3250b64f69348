# SPDX-License-Identifier: Apache-2.0
"""The track stage: streams apart, batches of any size alike, ids, errors."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine._core import assign
from poseact_engine.config import TrackConfig
from poseact_engine.errors import ConfigError, ManifestError, PoseActError, ShapeError
from poseact_engine.manifest_io import read_manifest
from poseact_engine.track import TrackStage
from poseact_engine.types import Frame, FrameBatch, People, Tracks
from tests.models import make_pose

PIXEL = np.zeros((2, 2, 3), np.uint8)  # trackers never look at pixels


@dataclass(frozen=True)
class Look:
    """One frame and what was found in it."""

    stream: int
    pts: int
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    detected: bool = True


def step(stage: TrackStage, looks: Sequence[Look]) -> Tracks:
    frames = [
        Frame.from_rgb(PIXEL, pts=k.pts, time_base=(1, 30), stream=k.stream, index=k.pts)
        for k in looks
    ]
    people = People(
        boxes_px=np.concatenate([k.boxes for k in looks]),
        scores=np.concatenate([k.scores for k in looks]),
        frame=np.repeat(np.arange(len(looks), dtype=np.int32), [len(k.boxes) for k in looks]),
        detected=np.array([k.detected for k in looks]),
    )
    return stage(people, FrameBatch(frames))


def look(stream: int, pts: int, xs: Sequence[float], score: float = 0.9) -> Look:
    boxes = np.array([[x, 0, x + 40, 100] for x in xs], np.float32).reshape(-1, 4)
    return Look(stream, pts, boxes, np.full(len(xs), score, np.float32))


def busy_stream(stream: int, frames: int) -> list[Look]:
    """Six people who walk about, seen badly; every third frame is skipped by the detector."""
    rng = np.random.default_rng(stream)
    corner = rng.uniform(0, 600, (6, 2))
    velocity = rng.uniform(-3, 3, (6, 2))
    looks = []
    for pts in range(frames):
        corner = corner + velocity
        seen = rng.random(6) < 0.85
        low = corner[seen] + rng.normal(0, 2, (int(seen.sum()), 2))
        boxes = np.concatenate([low, low + np.array([40, 100])], axis=1).astype(np.float32)
        scores = rng.uniform(0.05, 1, len(boxes)).astype(np.float32)
        if pts % 3 == 2:
            boxes, scores = boxes[:0], scores[:0]
        looks.append(Look(stream, pts, boxes, scores, detected=pts % 3 != 2))
    return looks


def outcome(tracks: Tracks, looks: Sequence[Look]) -> dict[int, list[tuple[Any, ...]]]:
    """Per stream: its rows and ends in order, to the bit."""
    found: dict[int, list[tuple[Any, ...]]] = {}
    for m, f in enumerate(tracks.frame):
        assert tracks.stream[m] == looks[f].stream
        row = (looks[f].pts, tracks.ids[m], tracks.boxes_px[m].tobytes(), tracks.scores[m])
        found.setdefault(looks[f].stream, []).append((*row, bool(tracks.observed[m])))
    for stream, track in zip(tracks.ended_stream, tracks.ended_ids, strict=True):
        found.setdefault(int(stream), []).append(("end", int(track)))
    return found


def run(looks: list[Look], batch: int) -> dict[int, list[tuple[Any, ...]]]:
    stage = TrackStage(TrackConfig())
    rows: dict[int, list[tuple[Any, ...]]] = {}
    for at in range(0, len(looks), batch):
        part = looks[at : at + batch]
        for stream, more in outcome(step(stage, part), part).items():
            rows.setdefault(stream, []).extend(more)
    # A batch lists what ended in it after all its rows; the order of the two kinds is no promise.
    return {s: sorted(r, key=lambda row: row[0] == "end") for s, r in rows.items()}


def test_batches_of_one_and_of_eight_are_alike() -> None:
    looks = busy_stream(0, 120)
    one = run(looks, 1)
    assert run(looks, 8) == one
    assert len(one[0]) > 400


def test_a_hundred_streams_are_a_hundred_trackers() -> None:
    streams = [busy_stream(s, 40) for s in range(100)]
    together = run([look for moment in zip(*streams, strict=True) for look in moment], 100)
    for number, looks in enumerate(streams):
        assert together[number] == run(looks, 1)[number]


def test_a_stream_without_a_frame_is_untouched() -> None:
    stage = TrackStage(TrackConfig())
    step(stage, [look(0, 0, [0]), look(1, 0, [0])])
    for pts in range(1, 200):  # far longer than lost_s
        step(stage, [look(0, pts, [0])])
    tracks = step(stage, [look(1, 1, [0])])
    assert (tracks.stream.tolist(), tracks.ids.tolist()) == ([1], [1])
    assert tracks.ended_ids.size == 0


def test_a_frame_without_pts_lets_no_time_pass() -> None:
    stage = TrackStage(TrackConfig())
    times = [0, 1, 2, -(2**63), 4, 5, 6]
    tracks = [step(stage, [look(0, pts, [100.0])]) for pts in times]
    assert [t.ids.tolist() for t in tracks] == [[1]] * len(times)
    assert all(len(t.ended_ids) == 0 for t in tracks)


def test_several_frames_of_a_stream_in_one_step() -> None:
    tracks = step(TrackStage(TrackConfig()), [look(3, 0, [0]), look(5, 0, [9]), look(3, 1, [0])])
    assert tracks.frame.tolist() == [0, 1, 2]
    assert tracks.stream.tolist() == [3, 5, 3]
    assert tracks.ids.tolist() == [1, 1, 1]


def test_rows_have_their_types() -> None:
    tracks = step(TrackStage(TrackConfig()), [look(0, 0, [0, 200])])
    kinds = {
        name: getattr(tracks, name).dtype.name
        for name in ("boxes_px", "scores", "ids", "frame", "stream", "observed")
    }
    assert kinds == {
        "boxes_px": "float32",
        "scores": "float32",
        "ids": "int64",
        "frame": "int32",
        "stream": "int32",
        "observed": "bool",
    }
    assert tracks.boxes_px.shape == (2, 4)
    assert tracks.ended_stream.dtype == np.int32
    assert tracks.ended_ids.dtype == np.int64


def test_an_empty_step_is_fine() -> None:
    stage = TrackStage(TrackConfig())
    assert step(stage, [look(0, 0, [])]).ids.size == 0
    assert step(stage, [replace(look(0, 1, []), detected=False)]).ids.size == 0


def test_ids_are_never_used_again() -> None:
    stage = TrackStage(TrackConfig())
    seen: list[int] = []
    ended: list[int] = []
    for visit in range(5):  # each far away and long after the one before
        for pts in range(visit * 100, visit * 100 + 5):
            tracks = step(stage, [look(0, pts, [300 * visit])])
            seen += tracks.ids.tolist()
            ended += tracks.ended_ids.tolist()
    assert sorted(set(seen)) == [1, 2, 3, 4, 5]
    assert ended == [1, 2, 3, 4]
    assert stage.end_stream(0).tolist() == [5]
    assert len(stage) == 0
    assert step(stage, [look(0, 0, [0])]).ids.tolist() == [6]


@pytest.mark.parametrize(("away_frames", "same"), [(29, True), (31, False)])
def test_who_comes_back_in_time_keeps_the_id(away_frames: int, same: bool) -> None:
    stage = TrackStage(TrackConfig(lost_s=1.0))
    for pts in range(30):
        step(stage, [look(0, pts, [0])])
    gone = [step(stage, [look(0, pts, [])]) for pts in range(30, 29 + away_frames)]
    back = [step(stage, [look(0, pts, [0])]) for pts in range(29 + away_frames, 40 + away_frames)]
    assert gone[-1].ids.size == 0, "silent long before"
    assert back[-1].ids.tolist() == ([1] if same else [2])
    assert [i for t in back for i in t.ended_ids] == ([] if same else [1])


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        ({"frame": np.array([1, 0], np.int32)}, ConfigError, "non-decreasing"),
        ({"frame": np.array([0, 2], np.int32)}, ConfigError, r"0 to 2 \(excluded\)"),
        ({"frame": np.array([0, 1], np.int64)}, ShapeError, "int32"),
        ({"scores": np.zeros(3, np.float32)}, ShapeError, "same N"),
        ({"boxes_px": np.zeros((2, 5), np.float32)}, ShapeError, r"\[\*, 4\]"),
        ({"detected": np.array([True])}, ShapeError, "same"),
        ({"detected": np.array([True, False])}, ConfigError, "no box in frame 1"),
    ],
)
def test_refuses_wrong_people(spoil: dict[str, Any], error: type[Exception], words: str) -> None:
    people = People(
        boxes_px=np.array([[0, 0, 40, 100]] * 2, np.float32),
        scores=np.full(2, 0.9, np.float32),
        frame=np.array([0, 1], np.int32),
        detected=np.array([True, True]),
    )
    frames = FrameBatch([Frame.from_rgb(PIXEL, pts=p, time_base=(1, 30)) for p in range(2)])
    stage = TrackStage(TrackConfig())
    with pytest.raises(error, match=words):
        stage(replace(people, **spoil), frames)
    assert len(stage) == 0
    assert stage(people, frames).ids.tolist() == [1, 1]


def test_two_threads_never_break_a_tracker() -> None:
    """The work of a large batch runs without the GIL; a second call then says so or waits."""
    count = 5000
    boxes = np.tile(np.array([[0, 0, 40, 100]], np.float32), (count, 1))
    boxes += (np.arange(count, dtype=np.float32) * 100)[:, None] * np.array(
        [1, 0, 1, 0], np.float32
    )
    stage = TrackStage(TrackConfig())
    errors: list[str] = []

    def work() -> None:
        for pts in range(3):
            try:
                step(stage, [Look(0, pts, boxes, np.full(count, 0.9, np.float32))])
            except PoseActError as error:
                errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("one thread at a time" in message for message in errors)
    assert len(stage) == count


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3)])
def test_assignment_of_nothing(shape: tuple[int, int]) -> None:
    assert assign(np.zeros(shape)).tolist() == [-1] * shape[0]


def test_assignment_refuses_what_has_no_sum() -> None:
    with pytest.raises(ConfigError, match="finite"):
        assign(np.array([[0.0, np.nan]]))


def test_a_manifest_of_another_task_is_refused(tmp_path: Path) -> None:
    manifest = read_manifest(make_pose(tmp_path / "pose.onnx"))
    with pytest.raises(ManifestError, match="track: expected a detector, got a model of task pose"):
        TrackStage(TrackConfig(), manifest)
