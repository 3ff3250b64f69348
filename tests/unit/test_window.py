# SPDX-License-Identifier: Apache-2.0
"""The window stage: how frames and tracks become rows, and what ended tracks leave behind."""

from __future__ import annotations

import numpy as np
import psutil
import pytest

from poseact_engine._core import Frame, FrameBatch, Windows
from poseact_engine.config import WindowConfig
from poseact_engine.errors import ConfigError, ShapeError
from poseact_engine.manifest import ActionManifest
from poseact_engine.types import COCO_JOINTS, PoseBatch, Tracks
from poseact_engine.window import WindowStage

PIXEL = np.zeros((2, 2, 3), np.uint8)


def manifest(length: int = 9) -> ActionManifest:
    return ActionManifest(
        task="action",
        precision="fp32",
        target="any",
        source="made",
        licence="none",
        sha256="0" * 64,
        joints=COCO_JOINTS,
        classes=("walking", "falling_down"),
        length=length,
        rate=(30, 1),
        normalise="body",
    )


def frames_at(*moments: tuple[int, int]) -> FrameBatch:
    """Frames of (stream, pts) on a 1/30 s clock."""
    return FrameBatch(
        [Frame.from_rgb(PIXEL, pts=pts, time_base=(1, 30), stream=s) for s, pts in moments]
    )


def tracks_of(
    frames: FrameBatch, rows: list[tuple[int, int]], ended: list[tuple[int, int]] | None = None
) -> Tracks:
    """Rows are (frame, track); ended are (stream, track)."""
    frame = np.array([f for f, _ in rows], np.int32)
    ended = ended or []
    return Tracks(
        boxes_px=np.zeros((len(rows), 4), np.float32),
        scores=np.ones(len(rows), np.float32),
        ids=np.array([t for _, t in rows], np.int64),
        frame=frame,
        stream=frames.stream[frame],
        observed=np.ones(len(rows), bool),
        ended_stream=np.array([s for s, _ in ended], np.int32),
        ended_ids=np.array([t for _, t in ended], np.int64),
    )


def poses_of(count: int, x: float = 5.0) -> PoseBatch:
    return PoseBatch(keypoints_px=np.full((count, 17, 3), x, np.float32))


def test_rows_carry_their_track_and_time() -> None:
    stage = WindowStage(WindowConfig(), manifest(length=2))
    frames = frames_at((3, 0), (1, 60), (3, 1), (1, 61))
    tracks = tracks_of(frames, [(0, 7), (0, 9), (1, 7), (2, 9), (2, 7), (3, 7)])
    windows = stage(tracks, poses_of(6), frames)
    assert windows.poses_px.shape == (3, 2, 17, 3)
    assert windows.row.tolist() == [3, 4, 5]
    assert windows.stream.tolist() == [3, 3, 1]
    assert windows.ids.tolist() == [9, 7, 7]
    assert windows.end_s.tolist() == [1 / 30, 1 / 30, 61 / 30]
    assert len(stage) == 3


def test_ended_tracks_are_forgotten_after_their_last_rows() -> None:
    stage = WindowStage(WindowConfig(), manifest(length=2))
    frames = frames_at((0, 0), (0, 1))
    windows = stage(tracks_of(frames, [(0, 1), (1, 1)], [(0, 1)]), poses_of(2), frames)
    assert windows.row.tolist() == [1]
    assert len(stage) == 0


def test_an_ended_stream_leaves_nothing() -> None:
    stage = WindowStage(WindowConfig(), manifest())
    frames = frames_at((0, 0), (1, 0))
    stage(tracks_of(frames, [(0, 1), (0, 2), (1, 1)]), poses_of(3), frames)
    stage.end_stream(0)
    assert len(stage) == 1
    assert stage.counts["tracks"] == 3


def test_a_step_without_people() -> None:
    stage = WindowStage(WindowConfig(), manifest())
    windows = stage(tracks_of(frames_at((0, 0)), []), poses_of(0), frames_at((0, 0)))
    assert windows.poses_px.shape == (0, 9, 17, 3)
    assert windows.ids.shape == (0,)


def test_wrong_arrays_are_named() -> None:
    stage = WindowStage(WindowConfig(), manifest())
    frames = frames_at((0, 0))
    tracks = tracks_of(frames, [(0, 1)])
    with pytest.raises(ShapeError, match=r"Windows.push: expected .* \[1, 17, 3\], got .*\(2, 17"):
        stage(tracks, poses_of(2), frames)
    wrong = PoseBatch(keypoints_px=np.zeros((1, 17, 3)))  # type: ignore[arg-type]  # float64
    with pytest.raises(ShapeError, match="expected a C-contiguous float32"):
        stage(tracks, wrong, frames)


def test_gap_limits() -> None:
    with pytest.raises(ConfigError, match="60 seconds or less"):
        WindowConfig(max_gap_s=61)
    with pytest.raises(ConfigError, match=r"from one grid step to 60 s, got 0\.02"):
        WindowStage(WindowConfig(max_gap_s=0.02), manifest())


def test_windows_outlive_their_stage() -> None:
    windows = Windows(length=1, rate=(30, 1), joints=1, stride=1, max_gap_s=0.4)
    zero = np.zeros(1, np.int64)
    poses, _, _ = windows.push(
        np.full((1, 1, 3), 3.5, np.float32),
        zero,
        stream=zero.astype(np.int32),
        pts=zero,
        time_base=np.array([[1, 30]], np.int32),
    )
    del windows
    assert poses.flags.owndata or poses.base is not None
    assert (poses == 3.5).all()


def test_twenty_thousand_tracks_leave_nothing() -> None:
    """A slot holds about 2.5 KB: 20,000 that were not used again would be 50 MB."""
    process = psutil.Process()
    windows = Windows(length=9, rate=(30, 1), joints=17, stride=1, max_gap_s=0.4)
    people = 100
    poses = np.ones((people, 17, 3), np.float32)
    stream = np.zeros(people, np.int32)
    time_base = np.tile(np.array([1, 30], np.int32), (people, 1))
    before = 0
    for first in range(0, 20_000, people):
        track = np.arange(first, first + people, dtype=np.int64)
        for step in range(9):
            pts = np.full(people, first + step, np.int64)
            row = windows.push(poses, track, stream=stream, pts=pts, time_base=time_base)[1]
        assert len(row) == people
        windows.forget(stream, track)
        before = before or process.memory_info().rss
    assert len(windows) == 0
    assert process.memory_info().rss - before < 10e6
