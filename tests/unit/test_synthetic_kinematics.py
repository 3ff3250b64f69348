# SPDX-License-Identifier: Apache-2.0
"""Rotations against SciPy's, two-bone reach against the law of cosines, curves against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BSpline, PchipInterpolator
from scipy.spatial.transform import Rotation

from poseact_engine.synthetic.body import random_build
from poseact_engine.synthetic.motion.area import Area, random_way
from poseact_engine.synthetic.motion.controls import DT_S, WIDTH, join, keyframes, smooth_noise
from poseact_engine.synthetic.motion.limbs import above_ground, two_bones
from poseact_engine.synthetic.rig import RIG_JOINTS
from poseact_engine.synthetic.rotations import rotate, swing_twist, tilt, turn, unit

RNG_SEED = 3


def vectors(count: int, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(RNG_SEED).normal(0.0, scale, (count, 3))


@pytest.mark.parametrize("scale", [1e-7, 0.3, 2.0])
def test_rotations_are_those_of_scipy(scale: float) -> None:
    given = vectors(200, scale)
    assert np.allclose(rotate(given), Rotation.from_rotvec(given).as_matrix(), atol=1e-12)
    angle = given[:, 0]
    about_z, about_y = (Rotation.from_euler(a, angle[:, None]).as_matrix() for a in "zy")
    assert np.allclose(turn(angle), about_z, atol=1e-12)
    assert np.allclose(tilt(angle), about_y, atol=1e-12)


def test_swing_and_twist_are_a_twist_and_then_a_swing() -> None:
    given = vectors(100)
    swing = Rotation.from_rotvec(given * [1.0, 1.0, 0.0])
    twist = Rotation.from_rotvec(given * [0.0, 0.0, 1.0])
    assert np.allclose(swing_twist(given), (swing * twist).as_matrix(), atol=1e-12)


def test_two_bones_reach_their_goal_with_the_angle_of_the_law_of_cosines() -> None:
    first, second = 0.42, 0.38
    goal = unit(vectors(300)) * np.linspace(0.05, 0.79, 300)[:, None]
    pole = vectors(300)[::-1]
    bones = two_bones(np.zeros((300, 3)), goal, (first, second), pole)
    assert np.allclose(np.linalg.norm(bones, axis=-1), 1.0, atol=1e-9)
    assert np.allclose(bones[:, 0] * first + bones[:, 1] * second, goal, atol=1e-9)
    distance = np.linalg.norm(goal, axis=-1)
    inner = np.arccos((first**2 + second**2 - distance**2) / (2 * first * second))
    bend = np.pi - np.arccos(np.clip(np.sum(bones[:, 0] * bones[:, 1], axis=-1), -1, 1))
    assert np.allclose(bend, inner, atol=1e-6)
    aside = pole - goal * np.sum(pole * goal, axis=-1, keepdims=True) / distance[:, None] ** 2
    assert (np.sum(bones[:, 0] * aside, axis=-1) >= -1e-9).all()


def test_a_goal_out_of_reach_draws_the_limb_towards_it() -> None:
    bones = two_bones(np.zeros((1, 3)), np.array([[0.0, 0.0, -2.0]]), (0.4, 0.4), np.eye(3)[:1])
    assert bones[0, :, 2].max() < -0.99


def test_a_bone_ends_above_the_ground_and_keeps_its_way() -> None:
    down = unit(vectors(200) * [1.0, 1.0, 3.0])
    start = np.column_stack([np.zeros(200), np.zeros(200), np.linspace(0.05, 0.6, 200)])
    raised = above_ground(start, down, 0.4, 0.05)
    assert np.allclose(np.linalg.norm(raised, axis=-1), 1.0, atol=1e-9)
    assert (start[:, 2] + 0.4 * raised[:, 2]).min() > 0.05 - 1e-9
    side = unit(down * [1.0, 1.0, 0.0])
    assert np.allclose(unit(raised * [1.0, 1.0, 0.0]), side, atol=1e-9)


def test_keyframes_are_scipys_monotone_curve_between_rests() -> None:
    rng = np.random.default_rng(RNG_SEED)
    times = np.array([0.0, 0.4, 0.8, 1.2, 1.6])  # even: SciPy weights uneven steps otherwise
    rows = rng.normal(0.0, 1.0, (5, 3))
    count = 96
    made = keyframes(times, rows, count)
    t = np.arange(count) * DT_S
    inner = (t >= 0.4) & (t <= 1.2)  # SciPy's ends are not at rest
    assert np.allclose(made[inner], PchipInterpolator(times, rows)(t[inner]), atol=1e-9)
    assert np.abs(made[1] - made[0]).max() < 0.02
    assert np.allclose(made[0], rows[0])


def test_parts_are_joined_without_a_jump_in_place_or_speed() -> None:
    t = np.arange(120) * DT_S
    before = np.sin(t)[:, None] * np.ones(WIDTH)
    after = 0.4 + 0.3 * np.cos(3 * t)[:, None] * np.ones(WIDTH)
    joined = np.concatenate([before, join(before, after, 0.35)])[:, 0]
    step = np.diff(joined) / DT_S
    assert np.abs(np.diff(step)).max() < 0.35  # an acceleration of 20 a second, no more
    assert np.allclose(joined[-60:], after[-60:, 0])


def test_facings_are_joined_the_short_way() -> None:
    before, after = np.full((5, WIDTH), 3.1), np.zeros((60, WIDTH))
    after[:, 3] = -3.1
    joined = join(before, after, 0.35)
    assert np.ptp(np.concatenate([before[:, 3], joined[:, 3]])) < 0.15


def test_noise_has_its_size_and_no_corners() -> None:
    noise = smooth_noise(np.random.default_rng(RNG_SEED), 6000, 4, 0.3)
    assert noise.std() == pytest.approx(1.0, abs=0.25)
    assert np.abs(np.diff(noise, axis=0)).max() < 0.4


def test_ways_stay_in_the_area_and_start_where_they_should() -> None:
    area = Area(-2.0, 2.0, -1.0, 3.0)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        start = np.array([*area.draw(rng), rng.uniform(-3, 3)])
        way = random_way(rng, area, start, 9.0)
        assert area.contains(way).all()
        assert np.allclose(way[0], start[:2])
        assert np.linalg.norm(np.diff(way, axis=0), axis=1).sum() >= 9.0


def test_a_way_is_a_uniform_cubic_spline() -> None:
    """SciPy's B-spline over the same corners passes the same points."""
    from poseact_engine.synthetic.motion.area import _spline

    corners = np.random.default_rng(RNG_SEED).normal(0, 1, (7, 2))
    spline = BSpline(np.arange(-3, 8), corners, 3)
    u = np.concatenate([k + np.linspace(0, 1, 32, endpoint=False) for k in range(4)])
    assert np.allclose(_spline(corners), spline(u), atol=1e-12)


def test_a_build_is_as_long_as_it_says() -> None:
    for seed in range(20):
        build = random_build(np.random.default_rng(seed))
        top = build.radius("head_top")
        height = build.ankle + build.shin + build.thigh + build.trunk + build.head[5, 2] + top
        assert height == pytest.approx(build.body.height_m, abs=1e-9)
        assert build.shoulder_half > build.hip_half
        used = {bone.a for bone in build.body.bones} | {bone.b for bone in build.body.bones}
        # Eyes and ears lie inside the head.
        assert used >= set(range(5, len(RIG_JOINTS)))
