# SPDX-License-Identifier: Apache-2.0
"""From polygons to pixels: pictures, silhouettes, and who is in front of whom."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.light import Light
from poseact_engine.synthetic.shapes import SHIFT, Shape

Window = tuple[int, int, int, int]
"""x0 y0 x1 y1, whole pixels; x1 and y1 excluded."""
_NEIGHBOURS = np.ones((5, 5), np.uint8)
THING = 0
"""Owner of what is no person."""


@dataclass(slots=True, kw_only=True)
class Depths:
    """Whatever is nearest in each pixel so far. One writer."""

    inverse: NDArray[np.float32]
    """float32 ``[H, W]``, 1/m; 0 is infinitely far."""
    owner: NDArray[np.uint8]
    """uint8 ``[H, W]``: a person's number, or THING."""

    @classmethod
    def empty(cls, size: tuple[int, int]) -> Depths:
        shape = size[1], size[0]
        return cls(inverse=np.zeros(shape, np.float32), owner=np.zeros(shape, np.uint8))

    def copy_from(self, other: Depths) -> None:
        np.copyto(self.inverse, other.inverse)
        np.copyto(self.owner, other.owner)


def window_of(shape: Shape, *, limit: Window) -> Window:
    """Whole pixels around a shape, cut at ``limit``; may be empty (x1 <= x0 or y1 <= y0)."""
    x0, y0, x1, y1 = shape.extent
    return (
        max(int(np.floor(x0)) - 1, limit[0]),
        max(int(np.floor(y0)) - 1, limit[1]),
        min(int(np.ceil(x1)) + 1, limit[2]),
        min(int(np.ceil(y1)) + 1, limit[3]),
    )


def is_empty(window: Window) -> bool:
    return window[2] <= window[0] or window[3] <= window[1]


def surfaces(shape: Shape, window: Window) -> NDArray[np.uint8]:
    """uint8 ``[h, w]``: number of the foremost surface from 1 on, 0 where there is none."""
    numbers = np.zeros((window[3] - window[1], window[2] - window[0]), np.uint8)
    corner = _corner(window)
    number = 0
    for polygon, solid in zip(shape.fixed, shape.surface, strict=True):
        if solid:
            number += 1
            cv2.fillConvexPoly(numbers, polygon - corner, number, cv2.LINE_8, SHIFT)
    return numbers


def _corner(window: Window) -> NDArray[np.int32]:
    return np.array(window[:2], np.int32) << SHIFT


def put(
    shape: Shape, numbers: NDArray[np.uint8], window: Window, depths: Depths
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Enters a shape's surfaces into ``depths``.

    Returns bool ``[h, w]`` twice: where the shape is seen, and where it is behind others.
    """
    at = np.s_[window[1] : window[3], window[0] : window[2]]
    planes = np.concatenate([np.zeros((1, 3)), np.asarray(shape.planes)]).astype(np.float32)
    x = np.arange(window[0], window[2], dtype=np.float32)
    y = np.arange(window[1], window[3], dtype=np.float32)[:, None]
    inverse = planes[numbers, 0] + planes[numbers, 1] * x + planes[numbers, 2] * y
    there = numbers > 0
    front = there & (inverse > depths.inverse[at])
    np.copyto(depths.inverse[at], inverse, where=front)
    depths.owner[at][front] = shape.owner
    return front, there & ~front


def paint(
    picture: NDArray[np.uint8], shape: Shape, window: Window, light: Light,
    *, sight: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> None:  # fmt: skip
    """Draws a shape into the picture where it is seen; ``sight`` is what ``put`` has returned."""
    front, hidden = sight
    view = picture[window[1] : window[3], window[0] : window[2]]
    behind = view.copy() if hidden.any() else None
    canvas = np.ascontiguousarray(view)
    corner = _corner(window)
    for polygon, colour in zip(shape.fixed, _levels(picture, shape, light), strict=True):
        cv2.fillPoly(canvas, [polygon - corner], colour, cv2.LINE_AA, SHIFT)
    if behind is not None:
        # Smooth outlines reach a pixel or two beyond the surface.
        fringe = cv2.dilate(hidden.astype(np.uint8), _NEIGHBOURS) > 0
        np.copyto(canvas, behind, where=(fringe & ~front)[..., None])
    view[...] = canvas


def _levels(
    picture: NDArray[np.uint8], shape: Shape, light: Light
) -> list[tuple[float, float, float]]:
    """Grey levels of each polygon under the light of the place where its first point is."""
    half = np.array([picture.shape[1], picture.shape[0]]) / 2
    places = np.clip(np.array([polygon[0] for polygon in shape.polygons]) / half - 1, -1.2, 1.2)
    lit = np.asarray(shape.colours) * light.field(places)[:, None]
    levels: list[tuple[float, float, float]] = light.expose(lit).tolist()
    return levels
