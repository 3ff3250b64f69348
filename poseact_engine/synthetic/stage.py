# SPDX-License-Identifier: Apache-2.0
"""What of a scene does not move: its room, its things, its light, and how its camera sees them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.background import Room, draw_room
from poseact_engine.synthetic.camera import Camera
from poseact_engine.synthetic.light import Light
from poseact_engine.synthetic.paint import Depths, Window, is_empty, paint, put, surfaces, window_of
from poseact_engine.synthetic.shadow import cast, shade
from poseact_engine.synthetic.shapes import Shape
from poseact_engine.synthetic.things import Box, box_shape

_DRAWN_LINES = 720
"""Rooms are drawn with at most this many lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """The picture before anybody comes in. Read-only."""

    picture: NDArray[np.uint8]
    """uint8 ``[H, W, 3]``, BGR, as the light is, without the sensor's faults."""
    floor: NDArray[np.uint8]
    """uint8 ``[H, W]``: 255 where the floor is seen, which takes shadows; else 0."""


def box_shapes(
    camera: Camera, boxes: tuple[Box, ...], light: Light, *, detail: bool
) -> list[Shape]:
    """Those in view, from far to near."""
    shapes = (box_shape(camera, box, light, detail=detail) for box in boxes)
    limit = (0, 0, *camera.size)
    seen = [s for s in shapes if s is not None and not is_empty(window_of(s, limit=limit))]
    return sorted(seen, key=lambda shape: -shape.depth_m)


def thing_depths(camera: Camera, boxes: tuple[Box, ...], light: Light) -> Depths:
    """How near the things are in each pixel."""
    depths = Depths.empty(camera.size)
    for shape in box_shapes(camera, boxes, light, detail=False):
        window = window_of(shape, limit=(0, 0, *camera.size))
        put(shape, surfaces(shape, window), window, depths)
    return depths


def backdrop(
    rng: np.random.Generator, camera: Camera, room: Room, boxes: tuple[Box, ...], light: Light
) -> Backdrop:
    width, height = camera.size
    picture, floor = _empty_room(rng, camera, room, light)
    _thing_shadows(picture, camera, boxes, light, floor)
    depths = Depths.empty(camera.size)
    window: Window
    for shape in box_shapes(camera, boxes, light, detail=True):
        window = window_of(shape, limit=(0, 0, width, height))
        sight = put(shape, surfaces(shape, window), window, depths)
        paint(picture, shape, window, light, sight=sight)
    floor[depths.inverse > 0] = 0
    return Backdrop(picture=picture, floor=floor)


def _empty_room(
    rng: np.random.Generator, camera: Camera, room: Room, light: Light
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Picture and floor. Large ones are drawn at half their size, or a quarter: rooms are soft,
    and each pixel of one costs a microsecond."""
    width, height = camera.size
    smaller = camera
    while smaller.size[1] > _DRAWN_LINES and smaller.size[0] % 2 == smaller.size[1] % 2 == 0:
        half = smaller.size[0] // 2, smaller.size[1] // 2
        smaller = replace(smaller, size=half, focal_px=smaller.focal_px / 2)
    image, on_floor = draw_room(rng, smaller, room)
    x, y = np.linspace(-1, 1, smaller.size[0]), np.linspace(-1, 1, smaller.size[1])
    field = light.field(np.stack(np.meshgrid(x, y), axis=-1)).astype(np.float32)
    picture = np.rint(light.expose(image * field[..., None])).astype(np.uint8)
    floor = np.where(on_floor, np.uint8(255), np.uint8(0))
    if smaller is not camera:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC)
        floor = cv2.resize(floor, (width, height), interpolation=cv2.INTER_NEAREST)
    return picture, floor


def _thing_shadows(
    picture: NDArray[np.uint8],
    camera: Camera,
    boxes: tuple[Box, ...],
    light: Light,
    floor: NDArray[np.uint8],
) -> None:
    outlines = []
    for box in boxes:
        xy, depth = camera.project(cast(box.corners_m, light))
        if (depth > 0.5).all() and np.abs(xy).max() < 20 * max(camera.size):
            outlines.append(cv2.convexHull(xy.astype(np.float32))[:, 0].astype(np.float64))
    soft = camera.size[1] / 120
    shade(picture, outlines, floor, strength=light.shadow, soft_px=soft)
