# SPDX-License-Identifier: Apache-2.0
"""Windows of tracks, as the incident stage is given them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poseact_engine.incidents import Incidents
from poseact_engine.types import Event, Tracks, WindowBatch

CLASSES = ("walking", "falling_down", "lying_down")
RATE = 30


@dataclass(frozen=True)
class Seen:
    """One window of one track, or (step None) the end of the track."""

    stream: int
    track: int
    step: int | None
    p: tuple[float, ...] = ()
    box_score: float = 1.0

    @property
    def box_px(self) -> tuple[float, float, float, float]:
        return (self.step or 0, self.stream, self.track, 1.0)


def step_of(seen: list[Seen]) -> tuple[WindowBatch, np.ndarray, Tracks]:
    """One step: its windows in order, each of a row of its own, then the tracks that ended."""
    windows = [s for s in seen if s.step is not None]
    ended = [s for s in seen if s.step is None]
    stream = np.array([s.stream for s in windows], np.int32)
    ids = np.array([s.track for s in windows], np.int64)
    rows = len(windows)
    tracks = Tracks(
        boxes_px=np.array([s.box_px for s in windows], np.float32).reshape(-1, 4),
        scores=np.array([s.box_score for s in windows], np.float32),
        ids=ids,
        frame=np.arange(rows, dtype=np.int32),
        stream=stream,
        observed=np.ones(rows, bool),
        ended_stream=np.array([s.stream for s in ended], np.int32),
        ended_ids=np.array([s.track for s in ended], np.int64),
    )
    batch = WindowBatch(
        poses_px=np.zeros((rows, 1, 1, 3), np.float32),
        row=np.arange(rows, dtype=np.int32),
        stream=stream,
        ids=ids,
        end_s=np.array([s.step or 0 for s in windows]) / RATE,
    )
    return batch, np.array([s.p for s in windows], np.float32).reshape(-1, len(CLASSES)), tracks


def run_step(stage: Incidents, seen: list[Seen]) -> list[Event]:
    windows, probabilities, tracks = step_of(seen)
    return stage(windows, probabilities, tracks)


def steady(action: str, p: float, steps: range, *, stream: int = 0, track: int = 1) -> list[Seen]:
    values = tuple(p if c == action else 0.0 for c in CLASSES)
    return [Seen(stream, track, step, values) for step in steps]
