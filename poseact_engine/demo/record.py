# SPDX-License-Identifier: Apache-2.0
"""What a page needs to know of a run: who was where when, doing what, and the incidents.

No pictures: those are read back from the annotated video.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import SinkError
from poseact_engine.sinks.base import ClosingSink, RunInfo
from poseact_engine.types import Event, Step

NO_ACTION = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackRecord:
    """One track of one stream, T rows in the order of their frames."""

    stream: int
    id: int
    frames: NDArray[np.int64]
    """int64 ``[T]``: index of the frame in its stream."""
    times_s: NDArray[np.float64]
    """float64 ``[T]``."""
    boxes_px: NDArray[np.float32]
    """float32 ``[T, 4]``, x0 y0 x1 y1."""
    actions: NDArray[np.int8]
    """int8 ``[T]``: index into the run's classes; NO_ACTION before the first window."""

    def box_at(self, time_s: float) -> NDArray[np.float32]:
        """float32 ``[4]``: where the track was at that time or nearest to it."""
        return np.asarray(self.boxes_px[int(np.abs(self.times_s - time_s).argmin())], np.float32)


@dataclass(slots=True, kw_only=True)
class Incident:
    """An incident from its first message to its last."""

    name: str
    stream: int
    track: int
    action: str
    start_s: float
    """When its first counted window ended."""
    told_s: float
    """When the engine reported it."""
    end_s: float
    """Time of its last message."""
    score: float
    box_px: tuple[float, float, float, float] | None
    """The track's box when it was reported."""


@dataclass(slots=True)
class _Stream:
    frames: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    rows: list[tuple[int, int, float, NDArray[np.float32], int]] = field(default_factory=list)
    """track, frame, time, box, action."""


class Recorder(ClosingSink):
    """A sink that remembers: a row of about 400 bytes for each person in each frame."""

    def __init__(self) -> None:
        self._run: RunInfo | None = None
        self._streams: dict[int, _Stream] = {}
        self._incidents: dict[str, Incident] = {}
        self._began_s = 0.0
        self.elapsed_s = 0.0
        """From ``open`` to the last step."""

    @property
    def files(self) -> list[Path]:
        return []

    @property
    def run(self) -> RunInfo:
        if self._run is None:
            raise SinkError("recorder: open() comes first")
        return self._run

    def check(self, run: RunInfo) -> None:
        """Anything will do."""

    def open(self, run: RunInfo) -> None:
        self._run = run
        self._streams = {stream.index: _Stream() for stream in run.streams}
        self._began_s = time.monotonic()

    def write(self, step: Step) -> None:
        self._take_frames(step)
        self._take_rows(step)
        for event in step.events:
            self._take_event(event)
        self.elapsed_s = time.monotonic() - self._began_s

    def _take_frames(self, step: Step) -> None:
        for index, time_s in zip(
            step.frames.stream.tolist(), step.frames.pts_s.tolist(), strict=True
        ):
            stream = self._streams[index]
            if not stream.frames:
                stream.first_s = time_s
            stream.frames += 1
            stream.last_s = time_s

    def _take_rows(self, step: Step) -> None:
        tracks, probabilities = step.tracks, step.actions.probabilities
        known = np.logical_not(np.isnan(probabilities).any(axis=1))
        best = np.nan_to_num(probabilities, nan=-1.0).argmax(axis=1)
        columns = (
            tracks.stream.tolist(),
            tracks.ids.tolist(),
            step.frames.index[tracks.frame].tolist(),
            step.frames.pts_s[tracks.frame].tolist(),
            tracks.boxes_px.copy(),
            np.where(known, best, NO_ACTION).tolist(),
        )
        for stream, *row in zip(*columns, strict=True):
            self._streams[stream].rows.append((row[0], row[1], row[2], row[3], row[4]))

    def _take_event(self, event: Event) -> None:
        known = self._incidents.get(event.incident)
        if known is None:
            self._incidents[event.incident] = Incident(
                name=event.incident,
                stream=event.stream,
                track=event.track,
                action=event.action,
                start_s=event.start_s,
                told_s=event.time_s,
                end_s=event.time_s,
                score=event.score,
                box_px=event.box_px,
            )
        else:
            known.end_s = max(known.end_s, event.time_s)
            known.score = max(known.score, event.score)

    def close(self) -> None:
        """Nothing is open; what was remembered stays."""

    @property
    def frames(self) -> int:
        return sum(stream.frames for stream in self._streams.values())

    def span_s(self, stream: int) -> tuple[float, float]:
        """Times of the stream's first and last frame."""
        return self._streams[stream].first_s, self._streams[stream].last_s

    def incidents(self, stream: int) -> list[Incident]:
        """In the order of their reports."""
        mine = [i for i in self._incidents.values() if i.stream == stream]
        return sorted(mine, key=lambda incident: incident.told_s)

    def tracks(self, stream: int) -> list[TrackRecord]:
        """By their ids."""
        return list(self._grouped(stream))

    def _grouped(self, stream: int) -> Iterator[TrackRecord]:
        rows = self._streams[stream].rows
        for track in sorted({row[0] for row in rows}):
            mine = [row for row in rows if row[0] == track]
            yield TrackRecord(
                stream=stream,
                id=track,
                frames=np.array([row[1] for row in mine], np.int64),
                times_s=np.array([row[2] for row in mine], np.float64),
                boxes_px=np.array([row[3] for row in mine], np.float32),
                actions=np.array([row[4] for row in mine], np.int8),
            )
