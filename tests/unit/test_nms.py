# SPDX-License-Identifier: Apache-2.0
"""The Python face of nms: dtypes, shapes, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from poseact_engine._core import nms
from poseact_engine.errors import ConfigError, ShapeError

BOXES = np.array([[[0, 0, 4, 2], [2, 0, 6, 2]]], np.float32)
SCORES = np.array([[0.5, 0.9]], np.float32)


def test_result_owns_its_memory() -> None:
    boxes, scores, image = nms(BOXES, SCORES, min_score=0.1, iou=None)
    assert [a.dtype.name for a in (boxes, scores, image)] == ["float32", "float32", "int32"]
    assert boxes.tolist() == [[2, 0, 6, 2], [0, 0, 4, 2]]
    boxes[:] = -1
    assert BOXES.min() == 0


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_nothing_in_nothing_out(shape: tuple[int, int]) -> None:
    boxes, scores, image = nms(
        np.zeros((*shape, 4), np.float32), np.zeros(shape, np.float32), min_score=0.0, iou=0.5
    )
    assert (boxes.shape, scores.shape, image.shape) == ((0, 4), (0,), (0,))


@pytest.mark.parametrize(
    ("boxes", "scores"),
    [
        (BOXES.astype(np.float64), SCORES),
        (BOXES[0], SCORES),
        (BOXES, SCORES[:, :1]),
        (BOXES[:, :, ::-1], SCORES),
    ],
    ids=["dtype", "rank", "count", "strides"],
)
def test_refuses_wrong_arrays(boxes: Any, scores: Any) -> None:
    with pytest.raises(ShapeError, match=r"nms \(boxes\): expected"):
        nms(boxes, scores, min_score=0.1, iou=0.5)


@pytest.mark.parametrize(
    "options",
    [
        {"min_score": -0.1, "iou": 0.5},
        {"min_score": 0.1, "iou": 1.5},
        {"min_score": 0.1, "iou": 0.5, "max_boxes": 0},
    ],
)
def test_refuses_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"nms: expected"):
        nms(BOXES, SCORES, **options)
