# SPDX-License-Identifier: Apache-2.0
"""Windows from first principles: every window is computed anew from all observations of its track.

Times are fractions, interpolation is float64, nothing is kept from one window to the next. All that
it shares with the ring buffers is the definition in ``csrc/window/windows.h``.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MISSING_PTS = -(2**63)


@dataclass(frozen=True)
class Observation:
    stream: int
    track: int
    pts: int
    time_base: tuple[int, int]
    pose: NDArray[np.float32]
    """float32 [K, 3]"""

    @cached_property
    def time_s(self) -> Fraction:
        return self.pts * Fraction(*self.time_base)

    @cached_property
    def seen(self) -> list[bool]:
        return [bool(j[2] > 0 and np.isfinite(j).all()) for j in self.pose]


@dataclass(frozen=True)
class Window:
    row: int
    end_s: Fraction
    poses: NDArray[np.float64]
    """float64 [T, K, 3]"""


@dataclass
class TrackModel:
    observations: list[Observation] = field(default_factory=list)
    """Those taken since the track began or began anew."""


@dataclass
class WindowsModel:
    """What ``Windows`` promises, one observation at a time."""

    length: int
    rate: tuple[int, int]
    stride: int
    max_gap_s: float
    tracks: dict[tuple[int, int], TrackModel] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.step_s = 1 / Fraction(*self.rate)
        self.gap_s = Fraction(2 * round(self.max_gap_s * 1e6) + 1, 2_000_000)

    def push(self, observation: Observation, row: int) -> list[Window]:
        if observation.pts == MISSING_PTS:
            self.counts["missing"] += 1
            return []
        key = (observation.stream, observation.track)
        if key not in self.tracks:
            self.tracks[key] = TrackModel()
            self.counts["tracks"] += 1
        track = self.tracks[key]
        if not self._admit(track, observation):
            return []
        self.counts["poses"] += 1
        track.observations.append(observation)
        found = [self._window(track, k, row) for k in self._due(track)]
        self.counts["windows"] += len(found)
        return found

    def _admit(self, track: TrackModel, new: Observation) -> bool:
        if not track.observations:
            return True
        last = track.observations[-1]
        if new.time_base != last.time_base or abs(new.time_s - last.time_s) > self.gap_s:
            track.observations.clear()
            self.counts["restarts"] += 1
            return True
        if new.time_s > last.time_s:
            return True
        self.counts["repeated" if new.time_s == last.time_s else "backward"] += 1
        return False

    def _due(self, track: TrackModel) -> list[int]:
        """Grid points at which the newest observation completes a window."""
        first = math.ceil(track.observations[0].time_s / self.step_s)
        newest = track.observations[-1].time_s / self.step_s
        before = (
            track.observations[-2].time_s / self.step_s
            if len(track.observations) > 1
            else Fraction(first - 1)
        )
        reached = [k for k in range(math.ceil(before), math.floor(newest) + 1) if k > before]
        first_end = first + self.length - 1
        return [k for k in reached if k >= first_end and (k - first_end) % self.stride == 0]

    def _window(self, track: TrackModel, end: int, row: int) -> Window:
        times = [k * self.step_s for k in range(end - self.length + 1, end + 1)]
        joints = range(len(track.observations[0].pose))
        poses = np.stack([self._joint(track, j, times) for j in joints], axis=1)
        return Window(row, end * self.step_s, poses)

    def _joint(self, track: TrackModel, j: int, times: list[Fraction]) -> NDArray[np.float64]:
        seen = [o for o in track.observations if o.seen[j]]
        seen_s = [o.time_s for o in seen]
        found = np.zeros((len(times), 3))
        for n, time_s in enumerate(times):
            before, after = bisect_right(seen_s, time_s) - 1, bisect_left(seen_s, time_s)
            if before < 0 or after == len(seen) or seen_s[after] - seen_s[before] > self.gap_s:
                continue
            a, b = seen[before].pose[j].astype(np.float64), seen[after].pose[j].astype(np.float64)
            span_s = seen_s[after] - seen_s[before]
            part = float((time_s - seen_s[before]) / span_s) if span_s else 0.0
            found[n] = *(a[:2] + part * (b[:2] - a[:2])), min(a[2], b[2])
        return found
