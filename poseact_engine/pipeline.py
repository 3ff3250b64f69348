# SPDX-License-Identifier: Apache-2.0
"""The stages as one sentence: frames of all streams in, everything that was found in them out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseact_engine.types import (
    Actions,
    Event,
    FrameBatch,
    People,
    PoseBatch,
    Step,
    Tracks,
    WindowBatch,
)


class Detect(Protocol):
    def __call__(self, frames: FrameBatch) -> People: ...
    def end_stream(self, stream: int) -> None: ...


class Track(Protocol):
    def __call__(self, people: People, frames: FrameBatch) -> Tracks: ...
    def end_stream(self, stream: int) -> NDArray[np.int64]: ...


class Pose(Protocol):
    def __call__(self, frames: FrameBatch, tracks: Tracks) -> PoseBatch: ...


class Window(Protocol):
    def __call__(self, tracks: Tracks, poses: PoseBatch, frames: FrameBatch) -> WindowBatch: ...
    def end_stream(self, stream: int) -> None: ...


class Action(Protocol):
    @property
    def classes(self) -> tuple[str, ...]: ...
    def __call__(self, windows: WindowBatch, tracks: Tracks) -> Actions: ...
    def end_stream(self, stream: int) -> None: ...


class Incidents(Protocol):
    def __call__(
        self, windows: WindowBatch, probabilities: NDArray[np.float32], tracks: Tracks
    ) -> list[Event]: ...
    def close(self, stream: int | None = None) -> list[Event]: ...


class Pipeline:
    """All stages, in order. Holds what the stages know of streams; passive, no thread.

    ``detect`` may run ahead of ``follow`` on another thread; each must see the steps in order.
    """

    def __init__(
        self,
        *,
        detect: Detect,
        track: Track,
        pose: Pose,
        window: Window,
        action: Action,
        incidents: Incidents,
    ) -> None:
        self.detect = detect
        self.track = track
        self.pose = pose
        self.window = window
        self.action = action
        self.incidents = incidents

    def step(self, frames: FrameBatch) -> Step:
        return self.follow(frames, self.detect(frames))  # [N] boxes

    def follow(self, frames: FrameBatch, people: People) -> Step:
        tracks = self.track(people, frames)  # [M] stream and track ids
        poses = self.pose(frames, tracks)  # [M, 17, 3] px + score
        windows = self.window(tracks, poses, frames)  # [W, 9, 17, 3]
        actions = self.action(windows, tracks)  # [W, 6] and, of each track, [M, 6]
        events = self.incidents(windows, actions.window_probabilities, tracks)
        return Step(
            frames=frames,
            tracks=tracks,
            poses=poses,
            actions=actions,
            classes=self.action.classes,
            events=events,
        )

    def end_streams(self, streams: Iterable[int]) -> list[Event]:
        """Forgets streams whose last frame was seen; their open incidents end."""
        events = []
        for stream in streams:
            events += self.incidents.close(stream)
            self.action.end_stream(stream)
            self.window.end_stream(stream)
            self.track.end_stream(stream)
            self.detect.end_stream(stream)
        return events
