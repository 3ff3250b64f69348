# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression against a plain float64 one, and against OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poseact_engine._core import nms

Boxes = NDArray[np.float32]


def _reference(
    boxes: Boxes, scores: Boxes, min_score: float, iou: float | None, max_boxes: int
) -> list[int]:
    """Indices that stay of one image: the definition, in float64, one pair at a time."""
    b = boxes.astype(np.float64)
    good = np.isfinite(b).all(1) & (b[:, 2] > b[:, 0]) & (b[:, 3] > b[:, 1])
    good &= np.isfinite(scores) & (scores >= np.float32(min_score))
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if not good[i] or len(kept) == max_boxes:
            continue
        if iou is None or all(_iou(b[i], b[k]) <= np.float32(iou) for k in kept):
            kept.append(int(i))
    return kept


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(np.maximum(size, 0)))
    return common / (float(np.prod(a[2:] - a[:2])) + float(np.prod(b[2:] - b[:2])) - common)


def _made(rng: np.random.Generator, images: int, count: int) -> tuple[Boxes, Boxes]:
    """Crowded boxes; scores on a coarse grid so that ties are common."""
    corner = rng.uniform(0, 60, (images, count, 2))
    size = rng.uniform(5, 40, (images, count, 2))
    boxes = np.concatenate([corner, corner + size], axis=-1).astype(np.float32)
    return boxes, (rng.integers(0, 21, (images, count)) / 20).astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(0, 4),
    count=st.integers(0, 40),
    min_score=st.sampled_from([0.0, 0.1, 0.35, 0.7, 1.0]),
    iou=st.sampled_from([None, 0.0, 0.3, 0.45, 0.65, 1.0]),
    max_boxes=st.sampled_from([1, 3, 300]),
    grid=st.booleans(),
    spoil=st.booleans(),
)
def test_equals_reference(
    seed: int,
    images: int,
    count: int,
    min_score: float,
    iou: float | None,
    max_boxes: int,
    *,
    grid: bool,
    spoil: bool,
) -> None:
    rng = np.random.default_rng(seed)
    boxes, scores = _made(rng, images, count)
    if grid:  # whole numbers: touching edges, equal boxes, overlaps exactly at a threshold
        boxes = (np.round(boxes / 10) * 10).astype(np.float32)
    if spoil:
        boxes[rng.random(boxes.shape) < 0.05] = np.nan
        boxes[rng.random(boxes.shape) < 0.02] = np.inf
        scores[rng.random(scores.shape) < 0.05] = np.nan
    got_boxes, got_scores, image = nms(
        boxes, scores, min_score=min_score, iou=iou, max_boxes=max_boxes
    )
    rows = [
        (b, i)
        for b in range(images)
        for i in _reference(boxes[b], scores[b], min_score, iou, max_boxes)
    ]
    assert image.tolist() == [b for b, _ in rows]
    np.testing.assert_array_equal(got_scores, [scores[r] for r in rows])
    np.testing.assert_array_equal(got_boxes, np.reshape([boxes[r] for r in rows], (-1, 4)))


@pytest.mark.parametrize("seed", range(10))
def test_agrees_with_opencv(seed: int) -> None:
    """OpenCV wants (x, y, w, h) and distinct scores: a shuffled ladder has no ties."""
    rng = np.random.default_rng(seed)
    boxes, _ = _made(rng, 1, 60)
    scores = rng.permutation(np.linspace(0.05, 0.95, 60)).astype(np.float32)
    xywh = np.concatenate([boxes[0, :, :2], boxes[0, :, 2:] - boxes[0, :, :2]], axis=-1)
    theirs = cv2.dnn.NMSBoxes(xywh.tolist(), scores.tolist(), 0.2, 0.5)
    got_boxes, got_scores, _ = nms(boxes, scores[None], min_score=0.2, iou=0.5)
    np.testing.assert_array_equal(got_scores, scores[np.asarray(theirs).ravel()])
    np.testing.assert_array_equal(got_boxes, boxes[0][np.asarray(theirs).ravel()])
