# SPDX-License-Identifier: Apache-2.0
"""How people are built: lengths and widths that vary as those of adults do.

Shares of the body height are those of Drillis and Contini (1966), as D. A. Winter prints them in
"Biomechanics and Motor Control of Human Movement", figure 4.1; shoulders, hips and face are moved
to where COCO's annotators see them: shoulders further in, hips higher.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.rig import RIG_JOINTS, Body, Bone, Part

Array = NDArray[np.float64]
JOINT = {name: index for index, name in enumerate(RIG_JOINTS)}
SIDES = ("left", "right")

HEIGHTS_M = (1.50, 1.95)
MEAN_HEIGHT_M, HEIGHT_SPREAD_M = 1.71, 0.095
PROPORTION_SPREAD = 0.03
"""Standard deviation of each length's share of the height, as a share of itself."""
GIRTHS = (0.85, 1.30)

_SHARES = {
    "shin": 0.245, "thigh": 0.254, "trunk": 0.280, "upper_arm": 0.167, "forearm": 0.145,
    "hand": 0.085, "shoulder_half": 0.099, "hip_half": 0.056, "foot": 0.150,
}  # fmt: skip
_ANKLE_SHARE = 0.046
_FACE = {
    "nose": (0.062, 0.0), "left_eye": (0.050, 0.018), "right_eye": (0.050, -0.018),
    "left_ear": (0.0, 0.041), "right_ear": (0.0, -0.041),
}  # fmt: skip
"""Forward and to the left of the head's axis, in heights."""
_FACE_UP = {"nose": 0.56, "left_eye": 0.65, "right_eye": 0.65, "left_ear": 0.60, "right_ear": 0.60}
"""Up from the neck, in lengths from neck to top of the head."""
_RADII_M: dict[Part, tuple[float, float]] = {
    "head": (0.088, 0.055), "neck": (0.058, 0.080), "torso": (0.120, 0.095),
    "upper_arm": (0.052, 0.042), "forearm": (0.042, 0.032), "hand": (0.036, 0.026),
    "thigh": (0.088, 0.060), "shin": (0.058, 0.042), "foot": (0.036, 0.028),
}  # fmt: skip
_FLANK_RADII_M = (0.078, 0.055)
_GIRTH_POWER: dict[Part, float] = {
    "head": 0.0, "neck": 0.1, "hand": 0.2, "foot": 0.0, "torso": 1.2,
}  # fmt: skip
"""How much of a person's girth each part takes; the rest takes 0.8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One person's lengths in metres: what kinematics needs, and the body others see."""

    body: Body
    shin: float
    thigh: float
    trunk: float
    """From pelvis to neck, and so from hip line to shoulder line."""
    upper_arm: float
    forearm: float
    hand: float
    shoulder_half: float
    hip_half: float
    ankle: float
    """Height of the ankle over the sole."""
    head: Array
    """float64 ``[6, 3]`` from the neck, in the head's axes: nose, eyes, ears, top."""
    foot: Array
    """float64 ``[2, 3]`` from the ankle, in the foot's axes: heel, toe."""

    @property
    def leg(self) -> float:
        """From hip to ankle, stretched."""
        return self.thigh + self.shin

    @property
    def arm(self) -> float:
        """From shoulder to wrist, stretched."""
        return self.upper_arm + self.forearm

    @property
    def hip_height(self) -> float:
        """Of the pelvis over the ground, standing on stretched legs."""
        return self.leg + self.ankle

    def radius(self, joint: str) -> float:
        """Of the thickest bone at a joint."""
        index = JOINT[joint]
        ends = [(bone.a, bone.radius_a_m) for bone in self.body.bones]
        ends += [(bone.b, bone.radius_b_m) for bone in self.body.bones]
        return max((radius for at, radius in ends if at == index), default=0.0)


def random_build(rng: np.random.Generator) -> Build:
    """An adult."""
    height = float(np.clip(rng.normal(MEAN_HEIGHT_M, HEIGHT_SPREAD_M), *HEIGHTS_M))
    girth = float(np.clip(rng.lognormal(0.0, 0.12), *GIRTHS))
    spread = np.clip(rng.normal(1.0, PROPORTION_SPREAD, len(_SHARES)), 0.94, 1.06)
    length = {
        name: float(height * share * s)
        for (name, share), s in zip(_SHARES.items(), spread, strict=True)
    }
    foot = length.pop("foot")
    ankle = _ANKLE_SHARE * height
    head = height - ankle - length["shin"] - length["thigh"] - length["trunk"]
    sole = [radius * height / MEAN_HEIGHT_M for radius in _RADII_M["foot"]]
    return Build(
        body=Body(height_m=height, bones=tuple(_bones(girth, height))),
        ankle=ankle,
        head=_head(head, height),
        foot=np.array([(-0.24 * foot, 0.0, sole[0] - ankle), (0.70 * foot, 0.0, sole[1] - ankle)]),
        **length,
    )


def random_body(rng: np.random.Generator) -> Body:
    """An adult as others see one."""
    return random_build(rng).body


def _head(length: float, height: float) -> Array:
    """Nose, eyes, ears, and the top (less the radius there, so that heights are true)."""
    face = [
        (_FACE[name][0] * height, _FACE[name][1] * height, _FACE_UP[name] * length)
        for name in RIG_JOINTS[:5]
    ]
    return np.array(
        [*face, (0.010 * height, 0.0, length - _RADII_M["head"][0] * height / MEAN_HEIGHT_M)]
    )


def _bones(girth: float, height: float) -> list[Bone]:
    size = height / MEAN_HEIGHT_M

    def bone(a: str, b: str, part: Part, radii: tuple[float, float] | None = None) -> Bone:
        factor = size * girth ** _GIRTH_POWER.get(part, 0.8)
        first, second = radii or _RADII_M[part]
        return Bone(
            a=JOINT[a], b=JOINT[b], part=part,
            radius_a_m=first * factor, radius_b_m=second * factor,
        )  # fmt: skip

    bones = [
        bone("pelvis", "neck", "torso"),
        bone("left_hip", "left_shoulder", "torso", _FLANK_RADII_M),
        bone("right_hip", "right_shoulder", "torso", _FLANK_RADII_M),
        bone("neck", "head_top", "neck"),
        bone("head_top", "nose", "head"),
    ]
    for side in SIDES:
        for a, b, part in _LIMB_BONES:
            bones.append(bone(f"{side}_{a}", f"{side}_{b}", part))
    return bones


_LIMB_BONES: tuple[tuple[str, str, Part], ...] = (
    ("shoulder", "elbow", "upper_arm"),
    ("elbow", "wrist", "forearm"),
    ("wrist", "hand", "hand"),
    ("hip", "knee", "thigh"),
    ("knee", "ankle", "shin"),
    ("heel", "toe", "foot"),
    ("ankle", "toe", "foot"),
)
