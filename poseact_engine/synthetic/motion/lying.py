# SPDX-License-Identifier: Apache-2.0
"""Lying on the ground: on the back, the front or a side, stretched or curled."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.motion.actor import LYING, Actor
from poseact_engine.synthetic.motion.controls import (
    ARMS,
    GROUND,
    HEAD,
    LEGS,
    LIMP,
    PELVIS,
    PLANT,
    ROOT,
    SPINE,
    YAW,
    clock,
    keyframes,
    samples,
)
from poseact_engine.synthetic.rotations import swing_twist

Array = NDArray[np.float64]
Rest = Literal["supine", "prone", "side"]
RESTS: tuple[Rest, ...] = ("supine", "prone", "side")
_FACE_DOWN: dict[Rest, float] = {"prone": 0.0, "supine": np.pi, "side": 0.5 * np.pi}
"""Turn of the body about its length, against lying face down."""


def lying_row(actor: Actor, row: Array, azimuth: float, rest: Rest) -> Array:
    """The row of somebody who lies with the head towards ``azimuth`` (against the facing), the
    pelvis above where it is in ``row``; arms, legs and trunk as people happen to lie."""
    rng = actor.rng
    lying = row.copy()
    twist = azimuth + _FACE_DOWN[rest] * rng.choice((-1.0, 1.0)) + rng.normal(0.0, 0.12)
    lean = 0.5 * np.pi
    swing = lean * np.array([-np.sin(azimuth), np.cos(azimuth)])
    lying[PELVIS] = (*swing, (twist + np.pi) % (2 * np.pi) - np.pi)
    lying[ROOT.start + 2] = 0.1
    lying[PLANT], lying[GROUND] = 0.0, 1.0
    {"supine": _supine, "prone": _prone, "side": _side}[rest](rng, lying)
    return lying


def _degrees(rng: np.random.Generator, *ranges: tuple[float, float]) -> Array:
    return np.radians([rng.uniform(*r) for r in ranges])


def _supine(rng: np.random.Generator, row: Array) -> None:
    row[SPINE] = _degrees(rng, (-8, 8), (-3, 4), (-6, 6))
    row[HEAD] = _degrees(rng, (-10, 10), (0, 18), (-55, 55))
    for side in range(2):
        arm, limp = [
            (_degrees(rng, (-14, -6), (8, 45), (-20, 40), (5, 35)), (1, 1)),  # beside the body
            (_degrees(rng, (-10, 0), (55, 110), (-60, 0), (10, 80)), (1, 1)),  # spread
            (_degrees(rng, (5, 25), (15, 30), (50, 75), (75, 105)), (0.8, 0)),  # on the belly
            (_degrees(rng, (-5, 5), (115, 160), (-50, 10), (10, 60)), (1, 1)),  # over the head
        ][rng.choice(4, p=(0.45, 0.28, 0.15, 0.12))]
        _set_arm(row, side, arm, limp)
        leg, limp = [
            (_degrees(rng, (-6, -2), (3, 18), (-30, -5), (2, 10), (25, 50)), (1, 1)),  # stretched
            (_degrees(rng, (35, 60), (2, 25), (-15, 10), (75, 110), (5, 25)), (0, 1)),  # a knee up
            (_degrees(rng, (5, 20), (30, 55), (-75, -50), (35, 80), (20, 40)), (1, 1)),  # aside
        ][rng.choice(3, p=(0.62, 0.2, 0.18))]
        _set_leg(row, side, leg, limp)


def _prone(rng: np.random.Generator, row: Array) -> None:
    row[SPINE] = _degrees(rng, (-8, 8), (-3, 2), (-6, 6))
    row[HEAD] = _degrees(rng, (-8, 8), (-20, -5), (-70, 70))
    for side in range(2):
        arm = [
            _degrees(rng, (0, 10), (90, 125), (-75, -40), (60, 110)),  # bent beside the head
            _degrees(rng, (0, 8), (8, 40), (-20, 60), (5, 40)),  # beside the body
            _degrees(rng, (0, 8), (135, 168), (-20, 20), (10, 50)),  # stretched forward
        ][rng.choice(3, p=(0.45, 0.3, 0.25))]
        _set_arm(row, side, arm, (1, 1))
        leg = [
            _degrees(rng, (0, 6), (3, 18), (-25, 10), (2, 12), (45, 70)),
            _degrees(rng, (5, 20), (30, 60), (-90, -60), (40, 90), (30, 60)),  # a knee drawn up
        ][rng.choice(2, p=(0.72, 0.28))]
        _set_leg(row, side, leg, (1, 1))


def _side(rng: np.random.Generator, row: Array) -> None:
    """Curled more or less; the upper leg lies on the lower one or before it."""
    curl = rng.uniform(0.0, 1.0)
    left_is_low = bool(_left_is_low(row))
    row[SPINE] = np.radians([rng.uniform(-6, 6), 5 + 30 * curl, rng.uniform(-10, 10)])
    row[HEAD] = np.radians([rng.uniform(-10, 10), 5 + 20 * curl, rng.uniform(-15, 15)])
    for side in range(2):
        low = left_is_low == (side == 0)
        hip = 10 + 75 * curl + rng.uniform(-12, 18)
        knee = 10 + 85 * curl + rng.uniform(0, 25)
        leg = np.radians([hip, -1.0 if low else rng.uniform(-17, -9), 0.0, knee, 25.0])
        _set_leg(row, side, leg, (1, 1) if low else (0.0, 0.25))
        if low:
            arm = _degrees(rng, (25, 110), (-5, 5), (0, 20), (15, 110))
            _set_arm(row, side, arm, (1, 1))
        elif rng.random() < 0.7:
            arm = _degrees(rng, (40, 95), (-25, -5), (20, 50), (15, 90))
            _set_arm(row, side, arm, (0.5, 1))
        else:
            _set_arm(row, side, _degrees(rng, (-10, 15), (-8, 0), (0, 35), (5, 50)), (0, 0))


def _left_is_low(row: Array) -> bool:
    left = swing_twist(row[PELVIS])[:, 1]
    return bool(left[2] < 0)


def _set_arm(row: Array, side: int, angles: Array, limp: tuple[float, float]) -> None:
    row[ARMS.start + 4 * side : ARMS.start + 4 * side + 4] = angles
    row[LIMP.start + 2 * side : LIMP.start + 2 * side + 2] = limp


def _set_leg(row: Array, side: int, angles: Array, limp: tuple[float, float]) -> None:
    row[LEGS.start + 5 * side : LEGS.start + 5 * side + 5] = angles
    row[LIMP.start + 4 + 2 * side : LIMP.start + 6 + 2 * side] = limp


def breathe(rows: Array, rng: np.random.Generator) -> None:
    """The trunk of somebody at rest moves by a few millimetres."""
    t = clock(len(rows))
    wave = np.sin(2 * np.pi * rng.uniform(0.2, 0.35) * t)
    rows[:, SPINE.start + 1] += np.radians(0.5) * (1.0 - wave)


def lie(actor: Actor, seconds: float) -> None:
    """Stay as one lies, move a limb or the head now and then."""
    rng, count = actor.rng, samples(seconds)
    times, rows = [0.0], [actor.row.copy()]
    rows[0][ROOT] = actor.row[ROOT]
    while times[-1] < seconds:
        following = rows[-1].copy()
        if rng.random() < 0.55:
            part = rng.choice(4)
            if part < 2:
                arm = slice(ARMS.start + 4 * part, ARMS.start + 4 * part + 4)
                following[arm] += np.radians(rng.normal(0.0, (5, 8, 8, 15)))
            elif part == 2:
                following[HEAD] += np.radians(rng.normal(0.0, (3, 3, 20)))
            else:
                leg = LEGS.start + 5 * rng.integers(0, 2)
                following[leg + 3] = max(0.03, following[leg + 3] + np.radians(rng.normal(0, 14)))
        times.append(times[-1] + rng.uniform(0.7, 2.2))
        rows.append(following)
    done = keyframes(np.array(times), np.array(rows), count)
    breathe(done, rng)
    actor.add(done, LYING)


def lie_from_the_start(actor: Actor) -> None:
    """Somebody who lies when the take begins: two samples, so that others can go on from them."""
    rng = actor.rng
    xy, yaw = actor.area.draw(rng, 1.0), rng.uniform(-np.pi, np.pi)
    row = actor.upright(xy, yaw)
    rest: Rest = RESTS[rng.choice(3, p=(0.45, 0.25, 0.3))]
    row = lying_row(actor, row, rng.choice((0.0, np.pi)) + rng.normal(0, 0.2), rest)
    row[YAW] = yaw
    actor.add(np.stack([row, row]), LYING)
