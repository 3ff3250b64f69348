# SPDX-License-Identifier: Apache-2.0
"""Rotations of whole arrays: vectors in, 3 x 3 matrices out. Angles are radians, right-handed.

A body's own axes: x forward, y to its left, z up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def turn(angle: Array) -> Array:
    """Matrices ``[..., 3, 3]`` about z: a positive angle turns to the left."""
    return _about(angle, 0, 1, 2)


def tilt(angle: Array) -> Array:
    """Matrices ``[..., 3, 3]`` about y: a positive angle bends what points up forward."""
    return _about(angle, 2, 0, 1)


def _about(angle: Array, a: int, b: int, axis: int) -> Array:
    """From axis ``a`` to axis ``b``."""
    matrix = np.zeros((*np.shape(angle), 3, 3))
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix[..., a, a] = matrix[..., b, b] = cosine
    matrix[..., b, a], matrix[..., a, b] = sine, -sine
    matrix[..., axis, axis] = 1.0
    return matrix


def rotate(vector: Array) -> Array:
    """Matrices ``[..., 3, 3]`` about ``vector [..., 3]`` by its length (Rodrigues)."""
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vector, -1, 0)
    cross = np.zeros((*x.shape, 3, 3))
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -z, y, -x
    cross[..., 1, 0], cross[..., 2, 0], cross[..., 2, 1] = z, -y, x
    half = np.sinc(angle / (2.0 * np.pi))
    rotation: Array = np.sinc(angle / np.pi) * cross + 0.5 * half**2 * (cross @ cross)
    rotation[..., range(3), range(3)] += 1.0
    return rotation


def swing_twist(values: Array) -> Array:
    """Matrices ``[..., 3, 3]`` of ``values [..., 3]``: first a twist about z, the third value, then
    a swing about the level vector of the first two."""
    swing = values.copy()
    swing[..., 2] = 0.0
    both: Array = rotate(swing) @ turn(values[..., 2])
    return both


def apply(matrix: Array, vector: Array) -> Array:
    """``matrix [..., 3, 3]`` times ``vector [..., 3]``."""
    moved: Array = np.einsum("...ij,...j->...i", matrix, vector)
    return moved


def unit(vector: Array) -> Array:
    """``vector [..., 3]`` at length 1; zero stays zero."""
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    scaled: Array = vector / np.maximum(length, 1e-9)
    return scaled
