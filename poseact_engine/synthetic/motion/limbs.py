# SPDX-License-Identifier: Apache-2.0
"""Two bones of an arm or a leg: reaching for a goal, lying on the ground, never entering it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.rig import RATE_HZ
from poseact_engine.synthetic.rotations import unit

Array = NDArray[np.float64]
Marks = NDArray[np.bool_]
STRETCH = 0.998
"""No limb is drawn out further than this share of its length."""
FASTEST_RADPS, PASSES = 13.0, 5
"""A bone that turns faster was thrown about by the ground, and is softened again."""
SOFT = 3
"""Samples before and after over which contact with the ground is softened."""


def two_bones(start: Array, goal: Array, lengths: tuple[float, float], pole: Array) -> Array:
    """Directions ``[n, 2, 3]`` of two bones that reach from start to goal, bent to ``pole``."""
    first, second = lengths
    away = goal - start
    distance = np.linalg.norm(away, axis=-1)
    reach = np.clip(distance, abs(first - second) + 1e-3, STRETCH * (first + second))[:, None]
    axis = unit(away)
    aside = unit(pole - axis * np.sum(pole * axis, axis=-1, keepdims=True))
    along = (first**2 - second**2 + reach**2) / (2 * reach)
    bend = np.sqrt(np.maximum(first**2 - along**2, 0.0))
    middle = along * axis + bend * aside
    return np.stack([middle / first, (reach * axis - middle) / second], axis=1)


def sloping(start: Array, direction: Array, length: float, end_z: Array) -> Array:
    """The direction, its slope changed so that the bone ends at a height (or as near as may be)."""
    slope = np.clip((end_z - start[:, 2]) / length, -0.98, 0.98)
    level = direction[:, :2]
    size = np.linalg.norm(level, axis=-1, keepdims=True)
    level = np.where(size > 1e-6, level / np.maximum(size, 1e-6), [1.0, 0.0])
    level = level * np.sqrt(1.0 - slope**2)[:, None]
    return np.concatenate([level, slope[:, None]], axis=-1)


def above_ground(start: Array, direction: Array, length: float, low: Array | float) -> Array:
    """The direction, raised where the bone would end below ``low``."""
    end_z = start[:, 2] + length * direction[:, 2]
    raised = sloping(start, direction, length, np.maximum(end_z, low))
    return np.where((end_z < low - 1e-9)[:, None], raised, direction)


def smoothed(directions: Array, where: Marks) -> Array:
    """Unit vectors ``[n, ..., 3]``, averaged about the samples ``where`` marks: what meets the
    ground is stopped within a few hundredths of a second, not at once."""
    flat = directions.reshape(len(directions), -1)
    return unit(averaged(flat, where).reshape(directions.shape))


def averaged(values: Array, where: Marks) -> Array:
    """``[n, D]``, twice averaged over time about the samples ``where`` marks."""
    near = np.convolve(where, np.ones(2 * SOFT + 1), mode="same") > 0
    weight = _average(near.astype(np.float64)[:, None])
    return values + (_average(_average(values)) - values) * weight


def soften(
    directions: Array, where: Marks, restore: Callable[[Array], Array] = lambda given: given
) -> Array:
    """Smoothed where marked, and then wherever something is still too fast; ``restore`` takes what
    smoothing has put into the ground out of it."""
    for _ in range(PASSES):
        if not where.any():
            break
        directions = restore(smoothed(directions, where))
        where = too_fast(directions)
    return directions


def too_fast(directions: Array) -> Marks:
    """Of unit vectors ``[n, K, 3]``, the samples in which one turns faster than limbs do."""
    step = np.linalg.norm(np.diff(directions, axis=0, append=directions[-1:]), axis=-1)
    return np.asarray((step > FASTEST_RADPS / RATE_HZ).any(axis=1))


def _average(values: Array) -> Array:
    """Of ``[n, D]`` over SOFT samples before and after."""
    padded = np.pad(values, ((SOFT + 1, SOFT), (0, 0)), mode="edge")
    total = np.cumsum(padded, axis=0)
    return (total[2 * SOFT + 1 :] - total[: -2 * SOFT - 1]) / (2 * SOFT + 1)


@dataclass(frozen=True, slots=True)
class Limb:
    """Two bones of an arm or a leg."""

    lengths: tuple[float, float]
    lows: tuple[Array, Array]
    """Least heights of the middle and of the end, ``[n]``."""

    def rest(self, start: Array, bones: Array, limp: Array, blended: Marks) -> Array:
        """Directions ``[n, 2, 3]``: as far as ``limp [n, 2]`` says they sink to the ground, and
        what would enter it bends or is raised; ``blended [n]`` marks what else is to be smooth."""
        upper = self._sink(start, bones[:, 0], 0, limp)
        middle = start + upper * self.lengths[0]
        lower = self._sink(middle, bones[:, 1], 1, limp)
        sunk = np.stack([upper, lower], axis=1)
        raised = self._raise(start, sunk)
        moved = (np.abs(raised - sunk).max(axis=(1, 2)) > 1e-6) | (limp.max(axis=1) > 0.0) | blended
        return soften(raised, moved, lambda given: self._raise(start, given))

    def _raise(self, start: Array, bones: Array) -> Array:
        """Where the end is in the ground the limb bends, so that it comes up in its place; where
        that is not enough, its bones are raised."""
        first, second = self.lengths
        upper = above_ground(start, bones[:, 0], first, self.lows[0])
        end = start + upper * first + bones[:, 1] * second
        goal = end.copy()
        goal[:, 2] = np.maximum(end[:, 2], self.lows[1])
        entering = (end[:, 2] < self.lows[1] - 1e-6)[:, None]
        bent = two_bones(start, goal, self.lengths, upper - bones[:, 1])
        upper = above_ground(start, np.where(entering, bent[:, 0], upper), first, self.lows[0])
        lower = np.where(entering, bent[:, 1], bones[:, 1])
        lower = above_ground(start + upper * first, lower, second, self.lows[1])
        return np.stack([upper, lower], axis=1)

    def _sink(self, start: Array, direction: Array, bone: int, limp: Array) -> Array:
        laid = sloping(start, direction, self.lengths[bone], self.lows[bone])
        weight = limp[:, bone, None]
        return unit(direction * (1 - weight) + laid * weight)
