# SPDX-License-Identifier: Apache-2.0
"""Changes training windows at random, so that a class cannot be told by its data set's habits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from poseact_engine.errors import ConfigError

NOSE = 0
FACE = slice(0, 5)
EYES_AND_EARS = slice(1, 5)
ARMS = ((5, 7, 9), (6, 8, 10))
"""Shoulder, elbow, wrist."""
MIRROR = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""Where each joint goes when left and right are swapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """Chances are per window; lengths are in pose heights (the larger extent of the window)."""

    graft_face: float = 0.5
    """A window without eyes and ears gets those of another window, placed at its own nose."""
    drop_eyes_and_ears: float = 0.3
    drop_face: float = 0.2
    drop_joint: float = 0.02
    """Per joint, for the whole window."""
    miss_joint: float = 0.02
    """Per joint and pose."""
    swing_arm: float = 0.2
    """Per arm: turned about its shoulder by any angle, and on by up to ``sway_deg`` meanwhile."""
    sway_deg: float = 60.0
    mirror: float = 0.5
    rotate_deg: float = 8.0
    stretch: float = 0.1
    """x and y are scaled apart, each by 1 ± this."""
    shape_noise: float = 0.015
    """Each joint moves by this (standard deviation), the same in all poses of the window."""
    pose_noise: float = 0.007
    """Each joint moves by this (standard deviation) in each pose."""

    def __post_init__(self) -> None:
        chances = ("graft_face", "drop_eyes_and_ears", "drop_face", "drop_joint", "miss_joint")
        for name in (*chances, "swing_arm", "mirror", "stretch"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augment.{name}: expected 0 to 1, got {getattr(self, name)!r}")
        for name in ("sway_deg", "rotate_deg", "shape_noise", "pose_noise"):
            if getattr(self, name) < 0:
                raise ConfigError(
                    f"augment.{name}: expected 0 or more, got {getattr(self, name)!r}"
                )


def augment(windows: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """A changed copy of windows ``[B, T, K, 3]`` (pixels, score); what was unseen stays (0, 0, 0)
    unless a face is grafted."""
    out = windows.clone()
    size = _window_size(out)
    _graft_faces(out, size, config.graft_face, generator)
    _swing_arms(out, config, generator)
    out = _move(out, size, config, generator)
    _drop(out, config, generator)
    return out


def _chance(shape: tuple[int, ...], chance: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) < chance


def _uniform(shape: tuple[int, ...], amount: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * amount


def _window_size(windows: Tensor) -> Tensor:
    """The larger extent of all seen joints of a window, pixels, ``[B, 1, 1, 1]``, at least 1."""
    seen = windows[..., 2:] > 0
    low = torch.where(seen, windows[..., :2], torch.inf).amin(dim=(1, 2))
    high = torch.where(seen, windows[..., :2], -torch.inf).amax(dim=(1, 2))
    return (high - low).amax(dim=1).clamp(min=1.0)[:, None, None, None]


def _graft_faces(windows: Tensor, size: Tensor, chance: float, generator: torch.Generator) -> None:
    """Exact skeletons have no eyes and ears; without this, a face alone would rule their classes
    out. The offsets from the nose are those of a random window of the batch that has them."""
    seen = windows[..., 2] > 0
    has_nose = seen[:, :, NOSE].all(dim=1)
    has_face = seen[:, :, EYES_AND_EARS].all(dim=2).all(dim=1)
    donors = torch.nonzero(has_nose & has_face).flatten()
    bare = has_nose & ~seen[:, :, EYES_AND_EARS].any(dim=2).any(dim=1)
    takers = torch.nonzero(bare & _chance((len(windows),), chance, generator)).flatten()
    if not len(donors) or not len(takers):
        return
    chosen = donors[torch.randint(len(donors), (len(takers),), generator=generator)]
    faces = windows[chosen][:, :, EYES_AND_EARS]
    offsets = (faces[..., :2] - windows[chosen][:, :, NOSE : NOSE + 1, :2]) / size[chosen]
    noses = windows[takers][:, :, NOSE : NOSE + 1, :2]
    grafted = torch.cat([noses + offsets * size[takers], faces[..., 2:]], dim=-1)
    windows[takers, :, EYES_AND_EARS] = grafted


def _swing_arms(windows: Tensor, config: AugmentConfig, generator: torch.Generator) -> None:
    """Few of the data's people use their arms: raised ones alone would make someone lie."""
    count, length = windows.shape[:2]
    time = torch.linspace(0, 1, length)
    for shoulder, *joints in ARMS:
        turned = _chance((count, 1), config.swing_arm, generator)
        angle = _uniform((count, 1), torch.pi, generator)
        sway = torch.deg2rad(_uniform((count, 1), config.sway_deg, generator))
        angles = torch.where(turned, angle + sway * time, 0.0)
        cos, sin = angles.cos()[..., None], angles.sin()[..., None]
        pivot = windows[:, :, shoulder]
        for joint in joints:
            x, y = (windows[:, :, joint, i : i + 1] - pivot[..., i : i + 1] for i in (0, 1))
            moved = torch.cat([cos * x - sin * y, sin * x + cos * y], dim=-1) + pivot[..., :2]
            can_turn = turned[..., None] & (windows[:, :, joint, 2:] > 0) & (pivot[..., 2:] > 0)
            windows[:, :, joint, :2] = torch.where(can_turn, moved, windows[:, :, joint, :2])


def _move(
    windows: Tensor, size: Tensor, config: AugmentConfig, generator: torch.Generator
) -> Tensor:
    """Mirror, rotate and stretch about the window's centre, then noise. Unseen joints stay."""
    count, length, joints, _ = windows.shape
    mirrored = _chance((count,), config.mirror, generator)
    windows = torch.where(mirrored[:, None, None, None], windows[:, :, list(MIRROR)], windows)
    seen = windows[..., 2:] > 0
    flip = torch.where(mirrored, -1.0, 1.0)
    angle = torch.deg2rad(_uniform((count,), config.rotate_deg, generator))
    scale = 1 + _uniform((count, 2), config.stretch, generator)
    cos, sin = angle.cos(), angle.sin()
    rows = torch.stack([torch.stack([cos * flip, -sin], 1), torch.stack([sin * flip, cos], 1)], 1)
    matrix = rows * scale[:, :, None]  # [B, 2, 2], acts on column vectors
    total = seen.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    centre = torch.where(seen, windows[..., :2], 0.0).sum(dim=(1, 2), keepdim=True) / total
    xy = torch.einsum("bij,btkj->btki", matrix, windows[..., :2] - centre) + centre
    shape = torch.randn((count, 1, joints, 2), generator=generator) * config.shape_noise
    pose = torch.randn((count, length, joints, 2), generator=generator) * config.pose_noise
    xy = xy + (shape + pose) * size
    return torch.cat([torch.where(seen, xy, 0.0), windows[..., 2:]], dim=-1)


def _drop(windows: Tensor, config: AugmentConfig, generator: torch.Generator) -> None:
    count, length, joints, _ = windows.shape
    gone = _chance((count, 1, joints), config.drop_joint, generator)
    gone = gone | _chance((count, length, joints), config.miss_joint, generator)
    gone[:, :, EYES_AND_EARS] |= _chance((count, 1, 1), config.drop_eyes_and_ears, generator)
    gone[:, :, FACE] |= _chance((count, 1, 1), config.drop_face, generator)
    windows[gone] = 0.0
