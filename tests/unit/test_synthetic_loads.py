# SPDX-License-Identifier: Apache-2.0
"""Loads of made people: they go with the hands, fall when let go, and stand still otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.synthetic.motion import Area, Plan, make_take
from poseact_engine.synthetic.rig import RATE_HZ, RIG_JOINTS, Take
from poseact_engine.types import ACTIONS

Array = NDArray[np.float64]
AREA = Area(-3.0, 3.0, -3.0, 3.0)
HANDS = [RIG_JOINTS.index("left_hand"), RIG_JOINTS.index("right_hand")]
CARRYING, LIFTING = ACTIONS.index("carrying"), ACTIONS.index("lifting")


def take_of(plan: tuple[str, ...], seed: int, seconds: float = 8.0) -> Take:
    plan_ = Plan.from_names(plan)
    return make_take(np.random.default_rng(seed), seconds=seconds, area=AREA, plan=plan_)


def hands_of(take: Take) -> Array:
    return take.joints_m[:, HANDS].astype(np.float64)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("plan", [("carrying",), ("lifting", "carrying", "falling_down")])
def test_hands_stay_at_what_they_carry(plan: tuple[str, ...], seed: int) -> None:
    """In the load's own axes the hand does not move, and the load never leaves the person."""
    take = take_of(plan, seed)
    (load,) = take.loads
    carrying = np.flatnonzero(take.actions == CARRYING)
    offset = hands_of(take) - load.centre_m[:, None]
    yaw = load.yaw_rad.astype(np.float64)
    own_x = np.cos(yaw)[:, None] * offset[..., 0] + np.sin(yaw)[:, None] * offset[..., 1]
    own_y = -np.sin(yaw)[:, None] * offset[..., 0] + np.cos(yaw)[:, None] * offset[..., 1]
    own = np.stack([own_x, own_y, offset[..., 2]], axis=-1)[carrying]
    holding = np.ptp(own, axis=0).max(axis=1) < 0.02
    assert holding.any()
    reach = np.linalg.norm(own, axis=-1)[:, holding]
    assert reach.max() < 0.5 * np.linalg.norm(load.size_m) + 0.1


def test_a_load_rises_from_the_ground_and_drops_in_a_fall() -> None:
    take = take_of(("lifting", "carrying", "falling_down"), 1)
    (load,), (fall,) = take.loads, take.falls
    height = load.centre_m[:, 2] - 0.5 * load.size_m[2]
    support = max((seat.size_m[2] for seat in take.seats), default=0.0)
    assert height[0] == pytest.approx(support, abs=0.01)
    assert height[take.actions == CARRYING].min() > 0.1
    assert height[-1] == pytest.approx(0.0, abs=0.01)
    down = np.diff(height[round(fall.start_s * RATE_HZ) :]) * RATE_HZ
    assert down.min() < -1.5  # fell freely: v = sqrt(2 g h), and h > 0.1 m
    assert height.min() > -0.01


@pytest.mark.parametrize("seed", range(6))
def test_loads_move_only_with_hands_or_freely_down(seed: int) -> None:
    """Also where several are carried one after the other, or one is taken up again."""
    plan = ("carrying", "walking", "lifting", "carrying", "standing", "lifting")
    take = take_of(plan, seed, 24.0)
    assert len(take.loads) >= 2
    hands = hands_of(take)
    for load in take.loads:
        centre = load.centre_m.astype(np.float64)
        speed = np.linalg.norm(np.diff(centre, axis=0), axis=-1) * RATE_HZ
        assert speed.max() < 5.0
        held = np.linalg.norm(hands - centre[:, None], axis=-1).min(axis=1)
        near = held < 0.5 * np.linalg.norm(load.size_m) + 0.1
        falling = np.diff(centre[:, 2]) * RATE_HZ < -0.1
        assert (near[:-1] | falling | (speed < 0.05)).all()
        assert centre[:, 2].min() > 0.5 * load.size_m[2] - 0.01


@pytest.mark.parametrize("seed", range(6))
def test_who_lifts_bends_down_to_the_load_and_comes_up_with_it(seed: int) -> None:
    take = take_of(("lifting", "carrying"), seed)
    lifting = np.flatnonzero(take.actions == LIFTING)
    (load,) = take.loads
    head = take.joints_m[:, 0, 2].astype(np.float64)
    middle = lifting[len(lifting) // 4 : -len(lifting) // 4]
    assert head[middle].min() < 0.9 * head[lifting[-1]]
    rise = load.centre_m[lifting[-1], 2] - load.centre_m[lifting[0], 2]
    assert rise > 0.05
    assert np.ptp(load.centre_m[: lifting[0] + 10], axis=0).max() < 1e-6
