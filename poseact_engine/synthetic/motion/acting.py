# SPDX-License-Identifier: Apache-2.0
"""A plan becomes motion: how long each activity lasts, and what must come before it."""

from __future__ import annotations

import numpy as np

from poseact_engine.synthetic.motion.actor import CARRYING, STANDING, Actor
from poseact_engine.synthetic.motion.controls import GROUND, hold, samples
from poseact_engine.synthetic.motion.falling import fall
from poseact_engine.synthetic.motion.ground import lower, rise
from poseact_engine.synthetic.motion.lifting import lift, put_down
from poseact_engine.synthetic.motion.loads import Hold, hold_load, random_load
from poseact_engine.synthetic.motion.lying import lie, lie_from_the_start
from poseact_engine.synthetic.motion.plan import Plan
from poseact_engine.synthetic.motion.postures import bend, crouch, kneel, sit
from poseact_engine.synthetic.motion.standing import shift_feet, stand
from poseact_engine.synthetic.motion.walking import walk
from poseact_engine.synthetic.rig import RATE_HZ

FIXED_S = {"lifting": 2.8, "falling_down": 1.4, "lowering": 3.6, "getting_up": 3.6}
"""About how long what cannot be stretched takes."""
LEAST_S = 1.3
"""Of what can be stretched."""
LEADS_S = (1.2, 2.0)
"""Most who walk or stand in a take do so already when it begins: so much is cut off."""
HURRIES = 0.1
"""Chance that somebody walks faster than is their way."""
STUMBLES = 0.6
"""Chance that a fall after walking comes in the middle of a step."""
FAINTS = 0.5
"""Chance that a fall after sitting, kneeling, crouching or bending begins down there."""
LOW = {"sitting": sit, "kneeling": kneel, "crouching": crouch, "bending": bend}
EMPTY_HANDED = {"walking", "standing", "lifting", "lowering", "lying_down", "getting_up", *LOW}


def act(actor: Actor, plan: Plan, seconds: float) -> None:
    """All of the plan that fits into the time, and then what was last goes on."""
    names = plan.activities
    _begin(actor, names[0])
    end = seconds + actor.lead / RATE_HZ + 0.1
    for number, name in enumerate(names):
        left = end - actor.count / RATE_HZ
        faints = name == "falling_down" and actor.low
        if number and left < FIXED_S.get(name, LEAST_S) and not faints:
            break
        following = names[number + 1] if number + 1 < len(names) else ""
        _prepare(actor, name)
        share = _share(actor, names[number:], left)
        if not number:
            share = max(share, actor.lead / RATE_HZ + LEAST_S)
        _perform(actor, name, following, share)
    left = end - actor.count / RATE_HZ
    if left > 0.0:
        _go_on(actor, left)
    # Two samples only stood for what was before the beginning.
    actor.mark(int(np.concatenate(actor.labels)[2]), 0, 2)


def _begin(actor: Actor, first: str) -> None:
    rng = actor.rng
    if first in ("lying_down", "getting_up"):
        lie_from_the_start(actor)
        return
    spots = [actor.area.draw(rng, 0.8) for _ in range(12)]
    clear = [actor.clearance(np.repeat(spot[None], 120, axis=0)) for spot in spots]
    free = [spot for spot, distance in zip(spots, clear, strict=True) if distance > 1.0]
    spot = free[0] if free else spots[int(np.argmax(clear))]
    row = actor.upright(spot, float(rng.uniform(-np.pi, np.pi)))
    shift_feet(actor, row)
    if first == "carrying":
        actor.load = random_load(rng, actor.build, lifted=False)
        actor.holds.append(Hold(load=actor.load, start=0))
        hold_load(actor.build, actor.load, row[None])
    if first in ("walking", "carrying", "standing") and rng.random() < 0.8:
        actor.lead = samples(rng.uniform(*LEADS_S))
    actor.add(hold(row, 2), CARRYING if first == "carrying" else STANDING)


def _prepare(actor: Actor, name: str) -> None:
    """Bring the body to where this activity can begin."""
    lies = actor.row[GROUND] > 0.5
    if lies and name not in ("lying_down", "getting_up"):
        rise(actor)
    if actor.carries and name in EMPTY_HANDED:
        put_down(actor)
    if name == "carrying" and not actor.carries:
        lift(actor)
    if name in ("lying_down", "getting_up") and not lies:
        lower(actor)


def _share(actor: Actor, names: tuple[str, ...], left: float) -> float:
    """Of the time that is left, for the first of these."""
    fixed = sum(FIXED_S.get(name, 0.0) for name in names[1:])
    lying = 0.0
    if "falling_down" in names[1:]:
        lying = actor.rng.uniform(1.0, max(1.2, 0.55 * left))
    stretchy = [name for name in names[1:] if name not in FIXED_S]
    free = left - fixed - lying
    weights = actor.rng.uniform(0.6, 1.4, len(stretchy) + 1)
    return max(LEAST_S, float(free * weights[0] / weights.sum()))


def _perform(actor: Actor, name: str, following: str, seconds: float) -> None:
    start = actor.count
    if name == "walking":
        stumbles = following == "falling_down" and actor.rng.random() < STUMBLES
        pace = actor.rng.uniform(1.25, 1.6) if actor.rng.random() < HURRIES else 1.0
        walk(actor, seconds, stop=not stumbles and following != "", pace=pace)
    elif name == "carrying":
        _carry(actor, seconds, following)
    elif name == "standing":
        stand(actor, seconds)
    elif name in LOW:
        faints = following == "falling_down" and actor.rng.random() < FAINTS
        LOW[name](actor, seconds, back=not faints)
    elif name == "lying_down":
        lie(actor, seconds)
    else:
        if name == "getting_up" and start < 3:
            lie(actor, min(seconds, actor.rng.uniform(0.8, 2.5)))
        {"lifting": lift, "falling_down": fall, "lowering": lower, "getting_up": rise}[name](actor)


def _carry(actor: Actor, seconds: float, following: str) -> None:
    """Mostly walking, now and then standing with the load."""
    rng = actor.rng
    stands = rng.uniform(0.3, 0.6) * seconds if rng.random() < 0.3 else 0.0
    if stands > LEAST_S:
        stand(actor, stands)
    rest = seconds - (stands if stands > LEAST_S else 0.0)
    stumbles = following == "falling_down" and rng.random() < STUMBLES
    walk(actor, rest, stop=not stumbles and following != "", pace=rng.uniform(0.75, 1.0))


def _go_on(actor: Actor, seconds: float) -> None:
    if actor.row[GROUND] > 0.5:
        lie(actor, seconds)
    else:
        stand(actor, seconds)
