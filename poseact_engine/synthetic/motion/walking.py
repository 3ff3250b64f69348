# SPDX-License-Identifier: Apache-2.0
"""Walking: the feet are set down one after the other and stay where they stand; the pelvis goes
over them as high as the legs reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.motion.actor import CARRYING, SECOND, WALKING, Actor
from poseact_engine.synthetic.motion.area import random_way
from poseact_engine.synthetic.motion.controls import (
    ARMS,
    DT_S,
    FEET,
    HEAD,
    LEGS,
    PELVIS,
    ROOT,
    SPINE,
    YAW,
    clock,
    hold,
    samples,
    smooth_noise,
    smoothstep,
)
from poseact_engine.synthetic.motion.kinematics import ankle_goal
from poseact_engine.synthetic.motion.loads import hold_load
from poseact_engine.synthetic.rig import NO_FALL
from poseact_engine.synthetic.rotations import turn

Array = NDArray[np.float64]
SWING_SHARE = 0.40
"""Of a stride, the time a foot is in the air (Perry, "Gait Analysis")."""
WALKS_MPS, TURNS_RADPS = 0.15, 0.7
"""Who neither goes nor turns so fast, steps by steps, is neither walking nor standing."""
TURN_RADPS, START_TURN_RADPS = 2.2, 1.5
"""At most while walking; on average before the first step."""
KEEP_AWAY_M = 0.7
TRIES = 8
_PITCH_AT = np.array([0.0, 0.08, 0.30, 0.36, 0.40, 0.48, 0.70, 1.0])
_PITCH = np.radians([34.0, 42.0, -8.0, -14.0, -16.0, 0.0, 0.0, 34.0])
"""Toes down, over a stride from the moment the foot leaves; at a step of 0.7 m."""


@dataclass(frozen=True, slots=True)
class Track:
    """Where the pelvis goes: ``[n, 2]``, ``[n]`` and the strides done, ``[n]``."""

    xy: Array
    yaw: Array
    speed: Array
    phase: Array


def walk(
    actor: Actor, seconds: float, *, stop: bool = True, pace: float = 1.0, way: Array | None = None
) -> None:
    """Along a random way (or the given one) for so long, from a stand; at the end stand, or be in
    the middle of a step."""
    count = samples(seconds)
    speed = float(np.clip(actor.style.speed_mps * pace * actor.rng.normal(1.0, 0.06), 0.5, 2.2))
    extra = 0 if stop else SECOND
    track = _track(actor, count + extra, speed, stop=stop, way=way)
    rows = _rows(actor, track)[:count]
    turning = np.abs(np.gradient(track.yaw, DT_S)) > TURNS_RADPS
    labels = np.where((track.speed > WALKS_MPS) | turning, WALKING, NO_FALL)[:count]
    if actor.carries and actor.load:
        hold_load(actor.build, actor.load, rows)
        labels = np.full(count, CARRYING)
    actor.add(rows, labels)


def _track(actor: Actor, count: int, speed: float, *, stop: bool, way: Array | None) -> Track:
    """The clearest of a few ways."""
    length = speed * count * DT_S + 0.5
    best, clearest = None, -1.0
    for _ in range(TRIES if way is None else 1):
        line = (
            random_way(actor.rng, actor.area, actor.row[[ROOT.start, ROOT.start + 1, YAW]], length)
            if way is None
            else way
        )
        track = _along(actor, line, count, speed, stop=stop)
        clear = min(actor.clearance(track.xy), KEEP_AWAY_M) - 0.2 * _sharpness(track)
        if clear > clearest or best is None:
            best, clearest = track, clear
        if clear >= KEEP_AWAY_M - 0.05:
            break
    assert best is not None
    return best


def _sharpness(track: Track) -> float:
    """How fast the body must turn, past what people do."""
    return max(0.0, float(np.abs(np.diff(track.yaw)).max()) / DT_S - TURN_RADPS)


def _along(actor: Actor, line: Array, count: int, speed: float, *, stop: bool) -> Track:
    step = np.linalg.norm(np.diff(line, axis=0), axis=1)
    keep = np.concatenate([[True], step > 1e-4])
    line = line[keep]
    step = np.linalg.norm(np.diff(line, axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(step)])
    course = np.unwrap(np.arctan2(*np.diff(line, axis=0).T[::-1]))
    middle = 0.5 * (at[1:] + at[:-1])
    # Tight bends are taken slowly: at most TURN_RADPS, on average of what is near.
    bend = np.abs(np.gradient(course, middle))
    slow = np.minimum(1.0, 0.8 * TURN_RADPS / np.maximum(bend * speed, 1e-6))
    slow = _smooth(np.maximum(_lowest(slow, 9), 0.2), 7)
    late = np.concatenate([[0.0], np.cumsum(step / (speed * slow))])

    first_turn = (course[0] - actor.row[YAW] + np.pi) % (2 * np.pi) - np.pi
    turn_s = abs(first_turn) / START_TURN_RADPS
    t = clock(count)
    rate = smoothstep((t - 0.6 * turn_s) / 0.7)
    if stop:
        rate = rate * smoothstep((t[-1] - 0.15 - t) / 0.8)
    rate = rate * (1.0 + 0.05 * smooth_noise(actor.rng, count, 1, 0.8)[:, 0])
    inner = np.cumsum(rate) * DT_S
    s = np.minimum(np.interp(inner, late, at), at[-1])
    xy = np.stack([np.interp(s, at, line[:, k]) for k in range(2)], axis=-1)
    yaw = np.interp(s, middle, course)
    yaw = yaw - first_turn * (1.0 - smoothstep(t / max(turn_s + 0.5, 0.5)))
    now = np.gradient(s, DT_S)
    phase = _phase(actor, now, speed)
    if stop:
        phase += (_end_of_step(phase[-1]) - phase[-1]) * np.linspace(0.0, 1.0, count)
    return Track(xy, _smooth(yaw, 13), now, phase)


def _phase(actor: Actor, speed: Array, usual_speed: float) -> Array:
    """Strides. The cadence is there from the first step; it is their length that grows."""
    cadence = 0.95 * np.sqrt(np.maximum(speed, 0.75 * usual_speed) / 1.35) * actor.style.cadence
    cadence *= np.sqrt(1.71 / actor.build.body.height_m)
    first = 0.5 * actor.rng.integers(0, 2) - 0.04
    return first + np.cumsum(np.maximum(cadence, 0.7)) * DT_S


def _end_of_step(phase: float) -> float:
    """The nearest phase at which a foot has just been set down beside the other."""
    landed = SWING_SHARE + 0.05
    return float(np.round(2.0 * (phase - landed)) / 2.0 + landed)


def _smooth(values: Array, width: int) -> Array:
    """A moving average that keeps its ends."""
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1.0 / width), mode="valid")


def _rows(actor: Actor, track: Track) -> Array:
    count = len(track.yaw)
    rows = hold(actor.upright(track.xy[0], track.yaw[0]), count)
    rows[:, YAW] = track.yaw
    lift = np.minimum(1.0, track.speed / 0.9)
    for side in range(2):
        place = slice(FEET.start + 5 * side, FEET.start + 5 * side + 5)
        rows[:, place] = _steps(actor, track, side)
    _sway(actor, rows, track, lift)
    _swing_arms(actor, rows, track)
    rows[:, ROOT.start + 2] = _height(actor, rows)
    return rows


def _lowest(values: Array, width: int) -> Array:
    """The least of each value's neighbours."""
    padded = np.pad(values, width // 2, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, width).min(axis=1))


def _steps(actor: Actor, track: Track, side: int) -> Array:
    """FEET of one foot, ``[n, 5]``: it swings from place to place."""
    style, sign = actor.style, (1.0, -1.0)[side]
    stride = track.phase - 0.5 * side
    end = stride[-1]
    first = int(np.ceil(stride[0]))
    starts = np.arange(first, int(np.floor(end - SWING_SHARE)) + 1, dtype=np.float64)
    middle = np.minimum(starts + SWING_SHARE + 0.5 * (1 - SWING_SHARE), end)
    if len(middle):
        middle[-1] = end if track.speed[-1] < 0.05 else middle[-1]
    t = np.interp(middle, stride, np.arange(len(stride)))
    around = np.arange(len(stride))
    yaw = np.interp(t, around, track.yaw)
    places = np.stack([np.interp(t, around, track.xy[:, k]) for k in range(2)], axis=-1)
    width = style.stance_m * (1.0 - 0.35 * np.interp(t, around, np.minimum(track.speed, 1.0)))
    places += sign * width[:, None] * np.stack([-np.sin(yaw), np.cos(yaw)], axis=-1)
    before = actor.row[FEET].reshape(2, 5)[side]
    goals = np.concatenate([places, (yaw + sign * style.toe_out)[:, None]], axis=-1)
    origin = before[[0, 1, 3]]
    if len(goals):
        origin[2] += 2 * np.pi * np.round((goals[0, 2] - origin[2]) / (2 * np.pi))
    goals = np.concatenate([origin[None], goals])
    return _swing(stride, starts, goals)


def _swing(stride: Array, starts: Array, goals: Array) -> Array:
    k = np.searchsorted(starts, stride, side="right")
    starts = np.concatenate([[-np.inf], starts, [np.inf]])
    into = np.where(k > 0, stride - np.where(k > 0, starts[k], 0.0), 1.0)
    u = np.clip(into / SWING_SHARE, 0.0, 1.0)
    old, new = goals[np.maximum(k - 1, 0)], goals[k]
    now = old + (new - old) * (u * u * (3.0 - 2.0 * u))[:, None]
    length = np.linalg.norm(new - old, axis=-1) / 1.4
    up = 0.045 * np.minimum(1.0, 3.0 * length) * np.sin(np.pi * u) ** 2
    following = goals[np.minimum(k + 1, len(goals) - 1)]
    next_length = np.linalg.norm((following - new)[:, :2], axis=-1) / 1.4
    left = np.where(np.isfinite(starts[k + 1]), starts[k + 1] - stride, 1.0)
    landed = np.interp(into, _PITCH_AT[:6], _PITCH[:6], right=0.0)
    leaving = np.interp(1.0 - left, _PITCH_AT[6:], _PITCH[6:], left=0.0)
    flat = np.linalg.norm((new - old)[:, :2], axis=-1) / 1.4
    pitch = landed * np.minimum(flat, 1.15) + leaving * np.minimum(next_length, 1.15)
    pitch = _smooth(pitch, 5)
    return np.stack([now[:, 0], now[:, 1], up, now[:, 2], pitch], axis=-1)


def _sway(actor: Actor, rows: Array, track: Track, lift: Array) -> None:
    """Pelvis, trunk and head over the strides; the left foot is in front at phase SWING_SHARE."""
    rng, cycle = actor.rng, 2 * np.pi * (track.phase - SWING_SHARE)
    aside = -rng.uniform(0.012, 0.03) * lift * np.cos(2 * np.pi * (track.phase - 0.5 * SWING_SHARE))
    level = turn(track.yaw)
    rows[:, ROOT.start : ROOT.start + 2] = track.xy + level[:, :2, 1] * aside[:, None]
    twist = np.radians(rng.uniform(3.0, 7.0)) * lift * np.cos(cycle)
    roll = np.radians(rng.uniform(1.0, 3.5)) * lift * np.cos(cycle + 0.9)
    rows[:, PELVIS] += np.stack([roll, 0.02 * track.speed, -twist], axis=-1)
    counter = rng.uniform(1.4, 2.2)
    nod = np.radians(rng.uniform(0.5, 1.5)) * lift * np.cos(2 * cycle)
    rows[:, SPINE] += np.stack([-0.8 * roll, 0.03 * track.speed, counter * twist], axis=-1)
    rows[:, HEAD] += np.stack(
        [-0.2 * roll, -0.03 * track.speed + nod, (1 - counter) * twist], axis=-1
    )


def _swing_arms(actor: Actor, rows: Array, track: Track) -> None:
    """Each arm against the leg of its side."""
    rng, style = actor.rng, actor.style
    reach = np.radians(17.0) * style.swing * np.minimum(track.speed / 1.2, 1.8)
    arms = rows[:, ARMS].reshape(-1, 2, 4)
    for side, sign in enumerate((-1.0, 1.0)):
        wave = sign * np.cos(2 * np.pi * (track.phase - SWING_SHARE) - 0.15)
        own = rng.uniform(0.75, 1.25)
        arms[:, side, 0] += own * reach * (wave + 0.15)
        fast = np.clip(track.speed - 1.6, 0.0, 1.0)
        arms[:, side, 3] += own * reach * 0.4 * (1.0 + wave) + 0.9 * fast
    rows[:, LEGS] = rows[0, LEGS]


def _height(actor: Actor, rows: Array) -> Array:
    """Of the pelvis: at ease, lower where a leg would not reach its foot."""
    build = actor.build
    hips = rows[:, None, ROOT][:, :, :2] + np.array([1.0, -1.0])[:, None] * (
        turn(rows[:, YAW])[:, None, :2, 1] * build.hip_half
    )
    heights = [np.full(len(rows), actor.stand_height - 0.004 * build.leg)]
    for side in range(2):
        goal, _ = ankle_goal(build, rows, side)
        level = np.linalg.norm(goal[:, :2] - hips[:, side], axis=-1)
        reach = np.sqrt(np.maximum((0.98 * build.leg) ** 2 - level**2, 0.04))
        heights.append(goal[:, 2] + reach)
    sharp = 60.0
    low = -np.log(np.exp(-sharp * np.stack(heights)).sum(axis=0)) / sharp
    return _smooth(low, 9)
