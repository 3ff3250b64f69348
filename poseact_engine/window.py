# SPDX-License-Identifier: Apache-2.0
"""The window stage: poses of tracks in, windows that are due out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import Windows
from poseact_engine.config import WindowConfig
from poseact_engine.manifest import ActionManifest
from poseact_engine.types import FrameBatch, PoseBatch, Tracks, WindowBatch

__all__ = ["WindowStage"]


class WindowStage:
    """Keeps the last poses of every track of every stream, on the action model's grid of time.

    Passive, no thread. Holds what it knows of a track until the track ends: pass every step, in
    order. What a window is stands in ``csrc/window/windows.h``.
    """

    def __init__(self, config: WindowConfig, manifest: ActionManifest) -> None:
        self._windows = Windows(
            length=manifest.length,
            rate=manifest.rate,
            joints=len(manifest.joints),
            stride=config.stride,
            max_gap_s=config.max_gap_s,
        )

    def __call__(self, tracks: Tracks, poses: PoseBatch, frames: FrameBatch) -> WindowBatch:
        """One step; ``poses`` has a row per row of ``tracks``. Tracks that ended are forgotten.

        Predicted rows count like matched ones: the pose model has looked at their crop, and a joint
        it did not find has a score of 0. A pose without any joint is no observation, as in
        training: nobody was found, or another track has this person (``pose.py``).

        Raises:
            ShapeError: the arrays do not fit one another or the action model's joints.
            ConfigError: a pts beyond any clock (2^61 ticks).
        """
        rows = _observed_rows(tracks, poses)
        frame = tracks.frame[rows]
        found, row, end_s = self._windows.push(
            poses.keypoints_px[rows],
            tracks.ids[rows],
            stream=tracks.stream[rows],
            pts=frames.pts[frame],
            time_base=frames.time_base[frame],
        )
        if not isinstance(rows, slice):
            row = rows[row].astype(np.int32)
        self._windows.forget(tracks.ended_stream, tracks.ended_ids)
        return WindowBatch(
            poses_px=found, row=row, stream=tracks.stream[row], ids=tracks.ids[row], end_s=end_s
        )

    def end_stream(self, stream: int) -> None:
        """Forgets all tracks of a stream; its index may be used again."""
        self._windows.forget_stream(stream)

    def __len__(self) -> int:
        """Tracks held."""
        return len(self._windows)

    @property
    def counts(self) -> dict[str, int]:
        """Poses, windows, tracks and what was dropped since the start; they only grow.

        ``repeated``, ``backward`` and ``missing`` are observations dropped for their pts;
        ``restarts`` are tracks that began a new window after a gap or a jump of the clock.
        """
        return self._windows.counts


def _observed_rows(tracks: Tracks, poses: PoseBatch) -> NDArray[np.intp] | slice:
    """The rows with a joint; all of them, without a copy, where none is empty or lengths differ."""
    seen: NDArray[np.bool_] = np.any(poses.keypoints_px[..., 2] > 0, axis=1)
    if seen.all() or len(seen) != len(tracks.ids):
        return slice(None)
    return np.flatnonzero(seen)
