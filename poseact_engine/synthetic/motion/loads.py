# SPDX-License-Identifier: Apache-2.0
"""Loads: what they are, where hands hold them, and where they are at each time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.body import Build
from poseact_engine.synthetic.motion.controls import (
    ARMS,
    DT_S,
    GRIP,
    LOAD,
    SPINE,
    YAW,
    clock,
    smoothstep,
)
from poseact_engine.synthetic.rig import Crate
from poseact_engine.synthetic.rotations import apply, turn

Array = NDArray[np.float64]
Kind = Literal["box", "bag", "shoulder"]
GRAVITY_MPS2 = 9.81
FOREVER = 1 << 40
_SETTLE_S = 0.4
"""Within which a load that was taken comes to where the hands carry it."""
_DROP_SPEED_MPS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A thing to carry: a box before the body, a bag in one hand, a box on a shoulder."""

    kind: Kind
    size_m: tuple[float, float, float]
    side: int
    """0 left, 1 right: the hand of a bag, the shoulder of a box."""
    carried: Array
    """float64 ``[4]``: its middle from the pelvis in the facing's axes, and its turn."""

    @property
    def grips(self) -> tuple[bool, bool]:
        """Left, right: whether this hand holds it."""
        both = self.kind == "box"
        return both or self.side == 0, both or self.side == 1

    def hands(self, place: Array) -> Array:
        """Tips of the hands, ``[n, 2, 3]``, at a load ``[n, 4]`` (middle and yaw)."""
        depth, width, height = self.size_m
        if self.kind == "box":
            at = np.array([(0.0, y * (0.5 * width + 0.02), -0.15 * height) for y in (1, -1)])
        elif self.kind == "bag":
            at = np.array([(0.0, 0.0, 0.5 * height + 0.03)] * 2)
        else:
            out = (1.0, -1.0)[self.side] * (0.5 * width + 0.02)
            at = np.array([(0.2 * depth, out, -0.1 * height)] * 2)
        axes = turn(place[:, 3])
        hands: Array = place[:, None, :3] + np.einsum("nij,kj->nki", axes, at)
        return hands


def random_load(rng: np.random.Generator, build: Build, *, lifted: bool) -> Load:
    """One that suits the body; boxes on a shoulder are never lifted from the ground here."""
    kinds: tuple[Kind, ...] = ("box", "bag") if lifted else ("box", "bag", "shoulder")
    # Few bags: a hand that hangs down with one looks like a hand that hangs down.
    chances = (0.88, 0.12) if lifted else (0.66, 0.1, 0.24)
    kind = kinds[rng.choice(len(kinds), p=chances)]
    side = int(rng.integers(0, 2))
    sizes = {
        "box": ((0.20, 0.25, 0.15), (0.40, 0.50, 0.42)),
        "bag": ((0.12, 0.10, 0.22), (0.45, 0.24, 0.42)),
        "shoulder": ((0.30, 0.18, 0.15), (0.60, 0.26, 0.30)),
    }[kind]
    depth, width, height = (float(v) for v in rng.uniform(*sizes))
    carried = _carried(rng, build, kind, side, (depth, width, height))
    return Load(kind=kind, size_m=(depth, width, height), side=side, carried=carried)


def _carried(
    rng: np.random.Generator, build: Build, kind: Kind, side: int, size: tuple[float, float, float]
) -> Array:
    depth, width, height = size
    out = (1.0, -1.0)[side]
    if kind == "box":
        ahead = 0.16 + 0.5 * depth
        reach = 0.93 * (build.arm + build.hand)
        aside = 0.5 * width + 0.02 - build.shoulder_half
        lowest = build.trunk - np.sqrt(reach**2 - ahead**2 - aside**2) + 0.15 * height
        return np.array([ahead, 0.0, max(lowest, rng.uniform(0.05, 0.38) * build.trunk), 0.0])
    if kind == "bag":
        return np.array([0.03, out * (build.shoulder_half + 0.5 * width + 0.04), -9.0, 0.0])
    aside = out * (build.shoulder_half + 0.02)
    return np.array([rng.uniform(0.0, 0.08), aside, build.trunk + 0.08 + 0.5 * height, 0.0])


def hold_load(build: Build, load: Load, rows: Array) -> None:
    """Changes rows to those of somebody who carries it."""
    rows[:, LOAD] = load.carried
    arms = rows[:, ARMS].reshape(-1, 2, 4)
    if load.kind == "bag":
        # It hangs on a nearly straight arm and swings with it.
        ahead = load.carried[0] + 0.4 * build.arm * np.sin(arms[:, load.side, 0])
        reach = 0.955 * (build.arm + build.hand)
        aside = abs(load.carried[1]) - build.shoulder_half
        down = np.sqrt(reach**2 - ahead**2 - aside**2)
        rows[:, LOAD.start] = ahead
        rows[:, LOAD.start + 2] = build.trunk - down - 0.5 * load.size_m[2] - 0.03
        rows[:, SPINE.start] += (-1.0, 1.0)[load.side] * 0.05
    elif load.kind == "box":
        rows[:, SPINE.start + 1] -= 0.07
    for side, held in enumerate(load.grips):
        rows[:, GRIP.start + side] = float(held)
        if held:
            rows[:, ARMS.start + 4 * side : ARMS.start + 4 * side + 4] = (0.4, 0.1, 0.2, 1.2)


@dataclass(slots=True, kw_only=True)
class Hold:
    """A time in which a load is in the hands."""

    load: Load
    start: int
    stop: int = FOREVER
    before: Array | None = None
    """``[4]``: where it stood, middle and yaw; None where the take begins with it in the hands."""
    spot: Array | None = None
    """``[4]``: where it is put down; None: it is dropped."""
    push_mps: Array = field(default_factory=lambda: np.zeros(2))
    """Level, given to it when it is dropped: bodies and arms shove it out of their way."""


def follow(holds: list[Hold], pelvis: Array, rows: Array) -> Array:
    """Where a load is, ``[n, 4]``; ``holds`` are all times it is held, in order."""
    count = len(rows)
    place = np.empty((count, 4))
    place[:, :3] = pelvis + apply(turn(rows[:, YAW]), rows[:, LOAD][:, :3])
    place[:, 3] = rows[:, YAW] + rows[:, LOAD.start + 3]
    starts = [min(hold.start, count) for hold in holds] + [count]
    if holds[0].before is not None:
        place[: starts[0]] = holds[0].before
    for hold, start, following in zip(holds, starts, starts[1:], strict=False):
        stop = min(hold.stop, count)
        t = clock(stop - start)
        if hold.before is not None and len(t):
            gap = _gap(hold.before, place[start])
            place[start:stop] += gap * (1.0 - smoothstep(t / _SETTLE_S))[:, None]
        if stop == count:
            break
        if hold.spot is not None:
            gap = _gap(hold.spot, place[stop - 1])
            place[start:stop] += gap * smoothstep(1.0 - t[::-1] / _SETTLE_S)[:, None]
            place[stop:following] = place[stop - 1]
        else:
            last = place[max(0, stop - 3) : stop]
            place[stop:following] = _drop(hold, last, following - stop)
    return place


def _gap(a: Array, b: Array) -> Array:
    gap: Array = a - b
    gap[3] = (gap[3] + np.pi) % (2 * np.pi) - np.pi
    return gap


def _drop(hold: Hold, last: Array, count: int) -> Array:
    """It falls freely from where it was, and slides a little."""
    low, start = 0.5 * hold.load.size_m[2], last[-1]
    speed = (start - last[0]) / (max(len(last) - 1, 1) * DT_S)
    speed[:3] *= min(1.0, _DROP_SPEED_MPS / max(float(np.linalg.norm(speed[:3])), 1e-9))
    speed[:2] += hold.push_mps
    speed[3] = 0.0
    high = max(start[2] - low, 0.0)
    impact = (speed[2] + np.sqrt(speed[2] ** 2 + 2 * GRAVITY_MPS2 * high)) / GRAVITY_MPS2
    t = clock(count) + DT_S
    sliding = 0.08 * (1.0 - np.exp(-np.maximum(t - impact, 0.0) / 0.08))
    gone = np.minimum(t, impact) + sliding
    place: Array = start + speed * gone[:, None]
    fall = np.minimum(t, impact)
    place[:, 2] = np.maximum(start[2] + speed[2] * fall - 0.5 * GRAVITY_MPS2 * fall**2, low)
    place[t >= impact, 2] = low
    return place


def crate(load: Load, place: Array) -> Crate:
    """For others to see."""
    return Crate(
        size_m=load.size_m,
        centre_m=place[:, :3].astype(np.float32),
        yaw_rad=place[:, 3].astype(np.float32),
    )


def still(size: tuple[float, float, float], centre: Array, yaw: float) -> Crate:
    """A thing that never moves."""
    return Crate(
        size_m=size, centre_m=centre[None].astype(np.float32), yaw_rad=np.array([yaw], np.float32)
    )
