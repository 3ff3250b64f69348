# SPDX-License-Identifier: Apache-2.0
"""YOLOX's loss: overlap, objectness, class, and in the last epochs distances of boxes.

Divided by the number of points that answer for somebody in the whole batch, as in the paper's code.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from poseact_engine.training.detector_assign import (
    Grid,
    assign,
    decode_boxes,
)

IOU_WEIGHT = 5.0
PERSON, IGNORED, NOBODY = 1, -1, 0
"""Kinds of a target's row. What overlaps an ignored box is neither a person nor background."""


def detector_losses(
    raw: Tensor, boxes_px: Tensor, kinds: Tensor, grid: Grid, *, distances: bool
) -> dict[str, Tensor]:
    """``raw`` f32 ``[B, A, 6]`` (logits), targets f32 ``[B, G, 4]`` (x0 y0 x1 y1 in pixels of the
    input) of ``kinds`` ``[B, G]``; ``distances``: with L1 of what is said of boxes."""
    raw = raw.float()
    said_px = decode_boxes(raw[..., :4], grid)  # [B, A, 4]
    objectness, person = raw[..., 4], raw[..., 5]
    of_object = torch.zeros_like(objectness)
    weight = torch.ones_like(objectness)
    overlap, of_class, away = raw.new_zeros(()), raw.new_zeros(()), raw.new_zeros(())
    matched = 0
    for b in range(len(raw)):
        people_px = boxes_px[b, kinds[b] == PERSON]
        found = assign(said_px[b].detach(), objectness[b].detach(), person[b].detach(),
                       people_px, grid)  # fmt: skip
        weight[b] = _background_weight(boxes_px[b, kinds[b] == IGNORED], grid)
        if len(found.points) == 0:
            continue
        matched += len(found.points)
        of_object[b, found.points], weight[b, found.points] = 1.0, 1.0
        true_px = people_px[found.people]
        overlap = overlap + (1 - _iou(said_px[b, found.points], true_px) ** 2).sum()
        of_class = of_class + functional.binary_cross_entropy_with_logits(
            person[b, found.points], found.ious, reduction="sum"
        )
        if distances:
            wanted = encode_boxes(true_px, grid, found.points)
            away = away + (raw[b, found.points, :4] - wanted).abs().sum()
    per = 1.0 / max(1, matched)
    objects = functional.binary_cross_entropy_with_logits(
        objectness, of_object, weight=weight, reduction="sum"
    )
    losses = {"iou": IOU_WEIGHT * overlap * per, "object": objects * per, "class": of_class * per}
    return losses | ({"l1": away * per} if distances else {})


def encode_boxes(boxes_px: Tensor, grid: Grid, points: Tensor) -> Tensor:
    """What the network would have to say at ``points`` of boxes f32 ``[P, 4]``."""
    strides = grid.strides_px[points, None]
    middle = 0.5 * (boxes_px[:, :2] + boxes_px[:, 2:])
    side = (boxes_px[:, 2:] - boxes_px[:, :2]) / strides
    where = (middle - grid.centers_px[points]) / strides + 0.5
    return torch.cat([where, (side + 1e-8).log()], dim=1)


def _background_weight(ignored_px: Tensor, grid: Grid) -> Tensor:
    """f32 ``[A]``: 0 for points in a box that is ignored."""
    x, y = grid.centers_px.T
    x0, y0, x1, y1 = (ignored_px[:, k, None] for k in range(4))
    inside = ((x > x0) & (x < x1) & (y > y0) & (y < y1)).any(dim=0)
    outside: Tensor = (~inside).float()
    return outside


def _iou(a: Tensor, b: Tensor) -> Tensor:
    """f32 ``[P]``, row by row."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    both = (high - low).clamp(min=0).prod(dim=1)
    areas = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1)
    return both / (areas - both).clamp(min=1e-9)
