# SPDX-License-Identifier: Apache-2.0
"""A torso as polygons: the hull of shoulders, hips, chest and belly, and what is worn on it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.appearance import Outfit
from poseact_engine.synthetic.camera import Camera
from poseact_engine.synthetic.light import Light
from poseact_engine.synthetic.shapes import INK_PX, Colour, Shape, axis_planes, cross, shaded
from poseact_engine.synthetic.stance import NECK, PELVIS, SHOULDERS, Stance

Points = NDArray[np.float64]


class Torso:
    """The hull, and what is worn on it. Lives for one frame."""

    def __init__(self, camera: Camera, stance: Stance) -> None:
        xy, depth = camera.project(stance.torso_m)
        radii_px = stance.torso_radii_m * camera.focal_px / depth
        self._camera, self._joints = camera, stance.joints_m
        self._thick_m = float(stance.torso_radii_m[4])
        self._circles = xy, radii_px
        self.depth_m = float(depth.mean())
        self._hull = hull(xy, radii_px)
        low, high = xy[2:4].mean(axis=0), xy[:2].mean(axis=0)
        plane = axis_planes(low[None], high[None], depth[2:4].mean()[None], depth[:2].mean()[None])
        self._plane = float(plane[0, 0]), float(plane[0, 1]), float(plane[0, 2])

    def draw(self, shape: Shape, outfit: Outfit, light: Light, *, detail: bool) -> None:
        colour = outfit.vest or outfit.top
        shape.add_surface(self._hull, shaded(colour, 0.72), self._plane)
        if not detail:
            return
        xy, radii = self._circles
        lamp = (self._camera.rotation @ light.direction)[:2]
        for shift, size, bright in ((0.16, 0.8, 0.86), (0.34, 0.55, 1.0)):
            middle = xy.mean(axis=0)
            centres = middle + size * (xy - middle) + shift * radii[4] * lamp
            shape.add(hull(centres, radii * size), shaded(colour, bright))
        self._draw_clothes(shape, outfit)

    def _draw_clothes(self, shape: Shape, outfit: Outfit) -> None:
        joints = self._joints
        neck, pelvis = joints[NECK], joints[PELVIS]
        across = joints[SHOULDERS[0]] - joints[SHOULDERS[1]]
        front = cross(across, neck - pelvis)
        front = front / max(float(np.sqrt(front @ front)), 1e-9)
        facing = float(front @ (np.asarray(self._camera.position_m) - neck))
        front = front if facing > 0 else -front
        patches = _patches(outfit, in_front=facing > 0)
        places = np.concatenate([np.asarray(outline) for outline, _ in patches])
        down, aside = places[:, :1], places[:, 1:]
        half = across / 2 * (1 - 0.4 * down)
        bulge = self._thick_m * (1 - aside * aside) * front
        xy, _ = self._camera.project(neck + down * (pelvis - neck) + aside * half + bulge)
        start = 0
        for outline, colour in patches:
            shape.add(xy[start : start + len(outline)], colour)
            start += len(outline)


def _patches(outfit: Outfit, *, in_front: bool) -> list[tuple[list[tuple[float, float]], Colour]]:
    """What is worn on the seen side of a torso: outlines of places, and colours.

    A place is how far down (0 the neck, 1 the pelvis) and how far aside (-1 to 1) it is.
    """
    patches: list[tuple[list[tuple[float, float]], Colour]] = []
    for down in (0.42, 0.66) if outfit.bands else ():
        edge = [(down, aside) for aside in (-1.0, -0.5, 0.0, 0.5, 1.0)]
        band = [*edge, *((d + 0.08, aside) for d, aside in reversed(edge))]
        patches.append((band, outfit.bands or outfit.top))
    if in_front:
        patches.append(([(0.0, -0.3), (0.0, 0.3), (0.26, 0.0)], outfit.shirt))
        dark = shaded(outfit.vest or outfit.top, 0.5)
        zip_ = [(0.2, -0.035), (0.2, 0.035), (0.95, 0.035), (0.95, -0.035)]
        patches.append((zip_, dark))
    else:
        back = [(0.15, -0.5), (0.15, 0.5), (0.34, 0.5), (0.34, -0.5)]
        plain = shaded(outfit.vest or outfit.top, 0.95)
        patches.append((back, outfit.back_print or plain))
    return patches


_CIRCLE = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 13)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 13)[:-1])],
    axis=1,
)


def hull(centres: Points, radii: Points) -> Points:
    """Outline ``[N, 2]`` of the hull of circles, drawn in."""
    radii = np.maximum(radii - INK_PX, 0.2)
    points = (centres[:, None] + radii[:, None, None] * _CIRCLE).reshape(-1, 2)
    outline: Points = cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)
    return outline
