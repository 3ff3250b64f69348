# SPDX-License-Identifier: Apache-2.0
"""Windows on the clocks of real videos of 10, 15, 29.97 and 30 frames/s, decoded and muxed."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from poseact_engine._core import FrameBatch, Mux, Reader, Windows

VIDEOS = (
    "one_by_one_h264_432p.mp4",
    "worker_zone_h264_270p.mp4",
    "bodypose_hevc_720p.mp4",
    "urfd_fall-01.mp4",
)
FRAMES = 60


def push(windows: Windows, frames: FrameBatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One person per frame, whose single joint is at x = the frame's time in seconds."""
    joint = np.ones((len(frames), 1, 3), np.float32)
    joint[:, 0, 0] = frames.pts_s
    return windows.push(
        joint,
        np.ones(len(frames), np.int64),
        stream=frames.stream,
        pts=frames.pts,
        time_base=frames.time_base,
    )


def test_real_clocks(data_dir: Path) -> None:
    """Every grid point from the ninth on ends one window, and each pose tells the time it is of."""
    mux, windows = Mux(), Windows(length=9, rate=(30, 1), joints=1, stride=1, max_gap_s=0.4)
    for name in VIDEOS:
        mux.add_reader(Reader(str(data_dir / "videos" / name), max_frames=FRAMES))
    ends: dict[int, list[float]] = {s: [] for s in range(len(VIDEOS))}
    times: dict[int, list[Fraction]] = {s: [] for s in range(len(VIDEOS))}
    while (frames := mux.next_batch(8, 0.05)) is not None:
        for f in range(len(frames)):
            seconds = frames[f].pts * Fraction(*frames[f].time_base)
            times[frames[f].stream].append(seconds)
        poses, row, end_s = push(windows, frames)
        grid_s = end_s[:, None] + np.arange(-8, 1) / 30
        np.testing.assert_allclose(poses[:, :, 0, 0], grid_s, atol=1e-5)
        for stream, end in zip(frames.stream[row].tolist(), end_s.tolist(), strict=True):
            ends[stream].append(end)
    mux.close()
    for stream, seen in times.items():
        assert len(seen) == FRAMES
        first, last = math.ceil(seen[0] * 30) + 8, math.floor(seen[-1] * 30)
        assert ends[stream] == [k / 30 for k in range(first, last + 1)]
    assert windows.counts["restarts"] == 0
