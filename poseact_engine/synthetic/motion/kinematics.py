# SPDX-License-Identifier: Apache-2.0
"""From rows of controls to joints: forward kinematics, legs and arms drawn to their goals, and the
ground, which no part of the body enters. Every bone keeps its length exactly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.body import JOINT, SIDES, Build
from poseact_engine.synthetic.motion.controls import (
    ARMS,
    FEET,
    GROUND,
    HEAD,
    LEGS,
    LIMP,
    PELVIS,
    PLANT,
    ROOT,
    SPINE,
    YAW,
    smoothstep,
)
from poseact_engine.synthetic.motion.limbs import (
    Limb,
    Marks,
    above_ground,
    averaged,
    soften,
    two_bones,
)
from poseact_engine.synthetic.rig import RIG_JOINTS
from poseact_engine.synthetic.rotations import apply, rotate, swing_twist, tilt, turn, unit

Array = NDArray[np.float64]
FLESH_M = 0.012
"""So far a body gives way where it meets the ground."""
_OUTWARD = np.array([1.0, -1.0])
"""The sign of y towards the outside: left, right."""
_TRUNK = (
    "pelvis", "left_hip", "right_hip", "left_shoulder", "right_shoulder", "neck", "head_top",
    "nose",
)  # fmt: skip


def ankle_goal(build: Build, rows: Array, side: int) -> tuple[Array, Array]:
    """Where an ankle is to be, and its foot's axes: feet roll over their heels and their toes."""
    x, y, z, yaw, pitch = np.moveaxis(rows[:, FEET].reshape(-1, 2, 5)[:, side], -1, 0)
    flat = turn(yaw)
    foot = flat @ tilt(pitch)
    pivot = np.where((pitch > 0)[:, None], build.foot[1], build.foot[0])
    ankle = np.stack([x, y, z + build.ankle], axis=-1)
    return ankle + apply(flat, pivot) - apply(foot, pivot), foot


class Pose:
    """The joints of rows of controls, filled from the pelvis outwards. Used for one motion."""

    def __init__(self, build: Build, rows: Array) -> None:
        self.build, self.rows = build, rows
        self.joints = np.zeros((len(rows), len(RIG_JOINTS), 3))
        self.facing = turn(rows[:, YAW])
        self.pelvis = self.facing @ swing_twist(rows[:, PELVIS])
        self.chest = self.pelvis @ swing_twist(rows[:, SPINE])
        self._trunk()

    def _trunk(self) -> None:
        build, joints, rows = self.build, self.joints, self.rows
        head = self.chest @ swing_twist(rows[:, HEAD])
        neck = self.chest[..., 2] * build.trunk
        joints[:, JOINT["neck"]] = neck
        for side, sign in zip(SIDES, _OUTWARD, strict=True):
            joints[:, JOINT[f"{side}_hip"]] = self.pelvis[..., 1] * sign * build.hip_half
            shoulder = neck + self.chest[..., 1] * sign * build.shoulder_half
            joints[:, JOINT[f"{side}_shoulder"]] = shoulder
        places = [JOINT[name] for name in (*RIG_JOINTS[:5], "head_top")]
        joints[:, places] = neck[:, None] + np.einsum("nij,kj->nki", head, build.head)
        self._set_down()

    def _set_down(self) -> None:
        """From the pelvis at the origin to where it is in the world."""
        places = [JOINT[name] for name in _TRUNK]
        radii = np.array([self.build.radius(name) for name in _TRUNK])
        resting = (radii - self.joints[:, places, 2]).max(axis=1)
        root = self.rows[:, ROOT].copy()
        sink = self.rows[:, GROUND]
        height = np.maximum(root[:, 2] * (1 - sink) + resting * sink, resting)
        landing = (height > root[:, 2] + 1e-9) | (sink > 0.0)
        root[:, 2] = np.maximum(averaged(height[:, None], landing)[:, 0], resting - FLESH_M)
        trunk = [*range(5), *places]
        self.joints[:, sorted(set(trunk) | {JOINT["left_ear"], JOINT["right_ear"]})] += root[
            :, None
        ]

    def legs(self) -> None:
        """Knees, ankles and feet."""
        for side in range(2):
            self._leg(side)

    def _leg(self, side: int) -> None:
        build, name = self.build, SIDES[side]
        lengths = (build.thigh, build.shin)
        angles = self.rows[:, LEGS].reshape(-1, 2, 5)[:, side]
        thigh = self.pelvis @ swing_twist(_limb(angles, side))
        shin = thigh @ tilt(angles[:, 3])
        goal, foot = ankle_goal(build, self.rows, side)
        hip = self.joints[:, JOINT[f"{name}_hip"]]
        pole = unit(self.facing[..., 0] + foot[..., 0] * [1.0, 1.0, 0.0])
        planted = two_bones(hip, goal, lengths, pole)
        weight = smoothstep(self.rows[:, PLANT.start + side])
        free = np.stack([-thigh[..., 2], -shin[..., 2]], axis=1)
        bones = unit(free + (planted - free) * weight[:, None, None])
        blended = (weight > 0.0) & (weight < 1.0)
        foot = _between(shin @ tilt(angles[:, 4]), foot, weight[:, None])
        ankle_z = hip[:, 2] + bones[:, 0, 2] * build.thigh + bones[:, 1, 2] * build.shin
        ends, low = self._foot(name, ankle_z, foot, weight < 1.0)
        lows = (np.full(len(low), build.radius(f"{name}_knee")), low)
        bones = Limb(lengths, lows).rest(hip, bones, self._limp(2 + side), blended)
        knee = hip + bones[:, 0] * build.thigh
        ankle = knee + bones[:, 1] * build.shin
        for joint, place in (("knee", knee), ("ankle", ankle)):
            self.joints[:, JOINT[f"{name}_{joint}"]] = place
        for end, joint in enumerate(("heel", "toe")):
            self.joints[:, JOINT[f"{name}_{joint}"]] = ankle + ends[:, end]

    def _foot(self, name: str, ankle_z: Array, foot: Array, loose: Marks) -> tuple[Array, Array]:
        """Heel and toe from the ankle, ``[n, 2, 3]``, of a stiff foot that turns away from the
        ground; and how high the ankle must be for neither to be in it."""
        build = self.build
        radii = [build.radius(f"{name}_{joint}") for joint in ("heel", "toe")]
        ankle = np.zeros((len(foot), 3))
        ankle[:, 2] = np.maximum(ankle_z, 1.6 * build.radius(f"{name}_ankle"))
        for end in (1, 0, 1, 0):
            length = float(np.linalg.norm(build.foot[end]))
            old = apply(foot, build.foot[end]) / length
            new = above_ground(ankle, old, length, radii[end] - 1e-6)
            foot = _shortest(old, new) @ foot
        axes = soften(np.stack([foot[..., 0], foot[..., 2]], axis=1), loose)
        ends = np.einsum("nij,kj->nki", _square(axes[:, 0], axes[:, 1]), build.foot)
        low = (np.array(radii) - ends[:, :, 2]).max(axis=1)
        return ends, np.maximum(low, build.radius(f"{name}_ankle"))

    def arms(self, goals: Array, grip: Array) -> None:
        """Elbows, wrists and hands; ``goals [n, 2, 3]`` for the tips of the hands, followed as far
        as ``grip [n, 2]`` says."""
        for side in range(2):
            self._arm(side, goals[:, side], smoothstep(grip[:, side])[:, None, None])

    def _arm(self, side: int, goal: Array, weight: Array) -> None:
        build, name, out = self.build, SIDES[side], _OUTWARD[side]
        angles = self.rows[:, ARMS].reshape(-1, 2, 4)[:, side]
        upper_arm = self.chest @ swing_twist(_limb(angles, side))
        forearm = upper_arm @ tilt(-angles[:, 3])
        shoulder = self.joints[:, JOINT[f"{name}_shoulder"]]
        pole = apply(self.chest, unit(np.array([-0.7, 0.6 * out, -0.6])))
        # The wrist is straight, so the forearm's line ends at the hand's tip.
        gripping = two_bones(shoulder, goal, (build.upper_arm, build.forearm + build.hand), pole)
        free = np.stack([-upper_arm[..., 2], -forearm[..., 2]], axis=1)
        bones = unit(free + (gripping - free) * weight)
        blended = (weight > 0.0) & (weight < 1.0)
        lengths = (build.upper_arm, build.forearm)
        elbow_low, low = (
            np.full(len(goal), build.radius(f"{name}_{j}")) for j in ("elbow", "wrist")
        )
        limp, blended = self._limp(side), blended[:, 0, 0]
        bones = Limb(lengths, (elbow_low, low)).rest(shoulder, bones, limp, blended)
        wrist = shoulder + bones[:, 0] * build.upper_arm + bones[:, 1] * build.forearm
        hand, high = self._hand(name, wrist, bones[:, 1])
        if (high > low).any():
            low = np.maximum(low, high)
            bones = Limb(lengths, (elbow_low, low)).rest(shoulder, bones, limp, blended)
        elbow = shoulder + bones[:, 0] * build.upper_arm
        wrist = elbow + bones[:, 1] * build.forearm
        for joint, place in (("elbow", elbow), ("wrist", wrist), ("hand", wrist + hand)):
            self.joints[:, JOINT[f"{name}_{joint}"]] = place

    def _hand(self, name: str, wrist: Array, forearm: Array) -> tuple[Array, Array]:
        """Its tip from the wrist: along the forearm, but for the ground; and how high the wrist
        must be where the hand cannot turn away from it so fast."""
        low, length = self.build.radius(f"{name}_hand"), self.build.hand
        raised = above_ground(wrist, forearm, length, low)
        turned = np.asarray(np.abs(raised - forearm).max(axis=1) > 1e-9)
        tip = soften(raised[:, None], turned)[:, 0] * length
        return tip, low - tip[:, 2]

    def _limp(self, limb: int) -> Array:
        """``[n, 2]``."""
        limp = self.rows[:, LIMP].reshape(-1, 4, 2)[:, limb]
        return smoothstep(limp * self.rows[:, GROUND, None])


def _limb(angles: Array, side: int) -> Array:
    """Flexion, abduction and twist as swing and twist: the left limb's outside is +y."""
    out = _OUTWARD[side]
    return np.stack([out * angles[:, 1], -angles[:, 0], -out * angles[:, 2]], axis=-1)


def _between(a: Array, b: Array, weight: Array) -> Array:
    """Axes between two."""
    blend = a + (b - a) * weight[..., None]
    return _square(blend[..., 0], unit(blend[..., 2]))


def _square(x: Array, z: Array) -> Array:
    """Axes with this z, and x as near as may be."""
    x = unit(x - z * np.sum(x * z, axis=-1, keepdims=True))
    return np.stack([x, np.cross(z, x), z], axis=-1)


def _shortest(old: Array, new: Array) -> Array:
    """The smallest rotation from one direction to another."""
    axis = np.cross(old, new)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine[:, 0], np.sum(old * new, axis=-1))
    return rotate(unit(axis) * angle[:, None])
