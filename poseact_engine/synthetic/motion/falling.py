# SPDX-License-Identifier: Apache-2.0
"""Falls: balance is lost, the body tips and sinks faster and faster, and comes to rest.

A standing body is an inverted pendulum, so the lean grows slowly at first and fastest at the end;
knees that give way let the pelvis drop nearly freely instead. Real falls are between the two. Some
have two stages: first down to the knees or the heels, then over; some begin there, or on a seat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.motion.actor import FALLING, Actor
from poseact_engine.synthetic.motion.controls import (
    ARMS,
    FEET,
    GRIP,
    GROUND,
    HEAD,
    LEGS,
    LOAD,
    PELVIS,
    PLANT,
    ROOT,
    SPINE,
    YAW,
    clock,
    keyframes,
    samples,
    smoothstep,
    step_ahead,
)
from poseact_engine.synthetic.motion.lying import Rest, lying_row
from poseact_engine.synthetic.motion.postures import crouched, kneeling
from poseact_engine.synthetic.rig import RATE_HZ, Fall
from poseact_engine.synthetic.rotations import apply, turn

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """A way to fall. Ranges are uniform."""

    weight: float
    azimuth: tuple[float, float]
    """Of the head's way against the facing, radians; either side."""
    seconds: tuple[float, float]
    """From the loss of balance to the ground."""
    buckle: tuple[float, float]
    """0: as stiff as a pole; 1: the knees give way and the pelvis drops."""
    travel: tuple[float, float]
    """How far the pelvis lands from the feet, in its heights."""
    fold: tuple[float, float]
    """How far the trunk bends forward on the way, degrees: few people fall as a pole does."""
    brace: float
    """Chance that the arms are put out."""
    step: float
    """Chance of a step that tries to save it."""
    rests: tuple[float, float, float]
    """Chances to end supine, prone, on a side."""


KINDS: dict[str, _Kind] = {
    "forward": _Kind(
        weight=0.22, azimuth=(0.0, 0.45), seconds=(0.70, 1.30), buckle=(0.1, 0.6), fold=(10, 85),
        travel=(0.55, 0.85), brace=0.8, step=0.5, rests=(0.0, 0.75, 0.25),
    ),
    "trip": _Kind(
        weight=0.14, azimuth=(0.0, 0.3), seconds=(0.60, 0.90), buckle=(0.2, 0.6), fold=(10.0, 70.0),
        travel=(0.8, 1.1), brace=0.9, step=0.4, rests=(0.0, 0.85, 0.15),
    ),
    "backward": _Kind(
        weight=0.22, azimuth=(2.7, 3.14), seconds=(0.65, 1.30), buckle=(0.3, 0.8), fold=(0.0, 60.0),
        travel=(0.35, 0.75), brace=0.6, step=0.5, rests=(0.85, 0.0, 0.15),
    ),
    "sideways": _Kind(
        weight=0.24, azimuth=(1.1, 2.0), seconds=(0.65, 1.30), buckle=(0.2, 0.7), fold=(5.0, 70.0),
        travel=(0.4, 0.8), brace=0.6, step=0.4, rests=(0.2, 0.15, 0.65),
    ),
    "collapse": _Kind(
        weight=0.18, azimuth=(0.0, 3.14), seconds=(0.75, 1.40), buckle=(0.9, 1.0), fold=(5.0, 75.0),
        travel=(0.1, 0.35), brace=0.1, step=0.0, rests=(0.35, 0.25, 0.4),
    ),
}  # fmt: skip
STIFF_S = 0.82
"""No stiff body is on the ground sooner; one whose knees give way may be."""
PUSHES_MPS = (0.9, 1.6)
SETTLE_S = (0.12, 0.20)
"""From the ground to rest; what still moves then is the lying body."""
GIVES_WAY = 0.3
"""Chance that whoever falls with empty hands sinks first and tips over from there."""
ON_KNEES = 0.6
"""Chance that it is to the knees, not to the heels."""
SINKS_S = (0.35, 0.75)
FROM_LOW = ("forward", "sideways", "backward", "collapse")
LOW_PACE = 0.9
"""Time that a fall from low down takes, of one from standing."""
LEAST_LOW_S = 0.65
LOW_LEAN = 3.0
"""Whoever falls from low down sinks before the trunk comes over, and no head goes up first."""
PAST_SEAT_M = 0.15
"""Whoever falls off a seat comes to lie so far beyond its corners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How one fall goes."""

    down_s: float
    settle_s: float
    buckle: float
    lean_power: float
    low: bool
    """The body is not upright when it tips over."""


def fall(actor: Actor) -> None:
    """From whatever the body is doing, to lying; the fall is recorded."""
    rng, start = actor.rng, actor.count
    low = began_low = actor.low
    if not low and not actor.carries and rng.random() < GIVES_WAY:
        low = _sink(actor)
    kind = _draw_kind(rng, FROM_LOW if low else tuple(KINDS))
    buckle = rng.uniform(*kind.buckle)
    lean_power = 2.0 + 0.4 * buckle
    if began_low:
        buckle, lean_power = 1.0, LOW_LEAN
    down_s = max(rng.uniform(*kind.seconds), STIFF_S - 0.25 * buckle)
    if low:
        down_s = max(LOW_PACE * rng.uniform(*kind.seconds), LEAST_LOW_S)
    settle_s = rng.uniform(*SETTLE_S)
    way = _Way(down_s=down_s, settle_s=settle_s, buckle=buckle, lean_power=lean_power, low=low)
    rows = _tip(actor, kind, way)
    if actor.carries:
        _let_go(actor, rows, start)
    actor.add(rows, FALLING, blend_s=0.3)
    actor.falls.append(Fall(start_s=start / RATE_HZ, end_s=(actor.count - 1) / RATE_HZ))


def _draw_kind(rng: np.random.Generator, names: Sequence[str]) -> _Kind:
    chances = np.array([KINDS[name].weight for name in names])
    return KINDS[names[rng.choice(len(names), p=chances / chances.sum())]]


def _upright(actor: Actor) -> Array:
    """The row of somebody at ease with the pelvis where it is now, also in the middle of a step."""
    row = actor.settled()
    row[ROOT] = actor.row[ROOT]
    return row


def _sink(actor: Actor) -> bool:
    """The knees give way, and the trunk folds; whether there is room for it."""
    rng, origin = actor.rng, _upright(actor)
    down_s = rng.uniform(*SINKS_S)
    if rng.random() < ON_KNEES:
        end = kneeling(actor, origin, [0, 1])
        end[ROOT][:2] += step_ahead(origin, rng.uniform(0.3, 0.45) * actor.build.leg)
    else:
        end = crouched(actor, origin)
    if not actor.area.contains(end[ROOT][:2], 0.3):
        return False
    end[HEAD] += np.radians(rng.uniform((-8.0, 0.0, -20.0), (8.0, 30.0, 20.0)))
    count = samples(down_s)
    u = clock(count) / down_s
    way = np.repeat(smoothstep(u)[:, None], len(origin), axis=1)
    way[:, ROOT] = _growing(u, 2.0)[:, None]
    way[:, PLANT] = smoothstep((u - 0.25) / 0.6)[:, None]
    rows = origin + (end - origin) * way
    actor.add(rows, FALLING, blend_s=0.3)
    return True


def _let_go(actor: Actor, rows: Array, start: int) -> None:
    """Whoever falls drops what the hands hold, out of the body's way."""
    held = samples(actor.rng.uniform(0.08, 0.25))
    rows[:, LOAD] = actor.row[LOAD]
    fade = 1.0 - smoothstep((np.arange(len(rows)) - held) / 12.0)
    rows[:, GRIP] = actor.row[GRIP] * fade[:, None]
    actor.holds[-1].stop = start + held
    way = rows[-1, :2] - rows[0, :2]
    across = np.array([-way[1], way[0]]) / max(float(np.hypot(*way)), 1e-6)
    at = apply(turn(actor.row[YAW]), actor.row[LOAD][:3])[:2] @ across
    side = np.sign(at) if abs(at) > 0.05 else actor.rng.choice((-1.0, 1.0))
    actor.holds[-1].push_mps = side * actor.rng.uniform(*PUSHES_MPS) * across


def _tip(actor: Actor, kind: _Kind, way: _Way) -> Array:
    rng, origin = actor.rng, actor.row.copy() if way.low else _upright(actor)
    count = samples(way.down_s + way.settle_s)
    azimuth, travel = _direction(actor, kind)
    rest: Rest = ("supine", "prone", "side")[rng.choice(3, p=kind.rests)]
    end = lying_row(actor, origin, azimuth, rest)
    # No body turns more than once about itself on its way down.
    end[PELVIS.start + 2] = (end[PELVIS.start + 2] + np.pi) % (2 * np.pi) - np.pi
    u = clock(count) / way.down_s
    lean = _growing(u, way.lean_power)
    sink = _growing(u / (1.0 - 0.22 * way.buckle), 2.0)
    rows = keyframes(*_limbs(rng, kind, way.down_s, origin, end, low=way.low), count)
    rows[:, PELVIS] = origin[PELVIS] + (end[PELVIS] - origin[PELVIS]) * lean[:, None]
    rows[:, ROOT] = _path(origin, end, travel, lean, sink, buckle=way.buckle)
    rows[:, PLANT] = origin[PLANT] * (1.0 - smoothstep((u - 0.45) / 0.5)[:, None])
    rows[:, GROUND] = smoothstep((u - 0.82) / 0.25)
    rows[:, FEET] = origin[FEET]
    if not way.low and rng.random() < kind.step:
        _try_a_step(rng, rows, u, travel)
    return rows


def _growing(u: Array, power: float) -> Array:
    """From 0 to 1: u ** power, braked by the ground in the last tenth instead of at once."""
    v = np.clip(u, 0.0, 1.06)
    fine = np.linspace(0.0, 1.06, 213)
    speed = fine ** (power - 1.0) * (1.0 - smoothstep((fine - 0.9) / 0.16))
    gone = np.cumsum(speed)
    return np.asarray(np.interp(v, fine, gone / gone[-1]))


def _direction(actor: Actor, kind: _Kind) -> tuple[float, Array]:
    """Which way, so that the body comes to lie inside the area; and how far the pelvis goes."""
    rng, row = actor.rng, actor.row
    height, least = actor.build.hip_height, _past_seat(actor)
    azimuth, travel = 0.0, np.zeros(2)
    for _ in range(12):
        azimuth = rng.uniform(*kind.azimuth) * rng.choice((-1.0, 1.0))
        way = row[YAW] + azimuth
        far = max(rng.uniform(*kind.travel) * height, least)
        travel = far * np.array([np.cos(way), np.sin(way)])
        if actor.area.contains(row[ROOT][:2] + travel, 0.05):
            return azimuth, travel
    return azimuth, actor.area.clip(row[ROOT][:2] + travel, 0.05) - row[ROOT][:2]


def _past_seat(actor: Actor) -> float:
    """How far the pelvis must go to be clear of the seat it is on, in metres; 0: it is on none."""
    for seat in actor.seats:
        if np.hypot(*(actor.row[ROOT][:2] - seat.centre_m[0, :2])) < 0.5 * min(seat.size_m[:2]):
            return float(0.5 * np.hypot(*seat.size_m[:2]) + PAST_SEAT_M)
    return 0.0


def _path(
    origin: Array, end: Array, travel: Array, lean: Array, sink: Array, *, buckle: float
) -> Array:
    """Of the pelvis: on an arc about the feet, or straight down."""
    angle = 0.5 * np.pi * lean
    arc = 1.0 - np.cos(angle)
    down = arc + (sink - arc) * buckle
    height = origin[2] + (end[2] - origin[2]) * down
    aside = np.sin(angle) + (sink - np.sin(angle)) * buckle
    return np.concatenate([origin[:2] + travel * aside[:, None], height[:, None]], axis=-1)


def _limbs(
    rng: np.random.Generator, kind: _Kind, down_s: float, origin: Array, end: Array, *, low: bool
) -> tuple[Array, Array]:
    """Keys of arms, legs, trunk and head: startled, bracing, down."""
    startled, bracing = origin.copy(), end.copy()
    brace = rng.random() < kind.brace
    forward = abs(kind.azimuth[1]) < 1.0
    for side in range(2):
        arm = slice(ARMS.start + 4 * side, ARMS.start + 4 * side + 4)
        if not brace:
            startled[arm] += np.radians(rng.uniform((-10, 0, -10, 0), (10, 15, 10, 20)))
            bracing[arm] = 0.5 * (startled[arm] + end[arm])
        elif forward:
            startled[arm] = np.radians(rng.uniform((35, 10, 0, 30), (75, 35, 30, 70)))
            bracing[arm] = np.radians(rng.uniform((70, 10, 0, 20), (110, 35, 40, 60)))
        else:
            startled[arm] = np.radians(rng.uniform((10, 30, -10, 20), (70, 80, 20, 70)))
            bracing[arm] = np.radians(rng.uniform((-45, 25, -30, 10), (-10, 70, 10, 50)))
        leg = slice(LEGS.start + 5 * side, LEGS.start + 5 * side + 5)
        if low:  # legs that are folded stretch only as the body comes to lie
            bracing[leg] = origin[leg] + rng.uniform(0.2, 0.6) * (end[leg] - origin[leg])
            continue
        startled[leg] = np.radians(rng.uniform((5, 0, 0, 10, 0), (30, 8, 0, 40, 20)))
        bracing[leg] = np.radians(rng.uniform((10, 0, -5, 20, 10), (45, 15, 5, 75, 40)))
    tuck = 25.0 if kind.azimuth[0] > 2.0 else -8.0
    fold = rng.uniform(*kind.fold)
    bracing[SPINE] = np.radians(rng.uniform((-15, 0.5 * fold, -10), (15, fold, 10)))
    bracing[HEAD] = np.radians(
        [rng.uniform(-8, 8), tuck + rng.uniform(-5, 10), rng.uniform(-20, 20)]
    )
    startled[SPINE] = 0.5 * origin[SPINE] + 0.5 * bracing[SPINE]
    times = down_s * np.array([0.0, rng.uniform(0.35, 0.5), rng.uniform(0.8, 0.9)])
    rest_s = down_s + rng.uniform(0.08, 0.16)
    return np.array([*times, rest_s]), np.array([origin, startled, bracing, end])


def _try_a_step(rng: np.random.Generator, rows: Array, u: Array, travel: Array) -> None:
    """One foot is put where the body goes, in vain."""
    start = FEET.start + 5 * rng.integers(0, 2)
    when = np.clip((u - rng.uniform(0.05, 0.15)) / 0.35, 0.0, 1.0)
    rows[:, start : start + 2] += rng.uniform(0.3, 0.7) * travel * smoothstep(when)[:, None]
    rows[:, start + 2] += 0.07 * np.sin(np.pi * when)
