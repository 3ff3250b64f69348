# SPDX-License-Identifier: Apache-2.0
"""Share of joints that were found near enough (PCK; Yang and Ramanan 2013)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REACH = 0.1
"""Of the longer side of the true box."""


def count_near(
    true_px: NDArray[np.floating],
    found_px: NDArray[np.floating],
    boxes_px: NDArray[np.floating],
    counts: NDArray[np.bool_],
    *,
    reach: float = REACH,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each joint, how many are near enough and how many there are: int64 ``[K]`` each.

    Args:
        true_px: ``[P, K, 2]`` or more columns, of which x and y count.
        found_px: ``[P, K, 3]``: x, y, score; a score of 0 is a joint that was not found.
        boxes_px: ``[P, 4]``, true boxes.
        counts: bool ``[P, K]``: joints that are to be found.
        reach: largest distance, of the box's longer side.
    """
    sides = (boxes_px[:, 2:] - boxes_px[:, :2]).astype(np.float64).max(axis=1, initial=0.0)
    off = found_px[..., :2].astype(np.float64) - true_px[..., :2].astype(np.float64)
    near = np.hypot(off[..., 0], off[..., 1]) <= reach * sides[:, None]
    near &= found_px[..., 2] > 0
    return (near & counts).sum(axis=0), counts.sum(axis=0)
