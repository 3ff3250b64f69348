# SPDX-License-Identifier: Apache-2.0
"""Takes of made people, measured on their joints alone, in float64: lengths, feet, ground, speeds,
labels, loads. None of it asks the code that moves them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.synthetic.motion import ACTIVITIES, Area, Plan, make_take, random_body
from poseact_engine.synthetic.rig import HARMLESS, NO_FALL, RATE_HZ, RIG_JOINTS, Body, Take
from poseact_engine.types import ACTIONS

Array = NDArray[np.float64]
AREA = Area(-3.0, 3.0, -2.5, 3.5)
SECONDS = 8.0
J = {name: index for index, name in enumerate(RIG_JOINTS)}
SIDES = ("left", "right")
CARRYING, FALLING, WALKING, LIFTING, STANDING, LYING = range(6)
PLANS: tuple[tuple[str, ...], ...] = (
    *((name,) for name in ACTIVITIES),
    ("walking", "standing", "falling_down"),
    ("lifting", "carrying", "falling_down"),
    ("carrying", "standing", "lifting", "carrying"),
    ("lying_down", "walking"),
    ("kneeling", "walking", "sitting"),
)
# Pairs of joints whose distance a skeleton does not change.
STIFF = (
    ("pelvis", "left_hip"), ("pelvis", "right_hip"), ("pelvis", "neck"), ("neck", "left_shoulder"),
    ("neck", "right_shoulder"), ("neck", "head_top"), ("neck", "nose"), ("nose", "left_ear"),
    ("left_eye", "right_eye"), ("left_ear", "right_ear"), ("nose", "head_top"),
    *((f"{s}_{a}", f"{s}_{b}") for s in SIDES for a, b in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand"), ("hip", "knee"),
        ("knee", "ankle"), ("ankle", "heel"), ("ankle", "toe"), ("heel", "toe"))),
)  # fmt: skip


@cache
def take_of(plan: tuple[str, ...], seed: int) -> Take:
    rng = np.random.default_rng([seed, PLANS.index(plan)])
    return make_take(rng, seconds=SECONDS, area=AREA, plan=Plan.from_names(plan))


def joints(take: Take) -> Array:
    return take.joints_m.astype(np.float64)


def radii(body: Body) -> Array:
    """Of the thickest bone at each joint."""
    largest = np.zeros(len(RIG_JOINTS))
    for bone in body.bones:
        largest[bone.a] = max(largest[bone.a], bone.radius_a_m)
        largest[bone.b] = max(largest[bone.b], bone.radius_b_m)
    return largest


def bend(joints_m: Array, a: str, b: str, c: str) -> Array:
    """Angle at b in degrees, 0 stretched."""
    first, second = joints_m[:, J[b]] - joints_m[:, J[a]], joints_m[:, J[c]] - joints_m[:, J[b]]
    cosine = np.sum(first * second, -1) / np.linalg.norm(first, axis=-1)
    cosine = cosine / np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


@pytest.fixture(params=[(plan, seed) for plan in PLANS for seed in range(2)], ids=str)
def take(request: pytest.FixtureRequest) -> Take:
    return take_of(*request.param)


def test_a_take_has_the_shapes_it_promises(take: Take) -> None:
    count = round(SECONDS * RATE_HZ) + 1
    assert take.joints_m.shape == (count, len(RIG_JOINTS), 3)
    assert take.joints_m.dtype == np.float32
    assert take.actions.shape == (count,)
    assert take.actions.dtype == np.int8
    assert take.seconds == pytest.approx(SECONDS)
    assert np.isfinite(take.joints_m).all()
    assert set(take.actions) <= {NO_FALL, HARMLESS, *range(len(ACTIONS))}
    for crate in take.loads:
        assert crate.centre_m.shape == (count, 3)
        assert crate.yaw_rad.shape == (count,)
    for crate in take.seats:
        assert crate.centre_m.shape == (1, 3)
        assert crate.yaw_rad.shape == (1,)
        assert crate.centre_m[0, 2] == pytest.approx(0.5 * crate.size_m[2], abs=1e-5)


def test_every_length_of_the_body_is_kept(take: Take) -> None:
    moving = joints(take)
    for a, b in STIFF:
        length = np.linalg.norm(moving[:, J[a]] - moving[:, J[b]], axis=-1)
        assert np.ptp(length) < 1e-4, (a, b)


def test_lengths_hold_for_a_camera_that_looks_between_two_samples(take: Take) -> None:
    """At 30 fps with an offset of half a sample: cameras interpolate linearly."""
    moving = joints(take)
    between = 0.5 * (moving[:-1:2] + moving[1::2])
    for a, b in STIFF:
        length = np.linalg.norm(moving[0, J[a]] - moving[0, J[b]])
        made = np.linalg.norm(between[:, J[a]] - between[:, J[b]], axis=-1)
        assert np.abs(made - length).max() < 0.01, (a, b)


def test_nothing_jumps(take: Take) -> None:
    """Hands of people who fall reach 10 m/s; a jump of 20 cm between samples would be 12 m/s."""
    speed = np.linalg.norm(np.diff(joints(take), axis=0), axis=-1) * RATE_HZ
    assert speed.max() < 13.0
    pelvis = speed[:, J["pelvis"]]
    assert np.abs(np.diff(pelvis)).max() < 1.2  # 7 g, as when a falling body meets the ground


def test_nobody_is_in_the_ground_or_above_it(take: Take) -> None:
    low = (joints(take)[..., 2] - radii(take.body)).min(axis=1)
    assert low.min() > -0.02
    # Who changes between low postures may lift both feet; who falls may, too.
    resting = ~np.isin(take.actions, (FALLING, NO_FALL, HARMLESS))
    assert low[resting].max(initial=0.0) < 0.04
    assert low[take.actions == HARMLESS].max(initial=0.0) < 0.08


def test_the_pelvis_stays_in_the_area(take: Take) -> None:
    pelvis = joints(take)[:, J["pelvis"], :2]
    assert (pelvis >= [AREA.x0, AREA.y0]).all()
    assert (pelvis <= [AREA.x1, AREA.y1]).all()


def test_knees_and_elbows_bend_as_they_can(take: Take) -> None:
    moving = joints(take)
    for side in SIDES:
        assert bend(moving, f"{side}_hip", f"{side}_knee", f"{side}_ankle").max() < 162
        assert bend(moving, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist").max() < 160


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("plan", [("walking",), ("standing",), ("carrying",)])
def test_knees_of_people_on_their_feet_bend_forward(plan: tuple[str, ...], seed: int) -> None:
    moving = joints(take_of(plan, seed))
    left = moving[:, J["left_hip"]] - moving[:, J["right_hip"]]
    ahead = np.stack([left[:, 1], -left[:, 0]], axis=-1)
    ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
    for side in SIDES:
        hip, knee, ankle = (moving[:, J[f"{side}_{j}"]] for j in ("hip", "knee", "ankle"))
        share = np.linalg.norm(knee - hip, axis=-1) / (
            np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
        )
        line = hip + (ankle - hip) * share[:, None]
        assert np.sum((knee - line)[:, :2] * ahead, axis=-1).min() > -0.02


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("plan", [("walking",), ("carrying",)])
def test_feet_do_not_slide(plan: tuple[str, ...], seed: int) -> None:
    """Wherever both ends of a foot are on the ground, it stays; one foot always does."""
    take = take_of(plan, seed)
    moving, body = joints(take), take.body
    speed = np.linalg.norm(np.diff(moving[..., :2], axis=0), axis=-1) * RATE_HZ
    some = np.zeros(len(speed), bool)
    for side in SIDES:
        ends = [J[f"{side}_heel"], J[f"{side}_toe"]]
        flat = (moving[:-1, ends, 2] < radii(body)[ends] + 0.004).all(axis=1)
        assert flat.mean() > 0.15
        # Each stance by itself: from where the foot came flat it moves less than 1 cm.
        edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            way = moving[start:stop, J[f"{side}_toe"], :2]
            assert np.linalg.norm(way - way[0], axis=-1).max() < 0.012
        some |= (speed[:, ends] < 0.12).any(axis=1)
    assert some.mean() > 0.9


@pytest.mark.parametrize("seed", range(6))
def test_people_walk_as_fast_as_people_do(seed: int) -> None:
    take = take_of(("walking",), seed)
    pelvis = joints(take)[:, J["pelvis"], :2]
    speed = np.linalg.norm(pelvis[30:] - pelvis[:-30], axis=-1) / 0.5
    walking = (take.actions[15:-15] == WALKING)[: len(speed)]
    assert 0.35 < np.median(speed[walking]) < 2.0
    # A stride of each foot takes 0.8 to 1.8 s: swings counted by how often a foot is raised.
    raised = joints(take)[:, J["left_ankle"], 2] > 0.75 * np.ptp(joints(take)[:, 15, 2]) + 0.06
    swings = np.count_nonzero(np.diff(raised.astype(int)) == 1)
    assert SECONDS / 1.9 - 2 <= swings <= SECONDS / 0.7


@pytest.mark.parametrize("name", [*ACTIONS, "sitting", "kneeling", "crouching", "bending"])
def test_what_was_planned_is_labelled(name: str) -> None:
    label = ACTIONS.index(name) if name in ACTIONS else HARMLESS
    for seed in range(2):
        assert np.count_nonzero(take_of((name,), seed).actions == label) > 0.6 * RATE_HZ


def test_lying_people_are_low_and_standing_people_are_not() -> None:
    for plan in PLANS:
        for seed in range(2):
            take = take_of(plan, seed)
            head = joints(take)[:, J["nose"], 2] / take.body.height_m
            assert (head[take.actions == LYING] < 0.35).all(), plan
            assert (head[np.isin(take.actions, (STANDING, WALKING))] > 0.75).all(), plan


def test_the_same_seed_makes_the_same_take() -> None:
    made = [make_take(np.random.default_rng(5), seconds=6.0, area=AREA) for _ in range(2)]
    assert np.array_equal(made[0].joints_m, made[1].joints_m)
    assert np.array_equal(made[0].actions, made[1].actions)
    other = make_take(np.random.default_rng(6), seconds=6.0, area=AREA)
    assert not np.array_equal(made[0].joints_m, other.joints_m)


def test_drawn_plans_show_everything_in_fair_shares() -> None:
    takes = [make_take(np.random.default_rng(s), seconds=8.0, area=AREA) for s in range(100)]
    labels = np.concatenate([take.actions for take in takes])
    share = {label: float(np.mean(labels == label)) for label in range(-3, 6)}
    assert all(share[label] > 0.05 for label in (CARRYING, WALKING, LIFTING, STANDING, LYING))
    assert share[FALLING] > 0.015
    assert share[HARMLESS] > 0.04
    assert 0.01 < share[NO_FALL] < 0.15
    assert 0.18 < np.mean([bool(take.falls) for take in takes]) < 0.45


def test_people_keep_away_from_one_another() -> None:
    """Where there is room for both."""
    area, near = Area(-5.0, 5.0, -5.0, 5.0), []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        first = make_take(rng, seconds=6.0, area=area, plan=Plan.from_names(["walking"]))
        plan = Plan.from_names(["walking"])
        second = make_take(rng, seconds=6.0, area=area, plan=plan, avoid=[first])
        gap = joints(first)[:, J["pelvis"], :2] - joints(second)[:, J["pelvis"], :2]
        near.append(np.linalg.norm(gap, axis=-1).min())
    assert np.sort(near)[1] > 0.6


def test_bodies_vary_as_adults_do() -> None:
    bodies = [random_body(np.random.default_rng(seed)) for seed in range(60)]
    heights = np.array([body.height_m for body in bodies])
    assert heights.min() >= 1.5
    assert heights.max() <= 1.95
    assert heights.std() > 0.06
    girth = [body.bones[0].radius_a_m for body in bodies]
    assert max(girth) / min(girth) > 1.3


def test_somebody_who_stands_is_as_tall_as_the_body_says() -> None:
    take = take_of(("standing",), 0)
    top = joints(take)[:, J["head_top"], 2].max() + radii(take.body)[J["head_top"]]
    assert top == pytest.approx(take.body.height_m, abs=0.05)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Area(0, 1, 0, 5), "area of at least 2 m"),
        (lambda: Area(0, float("nan"), 0, 5), "area of at least 2 m"),
        (lambda: Plan.from_names([]), "got none"),
        (lambda: Plan.from_names(["walking", "flying"]), "'flying'"),
        (lambda: Plan.draw(np.random.default_rng(0), 8.0, allowed=["x"]), "'x'"),
        (lambda: make_take(np.random.default_rng(0), seconds=0.1, area=AREA), "0.5 seconds"),
        (lambda: make_take(np.random.default_rng(0), seconds=float("inf"), area=AREA), "got inf"),
    ],
)
def test_wrong_input_is_told(call, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call()


@pytest.mark.parametrize("allowed", [("standing",), ("walking", "falling_down"), ACTIONS])
def test_a_restricted_plan_has_nothing_else(allowed: tuple[str, ...]) -> None:
    for seed in range(40):
        plan = Plan.draw(np.random.default_rng(seed), 20.0, allowed=allowed)
        assert set(plan.activities) <= set(allowed)
