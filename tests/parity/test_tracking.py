# SPDX-License-Identifier: Apache-2.0
"""Assignment against scipy, the filter against a float64 one, the tracker against trackeval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from poseact_engine._core import Tracker, assign
from poseact_engine.config import TrackConfig
from tests.parity.mot_scene import PEOPLE, Scene, detect, evaluate, make_scene, track


def _cost(costs: NDArray[np.float64], column: NDArray[np.int32]) -> float:
    rows = np.flatnonzero(column >= 0)
    chosen = column[rows]
    assert len(set(chosen.tolist())) == len(rows) == min(costs.shape)
    return float(costs[rows, chosen].sum())


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(0, 14),
    cols=st.integers(0, 14),
    kind=st.sampled_from(["plain", "ties", "equal", "huge", "gated", "low rank"]),
)
def test_assignment_costs_what_scipy_finds(seed: int, rows: int, cols: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.normal(size=(rows, cols))
    if kind == "ties":
        costs = rng.integers(0, 3, (rows, cols)).astype(np.float64)
    elif kind == "equal":
        costs[:] = 0.25
    elif kind == "huge":
        costs *= 10.0 ** rng.integers(-8, 8, (rows, cols))
    elif kind == "gated":
        costs[rng.random(costs.shape) < 0.7] = 1e6
    elif kind == "low rank":
        costs = np.outer(rng.normal(size=rows), rng.normal(size=cols))
    wanted = float(costs[linear_sum_assignment(costs)].sum())
    scale = float(np.abs(costs).max(initial=1.0))
    assert _cost(costs, assign(costs)) == pytest.approx(wanted, abs=1e-11 * scale)


def test_large_assignment_costs_what_scipy_finds() -> None:
    costs = np.random.default_rng(0).random((150, 220))
    wanted = float(costs[linear_sum_assignment(costs)].sum())
    assert _cost(costs, assign(costs)) == pytest.approx(wanted, abs=1e-9)


class _Filter:
    """The model written out: one 8-state filter in float64, time in seconds.

    State cx, cy, w, h and their velocities; white noise of spectral density
    ``(ACCELERATION * size)**2`` accelerates each; size is the mean of the sides before each step.
    """

    MEASURED = np.array([0.05, 0.05, 0.05, 0.05])
    FIRST_VELOCITY = np.array([1.0, 1.0, 0.5, 0.5])
    ACCELERATION = np.array([0.3, 0.3, 0.6, 0.6])

    def __init__(self, box: NDArray[np.float64]) -> None:
        self.x = np.concatenate([box, np.zeros(4)])
        spread = np.concatenate([self.MEASURED, self.FIRST_VELOCITY]) * self._size()
        self.p = np.diag(spread**2)

    def _size(self) -> float:
        return float(self.x[2:4].mean())

    def predict(self, dt: float) -> None:
        f = np.eye(8)
        f[:4, 4:] = dt * np.eye(4)
        q = np.diag((self.ACCELERATION * self._size()) ** 2)
        noise = np.block([[q * dt**3 / 3, q * dt**2 / 2], [q * dt**2 / 2, q * dt]])
        self.x = f @ self.x
        self.p = f @ self.p @ f.T + noise

    def observe(self, box: NDArray[np.float64]) -> None:
        h = np.eye(4, 8)
        r = np.diag((self.MEASURED * self._size()) ** 2)
        gain = self.p @ h.T @ np.linalg.inv(h @ self.p @ h.T + r)
        self.x = self.x + gain @ (box - h @ self.x)
        self.p = (np.eye(8) - gain @ h) @ self.p

    def miss(self) -> None:
        """Nobody's growth is extrapolated: the size stops at the first miss."""
        self.x[6:8] = 0


def _edges(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([box[:2] - box[2:4] / 2, box[:2] + box[2:4] / 2])


SMOOTH = {
    "high_score": 0.5,
    "low_score": 0.1,
    "new_score": 0.5,
    "match_iou": 0.1,
    "low_match_iou": 0.5,
    "new_match_iou": 0.3,
    "confirm_s": 0.0,
    "coast_s": 2.0,
    "lost_s": 2.0,
}
"""One person who is reported at once and predicted for two seconds."""


@pytest.mark.parametrize("seed", range(10))
def test_estimate_equals_float64_filter(seed: int) -> None:
    """One person, 300 frames at uneven times, some skipped by the detector, some missed."""
    rng = np.random.default_rng(seed)
    tracker = Tracker(**SMOOTH)
    pts, model = 0, None
    worst, missed = 0.0, False
    for frame in range(300):
        step = int(rng.choice([0, 1500, 3000, 3003, 6000]))
        pts += step
        seconds = pts / 90000
        true = np.array([400 + 60 * seconds, 300 + 20 * np.sin(seconds), 80, 200])
        box = true + rng.normal(0, 4, 4)
        looked = frame == 0 or rng.random() < 0.6
        seen = frame == 0 or (looked and rng.random() < 0.8)
        boxes = _edges(box)[None].astype(np.float32) if seen else np.zeros((0, 4), np.float32)
        rows = tracker.update(
            boxes,
            np.full(len(boxes), 0.9, np.float32),
            np.zeros(len(boxes), np.int32),
            stream=np.zeros(1, np.int32),
            pts=np.array([pts]),
            time_base=np.array([[1, 90000]], np.int32),
            detected=np.array([looked]),
        )
        if model is None:
            model = _Filter(box)
        else:
            model.predict(step / 90000)
            if seen:
                model.observe(box)
            elif looked and not missed:
                model.miss()
        missed = (missed or looked) and not seen
        assert rows[2].tolist() == [1]
        worst = max(worst, float(np.abs(rows[0][0] - _edges(model.x[:4])).max()))
    assert worst < 0.02  # pixels: float32 against float64


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [make_scene(seed) for seed in range(20)]


@pytest.mark.parametrize("every", [1, 2, 3, 4])
def test_scenes_are_tracked(scenes: list[Scene], every: int) -> None:
    """20 scenes each: MOTA at least 0.95 and no id switch, hidden people in the truth or not."""
    for seed, scene in enumerate(scenes):
        steps = track(detect(scene, seed, every), TrackConfig())
        for keep_hidden in (True, False):
            scores = evaluate(scene, steps, keep_hidden=keep_hidden)
            assert scores["MOTA"] >= 0.95, (seed, keep_hidden, scores)
            assert scores["IDSW"] == 0, (seed, keep_hidden, scores)


def test_the_scenes_are_not_trivial(scenes: list[Scene]) -> None:
    """People meet (wholly hiding one another in some scene), and four of each are hidden."""
    meetings = []
    for scene in scenes:
        edges = scene.boxes[:, :, None, :], scene.boxes[:, None, :, :]
        high = np.minimum(edges[0][..., 2:], edges[1][..., 2:])
        size = np.maximum(high - np.maximum(edges[0][..., :2], edges[1][..., :2]), 0)
        area = np.prod(scene.boxes[..., 2:] - scene.boxes[..., :2], axis=-1)
        covered = (np.prod(size, axis=-1) / area[:, :, None]).max(axis=0)
        meetings.append(covered[np.triu_indices(PEOPLE, 1)])
        assert (scene.hidden & scene.present).sum() >= 3 * 20
    assert np.mean([(m > 0.3).sum() for m in meetings]) >= 3
    assert np.max(meetings) > 0.9
