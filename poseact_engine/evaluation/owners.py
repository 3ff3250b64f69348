# SPDX-License-Identifier: Apache-2.0
"""Whose track it was: the person that a track was on, now or a moment ago."""

from __future__ import annotations

from bisect import bisect_right

MEMORY_S = 0.5
"""A track that is on nobody in a frame still belongs to whom it was on within so long before."""


class Owners:
    """Of the tracks of one scene. Owns its lists; ``add`` in the order of time."""

    def __init__(self) -> None:
        self._times_s: dict[int, list[float]] = {}
        self._people: dict[int, list[int]] = {}

    def add(self, track: int, time_s: float, person: int) -> None:
        """The track was paired with this person in the frame of that time."""
        self._times_s.setdefault(track, []).append(time_s)
        self._people.setdefault(track, []).append(person)

    def at(self, track: int, time_s: float) -> int | None:
        """The person the track was on last, in the frame of that time or MEMORY_S before it."""
        times_s = self._times_s.get(track, [])
        last = bisect_right(times_s, time_s) - 1
        if last < 0 or time_s - times_s[last] > MEMORY_S:
            return None
        return self._people[track][last]
