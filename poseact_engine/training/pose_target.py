# SPDX-License-Identifier: Apache-2.0
"""Heat maps: what they should be, how far they are from it, and what joints they say.

Joints are in pixel indices of the crop; cell i of a map lies at pixel ``STRIDE * i`` (geometry
``default``, as the export decodes).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

STRIDE = 4
"""Crop pixels a cell."""


def make_targets(joints_px: Tensor, *, height: int, width: int, sigma: float) -> Tensor:
    """Gaussians f32 ``[M, K, height, width]`` of height 1 around joints ``[M, K, >= 2]``.

    Their middles are where the joints are, not on the nearest cell (Zhang et al. 2020, section
    3.2); outside the map they fall away like everywhere.
    """
    cells = joints_px[..., :2] / STRIDE
    x = torch.arange(width, device=cells.device) - cells[..., :1]  # [M, K, w]
    y = torch.arange(height, device=cells.device) - cells[..., 1:2]  # [M, K, h]
    scale = -0.5 / sigma**2
    return (scale * y**2).exp()[..., :, None] * (scale * x**2).exp()[..., None, :]


def heatmap_loss(maps: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Squared error summed over the cells of a map, its mean over joints by ``weights`` ``[M, K]``;
    0 where all weights are."""
    errors = (maps.float() - targets).square().sum(dim=(2, 3))  # [M, K]
    return (errors * weights).sum() / weights.sum().clamp(min=1e-9)


def decode_maps(maps: Tensor) -> NDArray[np.float32]:
    """float32 ``[M, K, 3]``: x, y in crop pixels, score; a quarter of a cell towards the larger
    neighbour, none at a border; a map of 0 or less says (0, 0, 0). As ``export/heatmap.py``."""
    values = maps.float().cpu().numpy()
    m, k, h, w = values.shape
    place = values.reshape(m, k, h * w).argmax(axis=2)
    y, x = np.divmod(place, w)
    rows, columns = np.ogrid[:m, :k]
    found = np.zeros((m, k, 3), np.float32)
    for axis, (at, side) in enumerate(((x, w), (y, h))):
        inner = (at > 0) & (at < side - 1)
        low, high = (np.where(inner, at + step, at) for step in (-1, 1))
        low_value, high_value = (
            values[rows, columns, y, n] if axis == 0 else values[rows, columns, n, x]
            for n in (low, high)
        )
        found[..., axis] = STRIDE * (at + 0.25 * np.sign(high_value - low_value))
    found[..., 2] = values[rows, columns, y, x]
    return np.where(found[..., 2:] > 0, found, 0).astype(np.float32)
