# SPDX-License-Identifier: Apache-2.0
"""What joints heat maps say, by DARK (Zhang et al., "Distribution-Aware Coordinate Representation
for Human Pose Estimation", CVPR 2020), as ``export/heatmap.py`` puts it into the exported graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from poseact_engine.training.pictures import import_cv2
from poseact_engine.training.pose_target import STRIDE

Array = NDArray[np.floating]
BORDER = 2
"""Cells at each border from which no step is made: a second difference takes two to each side."""
LEAST = 1e-10
"""Of a blurred map, before its logarithm."""


def kernel_for(sigma: float) -> int:
    """Cells of the Gaussian that maps are blurred with: the odd number, 3 or more, for which OpenCV
    takes the standard deviation closest to that of the targets, in cells. DARK's authors have 11
    for 2 and 17 for 3, as this; for 1 they have 3, and this 5."""
    side = (sigma - 0.8) / 0.3 + 1  # OpenCV: sigma = 0.3 (side - 1) + 0.8, side = (cells - 1) / 2
    return 2 * max(1, round(side)) + 1


def decode_maps(maps: Tensor, *, kernel: int) -> NDArray[np.float32]:
    """float32 ``[M, K, 3]``: x, y in crop pixels, score; one Newton step on the logarithm of the
    blurred map from the cell of the maximum. A map of 0 or less says (0, 0, 0)."""
    values = maps.float().cpu().numpy().astype(np.float64)
    m, k, h, w = values.shape
    place = values.reshape(m, k, h * w).argmax(axis=2)
    y, x = np.divmod(place, w)
    rows, columns = np.ogrid[:m, :k]
    score = values[rows, columns, y, x]
    logs = np.log(np.maximum(np.stack([_modulated(one, kernel) for one in values]), LEAST))
    step = _newton(logs, x, y)
    inner = (x >= BORDER) & (x < w - BORDER) & (y >= BORDER) & (y < h - BORDER)
    cells = np.stack([x, y], axis=2) + np.where(inner[..., None], step, 0)
    found = np.concatenate([STRIDE * cells, score[..., None]], axis=2)
    return np.where(score[..., None] > 0, found, 0).astype(np.float32)


def _modulated(maps: Array, kernel: int) -> Array:
    """``[K, h, w]`` blurred with zeros around, at the maximum that each had before."""
    cv2 = import_cv2()
    blurred = cv2.GaussianBlur(
        np.ascontiguousarray(maps.transpose(1, 2, 0)),
        (kernel, kernel),
        0,
        borderType=cv2.BORDER_CONSTANT,
    )
    blurred = np.asarray(blurred).reshape(*maps.shape[1:], -1).transpose(2, 0, 1)
    before, after = (v.max(axis=(1, 2), keepdims=True) for v in (maps, blurred))
    return np.asarray(blurred * np.where(after > 0, before / np.where(after > 0, after, 1), 1))


def _newton(logs: Array, x: NDArray[np.intp], y: NDArray[np.intp]) -> Array:
    """``[M, K, 2]``: ``-H^-1 g`` at x, y, by differences over two cells; 0 where H has no inverse,
    no longer than the map."""
    m, k, h, w = logs.shape
    rows, columns = np.ogrid[:m, :k]

    def at(dx: int, dy: int) -> Array:
        value: Array = logs[rows, columns, np.clip(y + dy, 0, h - 1), np.clip(x + dx, 0, w - 1)]
        return value

    gx, gy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    xx = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4
    yy = (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    determinant = xx * yy - xy * xy
    divisor = np.where(determinant == 0, 1, determinant)
    step = np.stack([xy * gy - yy * gx, xy * gx - xx * gy], axis=2) / divisor[..., None]
    far = max(h, w)
    return np.where(determinant[..., None] == 0, 0, np.clip(step, -far, far))
