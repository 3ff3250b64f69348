# SPDX-License-Identifier: Apache-2.0
"""A take: one person acts a plan."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.synthetic.body import JOINT, random_build
from poseact_engine.synthetic.motion.acting import act
from poseact_engine.synthetic.motion.actor import Actor, Style
from poseact_engine.synthetic.motion.area import Area
from poseact_engine.synthetic.motion.controls import (
    ARMS,
    GRIP,
    GROUND,
    HEAD,
    PELVIS,
    SPINE,
    smooth_noise,
)
from poseact_engine.synthetic.motion.kinematics import Pose
from poseact_engine.synthetic.motion.loads import Hold, Load, crate, follow
from poseact_engine.synthetic.motion.plan import Plan
from poseact_engine.synthetic.rig import RATE_HZ, Crate, Fall, Take

Array = NDArray[np.float64]
SHORTEST_S = 0.5
_LIVELY = ((PELVIS, (0.5, 0.4, 0.8)), (SPINE, (0.7, 0.9, 1.0)), (HEAD, (0.8, 1.2, 2.5)))
"""Degrees of small movements; the arms move by 1.5."""


def make_take(
    rng: np.random.Generator,
    *,
    seconds: float,
    area: Area,
    plan: Plan | None = None,
    avoid: Sequence[Take] = (),
) -> Take:
    """One person in ``area`` for so long, by ``plan`` (none: a likely one is drawn), away from the
    people of ``avoid`` where there is room. The same generator state makes the same take."""
    if not (math.isfinite(seconds) and seconds >= SHORTEST_S):
        raise ConfigError(f"synthetic: expected at least {SHORTEST_S:g} seconds, got {seconds}")
    plan = plan or Plan.draw(rng, seconds)
    actor = Actor(
        rng=rng, build=random_build(rng), style=Style.draw(rng), area=area, avoid=tuple(avoid)
    )
    act(actor, plan, seconds)
    return _finish(actor, round(seconds * RATE_HZ) + 1)


def _finish(actor: Actor, count: int) -> Take:
    last = actor.lead + count
    rows = np.concatenate(actor.parts)[:last]
    _enliven(actor, rows)
    pose = Pose(actor.build, rows)
    pose.legs()
    goals, loads = _loads(actor, pose)
    pose.arms(goals, rows[:, GRIP])
    span = slice(actor.lead, last)
    return Take(
        body=actor.build.body,
        joints_m=pose.joints[span].astype(np.float32),
        actions=np.concatenate(actor.labels)[span],
        loads=loads,
        seats=tuple(actor.seats),
        falls=tuple(_falls(actor, count)),
    )


def _enliven(actor: Actor, rows: Array) -> None:
    """Small movements of whoever is not at rest on the ground."""
    size = np.radians(actor.style.lively) * (1.0 - 0.8 * rows[:, GROUND, None])
    for part, degrees in _LIVELY:
        pace = actor.rng.uniform(0.25, 0.5)
        rows[:, part] += smooth_noise(actor.rng, len(rows), 3, pace) * size * degrees
    rows[:, ARMS] += smooth_noise(actor.rng, len(rows), 8, 0.3) * size * 1.5
    elbows = [ARMS.start + 3, ARMS.start + 7]
    rows[:, elbows] = np.maximum(rows[:, elbows], 0.02)


def _loads(actor: Actor, pose: Pose) -> tuple[Array, tuple[Crate, ...]]:
    """Goals of the hands, ``[n, 2, 3]``, and all loads as others see them."""
    goals = np.zeros((len(pose.rows), 2, 3))
    pelvis = pose.joints[:, JOINT["pelvis"]]
    crates: list[Crate] = []
    free = 0
    for load, holds in _by_load(actor, len(pose.rows)):
        place = follow(holds, pelvis, pose.rows)
        # Hands let go of one load before they reach for another.
        begin = (free + holds[0].start) // 2 if crates else 0
        goals[begin:] = load.hands(place[begin:])
        free = holds[-1].stop
        crates.append(crate(load, place[actor.lead :]))
    return goals, tuple(crates)


def _by_load(actor: Actor, count: int) -> list[tuple[Load, list[Hold]]]:
    """The times in which each load is held; those within the take."""
    found: list[tuple[Load, list[Hold]]] = []
    for hold in actor.holds:
        if hold.start >= count:
            continue
        if not found or found[-1][0] is not hold.load:
            found.append((hold.load, []))
        found[-1][1].append(hold)
    return found


def _falls(actor: Actor, count: int) -> list[Fall]:
    """Those that end within the take, in its own seconds."""
    lead_s = actor.lead / RATE_HZ
    falls = [Fall(start_s=f.start_s - lead_s, end_s=f.end_s - lead_s) for f in actor.falls]
    return [fall for fall in falls if fall.end_s * RATE_HZ <= count - 1]
