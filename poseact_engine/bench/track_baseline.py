# SPDX-License-Identifier: Apache-2.0
"""ByteTrack as it is usually written in Python: one object a stream, NumPy and SciPy inside.

Written for the benchmark, with the engine's own rules and constants, so that both sides do the same
work: two-stage association, then new tracks; a constant-velocity filter, all tracks of a stream at
once; optimal assignment. One frame of one stream a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.config import TrackConfig

Floats = NDArray[np.float64]
MEASURED = np.full(4, 0.05)
FIRST_VELOCITY = np.array([1.0, 1.0, 0.5, 0.5])
ACCELERATION = np.array([0.3, 0.3, 0.6, 0.6])


class NumpyByteTrack:
    """The tracker of one stream; ``solve`` is scipy.optimize.linear_sum_assignment."""

    def __init__(self, config: TrackConfig, solve: Callable[..., Any]) -> None:
        self._config = config
        self._scores = config.options()
        self._solve = solve
        self._x = np.zeros((0, 8))
        self._p = np.zeros((0, 8, 8))
        self._id = np.zeros(0, np.int64)
        self._matched_s = np.zeros(0)
        self._missed_s = np.zeros(0)
        self._score = np.zeros(0)
        self._last_id = 0
        self._now_s: float | None = None

    def update(
        self, boxes: Floats, scores: Floats, now_s: float
    ) -> tuple[Floats, NDArray[np.int64]]:
        """Boxes ``[n, 4]`` x0 y0 x1 y1 of one frame in; boxes and ids of its tracks out."""
        c, first = self._config, self._now_s is None
        self._predict(0.0 if self._now_s is None else now_s - self._now_s)
        self._now_s = now_s
        self._keep(now_s - self._matched_s <= c.lost_s)
        centers = np.concatenate(
            [(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1
        )
        high = np.flatnonzero(scores >= self._scores["high_score"])
        low = np.flatnonzero(
            (scores >= self._scores["low_score"]) & (scores < self._scores["high_score"])
        )
        known, new = self._id > 0, self._id == 0
        high = self._match(known, high, centers, scores, c.match_iou)
        waiting = known & (self._matched_s < now_s) & self._shown()
        self._match(waiting, low, centers, scores, c.low_match_iou)
        high = self._match(new, high, centers, scores, c.new_match_iou)
        self._settle(now_s)
        self._start(centers[high], scores[high], first=first)
        shown = (self._id > 0) & self._shown()
        place = self._x[shown, :4]
        half = place[:, 2:] / 2
        return np.concatenate([place[:, :2] - half, place[:, :2] + half], axis=1), self._id[shown]

    def _shown(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (self._now_s or 0.0) - self._missed_s < self._config.coast_s
        return found | np.isinf(self._missed_s)

    def _size(self) -> Floats:
        size: Floats = self._x[:, 2:4].mean(axis=1, keepdims=True)
        return size

    def _predict(self, dt: float) -> None:
        f = np.eye(8)
        f[:4, 4:] = dt * np.eye(4)
        q = (ACCELERATION * self._size()) ** 2
        i = np.arange(4)
        self._x = self._x @ f.T
        self._p = f @ self._p @ f.T
        self._p[:, i, i] += q * dt**3 / 3
        self._p[:, i, i + 4] += q * dt**2 / 2
        self._p[:, i + 4, i] += q * dt**2 / 2
        self._p[:, i + 4, i + 4] += q * dt

    def _observe(self, rows: NDArray[np.intp], centers: Floats, scores: Floats) -> None:
        i = np.arange(4)
        s = self._p[rows][:, :4, :4].copy()
        s[:, i, i] += (MEASURED * self._size()[rows]) ** 2
        gain = np.linalg.solve(s, self._p[rows][:, :4, :]).transpose(0, 2, 1)
        surprise = centers - self._x[rows, :4]
        self._x[rows] += (gain @ surprise[:, :, None])[:, :, 0]
        self._p[rows] -= gain @ self._p[rows][:, :4, :]
        self._score[rows] = scores
        self._matched_s[rows] = self._now_s or 0.0
        self._missed_s[rows] = np.inf

    def _match(
        self,
        which: NDArray[np.bool_],
        cols: NDArray[np.intp],
        centers: Floats,
        scores: Floats,
        least: float,
    ) -> NDArray[np.intp]:
        """Matches tracks ``which`` with boxes ``cols``; gives the boxes that are left."""
        rows = np.flatnonzero(which)
        if not len(rows) or not len(cols):
            return cols
        doubt = np.sqrt(np.maximum(self._p[rows, 0, 0], self._p[rows, 1, 1]))
        excess = _iou(self._x[rows, :4], centers[cols], doubt) - least
        r, k = self._solve(np.minimum(-excess, 0.0))
        good = excess[r, k] >= 0
        r, k = r[good], k[good]
        if len(r):
            self._observe(rows[r], centers[cols[k]], scores[cols[k]])
        return np.delete(cols, k)

    def _settle(self, now_s: float) -> None:
        seen = self._matched_s == now_s
        self._keep(seen | (self._id > 0))
        seen = self._matched_s == now_s
        missed = ~seen & np.isinf(self._missed_s)
        self._missed_s[missed] = now_s
        self._x[missed, 6:] = 0
        for row in np.flatnonzero(seen & (self._id == 0)):
            self._last_id += 1
            self._id[row] = self._last_id

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        if rows.all():
            return
        for name in ("_x", "_p", "_id", "_matched_s", "_missed_s", "_score"):
            setattr(self, name, getattr(self, name)[rows])

    def _start(self, centers: Floats, scores: Floats, *, first: bool) -> None:
        good = scores >= self._scores["new_score"]
        centers, scores = centers[good], scores[good]
        count = len(centers)
        if not count:
            return
        size = centers[:, 2:].mean(axis=1, keepdims=True)
        p = np.zeros((count, 8, 8))
        i = np.arange(8)
        p[:, i, i] = np.concatenate([MEASURED * size, FIRST_VELOCITY * size], axis=1) ** 2
        ids = np.arange(1, count + 1) + self._last_id if first else np.zeros(count, np.int64)
        self._last_id += count if first else 0
        self._x = np.concatenate([self._x, np.pad(centers, ((0, 0), (0, 4)))])
        self._p = np.concatenate([self._p, p])
        self._id = np.concatenate([self._id, ids])
        self._matched_s = np.concatenate([self._matched_s, np.full(count, self._now_s)])
        self._missed_s = np.concatenate([self._missed_s, np.full(count, np.inf)])
        self._score = np.concatenate([self._score, scores])


def _iou(a: Floats, b: Floats, margin: Floats) -> Floats:
    """Of boxes cx cy w h ``[A, 4]``, ``[B, 4]``, both wider by each a's margin on every side."""
    more = margin[:, None, None]
    half_a, half_b = a[:, None, 2:] / 2 + more, b[None, :, 2:] / 2 + more
    middle_a, middle_b = a[:, None, :2], b[None, :, :2]
    low = np.maximum(middle_a - half_a, middle_b - half_b)
    high = np.minimum(middle_a + half_a, middle_b + half_b)
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    joint = 4 * (np.prod(half_a, axis=-1) + np.prod(half_b, axis=-1)) - common
    result: Floats = common / joint
    return result
