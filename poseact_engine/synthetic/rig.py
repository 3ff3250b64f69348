# SPDX-License-Identifier: Apache-2.0
"""What a made person is: joints in 3D, the bones between them, and one person's motion over time.

World coordinates are metres: x to the right, y away, z up; the ground is z = 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseact_engine.types import ACTIONS, COCO_JOINTS

RATE_HZ = 60
"""Motion is made at this rate; a camera's frames are interpolated from it."""
UNKNOWN = -1
"""Label of a time that is none of the actions, or between two of them."""
HARMLESS = -2
"""Label of a time that is none of the actions and certainly neither falling nor lying: somebody who
sits down, kneels, crouches or bends."""
NO_FALL = -3
"""Label of a time that is none of the actions, or between two of them, and certainly no fall:
somebody who lies down on purpose, gets up, or takes the first step."""
LABEL_NAMES: Mapping[int, str] = MappingProxyType(
    {**dict(enumerate(ACTIONS)), HARMLESS: "harmless", NO_FALL: "no_fall", UNKNOWN: "unknown"}
)
"""What each label is called."""

RIG_JOINTS: tuple[str, ...] = (
    *COCO_JOINTS,
    "neck",
    "pelvis",
    "head_top",
    "left_hand",
    "right_hand",
    "left_heel",
    "right_heel",
    "left_toe",
    "right_toe",
)
"""COCO's 17, in their order, and what a body needs besides. ``neck`` is the middle of the
shoulders, ``pelvis`` that of the hips; hands, heels and toes are tips."""

Part = Literal["head", "neck", "torso", "upper_arm", "forearm", "hand", "thigh", "shin", "foot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bone:
    """A tapered capsule between two joints of the rig."""

    a: int
    b: int
    """Indices into RIG_JOINTS."""
    radius_a_m: float
    radius_b_m: float
    part: Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One person's build. Lengths between joints never change while the person moves."""

    height_m: float
    """Standing, from the soles to the top of the head."""
    bones: tuple[Bone, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crate:
    """A box with upright sides: a load that is carried, or a thing that stands about.

    T is 1 for what never moves.
    """

    size_m: tuple[float, float, float]
    """Along its own x and y, and its height."""
    centre_m: NDArray[np.float32]
    """float32 ``[T, 3]``, of its volume."""
    yaw_rad: NDArray[np.float32]
    """float32 ``[T]``: its x axis against the world's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """A fall of one take, in seconds of the take."""

    start_s: float
    """Balance is lost: from here on the body accelerates downwards."""
    end_s: float
    """The body has come to rest on the ground."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One person's motion; sample i is at i / RATE_HZ seconds."""

    body: Body
    joints_m: NDArray[np.float32]
    """float32 ``[T, J, 3]``: RIG_JOINTS."""
    actions: NDArray[np.int8]
    """int8 ``[T]``: index into ACTIONS, UNKNOWN, HARMLESS or NO_FALL."""
    loads: tuple[Crate, ...] = ()
    """What the person carries, lifts or puts down; there all the time."""
    seats: tuple[Crate, ...] = ()
    """What the person sits on."""
    falls: tuple[Fall, ...] = field(default=())

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return (len(self.actions) - 1) / RATE_HZ
