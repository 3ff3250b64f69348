# SPDX-License-Identifier: Apache-2.0
"""What moves a body: one row of numbers per sample, all of them plain reals, so that poses blend.

Activities write these rows; ``kinematics`` turns them into joints. Angles are radians.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.rig import RATE_HZ

Array = NDArray[np.float64]

ROOT = slice(0, 3)
"""The pelvis in the world, metres."""
YAW = 3
"""Where the person faces; not wrapped."""
PELVIS = slice(4, 7)
"""Lean to the right, lean forward, twist to the left: against the facing."""
SPINE = slice(7, 10)
"""The same, of the trunk against the pelvis."""
HEAD = slice(10, 13)
"""The same, of the head against the trunk."""
ARMS = slice(13, 21)
"""Left, right: flexion (forward), abduction (outward), twist (inward), elbow."""
LEGS = slice(21, 31)
"""Left, right: flexion, abduction, twist inward, knee, toes down."""
FEET = slice(31, 41)
"""Left, right: where the flat foot stands (x, y, z under the ankle), its facing, toes down."""
PLANT = slice(41, 43)
"""Left, right: 1 puts the foot where FEET says, 0 leaves the leg to LEGS."""
LOAD = slice(43, 47)
"""Middle of the load in the facing's axes from the pelvis, and its turn against the facing."""
GRIP = slice(47, 49)
"""Left, right: 1 puts the hand to the load, 0 leaves the arm to ARMS."""
GROUND = 49
"""1 lets the trunk sink until it rests on the ground, 0 leaves the height to ROOT."""
LIMP = slice(50, 58)
"""Left arm, right arm, left leg, right leg, each upper and lower bone: 1 lets it sink until it lies
on the ground, as far as GROUND does so."""
WIDTH = 58

FOOT_YAWS = [34, 39]
DT_S = 1.0 / RATE_HZ


def samples(seconds: float) -> int:
    """How many samples a part of this length has; at least 2."""
    return max(2, round(seconds * RATE_HZ))


def clock(count: int) -> Array:
    """Seconds of samples, from 0."""
    return np.asarray(np.arange(count) * DT_S, np.float64)


def smoothstep(u: Array) -> Array:
    """From 0 to 1, with no speed and no acceleration at both ends."""
    u = np.clip(u, 0.0, 1.0)
    return u * u * u * (u * (6.0 * u - 15.0) + 10.0)


def step_ahead(row: Array, metres: float) -> Array:
    """A way ``[2]`` on the ground, where the row faces."""
    return metres * np.array([np.cos(row[YAW]), np.sin(row[YAW])])


def hold(row: Array, count: int) -> Array:
    """The row, again and again: ``[count, WIDTH]``."""
    return np.repeat(row[None], count, axis=0)


def keyframes(times_s: Array, rows: Array, count: int) -> Array:
    """Rows ``[count, D]`` through the given ones: cubic Hermite, at rest at both ends.

    ``times_s [K]`` rise from 0; samples after the last hold the last row. Tangents are limited as
    Fritsch and Carlson do, so that nothing overshoots its keys.
    """
    step = np.diff(times_s)[:, None]
    slope = np.diff(rows, axis=0) / step
    tangent = np.zeros_like(rows)
    same = slope[:-1] * slope[1:] > 0
    total = np.where(same, slope[:-1] + slope[1:], 1.0)
    tangent[1:-1] = np.where(same, 2.0 * slope[:-1] * slope[1:] / total, 0.0)
    t = clock(count)
    k = np.clip(np.searchsorted(times_s, t, side="right") - 1, 0, len(times_s) - 2)
    h = step[k]
    u = np.clip((t - times_s[k]) / h[:, 0], 0.0, 1.0)[:, None]
    u2, u3 = u * u, u * u * u
    return (
        rows[k] * (2 * u3 - 3 * u2 + 1)
        + rows[k + 1] * (3 * u2 - 2 * u3)
        + tangent[k] * h * (u3 - 2 * u2 + u)
        + tangent[k + 1] * h * (u3 - u2)
    )


def join(before: Array, after: Array, blend_s: float) -> Array:
    """``after`` changed so that it goes on from ``before`` without a jump in place or speed.

    The difference at the seam decays over ``blend_s`` (known in games as inertialization): both
    parts keep their own motion, and nothing slides in between.
    """
    after = after.copy()
    last, speed = before[-1], (before[-1] - before[-2]) / DT_S
    _carry_over(last, after)
    first = after[0]
    offset = last + speed * DT_S - first
    offset_speed = speed - (after[1] - first) / DT_S
    count = min(len(after), samples(blend_s))
    u = (np.arange(count) / samples(blend_s))[:, None]
    fade, push = (1 + 2 * u) * (1 - u) ** 2, u * (1 - u) ** 2
    after[:count] += offset * fade + offset_speed * blend_s * push
    for weights in (PLANT, GRIP, slice(GROUND, GROUND + 1)):
        after[:, weights] = np.clip(after[:, weights], 0.0, 1.0)
    return after


def _carry_over(last: Array, after: Array) -> None:
    """Facings turn the short way; a goal that was or is not followed does not blend."""
    for yaw in (YAW, *FOOT_YAWS):
        turns = np.round((last[yaw] - after[0, yaw]) / (2 * np.pi))
        after[:, yaw] += 2 * np.pi * turns
    for side in range(2):
        place = slice(FEET.start + 5 * side, FEET.start + 5 * side + 5)
        if after[:, PLANT.start + side].max() < 1e-3:
            after[:, place] = last[place]


def append(parts: list[Array], rows: Array, blend_s: float = 0.35) -> None:
    """One more part of a motion; with ``blend_s`` 0 it begins in the very pose of the last row."""
    parts.append(join(parts[-1], rows, blend_s) if parts and blend_s > 0 else rows)


def smooth_noise(rng: np.random.Generator, count: int, width: int, pace_s: float) -> Array:
    """``[count, width]`` of deviation about 1 which changes its mind every ``pace_s`` seconds."""
    knots = int(count * DT_S / pace_s) + 5
    values = rng.normal(0.0, 1.3, (knots, width))
    t = np.arange(count) * DT_S / pace_s + rng.uniform(0.0, 1.0)
    k = t.astype(np.intp)
    u = (t - k)[:, None]
    a, b, c, d = (values[k + i] for i in range(4))
    # A uniform cubic B-spline: continuous up to the acceleration.
    blend: Array = (
        a * (1 - u) ** 3
        + b * (3 * u**3 - 6 * u**2 + 4)
        + c * (-3 * u**3 + 3 * u**2 + 3 * u + 1)
        + d * u**3
    )
    return blend / 6.0
