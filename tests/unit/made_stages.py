# SPDX-License-Identifier: Apache-2.0
"""A pipeline without models: one person per frame, who is always at the same place."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from poseact_engine.pipeline import Pipeline
from poseact_engine.types import (
    COCO_JOINTS,
    Actions,
    Event,
    FrameBatch,
    People,
    PoseBatch,
    Tracks,
    WindowBatch,
)
from tests.unit.made_steps import CLASSES, make_event

Hook = Callable[[FrameBatch], None]


class Said:
    """What the stages were asked, in order, and by which thread."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []
        self.threads: set[str] = set()

    def note(self, stage: str, what: object) -> None:
        self.calls.append((stage, what))
        self.threads.add(threading.current_thread().name)

    def of(self, stage: str) -> list[object]:
        return [what for name, what in self.calls if name == stage]


class Detect:
    def __init__(self, said: Said, hook: Hook | None) -> None:
        self.said, self.hook = said, hook

    def __call__(self, frames: FrameBatch) -> People:
        if self.hook is not None:
            self.hook(frames)
        self.said.note("detect", frames.index.tolist())
        count = len(frames)
        return People(
            boxes_px=np.tile(np.array([[10, 10, 40, 60]], np.float32), (count, 1)),
            scores=np.full(count, 0.9, np.float32),
            frame=np.arange(count, dtype=np.int32),
            detected=np.ones(count, np.bool_),
        )

    def end_stream(self, stream: int) -> None:
        self.said.note("end detect", stream)


class Track:
    def __init__(self, said: Said, hook: Hook | None) -> None:
        self.said, self.hook = said, hook

    def __call__(self, people: People, frames: FrameBatch) -> Tracks:
        if self.hook is not None:
            self.hook(frames)
        self.said.note("track", frames.index.tolist())
        return Tracks(
            boxes_px=people.boxes_px,
            scores=people.scores,
            ids=np.ones(len(frames), np.int64),
            frame=people.frame,
            stream=frames.stream,
            observed=np.ones(len(frames), np.bool_),
            ended_stream=np.zeros(0, np.int32),
            ended_ids=np.zeros(0, np.int64),
        )

    def end_stream(self, stream: int) -> NDArray[np.int64]:
        self.said.note("end track", stream)
        return np.zeros(0, np.int64)


class Pose:
    def __call__(self, frames: FrameBatch, tracks: Tracks) -> PoseBatch:
        del frames
        return PoseBatch(keypoints_px=np.ones((len(tracks.ids), len(COCO_JOINTS), 3), np.float32))


class Window:
    def __init__(self, said: Said) -> None:
        self.said = said

    def __call__(self, tracks: Tracks, poses: PoseBatch, frames: FrameBatch) -> WindowBatch:
        del frames
        return WindowBatch(
            poses_px=np.repeat(poses.keypoints_px[:, None], 9, axis=1),
            row=np.arange(len(tracks.ids), dtype=np.int32),
            stream=tracks.stream,
            ids=tracks.ids,
            end_s=np.zeros(len(tracks.ids)),
        )

    def end_stream(self, stream: int) -> None:
        self.said.note("end window", stream)


class Action:
    classes = CLASSES

    def __init__(self, said: Said) -> None:
        self.said = said

    def __call__(self, windows: WindowBatch, tracks: Tracks) -> Actions:
        sure = np.tile(np.eye(6, dtype=np.float32)[1], (len(windows.row), 1))
        return Actions(window_probabilities=sure, probabilities=sure[: len(tracks.ids)])

    def end_stream(self, stream: int) -> None:
        self.said.note("end action", stream)


class Incidents:
    """One incident per stream, from its first frame to its end."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.open: set[int] = set()

    def __call__(
        self, windows: WindowBatch, probabilities: NDArray[np.float32], tracks: Tracks
    ) -> list[Event]:
        del probabilities, tracks
        new = sorted(set(windows.stream.tolist()) - self.open)
        self.open.update(new)
        return [make_event(incident=f"{s}-1-1", stream=s, track=1) for s in new]

    def close(self, stream: int | None = None) -> list[Event]:
        self.said.note("end incidents", stream)
        ended = sorted(self.open if stream is None else self.open & {stream})
        self.open.difference_update(ended)
        return [make_event(kind="end", incident=f"{s}-1-1", stream=s, track=1) for s in ended]


def make_pipeline(
    said: Said | None = None, *, on_detect: Hook | None = None, on_track: Hook | None = None
) -> Pipeline:
    said = said or Said()
    return Pipeline(
        detect=Detect(said, on_detect),
        track=Track(said, on_track),
        pose=Pose(),
        window=Window(said),
        action=Action(said),
        incidents=Incidents(said),
    )
