# SPDX-License-Identifier: Apache-2.0
"""What people wear and how they look, drawn once per person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from poseact_engine.synthetic.difficulty import Difficulty
from poseact_engine.synthetic.shapes import Colour

Legs = Literal["trousers", "shorts", "skirt"]
_LEGS: tuple[Legs, ...] = ("trousers", "shorts", "skirt")

_SKIN: tuple[Colour, ...] = (
    (0.66, 0.76, 0.93), (0.55, 0.67, 0.87), (0.45, 0.58, 0.80), (0.34, 0.47, 0.68),
    (0.25, 0.35, 0.54), (0.17, 0.24, 0.39), (0.12, 0.17, 0.28),
)  # fmt: skip
_HAIR: tuple[Colour, ...] = (
    (0.06, 0.06, 0.07), (0.08, 0.11, 0.16), (0.12, 0.20, 0.32), (0.30, 0.48, 0.62),
    (0.55, 0.57, 0.60), (0.10, 0.18, 0.40),
)  # fmt: skip
_CLOTH: tuple[Colour, ...] = (
    (0.10, 0.10, 0.11), (0.20, 0.20, 0.21), (0.42, 0.43, 0.44), (0.80, 0.81, 0.82),
    (0.42, 0.24, 0.14), (0.62, 0.42, 0.25), (0.22, 0.15, 0.10), (0.20, 0.20, 0.62),
    (0.22, 0.42, 0.20), (0.16, 0.26, 0.18), (0.30, 0.45, 0.55), (0.45, 0.58, 0.68),
    (0.20, 0.35, 0.50), (0.40, 0.20, 0.40), (0.25, 0.65, 0.80), (0.60, 0.55, 0.35),
)  # fmt: skip
_TROUSERS: tuple[Colour, ...] = (
    (0.10, 0.10, 0.11), (0.17, 0.17, 0.18), (0.35, 0.22, 0.15), (0.45, 0.30, 0.22),
    (0.28, 0.19, 0.13), (0.40, 0.41, 0.42), (0.40, 0.52, 0.60), (0.20, 0.30, 0.26),
    (0.70, 0.71, 0.72), (0.25, 0.33, 0.42),
)  # fmt: skip
_VESTS: tuple[Colour, ...] = ((0.12, 0.95, 0.85), (0.10, 0.48, 1.00))
_HELMETS: tuple[Colour, ...] = (
    (0.95, 0.95, 0.95), (0.10, 0.80, 0.98), (0.80, 0.42, 0.15), (0.12, 0.12, 0.85),
    (0.10, 0.50, 0.95), (0.20, 0.60, 0.20),
)  # fmt: skip
_REFLECTIVE: Colour = (0.92, 0.92, 0.90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """One person's looks. Left and right are the same: only the facing tells them apart."""

    skin: Colour
    hair: Colour
    helmet: Colour | None
    top: Colour
    shirt: Colour
    """Seen at the collar, in front."""
    vest: Colour | None
    """A hi-vis vest over the top."""
    bands: Colour | None
    """Stripes across the torso."""
    back_print: Colour | None
    long_sleeves: bool
    gloves: Colour | None
    bottom: Colour
    legs: Legs
    shoes: Colour


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """One of them, a little lighter, darker or off."""
    colour = np.asarray(colours[rng.integers(len(colours))])
    b, g, r = np.clip(colour * rng.uniform(0.8, 1.2) * rng.uniform(0.94, 1.06, size=3), 0.03, 1.0)
    return float(b), float(g), float(r)


def random_outfit(rng: np.random.Generator, *, ground: Colour, difficulty: Difficulty) -> Outfit:
    """``ground``: colour of the floor, which a camouflaged garment is close to."""
    vest = _pick(rng, _VESTS) if rng.random() < 0.28 else None
    top, bottom = _pick(rng, _CLOTH), _pick(rng, _TROUSERS)
    if rng.random() < difficulty.camouflage:
        close = np.asarray(ground) * rng.uniform(0.9, 1.1, size=3)
        near: Colour = (float(close[0]), float(close[1]), float(close[2]))
        top, bottom = (near, bottom) if rng.random() < 0.5 else (top, near)
    skin = _pick(rng, _SKIN)
    striped = rng.random() < 0.2
    legs = _LEGS[int(rng.choice(3, p=[0.76, 0.14, 0.10]))] if vest is None else "trousers"
    return Outfit(
        skin=skin,
        hair=skin if rng.random() < 0.08 else _pick(rng, _HAIR),
        helmet=_pick(rng, _HELMETS) if rng.random() < (0.75 if vest else 0.15) else None,
        top=top,
        shirt=_pick(rng, _CLOTH),
        vest=vest,
        bands=_REFLECTIVE if vest else (_pick(rng, _CLOTH) if striped else None),
        back_print=_pick(rng, _CLOTH) if rng.random() < 0.25 else None,
        long_sleeves=rng.random() < 0.6,
        gloves=_pick(rng, _CLOTH) if rng.random() < 0.2 else None,
        bottom=bottom,
        legs=legs,
        shoes=_pick(rng, _TROUSERS),
    )
