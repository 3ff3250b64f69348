# SPDX-License-Identifier: Apache-2.0
"""Low postures that are no fall: sitting, kneeling, crouching, bending; and the ways slowly down to
the ground and up from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.motion.actor import Actor
from poseact_engine.synthetic.motion.controls import (
    ARMS,
    FEET,
    GROUND,
    HEAD,
    LEGS,
    PELVIS,
    PLANT,
    ROOT,
    SPINE,
    YAW,
    keyframes,
    samples,
    step_ahead,
)
from poseact_engine.synthetic.motion.lifting import bent
from poseact_engine.synthetic.motion.loads import still
from poseact_engine.synthetic.rig import HARMLESS

Array = NDArray[np.float64]
Angles = tuple[float, float, float, float]


def _two_arms(rng: np.random.Generator, low: Angles, high: Angles) -> Array:
    """Both arms between two poses (degrees), much alike: ``[8]``."""
    shares = np.clip(rng.uniform(0.0, 1.0, 4) + rng.normal(0.0, 0.2, (2, 4)), 0.0, 1.0)
    return np.asarray(np.radians(np.array(low) + np.subtract(high, low) * shares)).ravel()


def _busy(actor: Actor, row: Array) -> Array:
    """The row, a little different: nobody is a statue."""
    rng, other = actor.rng, row.copy()
    other[HEAD] += np.radians(rng.normal(0.0, (3.0, 6.0, 20.0)))
    other[SPINE] += np.radians(rng.normal(0.0, (2.0, 4.0, 5.0)))
    other[ARMS] += np.radians(rng.normal(0.0, (10.0, 5.0, 8.0, 14.0) * 2))
    other[[ARMS.start + 3, ARMS.start + 7]] = np.maximum(
        other[[ARMS.start + 3, ARMS.start + 7]], 0.05
    )
    return other


def _perform(
    actor: Actor, down: list[Array], seconds: float, pace_s: tuple[float, float], *, back: bool
) -> None:
    """From standing through ``down``, stay there, and ``back`` the same way."""
    rng, base = actor.rng, actor.settled()
    up = [*down[-2::-1], base] if back else []
    legs_s = [rng.uniform(*pace_s) / len(down) for _ in range(len(down) + len(up))]
    stay_s = max(0.2, seconds - sum(legs_s))
    times, rows = [0.0], [base]
    for row, step in zip(down, legs_s, strict=False):
        times.append(times[-1] + step)
        rows.append(row)
    leave = times[-1] + stay_s
    while times[-1] < leave - 0.1:
        times.append(min(times[-1] + rng.uniform(0.5, 1.8), leave))
        rows.append(_busy(actor, down[-1]))
    for row, step in zip(up, legs_s[len(down) :], strict=True):
        times.append(times[-1] + step)
        rows.append(row)
    actor.add(keyframes(np.array(times), np.stack(rows), samples(times[-1])), HARMLESS)


def sit(actor: Actor, seconds: float, *, back: bool = True) -> None:
    """Down on a stool that stands behind, and up again."""
    rng, build, base = actor.rng, actor.build, actor.settled()
    sitting = base.copy()
    sitting[ROOT][:2] -= step_ahead(base, rng.uniform(0.80, 0.98) * build.thigh)
    if not actor.area.contains(sitting[ROOT][:2]):
        crouch(actor, seconds, back=back)
        return
    thick = 0.09
    sitting[ROOT.start + 2] = rng.uniform(0.40, 0.50) + thick
    sitting[PELVIS.start + 1] = np.radians(rng.uniform(-18.0, 5.0))
    sitting[SPINE.start + 1] = np.radians(rng.uniform(5.0, 30.0))
    sitting[ARMS] = _two_arms(rng, (10, 2, 10, 30), (45, 15, 40, 85))
    leaning = base + 0.55 * (sitting - base)
    leaning[PELVIS.start + 1] = np.radians(rng.uniform(25.0, 42.0))
    leaning[ARMS] = base[ARMS] + np.radians((30.0, 0.0, 0.0, 15.0) * 2)
    middle = np.array([*sitting[ROOT][:2], 0.5 * (sitting[ROOT.start + 2] - thick)])
    side = float(rng.uniform(0.34, 0.46))
    size = (side, side, float(2 * middle[2]))
    actor.seats.append(still(size, middle, float(base[YAW])))
    _perform(actor, [leaning, sitting], seconds, (1.0, 1.8), back=back)


def crouched(actor: Actor, base: Array) -> Array:
    """On the toes, the pelvis at the heels, hands before the shins."""
    rng = actor.rng
    row: Array = bent(actor, base, np.array([rng.uniform(0.9, 1.05)]), 1.0)[0]
    row[ROOT.start + 2] = rng.uniform(0.40, 0.52) * actor.build.leg
    row[ROOT][:2] += step_ahead(base, 0.05)
    row[[FEET.start + 4, FEET.start + 9]] = np.radians(rng.uniform(18.0, 34.0))
    row[ARMS] += _two_arms(rng, (-25, 0, 0, 5), (15, 15, 30, 60))
    return row


def crouch(actor: Actor, seconds: float, *, back: bool = True) -> None:
    """As somebody who ties a shoe."""
    _perform(actor, [crouched(actor, actor.settled())], seconds, (0.7, 1.3), back=back)


def bend(actor: Actor, seconds: float, *, back: bool = True) -> None:
    """Down with a stiff back, to look at something, and up."""
    rng = actor.rng
    row = bent(actor, actor.settled(), np.array([rng.uniform(0.45, 1.1)]), rng.uniform(0.0, 0.5))[0]
    row[ARMS] += _two_arms(rng, (-30, 0, 0, 0), (20, 15, 20, 50))
    _perform(actor, [row], seconds, (0.8, 1.5), back=back)


def kneel(actor: Actor, seconds: float, *, back: bool = True) -> None:
    """On one knee or on both."""
    rng, base = actor.rng, actor.settled()
    both, side = rng.random() < 0.4, int(rng.integers(0, 2))
    row = kneeling(actor, base, [0, 1] if both else [side])
    half = base + 0.5 * (row - base)
    half[[FEET.start + 2, FEET.start + 7]] = 0.0
    if not both:
        half[FEET.start + 5 * (1 - side) + 2] = 0.05
    half[PELVIS.start + 1] += 0.2
    _perform(actor, [half, row], seconds, (1.0, 1.8), back=back)


def kneeling(actor: Actor, base: Array, knees: list[int]) -> Array:
    """On these knees (0 left, 1 right); the other foot stands ahead."""
    rng, row = actor.rng, base.copy()
    row[ROOT.start + 2] = 0.985 * actor.build.thigh + actor.build.radius("left_knee")
    for leg in knees:
        row[LEGS.start + 5 * leg : LEGS.start + 5 * leg + 5] = np.radians(
            (rng.uniform(-4, 6), 4.0, 0.0, rng.uniform(92, 102), rng.uniform(0, 60))
        )
        row[PLANT.start + leg] = 0.0
    for leg in {0, 1} - set(knees):
        place = FEET.start + 5 * leg
        row[place : place + 2] += step_ahead(base, rng.uniform(0.75, 0.95) * actor.build.thigh)
    row[PELVIS.start + 1] += np.radians(rng.uniform(0.0, 15.0))
    row[SPINE.start + 1] += np.radians(rng.uniform(0.0, 35.0))
    row[ARMS] += _two_arms(rng, (10, 0, 0, 20), (50, 10, 30, 70))
    return row


def sitting_down_low(actor: Actor, crouching: Array) -> Array:
    """On the ground behind the feet, knees up, hands behind."""
    rng = actor.rng
    row = crouching.copy()
    row[ROOT][:2] -= step_ahead(row, rng.uniform(0.22, 0.40) * actor.build.leg)
    row[ROOT.start + 2] = 0.12
    row[GROUND] = 1.0
    row[PELVIS.start + 1] = np.radians(rng.uniform(-30.0, -12.0))
    row[SPINE.start + 1] = np.radians(rng.uniform(10.0, 30.0))
    row[HEAD.start + 1] = 0.1
    row[[FEET.start + 4, FEET.start + 9]] = 0.0
    row[ARMS] = _two_arms(rng, (-50, 10, -20, 5), (-20, 30, 10, 30))
    return row


def on_all_fours(actor: Actor, crouching: Array) -> Array:
    """Hands and knees on the ground, before where the feet stood."""
    build = actor.build
    row = crouching.copy()
    knee = build.radius("left_knee")
    row[ROOT][:2] += step_ahead(row, 0.35 * build.leg)
    row[ROOT.start + 2] = 0.99 * build.thigh + knee
    rise = (0.95 * (build.arm + 0.6 * build.hand) - row[ROOT.start + 2]) / build.trunk
    lean = float(np.arccos(np.clip(rise, -0.2, 0.9)))
    row[PELVIS], row[SPINE] = (0.0, lean - 0.15, 0.0), (0.0, 0.15, 0.0)
    row[HEAD] = (0.0, -0.5, 0.0)
    row[PLANT] = 0.0
    row[LEGS] = (lean - 0.15, 0.05, 0.0, np.radians(92.0), np.radians(40.0)) * 2
    row[ARMS] = (lean, 0.05, 0.2, 0.15) * 2
    return row
