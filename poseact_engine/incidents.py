# SPDX-License-Identifier: Apache-2.0
"""The incident stage: actions that were confirmed, as messages with a life cycle."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from poseact_engine.config import IncidentConfig
from poseact_engine.errors import ConfigError, ShapeError
from poseact_engine.track_table import TrackTable, grown
from poseact_engine.types import Event, EventKind, Tracks, WindowBatch

__all__ = ["Incidents"]

# End times are k / rate as floats: two that are a second apart on the grid may differ by a little
# less. A tenth of a millisecond is far above that and far below any frame.
_SLACK_S = 1e-4

_NONE = -1.0  # a window that is not there: below every probability


class Incidents:
    """Turns the probabilities of windows into incidents, one at a time per track and action.

    An incident opens (``new``) at the window with which at least k of the track's last n windows
    reached ``enter``, if the boxes of these n have a mean score of ``min_score`` or more; it starts
    at the end of the first of the k. While it is open, ``update``
    comes at most every ``update_s``. It ends (``end``) when every window of the last ``end_s`` was
    below ``leave``, when its track or stream ended, or when the stream's clock went back. Windows
    before an end do not count for the next incident of that action.

    All times are stream time. Incidents are named ``<stream>-<track>-<number>``: the index of the
    stream, and a number which counts the track's incidents from 1. Each action stands alone, so a
    fall and the lying that follows are two incidents.

    Passive, no thread. Holds its tracks until they end: pass every step, in order.
    """

    def __init__(self, config: IncidentConfig, classes: tuple[str, ...]) -> None:
        unknown = sorted(set(config.actions) - set(classes))
        if unknown:
            raise ConfigError(
                f"incident.actions: expected classes of the action model ({', '.join(classes)}), "
                f"got {', '.join(unknown)}"
            )
        self._config = config
        self._classes = len(classes)
        self._actions = tuple(config.actions)
        self._columns = np.array([classes.index(a) for a in self._actions], np.intp)
        # Probabilities are float32: 0.7 must reach a threshold of 0.7.
        self._enter = np.array([enter for enter, _ in config.actions.values()], np.float32)
        self._leave = np.array([leave for _, leave in config.actions.values()], np.float32)
        self._table = TrackTable()
        self._state = _State(len(self._actions), config.n)

    def __call__(
        self, windows: WindowBatch, probabilities: NDArray[np.float32], tracks: Tracks
    ) -> list[Event]:
        """The events of one step, in the order of its windows; then those of tracks that ended.

        Args:
            windows: W windows, those of one track in time order.
            probabilities: float32 ``[W, C]``.
            tracks: the step's rows, and the tracks that ended in it.

        Raises:
            ShapeError: ``probabilities`` is not ``[W, C]``.
        """
        if probabilities.shape != (len(windows.row), self._classes):
            raise ShapeError(
                f"Incidents: expected probabilities [W, C] = [{len(windows.row)}, {self._classes}]"
                f", got {list(probabilities.shape)}"
            )
        found: list[tuple[int, Event]] = []
        if len(windows.row) and self._actions:
            slots = self._begin(windows)
            boxes = tracks.boxes_px[windows.row]
            watched = probabilities[:, self._columns]
            scores = tracks.scores[windows.row]
            for turn in _turns(slots):
                at = slots[turn]
                end_s = windows.end_s[turn]
                found += self._take(turn, at, end_s, watched=watched, boxes=boxes, scores=scores)
        found.sort(key=lambda pair: pair[0])  # stable: turns are in time order
        events = [event for _, event in found]
        if len(tracks.ended_ids):
            events += self._forget(self._table.remove(tracks.ended_stream, tracks.ended_ids))
        return events

    def close(self, stream: int | None = None) -> list[Event]:
        """Ends all incidents of a stream that ended, or of every stream, and forgets its tracks."""
        return self._forget(self._table.remove_stream(stream))

    def __len__(self) -> int:
        """Tracks held."""
        return len(self._table)

    def _begin(self, windows: WindowBatch) -> NDArray[np.intp]:
        slots = self._table.begin(windows.stream, windows.ids)
        self._state.grow(self._table.capacity)
        self._state.stream[slots] = windows.stream
        self._state.ids[slots] = windows.ids
        return slots

    def _take(
        self,
        turn: NDArray[np.intp],
        slots: NDArray[np.intp],
        end_s: NDArray[np.float64],
        *,
        watched: NDArray[np.float32],
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
    ) -> Iterator[tuple[int, Event]]:
        """Takes the windows ``turn``, one per track at most; ``slots`` and ``end_s`` are theirs.

        Yields (window, event).
        """
        state = self._state
        back = end_s < state.last_s[slots]
        if back.any():
            for i in np.flatnonzero(back):
                yield from ((int(turn[i]), event) for event in self._end_all(slots[[i]]))
        state.push(slots, end_s, watched[turn], boxes[turn], scores[turn])
        ended, due, new = self._changes(slots, end_s, watched[turn])
        for i, a in np.argwhere(ended | due | new):
            kind: EventKind = "end" if ended[i, a] else "new" if new[i, a] else "update"
            yield int(turn[i]), self._change(kind, int(slots[i]), int(a))

    def _changes(
        self, slots: NDArray[np.intp], end_s: NDArray[np.float64], p: NDArray[np.float32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """bool ``[R, A]`` each: incidents that end, are due for an update, and open."""
        state, config = self._state, self._config
        now = end_s[:, None]
        is_open = state.is_open[slots]
        below = p < self._leave
        since = np.where(below, np.fmin(state.below_s[slots], now), np.nan)
        state.below_s[slots] = since
        state.best[slots] = np.fmax(state.best[slots], p)
        ended = is_open & below & (now - since >= config.end_s - _SLACK_S)
        waited = now - state.updated_s[slots] >= config.update_s - _SLACK_S
        hits = (state.history[slots] >= self._enter[:, None]).sum(axis=2)
        sure = state.mean_score(slots) >= round(config.min_score, 6)
        return ended, is_open & ~ended & waited, ~is_open & (hits >= config.k) & sure[:, None]

    def _change(self, kind: EventKind, slot: int, a: int) -> Event:
        state = self._state
        if kind == "new":
            counted = state.history[slot, a] >= self._enter[a]
            state.is_open[slot, a] = True
            state.start_s[slot, a] = state.times_s[slot, counted].min()
            state.best[slot, a] = state.history[slot, a].max()
            state.incidents[slot] += 1
            state.number[slot, a] = state.incidents[slot]
        state.updated_s[slot, a] = state.last_s[slot]
        event = self._event(kind, slot, a)
        if kind == "end":
            state.is_open[slot, a] = False
            state.history[slot, a] = _NONE
        return event

    def _event(self, kind: EventKind, slot: int, a: int) -> Event:
        state = self._state
        stream, track = int(state.stream[slot]), int(state.ids[slot])
        x0, y0, x1, y1 = state.boxes_px[slot].tolist()
        return Event(
            kind=kind,
            incident=f"{stream}-{track}-{state.number[slot, a]}",
            stream=stream,
            track=track,
            action=self._actions[a],
            start_s=float(state.start_s[slot, a]),
            time_s=float(state.last_s[slot]),
            score=float(state.best[slot, a]),
            box_px=(x0, y0, x1, y1),
        )

    def _end_all(self, slots: NDArray[np.intp]) -> list[Event]:
        """Ends what is open at these slots, as of their last windows, and forgets those windows."""
        events = [
            self._change("end", int(slots[i]), int(a))
            for i, a in np.argwhere(self._state.is_open[slots])
        ]
        self._state.clear(slots)
        return events

    def _forget(self, slots: NDArray[np.intp]) -> list[Event]:
        events = self._end_all(slots)
        self._state.incidents[slots] = 0
        return events


class _State:
    """What :class:`Incidents` remembers: arrays over slots, A watched actions, n windows."""

    def __init__(self, actions: int, n: int) -> None:
        self.stream = np.empty(0, np.int32)
        self.ids = np.empty(0, np.int64)
        self.boxes_px = np.empty((0, 4), np.float32)  # with the last window
        self.last_s = np.empty(0)  # end of the last window
        self.windows = np.empty(0, np.int64)  # so far; the next goes to windows % n
        self.times_s = np.empty((0, n))  # ends of the last n windows
        self.history = np.empty((0, actions, n), np.float32)  # their probabilities
        self.scores = np.empty((0, n))  # of their boxes; NaN: no window
        self.below_s = np.empty((0, actions))  # end of the first window below leave; NaN: none
        self.is_open = np.empty((0, actions), bool)
        self.start_s = np.empty((0, actions))
        self.updated_s = np.empty((0, actions))  # of the last message
        self.best = np.empty((0, actions), np.float32)  # highest probability
        self.number = np.empty((0, actions), np.int64)  # of the incident, in its name
        self.incidents = np.empty(0, np.int64)  # of the track so far

    def grow(self, capacity: int) -> None:
        before = len(self.ids)
        if capacity == before:
            return
        for name, array in vars(self).items():
            setattr(self, name, grown(array, capacity, 0))
        self.clear(np.arange(before, capacity))

    def clear(self, slots: NDArray[np.intp]) -> None:
        """Forgets windows and incidents, not how many incidents there were."""
        self.last_s[slots] = -np.inf
        self.windows[slots] = 0
        self.history[slots] = _NONE
        self.scores[slots] = np.nan
        self.below_s[slots] = np.nan
        self.is_open[slots] = False

    def push(
        self,
        slots: NDArray[np.intp],
        end_s: NDArray[np.float64],
        p: NDArray[np.float32],
        boxes_px: NDArray[np.float32],
        scores: NDArray[np.float32],
    ) -> None:
        at = self.windows[slots] % self.times_s.shape[1]
        self.times_s[slots, at] = end_s
        self.history[slots, :, at] = p
        self.scores[slots, at] = scores
        self.windows[slots] += 1
        self.last_s[slots] = end_s
        self.boxes_px[slots] = boxes_px

    def mean_score(self, slots: NDArray[np.intp]) -> NDArray[np.float64]:
        """float64 ``[R]``: of the boxes of the last n windows, or of those that were so far."""
        # Scores are float32: the mean of boxes of 0.3 each must reach a threshold of 0.3.
        return np.asarray(np.nanmean(self.scores[slots], axis=1).round(6), np.float64)


def _turns(slots: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Splits windows so that each turn has at most one per track, a track's in their order."""
    order = np.argsort(slots, kind="stable")
    by_slot = slots[order]
    rank = np.arange(len(slots)) - np.searchsorted(by_slot, by_slot)  # nth window of its track
    for turn in range(int(rank.max()) + 1):
        yield np.sort(order[rank == turn])
