# SPDX-License-Identifier: Apache-2.0
"""Slowly down to the ground, and up again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.motion.actor import Actor
from poseact_engine.synthetic.motion.controls import (
    FEET,
    PELVIS,
    ROOT,
    YAW,
    keyframes,
    samples,
    step_ahead,
)
from poseact_engine.synthetic.motion.lying import RESTS, Rest, lying_row
from poseact_engine.synthetic.motion.postures import crouched, on_all_fours, sitting_down_low
from poseact_engine.synthetic.rig import NO_FALL

Array = NDArray[np.float64]
STEPS_S = ((0.8, 1.3), (0.8, 1.4), (1.0, 1.8))
"""Of each part of the way: to a crouch, to the ground, to lying."""


def lower(actor: Actor) -> None:
    """Lie down on purpose: neither a fall nor yet lying."""
    base = actor.settled()
    rest: Rest = RESTS[actor.rng.choice(3, p=(0.5, 0.2, 0.3))]
    crouching = crouched(actor, base)
    if rest == "prone":
        near, azimuth = on_all_fours(actor, crouching), 0.0
    else:
        near, azimuth = sitting_down_low(actor, crouching), np.pi
    lying = lying_row(actor, near, azimuth, rest)
    lying[ROOT][:2] = actor.area.clip(near[ROOT][:2], 0.05)
    _go(actor, [base, crouching, near, lying], blend_s=0.35)


def rise(actor: Actor) -> None:
    """From lying to standing, over the knees or over a seat on the ground."""
    row = actor.row
    prone = _face_up(row) < -0.3
    lying = refaced(row, head_ahead=prone)
    base = actor.upright(row[ROOT][:2], lying[YAW])
    shift = (0.20 if prone else -0.30) * actor.build.leg
    base[ROOT][:2] -= step_ahead(lying, shift)
    base[ROOT][:2] = actor.area.clip(base[ROOT][:2], 0.1)
    base = actor.upright(base[ROOT][:2], lying[YAW])
    crouching = crouched(actor, base)
    near = (on_all_fours if prone else sitting_down_low)(actor, crouching)
    near[ROOT][:2] = lying[ROOT][:2]
    lying[FEET] = near[FEET]
    _go(actor, [lying, near, crouching, base], blend_s=0.0)


def refaced(row: Array, *, head_ahead: bool) -> Array:
    """The same lying pose, with the facing towards the head or away from it.

    With A the azimuth of the head: swing(A) twist(T) = turn(A) swing(0) twist(T - A), and the same
    with A + 180 degrees and the lean negated.
    """
    other = row.copy()
    swing_x, swing_y, twist = row[PELVIS]
    azimuth, lean = np.arctan2(-swing_x, swing_y), np.hypot(swing_x, swing_y)
    if not head_ahead:
        azimuth, lean = azimuth + np.pi, -lean
    other[YAW] = row[YAW] + azimuth
    other[PELVIS] = (0.0, lean, (twist - azimuth + np.pi) % (2 * np.pi) - np.pi)
    return other


def _face_up(row: Array) -> float:
    """1 for somebody on the back, -1 on the front."""
    swing_x, swing_y, twist = row[PELVIS]
    return -float(np.cos(twist - np.arctan2(-swing_x, swing_y)))


def _go(actor: Actor, rows: list[Array], *, blend_s: float) -> None:
    rng = actor.rng
    steps = [rng.uniform(*pace) for pace in STEPS_S]
    times = np.cumsum([0.0, *(steps if blend_s else steps[::-1])])
    actor.add(keyframes(times, np.stack(rows), samples(times[-1])), NO_FALL, blend_s=blend_s)
