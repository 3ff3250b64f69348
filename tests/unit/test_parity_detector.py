# SPDX-License-Identifier: Apache-2.0
"""Boxes and their partners, against hand-worked cases and pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask

from export.parity.detector import (
    Detections,
    DetectorComparison,
    DetectorOutputs,
    compare_boxes,
    match,
)
from poseact_engine.boxes import iou_matrix

Row = tuple[float, float, float, float, float]


def outputs(
    pictures: list[list[Row]], nudged: list[list[Row]] | None = None, *, nms: float | None = 0.6
) -> DetectorOutputs:
    """Per picture x0 y0 x1 y1 score, padded to as many rows as the longest, best first."""
    return DetectorOutputs(
        outputs=_arrays(pictures), nudged=_arrays(nudged or pictures), nms_iou=nms
    )


def _arrays(pictures: list[list[Row]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows = np.zeros((len(pictures), 20, 5), np.float32)
    for i, boxes in enumerate(pictures):
        ordered = sorted(boxes, key=lambda row: -row[4])
        rows[i, : len(ordered)] = np.reshape(ordered, (-1, 5))
    return np.ascontiguousarray(rows[..., :4]), np.ascontiguousarray(rows[..., 4])


def many(score: float = 0.9) -> list[Row]:
    """Enough boxes for the score that is asked for to hold."""
    return [(100.0 * i, 0.0, 100.0 * i + 60, 90.0, score - 0.01 * i) for i in range(10)]


def compare(a: DetectorOutputs, b: DetectorOutputs, least: float = 0.4) -> DetectorComparison:
    return compare_boxes(a, b, min_score=least)


def test_iou_equals_pycocotools() -> None:
    rng = np.random.default_rng(0)
    low, size = rng.uniform(0, 50, (2, 30, 2)), rng.uniform(1, 60, (2, 30, 2))
    boxes = np.concatenate([low, low + size], axis=2).astype(np.float32)
    sized = boxes.astype(np.float64)
    sized[..., 2:] -= sized[..., :2]
    expected = mask.iou(sized[0], sized[1], [0] * 30)
    np.testing.assert_allclose(iou_matrix(boxes[0], boxes[1]), expected, atol=1e-12)
    np.testing.assert_array_equal(iou_matrix(np.zeros((1, 4), np.float32), boxes[0]), 0.0)


def test_equal_models_are_at_one() -> None:
    same = outputs([many(), many(0.8)])
    got = compare(same, same).metrics
    assert got["compared"] == 20
    assert got["matched_50"] == got["matched_90"] == got["iou_median"] == got["iou_p1"] == 1.0
    assert got["score_max"] == got["only_reference"] == got["only_new"] == 0.0
    assert got["min_score"] == 0.4


def test_greedy_best_first() -> None:
    """The better box takes the partner that the other one would have fitted better."""
    a = _detections([(0, 0, 10, 10, 0.9), (0, 2, 10, 12, 0.8)])
    b = _detections([(0, 2, 10, 12, 0.7)])
    pairs, iou = match(a, b)
    assert pairs.tolist() == [[0, 0]]
    assert iou.tolist() == pytest.approx([80 / 120])


def _detections(rows: list[Row], picture: int = 0) -> Detections:
    values = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(
        boxes=values[:, :4], scores=values[:, 4], picture=np.full(len(rows), picture, np.int32)
    )


def test_no_partners_across_pictures() -> None:
    box: list[Row] = [(0, 0, 10, 10, 0.9)]
    pairs, _ = match(_detections(box, 0), _detections(box, 1))
    assert len(pairs) == 0


def test_shares_by_hand() -> None:
    """One box moves (IoU 60/120), one goes, one is new; the score of one falls by 0.09."""
    first = many()
    second: list[Row] = list(first)
    second[0] = (20.0, 0.0, 80.0, 90.0, 0.9)  # 40 of 80 columns are shared
    second[1] = (*first[1][:4], first[1][4] - 0.09)
    second[2] = (5000.0, 0.0, 5060.0, 90.0, 0.88)
    got = compare(outputs([first]), outputs([second])).metrics
    assert got["compared"] == 11
    assert got["only_reference"] == got["only_new"] == 1
    assert got["matched_50"] == pytest.approx(9 / 11)
    assert got["matched_90"] == pytest.approx(8 / 11)
    assert got["iou_p1"] == pytest.approx(np.percentile([0.5, *[1.0] * 8], 1))
    assert got["score_max"] == pytest.approx(0.09 / 0.9, rel=1e-5)


def test_a_pair_on_both_sides_of_the_least_score_is_one() -> None:
    first, second = many(), many()
    first.append((5000.0, 0.0, 5060.0, 90.0, 0.401))
    second.append((5000.0, 0.0, 5060.0, 90.0, 0.399))
    for pair in ((first, second), (second, first)):
        got = compare(outputs([pair[0]]), outputs([pair[1]])).metrics
        assert got["compared"] == 11
        assert got["matched_50"] == 1.0
    second[-1] = (5000.0, 0.0, 5060.0, 90.0, 0.1)  # far below: no partner
    assert compare(outputs([first]), outputs([second])).metrics["only_reference"] == 1


@pytest.mark.parametrize("swapped", [False, True])
def test_unsteady_boxes_are_counted_not_judged(swapped: bool) -> None:
    first, second = many(), many()
    first.append((5000.0, 0.0, 5060.0, 90.0, 0.5))
    sides = outputs([first], nudged=[many()]), outputs([second])
    got = compare(*(sides[::-1] if swapped else sides)).metrics
    assert got["compared"] == 10
    assert got["matched_50"] == 1.0
    assert got["share_unsteady"] == pytest.approx(1 / 11)


def test_where_hardly_anything_is_found_the_best_are_compared() -> None:
    weak = [many(0.2)]
    got = compare(outputs(weak), outputs([many(0.15)])).metrics
    assert got["compared"] == 8  # of one picture
    assert got["min_score"] == pytest.approx(0.2 - 0.07)
    assert got["score_max"] == pytest.approx(0.05 / 0.2, rel=1e-4)
    nothing = compare(outputs([[]]), outputs([[]])).metrics
    assert nothing["compared"] == 0
    assert np.isnan(nothing["matched_50"])


def test_suppression_comes_first() -> None:
    double: list[Row] = [*many(), (1.0, 0.0, 61.0, 90.0, 0.5)]
    assert compare(outputs([double]), outputs([many()])).metrics["compared"] == 10
    kept = compare(outputs([double], nms=None), outputs([many()])).metrics
    assert kept["only_reference"] == 1


def test_pictures_with_numbers_that_are_none_give_nothing() -> None:
    good, bad = outputs([many(), many()]), outputs([many(), many()])
    bad.outputs[0][1, 3, 2] = np.nan
    got = compare(good, bad).metrics
    assert got["only_reference"] == 10
    assert got["matched_50"] == 0.5


@pytest.mark.parametrize("swapped", [False, True])
def test_what_suppression_may_decide_either_way_is_not_judged(swapped: bool) -> None:
    """Two boxes at IoU 0.5, scores that rounding orders one way here and the other way there."""
    low, high = (5000.0, 0.0, 5060.0, 90.0), (5036.0, 0.0, 5096.0, 90.0)
    sides = [
        outputs([[*many(), (*low, 0.5 + step), (*high, 0.5 - step)]], nms=0.2)
        for step in (1e-4, -1e-4)
    ]
    first, second = reversed(sides) if swapped else sides
    got = compare(first, second).metrics
    assert got["compared"] == 10
    assert got["matched_50"] == 1.0
    assert got["share_unsteady"] == pytest.approx(2 / 12)
    apart = outputs([[*many(), (*low, 0.7), (*high, 0.5)]], nms=0.2)
    assert compare(apart, sides[1]).metrics["matched_50"] < 1.0  # 0.2 is no rounding


def test_what_may_stand_behind_a_full_list_is_not_judged() -> None:
    row = [(100.0 * i, 0.0, 100.0 * i + 60, 90.0, 0.9) for i in range(21)]
    got = compare(outputs([row[:20]]), outputs([row[1:]])).metrics
    assert got["compared"] == 19
    assert got["matched_50"] == 1.0
    weaker = [(*box[:4], 0.8) for box in row[1:20]]
    lost = compare(outputs([row[:20]]), outputs([[*weaker, (9000.0, 0.0, 9060.0, 90.0, 0.8)]]))
    assert lost.metrics["only_reference"] == 1  # 0.9 is well above the last of the list
