# SPDX-License-Identifier: Apache-2.0
"""What stages remember per track, without a Python loop over tracks."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, ShapeError
from poseact_engine.types import Tracks, WindowBatch

__all__ = ["LatestActions", "TrackTable", "grown"]

Scalar = TypeVar("Scalar", bound=np.generic)

# A trillion tracks in each of eight million streams: together one sortable int64.
_ID_BITS = 40
_STREAM_BITS = 23


def grown(array: NDArray[Scalar], capacity: int, fill: Any) -> NDArray[Scalar]:
    """``array`` itself, or a copy with ``capacity`` rows whose new rows hold ``fill``."""
    if len(array) >= capacity:
        return array
    larger = np.full((capacity, *array.shape[1:]), fill, array.dtype)
    larger[: len(array)] = array
    return larger


class TrackTable:
    """Says which row ("slot") of a caller's arrays belongs to which track of which stream.

    Slots are dense, and those of removed tracks are used again, so ``capacity`` follows the most
    tracks held at one time. One binary search per call. Not thread-safe.
    """

    def __init__(self) -> None:
        self._keys = np.empty(0, np.int64)  # sorted
        self._slots = np.empty(0, np.intp)  # of each key
        self._free = np.empty(0, np.intp)
        self.capacity = 0
        """Rows a caller's arrays must have; grows by doubling."""

    def __len__(self) -> int:
        return len(self._keys)

    def begin(self, stream: NDArray[np.int32], ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """The slot of each (stream, track) given; unknown ones get one. May raise ``capacity``."""
        keys = _packed(stream, ids)
        unknown = np.unique(keys[~self._known(keys)])
        if unknown.size:
            self._add(unknown)
        return self._slots[np.searchsorted(self._keys, keys)]

    def remove(self, stream: NDArray[np.int32], ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Forgets the given tracks, unknown ones are no error.

        Returns the slots let go of, in the order of their streams and tracks. The caller puts its
        rows at these slots back to what a new track starts with.
        """
        return self._release(np.isin(self._keys, _packed(stream, ids)))

    def remove_stream(self, stream: int | None) -> NDArray[np.intp]:
        """As :meth:`remove`, for all tracks of a stream, or of every stream (None)."""
        gone = np.full(len(self), True) if stream is None else self._keys >> _ID_BITS == stream
        return self._release(gone)

    def _known(self, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
        if not len(self):
            return np.zeros(len(keys), bool)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self) - 1)
        known: NDArray[np.bool_] = self._keys[at] == keys
        return known

    def _add(self, keys: NDArray[np.int64]) -> None:
        lacking = len(keys) - len(self._free)
        if lacking > 0:
            capacity = max(16, 2 * self.capacity, self.capacity + lacking)
            self._free = np.concatenate([np.arange(self.capacity, capacity)[::-1], self._free])
            self.capacity = capacity
        cut = len(self._free) - len(keys)
        at = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, at, keys)
        self._slots = np.insert(self._slots, at, self._free[cut:])
        self._free = self._free[:cut]

    def _release(self, gone: NDArray[np.bool_]) -> NDArray[np.intp]:
        slots = self._slots[gone]
        self._keys, self._slots = self._keys[~gone], self._slots[~gone]
        self._free = np.concatenate([self._free, slots])
        return slots


class LatestActions:
    """What the action model last said of each track.

    Holds one row of probabilities per track until the track ends: pass every step, in order.
    Not thread-safe.
    """

    def __init__(self, classes: int) -> None:
        self._table = TrackTable()
        self._latest = np.empty((0, classes), np.float32)

    def __call__(
        self, windows: WindowBatch, window_probabilities: NDArray[np.float32], tracks: Tracks
    ) -> NDArray[np.float32]:
        """float32 ``[M, C]``: the probabilities of each row's track as of that row's frame.

        A row of an earlier frame does not see windows that later frames of the same step complete.
        NaN before a track's first window. Tracks that ended in this step are forgotten afterwards.

        Raises:
            ShapeError: ``window_probabilities`` is not ``[W, C]``.
        """
        self._check(windows, window_probabilities)
        slots = self._table.begin(tracks.stream, tracks.ids)
        self._latest = grown(self._latest, self._table.capacity, np.nan)
        result = self._latest[slots]
        if len(windows.row):
            self._apply(slots, windows.row, window_probabilities, result)
        self._reset(self._table.remove(tracks.ended_stream, tracks.ended_ids))
        return result

    def end_stream(self, stream: int) -> None:
        """Forgets all tracks of a stream."""
        self._reset(self._table.remove_stream(stream))

    def __len__(self) -> int:
        """Tracks held."""
        return len(self._table)

    def _check(self, windows: WindowBatch, probabilities: NDArray[np.float32]) -> None:
        expected = (len(windows.row), self._latest.shape[1])
        if probabilities.shape != expected:
            raise ShapeError(
                f"LatestActions: expected window_probabilities [W, C] = {list(expected)}, "
                f"got {list(probabilities.shape)}"
            )

    def _apply(
        self,
        slots: NDArray[np.intp],
        window_row: NDArray[np.int32],
        probabilities: NDArray[np.float32],
        result: NDArray[np.float32],
    ) -> None:
        """Overwrites rows of ``result`` that a window of this step serves, then the memory."""
        rows = len(slots)
        # Windows ordered by track, then by row; windows of one row stay in time order (stable), and
        # the search from the right finds the last of them.
        keys = slots[window_row] * rows + window_row
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        at = np.searchsorted(keys, slots * rows + np.arange(rows), side="right") - 1
        served = (at >= 0) & (keys[at] // rows == slots)
        result[served] = probabilities[order[at[served]]]
        last = np.flatnonzero(np.diff(keys // rows, append=-1))  # of each track
        self._latest[keys[last] // rows] = probabilities[order[last]]

    def _reset(self, slots: NDArray[np.intp]) -> None:
        self._latest[slots] = np.nan


def _packed(stream: NDArray[np.int32], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    if ((ids >> _ID_BITS) | (stream >> _STREAM_BITS)).any():  # also true for negative ones
        raise ConfigError(
            "tracks: expected ids from 0 to 2^40 - 1 and streams from 0 to 2^23 - 1, got ids "
            f"{ids.min()} to {ids.max()}, streams {stream.min()} to {stream.max()}"
        )
    return (stream.astype(np.int64) << _ID_BITS) | ids
