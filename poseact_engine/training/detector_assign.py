# SPDX-License-Identifier: Apache-2.0
"""Which points of YOLOX's grid answer for which person: SimOTA.

Ge et al. 2021, "YOLOX: Exceeding YOLO Series in 2021", section 2.3 (simplified from "OTA: Optimal
Transport Assignment for Object Detection"): the points near a person compete by what they would
cost, and a person gets as many as its best boxes overlap it, in sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from poseact_engine.training.models.yolox import STRIDES

CENTER_RADIUS = 2.5
"""In strides: points this near to a person's middle may answer for it, even outside its box."""
IOU_WEIGHT = 3.0
FAR_COST = 1e5
"""Of points that are not both in the box and near its middle: they come last."""
MOST_POINTS = 10
"""Boxes whose overlaps are summed into the number of points that a person gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The points of all levels, in the order of the network's rows."""

    centers_px: Tensor
    """f32 ``[A, 2]``: x, y in pixel edges of the input."""
    strides_px: Tensor
    """f32 ``[A]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Of one picture: P points that answer for somebody."""

    points: Tensor
    """int64 ``[P]``: rows of the grid, ascending."""
    people: Tensor
    """int64 ``[P]``: rows of the people."""
    ious: Tensor
    """f32 ``[P]``: of the box said there with that person's."""


def make_grid(height: int, width: int, device: torch.device) -> Grid:
    centers, strides = [], []
    for stride in STRIDES:
        rows, columns = height // stride, width // stride
        y, x = torch.meshgrid(
            torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
        )
        centers.append((torch.stack([x, y], dim=-1).reshape(-1, 2).float() + 0.5) * stride)
        strides.append(torch.full((rows * columns,), float(stride), device=device))
    return Grid(centers_px=torch.cat(centers), strides_px=torch.cat(strides))


def decode_boxes(raw: Tensor, grid: Grid) -> Tensor:
    """What the network says of boxes, ``[..., A, 4]``, as x0 y0 x1 y1 in pixels of the input.

    The middle is (cell + said) x stride, and a cell's number is its centre less a half.
    """
    strides = grid.strides_px[:, None]
    middle = grid.centers_px + (raw[..., :2] - 0.5) * strides
    half = 0.5 * raw[..., 2:].exp() * strides
    return torch.cat([middle - half, middle + half], dim=-1)


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """f32 ``[N, M]`` of boxes ``[N, 4]`` and ``[M, 4]``; 0 where both are empty."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clamp(min=0).prod(dim=-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=-1) for boxes in (a, b)]
    return both / (areas[0][:, None] + areas[1][None, :] - both).clamp(min=1e-9)


@torch.no_grad()
def assign(
    boxes_px: Tensor, objectness: Tensor, person: Tensor, people_px: Tensor, grid: Grid
) -> Assignment:
    """``boxes_px`` f32 ``[A, 4]`` as the network says them, its logits ``objectness`` and
    ``person`` ``[A]``, the true boxes ``people_px`` ``[G, 4]``."""
    near, inside_and_near = _candidates(people_px, grid)
    rows = near.nonzero(as_tuple=True)[0]  # [C]
    if len(people_px) == 0 or len(rows) == 0:
        none = rows.new_zeros(0)
        return Assignment(points=none, people=none, ious=boxes_px.new_zeros(0))
    ious = pairwise_iou(people_px, boxes_px[rows])  # [G, C]
    # Binary cross-entropy of sqrt(p(person) p(object)) with "yes", and of the overlap with 1.
    logs = torch.nn.functional.logsigmoid
    said = -0.5 * (logs(objectness[rows].float()) + logs(person[rows].float()))  # [C]
    cost = said[None, :] - IOU_WEIGHT * (ious + 1e-8).log()
    cost = cost + FAR_COST * (~inside_and_near[:, rows])
    chosen = _cheapest(cost, ious)  # bool [G, C]
    taken = chosen.any(dim=0)
    people = chosen[:, taken].int().argmax(dim=0)
    return Assignment(
        points=rows[taken], people=people, ious=ious[people, taken.nonzero(as_tuple=True)[0]]
    )


def _candidates(people_px: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """bool ``[A]``: in somebody's box or near a middle; bool ``[G, A]``: both, of each person."""
    x, y = grid.centers_px.T
    x0, y0, x1, y1 = (people_px[:, k, None] for k in range(4))
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    reach = CENTER_RADIUS * grid.strides_px
    near = ((x - 0.5 * (x0 + x1)).abs() < reach) & ((y - 0.5 * (y0 + y1)).abs() < reach)
    return (inside | near).any(dim=0), inside & near


def _cheapest(cost: Tensor, ious: Tensor) -> Tensor:
    """The points each person gets, bool ``[G, C]``; a point that several want goes to whom it
    costs least."""
    best = ious.topk(min(MOST_POINTS, ious.shape[1]), dim=1).values.sum(dim=1)
    counts = best.int().clamp(min=1).tolist()  # [G]
    chosen = torch.zeros_like(cost, dtype=torch.bool)
    for person, count in enumerate(counts):
        chosen[person, cost[person].topk(min(count, cost.shape[1]), largest=False).indices] = True
    wanted = chosen.sum(dim=0) > 1
    if wanted.any():
        cheapest = cost[:, wanted].argmin(dim=0)
        chosen[:, wanted] = False
        chosen[cheapest, wanted.nonzero(as_tuple=True)[0]] = True
    return chosen
