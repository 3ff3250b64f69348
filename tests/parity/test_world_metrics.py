# SPDX-License-Identifier: Apache-2.0
"""MOTA, IDF1 and switches against trackeval; pairs against SciPy; PCK against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trackeval
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from poseact_engine.boxes import iou_matrix
from poseact_engine.evaluation.mot_metrics import (
    MotCounts,
    TrackedFrame,
    count_tracks,
    pair_boxes,
)
from poseact_engine.evaluation.pck import count_near

FRAMES = 60


def _iou_of(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Of two boxes, in plain Python."""
    w = max(0.0, min(float(a[2]), float(b[2])) - max(float(a[0]), float(b[0])))
    h = max(0.0, min(float(a[3]), float(b[3])) - max(float(a[1]), float(b[1])))
    areas = [(float(x[2]) - float(x[0])) * (float(x[3]) - float(x[1])) for x in (a, b)]
    return w * h / (sum(areas) - w * h)


def _overlaps(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.array([[_iou_of(x, y) for y in b] for x in a]).reshape(len(a), len(b))


def _scene(seed: int) -> list[TrackedFrame]:
    """People who cross, and tracks that follow them with noise (IoU from 0.2 to 0.9), take each
    other's ids at times, are lost, and see people who are not there. Somebody is in each frame and
    followed, since trackeval leaves out frames in which nobody is."""
    rng = np.random.default_rng(seed)
    people = int(rng.integers(2, 6))
    start, speed = rng.uniform(0, 300, people), rng.uniform(-6, 6, people)
    ids = np.arange(1, people + 1)
    frames = []
    for t in range(FRAMES):
        x = start + speed * t
        y = np.arange(people) * 15.0
        true = np.stack([x, y, x + 40, y + 100], axis=1)
        if rng.random() < 0.1:
            ids = rng.permutation(ids)
        if rng.random() < 0.1:
            ids = np.where(rng.random(people) < 0.3, ids.max() + np.arange(1, people + 1), ids)
        here = rng.random(people) < 0.9
        here[rng.integers(people)] = True
        found = (rng.random(people) < 0.8) | (here & (here.cumsum() == 1))
        boxes = true + rng.normal(0, 7, true.shape)
        ghosts = rng.uniform(0, 300, (int(rng.integers(0, 2)), 1)) + np.array([0, 0, 40, 100])
        frames.append(
            TrackedFrame(
                true_ids=np.flatnonzero(here) + 1,
                true_boxes_px=true[here].astype(np.float32),
                counts=np.ones(int(here.sum()), np.bool_),
                ids=np.concatenate([ids[found], np.full(len(ghosts), 999)]).astype(np.int64),
                boxes_px=np.concatenate([boxes[found], ghosts]).astype(np.float32),
            )
        )
    return frames


def _trackeval(frames: list[TrackedFrame]) -> dict[str, float]:
    """Its ids count from 0 without gaps."""
    people = sorted({int(p) for f in frames for p in f.true_ids})
    tracks = sorted({int(t) for f in frames for t in f.ids})
    data = {
        "num_timesteps": len(frames),
        "num_gt_ids": len(people),
        "num_tracker_ids": len(tracks),
        "num_gt_dets": sum(len(f.true_ids) for f in frames),
        "num_tracker_dets": sum(len(f.ids) for f in frames),
        "gt_ids": [np.searchsorted(people, f.true_ids) for f in frames],
        "tracker_ids": [np.searchsorted(tracks, f.ids) for f in frames],
        "similarity_scores": [_overlaps(f.true_boxes_px, f.boxes_px) for f in frames],
    }
    clear = trackeval.metrics.CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
    identity = trackeval.metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    return {k: float(v) for k, v in {**clear, **identity}.items()}


@pytest.mark.parametrize("seed", range(12))
def test_counts_equal_trackeval(seed: int) -> None:
    frames = _scene(seed)
    ours, theirs = count_tracks(frames), _trackeval(frames)
    assert ours.missed == theirs["CLR_FN"]
    assert ours.false == theirs["CLR_FP"]
    assert ours.switches == theirs["IDSW"]
    assert ours.id_right == theirs["IDTP"]
    assert ours.mota == pytest.approx(theirs["MOTA"], abs=1e-12)
    assert ours.idf1 == pytest.approx(theirs["IDF1"], abs=1e-12)
    assert ours.switches > 0  # the scene tests something
    assert 0.1 < ours.idf1 < 0.95


def test_perfect_tracks_count_as_such() -> None:
    frames = [
        TrackedFrame(
            true_ids=f.true_ids,
            true_boxes_px=f.true_boxes_px,
            counts=f.counts,
            ids=f.true_ids + 10,
            boxes_px=f.true_boxes_px,
        )
        for f in _scene(3)
    ]
    counts = count_tracks(frames)
    assert (counts.mota, counts.idf1, counts.switches) == (1.0, 1.0, 0)


def test_people_who_do_not_count_change_nothing() -> None:
    """Neither as somebody missed nor, with a track on them, as somebody false; the oracle is the
    same scene without them."""
    frames = _scene(5)
    stranger = np.array([[900, 0, 940, 100]], np.float32)
    extended = [
        TrackedFrame(
            true_ids=np.append(f.true_ids, 77),
            true_boxes_px=np.concatenate([f.true_boxes_px, stranger]),
            counts=np.append(f.counts, False),
            ids=np.append(f.ids, 55) if i % 2 else f.ids,
            boxes_px=np.concatenate([f.boxes_px, stranger + 2]) if i % 2 else f.boxes_px,
        )
        for i, f in enumerate(frames)
    ]
    assert count_tracks(extended) == count_tracks(frames)


def test_counts_of_scenes_add_up() -> None:
    parts = [count_tracks(_scene(seed)) for seed in (1, 2)]
    both = parts[0] + parts[1]
    theirs = [_trackeval(_scene(seed)) for seed in (1, 2)]
    truths = sum(t["CLR_TP"] + t["CLR_FN"] for t in theirs)
    wrong = sum(t["CLR_FN"] + t["CLR_FP"] + t["IDSW"] for t in theirs)
    assert both.mota == pytest.approx(1 - wrong / truths)
    right = sum(t["IDTP"] for t in theirs)
    total = sum(2 * t["IDTP"] + t["IDFN"] + t["IDFP"] for t in theirs)
    assert both.idf1 == pytest.approx(2 * right / total)


def test_nobody_at_all_is_not_a_number() -> None:
    assert math.isnan(MotCounts().mota)
    assert math.isnan(MotCounts().idf1)


@pytest.mark.parametrize("seed", range(20))
def test_pairs_are_as_many_as_can_be_and_then_the_best(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (int(rng.integers(0, 7)), 2))
    a = np.concatenate([corner, corner + rng.uniform(30, 60, corner.shape)], axis=1)
    b = np.concatenate([a, a])[rng.permutation(2 * len(a))[: int(rng.integers(0, 8))]]
    b = (b + rng.normal(0, 5, b.shape)).astype(np.float32)
    a = a.astype(np.float32)
    overlap = _overlaps(a, b)
    assert iou_matrix(a, b) == pytest.approx(overlap, abs=1e-9)
    pairs = pair_boxes(a, b)
    rows = np.flatnonzero(pairs >= 0)
    assert len(set(pairs[rows].tolist())) == len(rows)
    assert (overlap[rows, pairs[rows]] >= 0.5 - 1e-9).all()
    worth = np.where(overlap >= 0.5, 100 + overlap, 0)
    best = worth[linear_sum_assignment(worth, maximize=True)].sum() if worth.size else 0.0
    assert worth[rows, pairs[rows]].sum() == pytest.approx(best)


def test_pck_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(4)
    true = rng.uniform(0, 200, (9, 17, 3))
    found = true + rng.normal(0, 12, true.shape)
    found[..., 2] = rng.random((9, 17)) > 0.1  # some joints were not found
    low = rng.uniform(0, 50, (9, 2))
    boxes = np.concatenate([low, low + rng.uniform(20, 200, (9, 2))], axis=1)
    counts = rng.random((9, 17)) > 0.3
    near, total = [0] * 17, [0] * 17
    for p in range(9):
        side = max(boxes[p, 2] - boxes[p, 0], boxes[p, 3] - boxes[p, 1])
        for k in range(17):
            if not counts[p, k]:
                continue
            total[k] += 1
            off = math.dist(true[p, k, :2], found[p, k, :2])
            near[k] += off <= 0.1 * side and found[p, k, 2] > 0
    ours = count_near(true, found, boxes, counts)
    assert ours[0].tolist() == near
    assert ours[1].tolist() == total
    assert 0.2 < sum(near) / sum(total) < 0.9
