# SPDX-License-Identifier: Apache-2.0
"""What flows between the stages: batches over all streams, as plain arrays.

Every noun is a batch. F frames of a step, N people found in them, M rows (one track in one frame),
W windows, K = 17 joints, T = 9 poses of a window, C actions. ``frame`` is always an index into the
step's :class:`FrameBatch`; ``row`` an index into the step's :class:`Tracks`. Coordinates are pixels
of the displayed picture; boxes are edges (a pixel i covers [i, i + 1]), joints are pixel indices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import Frame, FrameBatch

__all__ = [
    "ACTIONS",
    "COCO_JOINTS",
    "COCO_SIGMAS",
    "Actions",
    "Event",
    "EventKind",
    "Frame",
    "FrameBatch",
    "People",
    "PoseBatch",
    "Result",
    "Step",
    "Tracks",
    "WindowBatch",
]

COCO_JOINTS: tuple[str, ...] = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)

COCO_SIGMAS: tuple[float, ...] = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
    0.087, 0.087, 0.089, 0.089,
)  # fmt: skip
"""How far annotators of COCO disagree on each joint (https://cocodataset.org/#keypoints-eval)."""

ACTIONS: tuple[str, ...] = (
    "carrying",
    "falling_down",
    "walking",
    "lifting",
    "standing",
    "lying_down",
)
"""What the paper's model names, in the order of its output."""

EventKind = Literal["new", "update", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Person boxes of a step, grouped by frame, best first within a frame."""

    boxes_px: NDArray[np.float32]
    """float32 ``[N, 4]``, x0 y0 x1 y1."""
    scores: NDArray[np.float32]
    """float32 ``[N]``, 0 to 1."""
    frame: NDArray[np.int32]
    """int32 ``[N]``, non-decreasing."""
    detected: NDArray[np.bool_]
    """bool ``[F]``: the detector has looked at this frame (false: trackers only predict)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """One row per track and frame, grouped by frame; and the tracks that ended in this step."""

    boxes_px: NDArray[np.float32]
    """float32 ``[M, 4]``, x0 y0 x1 y1; the tracker's estimate."""
    scores: NDArray[np.float32]
    """float32 ``[M]``: of the last box that was matched."""
    ids: NDArray[np.int64]
    """int64 ``[M]``: from 1, unique within the stream, never used again."""
    frame: NDArray[np.int32]
    """int32 ``[M]``, non-decreasing."""
    stream: NDArray[np.int32]
    """int32 ``[M]``."""
    observed: NDArray[np.bool_]
    """bool ``[M]``: a box was matched in this very frame (false: predicted)."""
    ended_stream: NDArray[np.int32]
    """int32 ``[E]``."""
    ended_ids: NDArray[np.int64]
    """int64 ``[E]``: tracks that will never be seen again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseBatch:
    """The joints of every row of :class:`Tracks`, in the same order."""

    keypoints_px: NDArray[np.float32]
    """float32 ``[M, K, 3]``: x, y, score; a joint that was not found is (0, 0, 0), and so is each
    joint of a row whose person another track of the frame has (``PoseConfig.nms``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBatch:
    """Windows that became due in this step, in the order of their rows."""

    poses_px: NDArray[np.float32]
    """float32 ``[W, T, K, 3]``, oldest pose first."""
    row: NDArray[np.int32]
    """int32 ``[W]``: the row of :class:`Tracks` whose pose completed the window."""
    stream: NDArray[np.int32]
    """int32 ``[W]``."""
    ids: NDArray[np.int64]
    """int64 ``[W]``: track."""
    end_s: NDArray[np.float64]
    """float64 ``[W]``: time of the last pose in its stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What the action model says of each window, and what is known of each row."""

    window_probabilities: NDArray[np.float32]
    """float32 ``[W, C]``."""
    probabilities: NDArray[np.float32]
    """float32 ``[M, C]``: of the latest window of the row's track; NaN before its first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A message about an incident: an action of one track that was confirmed."""

    kind: EventKind
    incident: str
    """Unique within a run: ``<stream>-<track>-<number>``."""
    stream: int
    track: int
    action: str
    start_s: float
    """When the incident's first counted window ended, in stream time."""
    time_s: float
    """Stream time of this message."""
    score: float
    """Highest probability of the action so far."""
    box_px: tuple[float, float, float, float] | None = None
    """The track's box when the message was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was seen of one track in one frame."""

    stream: int
    frame_index: int
    pts_s: float
    track: int
    observed: bool
    box_px: tuple[float, float, float, float]
    score: float
    keypoints_px: NDArray[np.float32]
    """float32 ``[K, 3]``."""
    action: str | None
    """None before the track's first window."""
    probabilities: NDArray[np.float32] | None
    """float32 ``[C]`` in the order of the model's classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Everything one call of the pipeline found."""

    frames: FrameBatch
    tracks: Tracks
    poses: PoseBatch
    actions: Actions
    classes: tuple[str, ...]
    events: list[Event] = field(default_factory=list)

    def results(self) -> list[Result]:
        """One :class:`Result` per row of ``tracks``, in their order."""
        index, pts_s = self.frames.index, self.frames.pts_s
        best = np.argmax(np.nan_to_num(self.actions.probabilities, nan=-1.0), axis=1)
        known = np.logical_not(np.isnan(self.actions.probabilities).any(axis=1))
        t = self.tracks
        return [
            Result(
                stream=int(t.stream[m]),
                frame_index=int(index[f]),
                pts_s=float(pts_s[f]),
                track=int(t.ids[m]),
                observed=bool(t.observed[m]),
                box_px=(float(b[0]), float(b[1]), float(b[2]), float(b[3])),
                score=float(t.scores[m]),
                keypoints_px=self.poses.keypoints_px[m],
                action=self.classes[best[m]] if known[m] else None,
                probabilities=self.actions.probabilities[m] if known[m] else None,
            )
            for m, (f, b) in enumerate(zip(t.frame, t.boxes_px, strict=True))
        ]
