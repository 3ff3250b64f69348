# SPDX-License-Identifier: Apache-2.0
"""Taking a load from the ground or a low table, and putting it down again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.body import JOINT
from poseact_engine.synthetic.motion.actor import LIFTING, Actor
from poseact_engine.synthetic.motion.controls import (
    ARMS,
    GRIP,
    HEAD,
    LOAD,
    PELVIS,
    ROOT,
    SPINE,
    YAW,
    keyframes,
    samples,
)
from poseact_engine.synthetic.motion.kinematics import Pose
from poseact_engine.synthetic.motion.loads import Hold, Load, hold_load, random_load, still
from poseact_engine.synthetic.rig import HARMLESS, RATE_HZ
from poseact_engine.synthetic.rotations import apply, turn

Array = NDArray[np.float64]
TABLE_CHANCE, TABLES_M = 0.35, (0.3, 0.7)
SAME_PLACE_M = 0.15
REACH = 0.9
"""How far the arms are stretched when the hands take hold, of their length."""
BEND_S, RAISE_S = (0.7, 1.4), (0.8, 1.6)


def bent(actor: Actor, row: Array, depth: Array, squat: float) -> Array:
    """Rows ``[len(depth), WIDTH]`` of somebody bending down on both feet: ``depth`` 0 to 1, with
    the back (``squat`` 0) or with the knees (1). Arms hang."""
    leg = actor.build.leg
    rows = np.repeat(row[None], len(depth), axis=0)
    tilt = np.radians(72.0 - 45.0 * squat) * depth
    curve = np.radians(42.0 - 6.0 * squat) * depth
    rows[:, PELVIS.start + 1] += tilt
    rows[:, SPINE.start + 1] += curve
    rows[:, HEAD.start + 1] -= 0.45 * (tilt + curve)
    back = (0.12 + 0.03 * squat) * leg * np.minimum(depth, 0.8)
    rows[:, :2] -= back[:, None] * turn(rows[:, YAW])[:, :2, 0]
    rows[:, ROOT.start + 2] -= (0.05 + 0.50 * squat) * leg * depth
    for side in range(2):
        rows[:, ARMS.start + 4 * side] += 0.92 * (tilt + curve)
    return rows


def lift(actor: Actor) -> None:
    """From standing: bend, take hold, rise. The load stands before the feet."""
    rng, base = actor.rng, actor.settled()
    load, spot = _at_hand(actor, base)
    actor.load = load
    low = _reaching(actor, base, load, spot)
    up = base[None].copy()
    hold_load(actor.build, load, up)
    bend_s, raise_s, pause_s = rng.uniform(*BEND_S), rng.uniform(*RAISE_S), rng.uniform(0.05, 0.25)
    ahead = base + 0.5 * (low - base)
    ahead[GRIP] = 0.0
    half = low + 0.5 * (up[0] - low)
    half[LOAD.start] = max(half[LOAD.start], up[0, LOAD.start] + 0.04)
    times = np.cumsum([0.0, 0.55 * bend_s, 0.45 * bend_s, pause_s, 0.55 * raise_s, 0.45 * raise_s])
    keys = np.stack([base, ahead, low, low, half, up[0]])
    start = actor.count
    rows = keyframes(times, keys, samples(times[-1]))
    actor.add(rows, LIFTING)
    taken = start + round(times[2] * RATE_HZ)
    actor.holds.append(Hold(load=load, start=taken, before=spot))


def put_down(actor: Actor) -> None:
    """What is carried, before the feet on the ground; harmless to a guard."""
    rng, load = actor.rng, actor.load
    assert load is not None
    base = actor.settled()
    up = base[None].copy()
    hold_load(actor.build, load, up)
    spot = _place(load, base, 0.5 * load.size_m[2])
    low = _reaching(actor, base, load, spot)
    after = base + 0.5 * (low - base)
    after[GRIP] = 0.0
    down_s, rise_s = rng.uniform(*RAISE_S), rng.uniform(*BEND_S)
    times = np.cumsum([0.0, down_s, 0.1, 0.45 * rise_s, 0.55 * rise_s])
    rows = keyframes(times, np.stack([up[0], low, low, after, base]), samples(times[-1]))
    start = actor.count
    actor.add(rows, HARMLESS)
    actor.holds[-1].stop = start + round((down_s + 0.1) * RATE_HZ)
    actor.holds[-1].spot = spot


def _at_hand(actor: Actor, base: Array) -> tuple[Load, Array]:
    """What stands before the feet, and where, ``[4]``: the load that was put down there, or
    another one."""
    last = actor.holds[-1] if actor.holds else None
    if last and last.spot is not None:
        near = _place(last.load, base, float(last.spot[2]))
        if np.linalg.norm(near - last.spot) < SAME_PLACE_M:
            return last.load, last.spot
    load = random_load(actor.rng, actor.build, lifted=True)
    return load, _new_spot(actor, load, base)


def _new_spot(actor: Actor, load: Load, base: Array) -> Array:
    """On the ground or on a table, which then stands there."""
    table, depth = 0.0, actor.build.hip_height * 0.8 - load.size_m[2]
    if load.kind == "box" and depth > TABLES_M[0] and actor.rng.random() < TABLE_CHANCE:
        table = float(actor.rng.uniform(TABLES_M[0], min(TABLES_M[1], depth)))
    spot = _place(load, base, table + 0.5 * load.size_m[2])
    if table:
        size = (load.size_m[0] + 0.15, load.size_m[1] + 0.2, table)
        centre = np.array([*spot[:2], 0.5 * table])
        actor.seats.append(still(size, centre, float(spot[3])))
    return spot


def _place(load: Load, base: Array, height: float) -> Array:
    feet_m = 0.16  # toes are that far before the ankles
    aside = 0.0 if load.kind == "box" else (0.1, -0.1)[load.side]
    ahead = feet_m + 0.06 + 0.5 * load.size_m[0]
    offset = apply(turn(base[YAW]), np.array([ahead, aside, 0.0]))
    middle = base[ROOT] + offset
    return np.array([middle[0], middle[1], height, base[YAW]])


def _reaching(actor: Actor, base: Array, load: Load, spot: Array) -> Array:
    """The row of the least bend in which the hands get hold of the load."""
    squat = float(np.clip(actor.rng.beta(1.2, 1.2), 0.0, 1.0))
    rows = bent(actor, base, np.linspace(0.0, 1.15, 47), squat)
    pose = Pose(actor.build, rows)
    hands = load.hands(spot[None])[0]
    sides = [side for side in range(2) if load.grips[side]]
    joints = [JOINT[("left_shoulder", "right_shoulder")[side]] for side in sides]
    gap = np.linalg.norm(pose.joints[:, joints] - hands[sides], axis=-1).max(axis=1)
    enough = np.flatnonzero(gap <= REACH * (actor.build.arm + actor.build.hand))
    row: Array = rows[enough[0] if len(enough) else int(gap.argmin())]
    away = spot[:3] - row[ROOT]
    row[LOAD] = (*apply(turn(-row[YAW]), away), 0.0)
    for side in sides:
        row[GRIP.start + side] = 1.0
    return row
