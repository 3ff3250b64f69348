# SPDX-License-Identifier: Apache-2.0
"""Makes a window of poses free of the camera, as the first part of the action model.

Windows are float32 ``[W, T, K, 3]``: x, y in frame pixels, score; K = 17 COCO joints. A joint's
score says only whether it was seen (score > 0). ``export/action.py`` writes the same arithmetic
as ONNX nodes and refuses to export where the two differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from poseact_engine.errors import ConfigError, ShapeError
from poseact_engine.training.paper import JOINTS

UPPER = 11
"""Joints 0 to 10 (face, shoulders, arms) hang on the shoulders; 11 to 16 (legs) on the hips."""
SHOULDERS = (5, 6)
HIPS = (11, 12)
LEAST_SIZE_PX = 1.0
"""Smaller poses are divided by this: a person of less than a pixel has no shape to keep."""
REACH = 3.0
"""Positions are cut at this many pose heights from the mean hip: nobody reaches further."""
FAR_PX = 1e30
"""Further out than any joint."""
LEAST_STD = 1e-3
"""A feature that hardly varies in the training set is divided by this."""


class Standardise(nn.Module):
    """``(x - mean) / std`` per feature, ``[..., K * 2]``; both are fixed from the training set."""

    mean: Tensor
    std: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def fit(self, features: Tensor) -> None:
        """Take mean and standard deviation over all but the last axis of ``features``."""
        rows = features.reshape(-1, features.shape[-1]).double()
        self.mean.copy_(rows.mean(dim=0))
        self.std.copy_(rows.std(dim=0, unbiased=False).clamp(min=LEAST_STD))

    def forward(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.std


class BodyNormaliser(nn.Module):
    """Windows ``[W, T, K, 3]`` in pixels to positions ``[W, T, K * 2]`` in pose heights.

    0. The largest x and y that were seen become the origin: exact in float32, and what follows
       then rounds as finely far from the frame's origin as near it.
    1. The middle of the shoulders (of the hips) of a pose is the mean of those that were seen.
    2. An unseen joint is put on the middle it hangs on (see ``UPPER``); where that has no seen
       joint, on the other middle; where neither has, on the mean of the pose's seen joints.
    3. A pose without a seen joint becomes, joint by joint, the mean of the window's other poses;
       a window without one is all zeros.
    4. The window's mean hip (mean over T of the two hips' mean) is subtracted.
    5. All is divided by the median over T of the pose height, at least ``LEAST_SIZE_PX``, and cut
       at ``REACH``.

    The height of a pose is the larger of its extents in x and y, so that a person who lies keeps
    the height that they had when they stood.
    """

    def forward(self, windows: Tensor) -> Tensor:
        poses = fill_unseen(windows)
        hips = poses[:, :, HIPS[0] : HIPS[1] + 1].mean(dim=(1, 2), keepdim=True)
        extents = poses.amax(dim=2) - poses.amin(dim=2)  # [W, T, 2]
        heights = extents.amax(dim=2)  # [W, T]
        median = heights.sort(dim=1).values[:, windows.shape[1] // 2]
        size = median.clamp(min=LEAST_SIZE_PX)[:, None, None, None]
        return ((poses - hips) / size).clamp(-REACH, REACH).flatten(start_dim=2)


class PaperNormaliser(nn.Module):
    """Windows ``[W, T, K, 3]`` to plain pixels ``[W, T, K * 2]``; unseen joints are (0, 0)."""

    def forward(self, windows: Tensor) -> Tensor:
        return windows[..., :2].flatten(start_dim=2)


def make_normaliser(mode: str) -> nn.Module:
    """The normaliser that a manifest calls ``body`` or ``paper``; ConfigError for another name."""
    if mode == "body":
        return BodyNormaliser()
    if mode == "paper":
        return PaperNormaliser()
    raise ConfigError(f"normalise: expected 'body' or 'paper', got {mode!r}")


def check_windows(windows: Tensor) -> None:
    """ShapeError unless ``windows`` is float ``[W, T, 17, 3]`` with an odd T."""
    shape = tuple(windows.shape)
    if len(shape) != 4 or shape[2:] != (JOINTS, 3) or shape[1] % 2 == 0:
        raise ShapeError(f"normalise: expected windows [W, odd T, {JOINTS}, 3], got {shape}")


def fill_unseen(windows: Tensor) -> Tensor:
    """Positions ``[W, T, K, 2]`` with unseen joints filled; steps 0 to 3 of BodyNormaliser."""
    check_windows(windows)
    seen = windows[..., 2:] > 0
    highest = torch.where(seen, windows[..., :2], -FAR_PX).amax(dim=(1, 2), keepdim=True)
    xy = torch.where(seen, windows[..., :2] - highest, 0.0)
    middle, any_seen = _mean_seen(xy, seen, range(JOINTS))
    shoulders, has_shoulders = _mean_seen(xy, seen, SHOULDERS)
    hips, has_hips = _mean_seen(xy, seen, HIPS)
    upper = torch.where(has_shoulders, shoulders, torch.where(has_hips, hips, middle))
    lower = torch.where(has_hips, hips, torch.where(has_shoulders, shoulders, middle))
    anchors = torch.cat(
        [upper.expand(-1, -1, UPPER, -1), lower.expand(-1, -1, JOINTS - UPPER, -1)], dim=2
    )
    poses = torch.where(seen, xy, anchors)
    count = any_seen.to(poses.dtype).sum(dim=1, keepdim=True).clamp(min=1.0)
    mean_pose = torch.where(any_seen, poses, 0.0).sum(dim=1, keepdim=True) / count
    return torch.where(any_seen, poses, mean_pose)


def _mean_seen(xy: Tensor, seen: Tensor, joints: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Mean of the seen ones of consecutive ``joints``, ``[W, T, 1, 2]``, and whether any was."""
    part = slice(joints[0], joints[-1] + 1)
    count = seen[:, :, part].to(xy.dtype).sum(dim=2, keepdim=True)
    return xy[:, :, part].sum(dim=2, keepdim=True) / count.clamp(min=1.0), count > 0
