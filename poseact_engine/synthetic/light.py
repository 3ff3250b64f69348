# SPDX-License-Identifier: Apache-2.0
"""The light of a scene: where it comes from, how it varies over the picture, how it is exposed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.difficulty import Difficulty

_AMBIENT = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """One lamp far away, light from all round, and a camera's response."""

    direction: NDArray[np.float64]
    """float64 ``[3]``, unit: towards the lamp."""
    shadow: float
    """Share of the light that is lost in a shadow."""
    gain: NDArray[np.float64]
    """float64 ``[3]``: exposure times colour cast, of blue, green and red."""
    gamma: float
    slope: tuple[float, float]
    """Change of brightness from the middle of the picture to its right and lower edge."""
    vignette: float

    def on(self, normal: NDArray[Any]) -> float:
        """Light that a surface with this normal gets, about 1 for one that faces the lamp."""
        return _AMBIENT + (1.0 - _AMBIENT) * max(float(normal @ self.direction), -0.25)

    def field(self, xy: NDArray[Any]) -> NDArray[Any]:
        """Brightness ``[...]`` at places of the picture, -1 to 1 in x and in y."""
        x, y = xy[..., 0], xy[..., 1]
        even: NDArray[Any] = 1.0 + self.slope[0] * x + self.slope[1] * y
        corners = 1.0 - self.vignette * 0.5 * np.minimum(x * x + y * y, 2.0)
        return np.asarray(even * corners)

    def expose(self, colours: NDArray[Any]) -> NDArray[Any]:
        """Light ``[..., 3]``, 1 is white, to grey levels 0 to 255."""
        gain = self.gain.astype(colours.dtype)
        levels: NDArray[Any] = 255.0 * np.clip(colours * gain, 0.0, 1.0) ** self.gamma
        return levels


def random_light(rng: np.random.Generator, difficulty: Difficulty) -> Light:
    azimuth = rng.uniform(0, 2 * math.pi)
    height = math.radians(rng.uniform(38, 80))
    low, high = difficulty.exposure
    exposure = math.exp(rng.uniform(math.log(low), math.log(high)))
    cast = 1.0 + difficulty.cast * np.array([rng.uniform(-1, 1), 0.0, rng.uniform(-1, 1)])
    towards = rng.uniform(0, 2 * math.pi)
    steep = rng.uniform(0, difficulty.light_slope) / 2
    return Light(
        direction=np.array(
            [
                math.cos(azimuth) * math.cos(height),
                math.sin(azimuth) * math.cos(height),
                math.sin(height),
            ]
        ),
        shadow=rng.uniform(*difficulty.shadow),
        gain=exposure * cast,
        gamma=rng.uniform(*difficulty.gamma),
        slope=(steep * math.cos(towards), steep * math.sin(towards)),
        vignette=rng.uniform(*difficulty.vignette),
    )
