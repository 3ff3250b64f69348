# SPDX-License-Identifier: Apache-2.0
"""Heat maps: what they should be, and how far they are from it.

Joints are in pixel indices of the crop; cell i of a map lies at pixel ``STRIDE * i`` (geometry
``default``, as the export decodes).
"""

from __future__ import annotations

import torch
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
