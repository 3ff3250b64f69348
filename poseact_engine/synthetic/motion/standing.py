# SPDX-License-Identifier: Apache-2.0
"""Standing: weight goes from foot to foot, the head looks round, the arms do something or hang."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.motion.actor import CARRYING, STANDING, Actor
from poseact_engine.synthetic.motion.controls import (
    ARMS,
    FEET,
    HEAD,
    PELVIS,
    ROOT,
    SPINE,
    YAW,
    keyframes,
    samples,
    step_ahead,
)
from poseact_engine.synthetic.motion.loads import hold_load

Array = NDArray[np.float64]
Ranges = tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
# Degrees: flexion, abduction, twist inward, elbow.
ONE_ARM: dict[str, Ranges] = {
    "raised": ((120, 0, -20, 5), (170, 30, 20, 60)),
    "pointing": ((70, -5, 0, 0), (100, 50, 20, 15)),
    "phone": ((35, 10, 20, 125), (60, 40, 45, 145)),
    "waving": ((70, 50, -50, 50), (110, 80, -20, 100)),
    "to the face": ((30, 5, 30, 120), (60, 25, 60, 142)),
    "talking": ((5, 5, 0, 50), (40, 25, 40, 100)),
    "on the hip": ((-25, 35, 45, 80), (-10, 55, 75, 110)),
    "in the pocket": ((-18, 12, 25, 35), (-5, 24, 45, 60)),
}
BOTH_ARMS: dict[str, Ranges] = {
    "hips": ((-25, 35, 45, 80), (-10, 55, 75, 110)),
    "crossed": ((18, 2, 60, 95), (35, 12, 80, 115)),
    "in front": ((10, 0, 35, 45), (30, 10, 60, 80)),
    "behind": ((-40, 5, 45, 30), (-25, 14, 70, 60)),
    "reading": ((15, 0, 25, 85), (40, 10, 45, 115)),
    "raised": ((130, 0, -20, 0), (170, 30, 20, 50)),
    "working": ((25, 0, 10, 50), (70, 25, 40, 100)),
}
_HANGING, _ONE = 0.38, 0.34
"""Chances of hanging arms and of one busy arm; else both are."""


def stand(actor: Actor, seconds: float) -> None:
    """For so long, on the spot."""
    rng, count = actor.rng, samples(seconds)
    times, rows = [0.0], [actor.settled()]
    base = rows[0]
    while times[-1] < seconds:
        row = base.copy()
        _shift_weight(actor, row)
        gesture(rng, row)
        # Some hold a pose, others fidget.
        pause = rng.uniform(0.6, 1.2)
        for length in (pause, rng.exponential(1.6) + 0.2):
            times.append(times[-1] + length)
            row = row.copy()
            row[HEAD] += np.radians(rng.normal(0.0, (3.0, 6.0, 22.0)))
            rows.append(row)
    # Nobody does something new the moment they stop.
    if rng.random() < 0.5:
        rows[1][ARMS] = rows[2][ARMS] = base[ARMS]
    done, label = keyframes(np.array(times), np.array(rows), count), STANDING
    if actor.carries and actor.load:
        hold_load(actor.build, actor.load, done)
        label = CARRYING
    actor.add(done, label)


def shift_feet(actor: Actor, row: Array) -> None:
    """Few stand with their feet side by side."""
    ahead = float(np.clip(actor.rng.normal(0.0, 0.06), -0.13, 0.13))
    aside = float(actor.rng.uniform(-0.01, 0.06))
    facing = step_ahead(row, 1.0)
    left = np.array([-facing[1], facing[0]])
    for side, sign in enumerate((1.0, -1.0)):
        start = FEET.start + 5 * side
        row[start : start + 2] += sign * (ahead * facing + aside * left)


def _shift_weight(actor: Actor, row: Array) -> None:
    rng = actor.rng
    size = actor.style.lively
    aside = float(np.clip(rng.normal(0.0, 0.025 * size), -0.06, 0.06))
    ahead = float(np.clip(rng.normal(0.0, 0.012 * size), -0.03, 0.03))
    yaw = row[YAW]
    row[ROOT][:2] += aside * np.array([-np.sin(yaw), np.cos(yaw)])
    row[ROOT][:2] += ahead * np.array([np.cos(yaw), np.sin(yaw)])
    row[ROOT.start + 2] -= abs(aside) * 0.15
    row[PELVIS] += (1.2 * aside, 0.0, rng.normal(0.0, 0.06 * size))
    row[SPINE] += (-1.5 * aside, rng.normal(0.03, 0.04 * size), rng.normal(0.0, 0.08 * size))


def gesture(rng: np.random.Generator, row: Array) -> None:
    """Arms of a row."""
    arms = row[ARMS].reshape(2, 4)
    chance = rng.random()
    if chance < _HANGING:
        arms += np.radians(rng.normal(0.0, (4.0, 2.0, 8.0, 5.0), (2, 4)))
        arms[:, 3] = np.maximum(arms[:, 3], 0.03)
    elif chance < _HANGING + _ONE:
        low, high = ONE_ARM[list(ONE_ARM)[rng.integers(0, len(ONE_ARM))]]
        arms[rng.integers(0, 2)] = np.radians(rng.uniform(low, high))
    else:
        low, high = BOTH_ARMS[list(BOTH_ARMS)[rng.integers(0, len(BOTH_ARMS))]]
        arms[:] = np.radians(rng.uniform(low, high))
        arms += np.radians(rng.normal(0.0, 4.0, (2, 4)))
        arms[:, 3] = np.maximum(arms[:, 3], 0.03)
