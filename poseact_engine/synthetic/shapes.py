# SPDX-License-Identifier: Apache-2.0
"""From bodies and boxes in 3D to flat polygons in the picture, with their depth.

Over a flat or straight thing the inverse depth is linear in the pixel, so each polygon carries it
as ``a + b x + c y``: exact for flat faces, and for a limb along its axis.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.camera import Camera

Colour = tuple[float, float, float]
"""Blue, green, red; share of the light that is reflected, 0 to 1."""
Points = NDArray[np.float64]
SHIFT = 4
"""Polygons are drawn with this many binary digits of a pixel."""
ARC = 8
"""Points of a capsule's rounded end."""
NEAREST_M = 0.25
"""What is nearer to the camera than this, or behind it, is not drawn."""

INK_PX = 0.5
"""OpenCV's filled polygons come out this much larger on each side (measured on circles of 5 and
12 px: 0.47 to 0.61), so what is round is drawn in by it."""
_NEXT, _AFTER = [1, 2, 0], [2, 0, 1]
_FACES = ((0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5))
_NORMALS = np.array([(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)], float)
_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float) / 2


@dataclass(kw_only=True)
class Shape:
    """One person or thing in one frame: polygons from back to front.

    A polygon is a surface, which hides what is behind it, or paint upon the surfaces before it.
    """

    owner: int
    """A person's id, or 0."""
    depth_m: float
    """Of its middle: farther shapes are painted first."""
    polygons: list[Points] = field(default_factory=list)
    """float64 ``[N, 2]`` each, pixel indices. Surfaces are convex."""
    colours: list[Colour] = field(default_factory=list)
    surface: list[bool] = field(default_factory=list)
    planes: list[tuple[float, float, float]] = field(default_factory=list)
    """Of the surfaces only, in their order: inverse depth in 1/m."""

    def add(self, polygon: Points, colour: Colour) -> None:
        """Paint upon what is there."""
        self.polygons.append(polygon)
        self.colours.append(colour)
        self.surface.append(False)

    def add_surface(
        self, polygon: Points, colour: Colour, plane: tuple[float, float, float]
    ) -> None:
        self.polygons.append(polygon)
        self.colours.append(colour)
        self.surface.append(True)
        self.planes.append(plane)

    @cached_property
    def extent(self) -> tuple[float, float, float, float]:
        """x0 y0 x1 y1 of the surfaces as they come out, edges of pixels. Ask once all are there."""
        points = np.concatenate(
            [p for p, solid in zip(self.polygons, self.surface, strict=True) if solid]
        )
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        near, far = 0.5 - INK_PX, 0.5 + INK_PX  # pixel index i covers [i, i + 1]
        return float(x0) + near, float(y0) + near, float(x1) + far, float(y1) + far

    @cached_property
    def fixed(self) -> list[NDArray[np.int32]]:
        """The polygons in OpenCV's fixed point. Ask once all are there."""
        points = np.rint(np.concatenate(self.polygons) * (1 << SHIFT)).astype(np.int32)
        ends = list(accumulate(len(polygon) for polygon in self.polygons))
        return [points[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def cross(a: Points, b: Points) -> Points:
    """Of vectors ``[..., 3]``; NumPy's own takes ten times as long for a few of them."""
    product: Points = a[..., _NEXT] * b[..., _AFTER] - a[..., _AFTER] * b[..., _NEXT]
    return product


def shaded(colour: Colour, light: float) -> Colour:
    return colour[0] * light, colour[1] * light, colour[2] * light


def drawn_in(outline: Points) -> Points:
    """A round outline, nearer to its middle by INK_PX."""
    middle = outline.mean(axis=0)
    off = outline - middle
    length = np.maximum(np.sqrt((off * off).sum(axis=1)), 1.0)
    return np.asarray(middle + off * np.maximum(1.0 - INK_PX / length, 0.2)[:, None])


def capsules(
    a: Points, b: Points, radius_a: NDArray[Any], radius_b: NDArray[Any]
) -> NDArray[np.float64]:
    """Outlines ``[B, 2 ARC, 2]`` of B pairs of circles with their common tangents, drawn in."""
    radius_a, radius_b = (np.maximum(r - INK_PX, 0.2) for r in (radius_a, radius_b))
    along = b - a
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    heading = np.arctan2(along[:, 1], along[:, 0])
    # Where the outer tangents touch, as an angle from the axis.
    touch = np.arccos(np.clip((radius_a - radius_b) / length, -1.0, 1.0))
    step = np.linspace(0.0, 1.0, ARC)
    behind = (heading + touch)[:, None] + (2 * np.pi - 2 * touch)[:, None] * step
    ahead = (heading - touch)[:, None] + (2 * touch)[:, None] * step
    angles = np.concatenate([behind, ahead], axis=1)
    centres = np.concatenate([np.repeat(a[:, None], ARC, 1), np.repeat(b[:, None], ARC, 1)], axis=1)
    radii = np.concatenate(
        [np.repeat(radius_a[:, None], ARC, 1), np.repeat(radius_b[:, None], ARC, 1)], axis=1
    )
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    outlines: NDArray[np.float64] = centres + radii[..., None] * circle
    return outlines


def axis_planes(
    a: Points, b: Points, depth_a: NDArray[Any], depth_b: NDArray[Any]
) -> NDArray[np.float64]:
    """Inverse depth ``[B, 3]`` of B straight lines, the same across each."""
    along = b - a
    inverse = 1.0 / depth_a
    # A line seen end-on has no slope that pixels could show.
    slope = (1.0 / depth_b - inverse) / np.maximum((along * along).sum(axis=1), 4.0)
    gradient = slope[:, None] * along
    return np.concatenate([(inverse - (gradient * a).sum(axis=1))[:, None], gradient], axis=1)


def box_corners(
    centre_m: NDArray[Any], size_m: tuple[float, float, float], yaw_rad: float
) -> NDArray[np.float64]:
    """The corners ``[8, 3]`` of an upright box."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    corners: NDArray[np.float64] = (_CORNERS * np.asarray(size_m)) @ turn.T + np.asarray(centre_m)
    return corners


def box_faces(
    camera: Camera, corners_m: NDArray[np.float64], yaw_rad: float
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], tuple[float, float, float]]]:
    """The faces that look at the camera: corners ``[4, 3]``, normal ``[3]``, inverse depth."""
    xy, depth = camera.project(corners_m)
    if (depth < NEAREST_M).any():
        return []
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    faces = []
    for indices, normal in zip(_FACES, _NORMALS @ turn.T, strict=True):
        at = list(indices)
        if normal @ (np.asarray(camera.position_m) - corners_m[at[0]]) <= 1e-9:
            continue
        ones = np.concatenate([np.ones((4, 1)), xy[at]], axis=1)
        plane = np.linalg.lstsq(ones, 1.0 / depth[at], rcond=None)[0]
        faces.append((corners_m[at], normal, (float(plane[0]), float(plane[1]), float(plane[2]))))
    return faces


def on_face(face_m: NDArray[np.float64], u: Any, v: Any) -> NDArray[np.float64]:
    """Points of a face ``[4, 3]``: u along its first side, v along its last, 0 to 1 each."""
    u, v = np.asarray(u, float)[..., None], np.asarray(v, float)[..., None]
    return np.asarray(face_m[0] + u * (face_m[1] - face_m[0]) + v * (face_m[3] - face_m[0]))
