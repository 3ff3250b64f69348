# SPDX-License-Identifier: Apache-2.0
"""One person at work: what it is like, where it is, and all it has done so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.body import Build
from poseact_engine.synthetic.motion.area import Area
from poseact_engine.synthetic.motion.controls import (
    ARMS,
    DT_S,
    FEET,
    GROUND,
    HEAD,
    LEGS,
    PELVIS,
    PLANT,
    ROOT,
    SPINE,
    WIDTH,
    YAW,
    append,
)
from poseact_engine.synthetic.motion.loads import FOREVER, Hold, Load
from poseact_engine.synthetic.rig import Crate, Fall, Take
from poseact_engine.types import ACTIONS

Array = NDArray[np.float64]
Labels = NDArray[np.int8]
CARRYING, FALLING, WALKING, LIFTING, STANDING, LYING = range(len(ACTIONS))
STAND_SHARE = 0.985
"""Height of the pelvis of somebody who stands at ease, of that on stretched legs."""
LOW_SHARE = 0.8
"""Of the pelvis's height at ease: below it nobody stands."""
LOW_STOOP = np.radians(40.0)
"""Nor with a trunk so far from upright."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a person moves, all its life."""

    speed_mps: float
    cadence: float
    """Against what is usual at a speed."""
    swing: float
    """Of the arms, likewise."""
    stance_m: float
    """Half the distance between the feet."""
    toe_out: float
    lean: float
    arm_abduction: float
    elbow: float
    lively: float
    """Size of small movements."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Style:
        """One of many."""
        return cls(
            speed_mps=float(np.clip(rng.normal(1.15, 0.28), 0.6, 1.8)),
            cadence=float(np.clip(rng.normal(1.0, 0.06), 0.85, 1.15)),
            swing=float(rng.uniform(0.4, 1.4)),
            stance_m=float(rng.uniform(0.055, 0.11)),
            toe_out=float(np.radians(rng.uniform(-2.0, 16.0))),
            lean=float(np.radians(rng.normal(2.5, 2.5))),
            arm_abduction=float(np.radians(rng.uniform(5.0, 14.0))),
            elbow=float(np.radians(rng.uniform(8.0, 30.0))),
            lively=float(rng.uniform(0.5, 1.6)),
        )


@dataclass(slots=True, kw_only=True)
class Actor:
    """Not thread-safe; lives while one take is made."""

    rng: np.random.Generator
    build: Build
    style: Style
    area: Area
    avoid: Sequence[Take] = ()
    parts: list[Array] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)
    falls: list[Fall] = field(default_factory=list)
    seats: list[Crate] = field(default_factory=list)
    load: Load | None = None
    """What is in the hands, or was last."""
    lead: int = 0
    """Samples that only lead to the take and are cut off."""
    holds: list[Hold] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Samples so far."""
        return sum(map(len, self.labels))

    @property
    def row(self) -> Array:
        """The latest controls."""
        row: Array = self.parts[-1][-1]
        return row

    @property
    def stand_height(self) -> float:
        """Of the pelvis, at ease."""
        return self.build.hip_height - (1 - STAND_SHARE) * self.build.leg

    @property
    def carries(self) -> bool:
        """Whether the load is in the hands."""
        return bool(self.holds) and self.holds[-1].stop == FOREVER

    @property
    def low(self) -> bool:
        """Whether the body sits, kneels, crouches or is bent: neither upright nor lying."""
        row = self.row
        sunk = row[ROOT][2] < LOW_SHARE * self.stand_height
        bent = row[PELVIS][1] + row[SPINE][1] > LOW_STOOP
        return bool((sunk or bent) and row[GROUND] < 0.5)

    def add(self, rows: Array, labels: Labels | int, *, blend_s: float = 0.35) -> None:
        """Do it."""
        append(self.parts, rows, blend_s)
        marks = np.asarray(labels, np.int8)
        self.labels.append(np.broadcast_to(marks, len(rows)).copy())

    def mark(self, label: int, start: int, stop: int) -> None:
        """Name samples that are already done, between two of the take's."""
        marks = np.concatenate(self.labels)
        marks[max(start, 0) : max(stop, 0)] = label
        self.labels = [marks]

    def clearance(self, xy: Array) -> float:
        """How near the ways ``[n, 2]`` from now on comes to other people, metres."""
        nearest = np.inf
        for other in self.avoid:
            pelvis = other.joints_m[:, PELVIS_JOINT, :2]
            at = np.clip(np.arange(len(xy)) + self.count - self.lead, 0, len(pelvis) - 1)
            nearest = min(nearest, float(np.linalg.norm(xy - pelvis[at], axis=-1).min()))
        return nearest

    def upright(self, xy: Array, yaw: float) -> Array:
        """A row: at ease on both feet, arms hanging."""
        style, row = self.style, np.zeros(WIDTH)
        row[ROOT] = (*xy, self.stand_height)
        row[YAW] = yaw
        row[PELVIS] = (0.0, 0.5 * style.lean, 0.0)
        row[SPINE] = (0.0, 0.5 * style.lean + 0.02, 0.0)
        row[HEAD] = (0.0, 0.05, 0.0)
        row[ARMS] = (0.02, style.arm_abduction, 0.3, style.elbow) * 2
        row[LEGS] = (0.05, 0.05, 0.0, 0.08, 0.0) * 2
        row[PLANT] = 1.0
        for side, sign in enumerate((1.0, -1.0)):
            place = np.array(xy) + sign * style.stance_m * np.array([-np.sin(yaw), np.cos(yaw)])
            start = FEET.start + 5 * side
            row[start : start + 5] = (*place, 0.0, yaw + sign * style.toe_out, 0.0)
        return row

    def settled(self) -> Array:
        """A row: at ease where the feet are now."""
        feet = self.row[FEET].reshape(2, 5)
        row = self.upright(feet[:, :2].mean(axis=0), self.row[YAW])
        row[FEET] = self.row[FEET]
        row.reshape(-1)[[FEET.start + 2, FEET.start + 4, FEET.start + 7, FEET.start + 9]] = 0.0
        return row


PELVIS_JOINT = 18
SECOND = round(1.0 / DT_S)
