# SPDX-License-Identifier: Apache-2.0
"""A body in one moment, as it is drawn and as it hides things: limbs, torso and head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.head import ellipsoid
from poseact_engine.synthetic.rig import RIG_JOINTS, Body

Points = NDArray[np.float64]
JOINT = {name: index for index, name in enumerate(RIG_JOINTS)}
SHOULDERS = JOINT["left_shoulder"], JOINT["right_shoulder"]
HIPS = JOINT["left_hip"], JOINT["right_hip"]
NECK, PELVIS = JOINT["neck"], JOINT["pelvis"]
_LIMBS = ("neck", "upper_arm", "forearm", "hand", "thigh", "shin", "foot")
_TORSO_SHARES = np.array([0.50, 0.50, 0.66, 0.66, 0.92, 0.90])
"""Radii of the torso's spheres, as shares of its own."""
TORSO_PAIRS = np.array([(0, 1), (2, 3), (0, 2), (1, 3), (4, 5), (0, 4), (1, 4), (2, 5), (3, 5)])
"""Spheres of the torso between which capsules fill its hull, nearly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solid:
    """What of a body can hide things: capsules as drawn, and the head. Read-only."""

    a: NDArray[np.intp]
    b: NDArray[np.intp]
    radius_a_m: Points
    radius_b_m: Points
    part: tuple[str, ...]
    torso_m: float


def solid_of(body: Body) -> Solid:
    """The limbs' bones of a body, and the torso's radius; torso and head are drawn otherwise."""
    limbs = [bone for bone in body.bones if bone.part in _LIMBS]
    torso = [max(b.radius_a_m, b.radius_b_m) for b in body.bones if b.part == "torso"]
    return Solid(
        a=np.array([bone.a for bone in limbs]),
        b=np.array([bone.b for bone in limbs]),
        radius_a_m=np.array([bone.radius_a_m for bone in limbs]),
        radius_b_m=np.array([bone.radius_b_m for bone in limbs]),
        part=tuple(bone.part for bone in limbs),
        torso_m=max(torso, default=0.12),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stance:
    """A body in one moment, float64, world metres."""

    joints_m: Points
    """``[J, 3]``: RIG_JOINTS."""
    torso_m: Points
    torso_radii_m: Points
    """Spheres ``[6, 3]`` and ``[6]`` whose hull is the torso: shoulders, hips, chest, belly."""
    head_m: Points
    head_axes_m: Points
    """An ellipsoid: ``[3]``, and half axes ``[3, 3]``."""

    def capsules(self, solid: Solid) -> tuple[Points, Points]:
        """The whole body, roughly: ends ``[B, 2, 3]`` and radii ``[B, 2]``."""
        a, b = TORSO_PAIRS[:5].T
        head, wide = self.head_m[None], [float(np.linalg.norm(self.head_axes_m[1]))]
        starts = np.concatenate([self.joints_m[solid.a], self.torso_m[a], head])
        ends = np.concatenate([self.joints_m[solid.b], self.torso_m[b], head])
        radii_a = np.concatenate([solid.radius_a_m, self.torso_radii_m[a], wide])
        radii_b = np.concatenate([solid.radius_b_m, self.torso_radii_m[b], wide])
        return np.stack([starts, ends], axis=1), np.stack([radii_a, radii_b], axis=1)


def stance_of(joints_m: Points, solid: Solid) -> Stance:
    pelvis, neck = joints_m[PELVIS], joints_m[NECK]
    shoulders, hips = joints_m[list(SHOULDERS)], joints_m[list(HIPS)]
    head, axes = ellipsoid(joints_m)
    spine = neck - pelvis
    rest = np.stack([pelvis + 0.68 * spine, pelvis + 0.12 * spine])
    return Stance(
        joints_m=joints_m,
        torso_m=np.concatenate([shoulders + 0.12 * (neck - shoulders), hips, rest]),
        torso_radii_m=_TORSO_SHARES * solid.torso_m,
        head_m=head,
        head_axes_m=axes,
    )
