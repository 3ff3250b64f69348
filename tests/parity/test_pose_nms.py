# SPDX-License-Identifier: Apache-2.0
"""Pose NMS against its definitions in float64, one pair at a time, and OKS against pycocotools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval

from poseact_engine._core import oks_nms, parametric_nms

Floats = NDArray[np.float32]
Like = Callable[[int, int], float]
SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000


class Crowd:
    """Poses about a few people: doubles a few pixels off, neighbours, lost joints, tied scores."""

    def __init__(self, seed: int, count: int, *, frames: int = 3, joints: int = 17) -> None:
        rng = np.random.default_rng(seed)
        people = rng.uniform(0, 150, (3, 1, 2)) + rng.uniform(0, 100, (3, joints, 2))
        who = rng.integers(0, 3, count)
        off = rng.normal(0, 1, (count, joints, 2)) * rng.choice([0, 1, 4, 12], (count, 1, 1))
        self.keypoints = np.empty((count, joints, 3), np.float32)
        self.keypoints[..., :2] = people[who] + off
        self.keypoints[..., 2] = rng.uniform(0.05, 1.1, (count, joints))
        self.keypoints[rng.random((count, joints)) < rng.choice([0, 0.2, 1], (count, 1))] = 0
        self.scores = (rng.integers(0, 11, count) / 10).astype(np.float32)
        self.frame = rng.integers(-1, frames - 1, count).astype(np.int32)
        corner = people[who].min(axis=1) + rng.normal(0, 3, (count, 2))
        side = np.ptp(people[who], axis=1) * rng.uniform(0.7, 1.3, (count, 2))
        side[rng.random(count) < 0.05] = 0  # a box without sides
        self.boxes = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
        self.areas = rng.uniform(3000, 30000, count).astype(np.float32)

    def rows(self, rows: Any) -> Crowd:
        part = object.__new__(Crowd)
        part.__dict__ = {name: np.ascontiguousarray(v[rows]) for name, v in vars(self).items()}
        return part

    def oks(self, oks: float, sigmas: Sequence[float] | None = None) -> list[bool]:
        keep = oks_nms(self.keypoints, self.scores, self.areas, self.frame, oks, sigmas=sigmas)
        return [bool(k) for k in keep]

    def parametric(self, **options: float) -> list[bool]:
        keep = parametric_nms(self.keypoints, self.scores, self.boxes, self.frame, **options)
        return [bool(k) for k in keep]


def greedy(crowd: Crowd, like: Like, most: float) -> list[bool]:
    keep = np.zeros(len(crowd.scores), bool)
    for j in np.argsort(-crowd.scores, kind="stable"):
        better = np.flatnonzero(keep & (crowd.frame == crowd.frame[j]))
        keep[j] = all(like(int(i), int(j)) <= most for i in better)
    return [bool(k) for k in keep]


def likeness_by_oks(crowd: Crowd, sigmas: NDArray[np.float64]) -> Like:
    points = crowd.keypoints.astype(np.float64)

    def like(i: int, j: int) -> float:
        has = points[[i, j], :, 2] > 0
        area = crowd.areas[[i, j]].astype(np.float64).mean()
        squares = ((points[i, :, :2] - points[j, :, :2]) ** 2).sum(axis=1)
        shares = np.exp(-squares / (2 * area * (2 * sigmas) ** 2))
        return float(shares[has.all(axis=0)].sum() / max(has.any(axis=0).sum(), 1))

    return like


def likeness_of_rmpe(crowd: Crowd, sigma1: float, sigma2: float, weight: float) -> Like:
    points, boxes = crowd.keypoints.astype(np.float64), crowd.boxes.astype(np.float64)

    def like(i: int, j: int) -> float:
        both = (points[[i, j], :, 2] > 0).all(axis=0)
        side = np.maximum(boxes[i, 2:] - boxes[i, :2], 1)
        off = (points[j] - points[i])[both, :2]
        inside = (np.abs(off) <= 0.5 * side / 10).all(axis=1)
        sure = np.tanh(points[i, both, 2] / sigma1) * np.tanh(points[j, both, 2] / sigma1)
        near = np.exp(-((off / (side.max() / 10)) ** 2).sum(axis=1) / sigma2)
        return float(sure[inside].sum() + weight * near.sum())

    return like


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 40),
    joints=st.sampled_from([1, 5, 17, 26]),
    oks=st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.9, 0.99]),
)
def test_oks_equals_its_definition(seed: int, count: int, joints: int, oks: float) -> None:
    crowd = Crowd(seed, count, joints=joints)
    sigmas = SIGMAS if joints == 17 else np.linspace(0.03, 0.12, joints)
    got = crowd.oks(oks, None if joints == 17 else sigmas.tolist())
    assert got == greedy(crowd, likeness_by_oks(crowd, sigmas), oks)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 40),
    joints=st.sampled_from([1, 5, 17, 26]),
    sigma1=st.sampled_from([0.01, 0.3, 1.0]),
    sigma2=st.sampled_from([0.1, 2.08, 2.65]),
    weight=st.sampled_from([0.2, 1.7, 2.08]),
    share=st.sampled_from([0.02, 0.2, 0.5, 0.9]),
)
def test_parametric_equals_its_definition(
    seed: int, count: int, joints: int, sigma1: float, sigma2: float, weight: float, share: float
) -> None:
    crowd = Crowd(seed, count, joints=joints)
    eta = share * joints * (1 + weight)
    got = crowd.parametric(sigma1=sigma1, sigma2=sigma2, lambda_=weight, eta=eta)
    assert got == greedy(crowd, likeness_of_rmpe(crowd, sigma1, sigma2, weight), eta)


@pytest.mark.parametrize("seed", range(8))
def test_oks_agrees_with_pycocotools(seed: int) -> None:
    """COCOeval takes the area and the joints of the truth, so here all areas are one, none lost."""
    crowd = Crowd(seed, 20, frames=1)  # 20: COCOeval looks at no more
    crowd.keypoints[..., 2] = 0.7
    crowd.areas[:] = 12_000
    people = [
        {"keypoints": k.ravel().astype(float), "area": 12_000.0, "bbox": [0, 0, 1, 1], "score": -i}
        for i, k in enumerate(crowd.keypoints)
    ]
    evaluation = COCOeval(iouType="keypoints")
    evaluation._gts[0, 1] = evaluation._dts[0, 1] = people
    theirs = evaluation.computeOks(0, 1)
    assert 0 < (theirs > 0.9).sum() - 20 < 380  # there are doubles, and not all are
    for oks in (0.3, 0.5, 0.9):
        assert crowd.oks(oks) == greedy(crowd, lambda i, j: theirs[i, j], oks)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40))
def test_order_frames_and_size_of_the_picture_do_not_matter(seed: int, count: int) -> None:
    crowd = Crowd(seed, count)
    rng = np.random.default_rng(seed)
    crowd.scores = rng.permutation(count).astype(np.float32)  # a tie is decided by the order
    by_oks, parametric = crowd.oks(0.7), crowd.parametric()

    order = rng.permutation(count)
    shuffled = crowd.rows(order)
    assert shuffled.oks(0.7) == [by_oks[i] for i in order]
    assert shuffled.parametric() == [parametric[i] for i in order]

    for frame in np.unique(crowd.frame):
        rows = np.flatnonzero(crowd.frame == frame)
        assert crowd.rows(rows).oks(0.7) == [by_oks[i] for i in rows]
        assert crowd.rows(rows).parametric() == [parametric[i] for i in rows]

    crowd.boxes[:, 2:] = np.maximum(crowd.boxes[:, 2:], crowd.boxes[:, :2] + 2)
    parametric = crowd.parametric()
    larger = crowd.rows(slice(None))  # by a power of two, which float32 does not round
    larger.keypoints[..., :2] *= 4
    larger.boxes *= 4
    larger.areas *= 16
    assert larger.oks(0.7) == by_oks
    assert larger.parametric() == parametric


@pytest.mark.parametrize("offset", [0.0, 2.0])
def test_doubles_leave_one_and_neighbours_all(offset: float) -> None:
    """A person of 200 px seen thrice within 4 px is one; people half a height apart are two."""
    rng = np.random.default_rng(1)
    crowd = Crowd(0, 6, frames=1)
    pose = np.concatenate([rng.uniform(0, [80, 200], (17, 2)), np.full((17, 1), 0.6)], axis=1)
    crowd.keypoints[:] = pose.astype(np.float32)
    crowd.boxes[:] = (0, 0, 80, 200)
    crowd.areas[:] = 150 * 200 * 1.25**2  # of a 3:4 crop, as HRNet's authors take it
    for x in (crowd.keypoints[..., 0], crowd.boxes[:, 0], crowd.boxes[:, 2]):
        x.T[..., 3:] += 100  # the second person
        x.T[..., [1, 4]] += offset
        x.T[..., [2, 5]] -= offset
    crowd.scores = np.array([0.5, 0.9, 0.7, 0.8, 0.2, 0.4], np.float32)
    assert crowd.oks(0.9) == crowd.parametric() == [False, True, False, True, False, False]


def test_threads_do_not_meet() -> None:
    crowd = Crowd(5, 400, frames=4)
    expected = crowd.oks(0.7), crowd.parametric()
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: (crowd.oks(0.7), crowd.parametric()), range(40)):
            assert got == expected
