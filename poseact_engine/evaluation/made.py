# SPDX-License-Identifier: Apache-2.0
"""Inputs made by code, for where no real ones are given: pictures and windows of poses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_OCTAVES = (8, 24, 80)


def made_pictures(count: int, height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """uint8 [N, 3, H, W]: soft blobs of many sizes and colours with a little noise, so that every
    layer of a network has something to do, and nothing in it is a person."""
    rng = np.random.default_rng(seed)
    pictures = np.zeros((count, 3, height, width))
    for cells in _OCTAVES:
        coarse = rng.normal(0, 1, (count, 3, cells + 1, cells + 1))
        pictures += _stretch(_stretch(coarse, 2, height), 3, width) * rng.uniform(
            0.3, 1, (count, 1, 1, 1)
        )
    contrast, brightness = rng.uniform(20, 70, (2, count, 1, 1, 1))
    noise = rng.normal(0, 4, pictures.shape)
    levels = pictures * contrast + brightness + 70 + noise
    pictures8: NDArray[np.uint8] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return pictures8


def _stretch(values: NDArray[np.float64], axis: int, length: int) -> NDArray[np.float64]:
    """Linear interpolation along one axis."""
    place = np.linspace(0, values.shape[axis] - 1, length)
    low = np.minimum(place.astype(np.int64), values.shape[axis] - 2)
    shape = [1] * values.ndim
    shape[axis] = length
    share = (place - low).reshape(shape)
    stretched: NDArray[np.float64] = (
        np.take(values, low, axis) * (1 - share) + np.take(values, low + 1, axis) * share
    )
    return stretched


def made_windows(
    length: int, joints: int, *, count: int = 96, seed: int = 0
) -> NDArray[np.float32]:
    """float32 [W, T, K, 3]: people that move, with ever more of them unseen."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(20, 900, (count, 1, 1, 1))
    body = rng.normal(0, 0.3, (count, 1, joints, 2)) + rng.normal(
        0, 0.05, (count, length, joints, 2)
    )
    xy = rng.uniform(0, 1900, (count, 1, 1, 2)) + size * body
    score = rng.uniform(0.01, 1, (count, length, joints, 1))
    # Not more: poses of one or two joints have all but no height, and tell of rounding alone.
    share = np.linspace(0, 0.6, count)[:, None, None, None]
    gone = rng.random((count, length, joints, 1)) < share
    gone |= rng.random((count, length, 1, 1)) < 0.1
    windows = np.where(gone, 0.0, np.concatenate([xy, score], axis=-1)).astype(np.float32)
    windows[-1] = 0.0
    return windows
