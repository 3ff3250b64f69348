# SPDX-License-Identifier: Apache-2.0
"""What floors and walls look like, as functions of the place on them in metres."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
TILE = 256


def noise_tile(rng: np.random.Generator, *, roughness: float) -> Field:
    """float32 ``[256, 256]`` that repeats without a seam, standard deviation 1.

    Its power falls as frequency to the minus ``roughness``.
    """
    frequency = np.fft.fftfreq(TILE)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    radius[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.standard_normal((TILE, TILE))) * radius**-roughness
    tile = np.real(np.fft.ifft2(spectrum))
    return np.asarray((tile - tile.mean()) / tile.std(), np.float32)


def sampled(tile: Field, u: Field, v: Field, *, metres: float) -> Field:
    """The tile laid out so that it repeats every ``metres``."""
    scale = TILE / metres
    x, y = np.mod(u * scale, TILE), np.mod(v * scale, TILE)
    return np.asarray(
        cv2.remap(tile, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR,
                  borderMode=cv2.BORDER_WRAP),
        np.float32,
    )  # fmt: skip


def line(distance: Field, *, width: float, footprint: Field) -> Field:
    """Share of each pixel that a line covers: ``distance`` from its middle, metres.

    ``footprint`` is what a pixel measures there: thin lines far away fade instead of flickering.
    """
    soft = np.maximum(footprint, 1e-4)
    cover = np.clip((width / 2 - np.abs(distance)) / soft + 0.5, 0.0, 1.0)
    return (cover * np.minimum(1.0, width / soft)).astype(np.float32)


def grid(u: Field, *, cell: float, width: float, footprint: Field) -> Field:
    """Lines across ``u``, one every ``cell`` metres; none where they would be finer than pixels."""
    distance = (np.mod(u / cell + 0.5, 1.0) - 0.5) * cell
    lines = line(distance, width=width, footprint=footprint)
    return (lines * resolved(cell, footprint)).astype(np.float32)


def patchwork(
    u: Field, v: Field, *, cell: tuple[float, float], spread: Field, footprint: Field
) -> Field:
    """One shade about 1 for each cell, from a table that repeats; even where cells get too small.

    ``spread`` ``[R, C]``: the shades less 1.
    """
    rows = np.floor(v / cell[1]).astype(np.int32) % spread.shape[0]
    columns = np.floor(u / cell[0]).astype(np.int32) % spread.shape[1]
    return np.asarray(1.0 + spread[rows, columns] * resolved(min(cell), footprint), np.float32)


def resolved(period: float, footprint: Field) -> Field:
    """1 where a pattern of this period is well seen, 0 where pixels are coarser than it."""
    return np.asarray(np.clip(period / np.maximum(2.5 * footprint, 1e-4) - 1.0, 0.0, 1.0))


def mix(image: NDArray[np.float32], colour: Any, share: Field) -> None:
    """Puts a share ``[...]`` of a colour over an image ``[..., 3]``, in place."""
    where = share > 0
    below = image[where]
    over = np.asarray(colour, np.float32)
    image[where] = below + share[where][:, None] * (over - below)
