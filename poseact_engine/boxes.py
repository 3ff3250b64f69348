# SPDX-License-Identifier: Apache-2.0
"""Boxes against boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def iou_matrix(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """IoU [A, B] of boxes [A, 4] and [B, 4]; boxes without area have none."""
    first, second = a.astype(np.float64)[:, None], b.astype(np.float64)[None]
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(v[..., 2:] - v[..., :2], 0, None).prod(axis=2) for v in (first, second)]
    either = areas[0] + areas[1] - shared
    iou: NDArray[np.float64] = np.divide(
        shared, either, out=np.zeros_like(shared), where=either > 0
    )
    return iou
