# SPDX-License-Identifier: Apache-2.0
"""Where people may be, and ways across it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError

Array = NDArray[np.float64]
SMALLEST_M = 2.0


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of ground in metres; the pelvis of a person stays in it."""

    x0: float
    x1: float
    y0: float
    y1: float

    def __post_init__(self) -> None:
        values = (self.x0, self.x1, self.y0, self.y1)
        sides = (self.x1 - self.x0, self.y1 - self.y0)
        if not all(math.isfinite(v) for v in values) or min(sides) < SMALLEST_M:
            raise ConfigError(
                f"synthetic: expected an area of at least {SMALLEST_M:g} m each way, "
                f"x0 < x1 and y0 < y1, got {values}"
            )

    def inset(self, margin_m: float) -> tuple[Array, Array]:
        """Low and high corner, drawn in; at most to a tenth of the sides around the middle."""
        low, high = np.array([self.x0, self.y0]), np.array([self.x1, self.y1])
        margin = np.minimum(margin_m, 0.45 * (high - low))
        return low + margin, high - margin

    def contains(self, xy: Array, margin_m: float = 0.0) -> NDArray[np.bool_]:
        """Of points ``[..., 2]``."""
        low, high = self.inset(margin_m)
        return np.asarray(((xy >= low) & (xy <= high)).all(axis=-1))

    def clip(self, xy: Array, margin_m: float = 0.0) -> Array:
        """The nearest points inside."""
        low, high = self.inset(margin_m)
        return np.clip(xy, low, high)

    def draw(self, rng: np.random.Generator, margin_m: float = 0.4) -> Array:
        """A point inside."""
        low, high = self.inset(margin_m)
        return rng.uniform(low, high)


def random_way(rng: np.random.Generator, area: Area, start: Array, length_m: float) -> Array:
    """A smooth line of points ``[N, 2]`` from ``start`` (x, y and facing), a few centimetres apart
    and at least ``length_m`` long. A B-spline: it stays within its corners' hull, the area."""
    stride = rng.uniform(1.2, 3.5)
    corners = [area.clip(start[:2])]
    heading = float(start[2])
    while True:
        options = heading + rng.uniform(-1.3, 1.3, 6)
        ends = corners[-1] + stride * np.stack([np.cos(options), np.sin(options)], axis=-1)
        free = np.flatnonzero(area.contains(ends, 0.4))
        following = ends[free[0]] if len(free) else area.draw(rng)
        step = following - corners[-1]
        heading = math.atan2(step[1], step[0])
        corners.append(following)
        if stride * len(corners) > length_m:
            line = _spline(np.array([corners[0]] * 2 + corners + [corners[-1]] * 2))
            if np.linalg.norm(np.diff(line, axis=0), axis=1).sum() >= length_m:
                return line


def _spline(corners: Array) -> Array:
    u = np.linspace(0.0, 1.0, 32, endpoint=False)[:, None]
    weights = (
        (1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3,
    )  # fmt: skip
    count = len(corners) - 3
    line = sum(w[None] * corners[k : k + count, None] for k, w in enumerate(weights))
    return np.reshape(np.asarray(line) / 6.0, (-1, 2))
