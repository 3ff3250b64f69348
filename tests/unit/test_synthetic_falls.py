# SPDX-License-Identifier: Apache-2.0
"""Falls of made people against what is known of real ones: bodies accelerate downwards, hit the
ground with a few metres a second, and lie still. Measured on the joints alone."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.synthetic.motion import Area, Plan, acting, falling, make_take
from poseact_engine.synthetic.rig import HARMLESS, NO_FALL, RATE_HZ, RIG_JOINTS, Take
from poseact_engine.types import ACTIONS

Array = NDArray[np.float64]
AREA = Area(-3.0, 3.0, -3.0, 3.0)
FALLING, LYING = ACTIONS.index("falling_down"), ACTIONS.index("lying_down")
BEFORE = ("standing", "walking", "carrying")
NOSE, PELVIS = RIG_JOINTS.index("nose"), RIG_JOINTS.index("pelvis")
G = 9.81
FALLS = [(before, seed) for before in BEFORE for seed in range(8)]
LOWS = ("sitting", "kneeling", "crouching", "bending")
STAGED = [(before, seed) for before in ("standing", "walking", *LOWS) for seed in range(6)]


@cache
def fall_of(before: str, seed: int, *, staged: bool = False) -> Take:
    """At once; or in two stages: first down to the knees, or from where one is low already."""
    rng = np.random.default_rng([seed, (*BEFORE, *LOWS).index(before)])
    plan = Plan.from_names([before, "falling_down"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(falling, "GIVES_WAY", float(staged))
        patch.setattr(acting, "FAINTS", float(staged))
        return make_take(rng, seconds=7.0 if staged else 6.0, area=AREA, plan=plan)


def span(take: Take) -> tuple[int, int]:
    (fall,) = take.falls
    return round(fall.start_s * RATE_HZ), round(fall.end_s * RATE_HZ)


def assert_falls_and_lies(take: Take) -> None:
    """As labelled: from the start of the fall to the end of the take."""
    start, end = span(take)
    assert (take.actions[start : end + 1] == FALLING).all()
    assert (take.actions[end + 1 :] == LYING).all()


def heights(take: Take, joint: int) -> Array:
    return take.joints_m[:, joint, 2].astype(np.float64)


@pytest.mark.parametrize(("before", "seed"), FALLS)
def test_labels_of_a_fall_come_in_order(before: str, seed: int) -> None:
    take = fall_of(before, seed)
    start, end = span(take)
    assert 0.45 <= (end - start) / RATE_HZ <= 1.6
    assert_falls_and_lies(take)
    assert set(take.actions[:start]) <= {ACTIONS.index(before), NO_FALL}


@pytest.mark.parametrize(("before", "seed"), FALLS)
def test_a_fall_is_slow_at_first_and_fast_at_last(before: str, seed: int) -> None:
    take = fall_of(before, seed)
    start, end = span(take)
    head = heights(take, NOSE)
    third = (end - start) // 3
    lost = head[start] - head[end]
    assert lost > 0.45 * take.body.height_m
    # The first third of the time sees less than a third of the way.
    assert head[start] - head[start + third] < 0.3 * lost
    down = -np.gradient(head, 1 / RATE_HZ)[start : end + 1]
    assert 0.45 < down.argmax() / (end - start) < 0.95
    # Nothing falls faster than freely from its height, and a rod's end no faster than 1.23 of that.
    assert 1.5 < down.max() < 1.23 * np.sqrt(2 * G * head[start])


@pytest.mark.parametrize(("before", "seed"), FALLS)
def test_head_and_pelvis_meet_the_ground_as_bodies_do(before: str, seed: int) -> None:
    take = fall_of(before, seed)
    start, end = span(take)
    speed = np.linalg.norm(
        np.gradient(take.joints_m.astype(np.float64), 1 / RATE_HZ, axis=0), axis=-1
    )
    assert 1.7 < speed[start : end + 1, NOSE].max() < 7.0
    assert 1.0 < -np.gradient(heights(take, PELVIS), 1 / RATE_HZ)[start : end + 1].min() < 5.0
    # At rest: within a second after the end nothing moves faster than a limb that settles.
    after = speed[end + 20 : end + 60, :17]
    assert after.max() < 1.5


@pytest.mark.parametrize(("before", "seed"), FALLS)
def test_who_has_fallen_lies(before: str, seed: int) -> None:
    take = fall_of(before, seed)
    _, end = span(take)
    lying = take.joints_m[end:].astype(np.float64)
    trunk = [RIG_JOINTS.index(n) for n in ("pelvis", "neck", "left_hip", "right_hip")]
    assert lying[:, trunk, 2].max() < 0.40
    reach = np.ptp(lying[..., :2], axis=1).max(axis=1)
    assert (reach > 0.35 * take.body.height_m).all()


@pytest.mark.parametrize(("before", "seed"), STAGED)
def test_a_fall_in_stages_ends_as_others_do(before: str, seed: int) -> None:
    take = fall_of(before, seed, staged=True)
    start, end = span(take)
    assert 0.6 <= (end - start) / RATE_HZ <= 2.2
    assert_falls_and_lies(take)
    head, pelvis = heights(take, NOSE), heights(take, PELVIS)
    assert head[end] < 0.3 * take.body.height_m
    assert pelvis[end] < 0.3
    # No faster than one that falls at once, from higher up.
    down = -np.gradient(head, 1 / RATE_HZ)[start : end + 1]
    assert 1.0 < down.max() < 1.23 * np.sqrt(2 * G * 0.95 * take.body.height_m)


@pytest.mark.parametrize(("before", "seed"), [case for case in STAGED if case[0] not in LOWS])
def test_knees_that_give_way_come_before_the_fall_over(before: str, seed: int) -> None:
    take = fall_of(before, seed, staged=True)
    start, end = span(take)
    head, pelvis = heights(take, NOSE), heights(take, PELVIS)
    sunk = start + int(np.argmax(pelvis[start : end + 1] < 0.7 * pelvis[start]))
    # The trunk is still up when the pelvis has sunk, and goes down a good while later.
    assert head[sunk] - pelvis[sunk] > 0.15 * take.body.height_m
    over = start + int(np.argmax(head[start : end + 1] < 0.3 * take.body.height_m))
    assert over - sunk > 0.25 * RATE_HZ


@pytest.mark.parametrize(("before", "seed"), [case for case in STAGED if case[0] in LOWS])
def test_who_is_low_falls_from_there(before: str, seed: int) -> None:
    take = fall_of(before, seed, staged=True)
    start, _ = span(take)
    assert (take.actions[start - RATE_HZ // 3 : start] == HARMLESS).all()
    assert heights(take, NOSE)[start] < 0.88 * heights(take, NOSE)[: RATE_HZ // 2].max()


@pytest.mark.parametrize("before", LOWS)
def test_no_head_goes_up_first_of_who_falls_from_low_down(before: str) -> None:
    """A little it may: somebody who crouches and falls back rolls over the heels."""
    rises = []
    for seed in range(30):
        take = fall_of(before, seed, staged=True)
        start, end = span(take)
        head = heights(take, NOSE)[start:end]
        rises.append(head.max() - head[0])
    assert np.median(rises) < 0.1
    assert max(rises) < 0.35


def test_who_falls_off_a_seat_does_not_lie_in_it() -> None:
    trunk = [RIG_JOINTS.index(n) for n in ("nose", "neck", "pelvis", "left_hip", "right_hip")]
    for seed in range(30):
        take = fall_of("sitting", seed, staged=True)
        for seat in take.seats:
            across = take.joints_m[-1, trunk].astype(np.float64) - seat.centre_m[0]
            yaw = float(seat.yaw_rad[0])
            axes = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
            inside = np.abs(across[:, :2] @ axes.T) < 0.5 * np.array(seat.size_m[:2])
            assert not inside.all(axis=1).any()


def test_people_fall_in_all_directions() -> None:
    """The way from the pelvis to the head at rest, against the facing before the fall."""
    ways = []
    for seed in range(48):
        take = fall_of("standing", seed)
        start, end = span(take)
        upright, lying = take.joints_m[start].astype(float), take.joints_m[end].astype(float)
        left = upright[RIG_JOINTS.index("left_hip")] - upright[RIG_JOINTS.index("right_hip")]
        head = lying[NOSE] - lying[PELVIS]
        ahead = np.array([left[1], -left[0]])
        ways.append(np.arctan2(head[:2] @ left[:2], head[:2] @ ahead))
    quarter = np.bincount(np.round(np.array(ways) / (np.pi / 2)).astype(int) % 4, minlength=4)
    assert (quarter >= 4).all()


def test_sitting_kneeling_and_crouching_are_no_falls() -> None:
    for name in ("sitting", "kneeling", "crouching", "bending"):
        for seed in range(3):
            rng = np.random.default_rng(seed)
            take = make_take(rng, seconds=5.0, area=AREA, plan=Plan.from_names([name]))
            assert not take.falls
            assert not np.isin(take.actions, (FALLING, LYING)).any()
            assert np.count_nonzero(take.actions == HARMLESS) > RATE_HZ
            down = -np.gradient(heights(take, NOSE), 1 / RATE_HZ)
            assert down.max() < 2.4


def test_who_lies_down_on_purpose_is_slower_than_who_falls() -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        plan = Plan.from_names(["lowering", "lying_down", "getting_up", "standing"])
        take = make_take(rng, seconds=14.0, area=AREA, plan=plan)
        assert not take.falls
        assert not (take.actions == FALLING).any()
        lying = np.flatnonzero(take.actions == LYING)
        assert (take.actions[: lying[0]] == NO_FALL).sum() > 2 * RATE_HZ
        assert (take.actions == LYING).any()
        assert (-np.gradient(heights(take, NOSE), 1 / RATE_HZ)).max() < 2.2
        assert heights(take, NOSE)[-1] > 0.8 * take.body.height_m


def test_a_fall_that_is_cut_off_by_the_end_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(falling, "GIVES_WAY", 1.0)
    whole = cut = 0
    plan = Plan.from_names(["standing", "falling_down"])
    for seed in range(60):
        take = make_take(np.random.default_rng(seed), seconds=3.2, area=AREA, plan=plan)
        for fall in take.falls:
            assert 0.0 <= fall.start_s < fall.end_s <= 3.2
        if not take.falls and (take.actions == FALLING).any():
            assert take.actions[-1] == FALLING
            cut += 1
        whole += len(take.falls)
    assert whole >= 3
    assert cut >= 3
