# SPDX-License-Identifier: Apache-2.0
"""Soft shadows on the floor: everything is projected onto it along the light."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.camera import Camera
from poseact_engine.synthetic.light import Light
from poseact_engine.synthetic.shapes import NEAREST_M

_REDUCE = 2
"""Shadows are drawn at a fraction of the picture's size: they are soft."""
_SOFT_M = 0.03
_RING = np.linspace(0, 2 * np.pi, 9)[:-1]
_RING_XY = np.stack([np.cos(_RING), np.sin(_RING), np.zeros(8)], axis=1)


def cast(points_m: NDArray[np.float64], light: Light) -> NDArray[np.float64]:
    """Where points ``[..., 3]`` throw their shadow on the floor."""
    height = np.maximum(points_m[..., 2:], 0.0)
    fallen: NDArray[np.float64] = points_m - height * light.direction / light.direction[2]
    fallen[..., 2] = 0.0
    return fallen


def capsule_shadows(
    camera: Camera, ends_m: NDArray[np.float64], radii_m: NDArray[np.float64], light: Light
) -> list[NDArray[np.float64]]:
    """Outlines of the shadows of B capsules: ends ``[B, 2, 3]``, radii ``[B, 2]``."""
    rings = cast(ends_m, light)[:, :, None] + radii_m[:, :, None, None] * _RING_XY  # [B, 2, 8, 3]
    xy, depth = camera.project(rings)
    seen = (depth > NEAREST_M).all(axis=(1, 2))
    return [outline.reshape(-1, 2) for outline in xy[seen]]


def shade(
    picture: NDArray[np.uint8],
    outlines: Sequence[NDArray[np.float64]],
    floor: NDArray[np.uint8],
    *,
    strength: float,
    soft_px: float,
) -> None:
    """Darkens the floor (255 in ``floor``) within the hull of each outline."""
    window = _window(outlines, picture.shape, margin=int(3 * soft_px) + _REDUCE)
    if window is None:
        return
    x0, y0, x1, y1 = window
    mask = np.zeros(((y1 - y0) // _REDUCE + 1, (x1 - x0) // _REDUCE + 1), np.uint8)
    for outline in outlines:
        local = ((outline - (x0, y0)) * (16 / _REDUCE)).astype(np.float32)
        hull = cv2.convexHull(local)
        cv2.fillConvexPoly(mask, np.rint(hull).astype(np.int32), 255, cv2.LINE_8, 4)
    soft = cv2.GaussianBlur(mask, (0, 0), max(soft_px / _REDUCE, 0.5))
    full = cv2.resize(soft, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    lost = cv2.multiply(full, floor[y0:y1, x0:x1], scale=strength / 255)
    factor = cv2.cvtColor(cv2.bitwise_not(lost), cv2.COLOR_GRAY2BGR)
    view = picture[y0:y1, x0:x1]
    view[...] = cv2.multiply(view, factor, scale=1 / 255)


def soft_px(camera: Camera, at_m: NDArray[np.float64]) -> float:
    """How blurred shadows are around a place."""
    return _SOFT_M * camera.pixels_per_metre((float(at_m[0]), float(at_m[1]), 0.0))


def _window(
    outlines: Sequence[NDArray[np.float64]], shape: tuple[int, ...], *, margin: int
) -> tuple[int, int, int, int] | None:
    if not outlines:
        return None
    points = np.concatenate(outlines)
    low = np.clip(points.min(axis=0) - margin, 0, (shape[1], shape[0])).astype(int)
    high = np.clip(points.max(axis=0) + margin, 0, (shape[1], shape[0])).astype(int)
    if (high - low).min() < _REDUCE:
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
