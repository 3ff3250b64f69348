# SPDX-License-Identifier: Apache-2.0
"""What stands about in a scene: crates, pallets, shelves, pillars, railings, all made of boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.area import Area
from poseact_engine.synthetic.camera import Camera
from poseact_engine.synthetic.difficulty import Difficulty
from poseact_engine.synthetic.light import Light
from poseact_engine.synthetic.shapes import (
    NEAREST_M,
    Colour,
    Shape,
    box_corners,
    box_faces,
    on_face,
    shaded,
)

Marks = Literal["plain", "tape", "boards", "label"]
_CARDBOARD: Colour = (0.36, 0.52, 0.66)
_WOOD: Colour = (0.34, 0.50, 0.64)
_PLASTIC: tuple[Colour, ...] = (
    (0.60, 0.30, 0.15), (0.20, 0.22, 0.60), (0.25, 0.45, 0.22), (0.20, 0.62, 0.78),
    (0.35, 0.35, 0.36), (0.70, 0.71, 0.72),
)  # fmt: skip
_STEEL: tuple[Colour, ...] = ((0.62, 0.34, 0.14), (0.50, 0.52, 0.53), (0.16, 0.45, 0.85))
CLEAR_M = 0.6
"""Things keep this far from where people walk: those who fall reach out of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A box with upright sides that does not move."""

    centre_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    yaw_rad: float
    colour: Colour
    marks: Marks = "plain"

    @property
    def corners_m(self) -> NDArray[np.float64]:
        return box_corners(np.asarray(self.centre_m), self.size_m, self.yaw_rad)


def is_ahead(camera: Camera, box: Box) -> bool:
    """Whether all of it is before the camera; else it is neither drawn nor hides anything."""
    return bool((camera.to_camera(box.corners_m)[:, 2] >= NEAREST_M).all())


def box_shape(camera: Camera, box: Box, light: Light, *, detail: bool = True) -> Shape | None:
    """None where the camera does not see it."""
    corners = box.corners_m
    faces = box_faces(camera, corners, box.yaw_rad)
    if not faces:
        return None
    depth = camera.to_camera(np.asarray(box.centre_m))[2]
    shape = Shape(owner=0, depth_m=float(depth))
    for face, normal, plane in faces:
        colour = shaded(box.colour, light.on(normal))
        shape.add_surface(camera.project(face)[0], colour, plane)
        if detail:
            _mark(shape, camera, face, colour, box.marks)
    return shape


def _mark(
    shape: Shape, camera: Camera, face: NDArray[np.float64], colour: Colour, marks: Marks
) -> None:
    def patch(u0: float, u1: float, v0: float, v1: float, light: float) -> None:
        corners = on_face(face, np.array([u0, u1, u1, u0]), np.array([v0, v0, v1, v1]))
        shape.add(camera.project(corners)[0], shaded(colour, light))

    if marks == "tape":
        patch(0.44, 0.56, 0.0, 1.0, 1.25)
    elif marks == "label":
        patch(0.55, 0.9, 0.55, 0.85, 1.45)
    elif marks == "boards":
        for k in range(3):
            patch(0.0, 1.0, 0.27 + 0.3 * k, 0.31 + 0.3 * k, 0.55)


def random_crate_look(rng: np.random.Generator) -> tuple[Colour, Marks]:
    """Of loads, seats and stacked crates."""
    kind = rng.integers(3)
    if kind == 0:
        return _toned(rng, _CARDBOARD), "tape"
    if kind == 1:
        return _toned(rng, _WOOD), "boards"
    return _toned(rng, _PLASTIC[rng.integers(len(_PLASTIC))]), "label"


def _toned(rng: np.random.Generator, colour: Colour) -> Colour:
    return shaded(colour, float(rng.uniform(0.8, 1.2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """Where a thing is put: its own x axis is at ``yaw_rad``."""

    x: float
    y: float
    yaw_rad: float

    def box(
        self, at: tuple[float, float, float], size: tuple[float, float, float], colour: Colour,
        marks: Marks = "plain",
    ) -> Box:  # fmt: skip
        cos, sin = math.cos(self.yaw_rad), math.sin(self.yaw_rad)
        return Box(
            centre_m=(
                self.x + cos * at[0] - sin * at[1],
                self.y + sin * at[0] + cos * at[1],
                at[2],
            ),
            size_m=size,
            yaw_rad=self.yaw_rad,
            colour=colour,
            marks=marks,
        )


def _crates(rng: np.random.Generator, spot: _Spot) -> list[Box]:
    boxes, top = [], 0.0
    for _ in range(rng.integers(1, 4)):
        colour, marks = random_crate_look(rng)
        size = tuple(float(s) for s in rng.uniform((0.4, 0.35, 0.25), (0.9, 0.7, 0.55)))
        at = (float(rng.uniform(-0.05, 0.05)), 0.0, top + size[2] / 2)
        boxes.append(spot.box(at, (size[0], size[1], size[2]), colour, marks))
        top += size[2]
    return boxes


def _pallet(rng: np.random.Generator, spot: _Spot) -> list[Box]:
    wood = _toned(rng, _WOOD)
    boxes = [spot.box((0.0, 0.0, 0.07), (1.2, 0.8, 0.14), wood, "boards")]
    height = float(rng.uniform(0.3, 1.2))
    colour, marks = random_crate_look(rng)
    boxes.append(spot.box((0.0, 0.0, 0.14 + height / 2), (1.1, 0.74, height), colour, marks))
    return boxes


def _shelf(rng: np.random.Generator, spot: _Spot) -> list[Box]:
    steel = _STEEL[rng.integers(len(_STEEL))]
    width, levels = float(rng.uniform(1.6, 3.2)), int(rng.integers(2, 4))
    step = float(rng.uniform(0.6, 0.9))
    boxes = [
        spot.box((side * width / 2, deep, levels * step / 2 + 0.1),
                 (0.07, 0.07, levels * step + 0.2), steel)
        for side in (-1, 1) for deep in (-0.28, 0.28)
    ]  # fmt: skip
    for level in range(levels):
        z = 0.12 + level * step
        boxes.append(spot.box((0.0, 0.0, z), (width, 0.6, 0.06), steel))
        x = -width / 2 + 0.1
        while x < width / 2 - 0.35:
            colour, marks = random_crate_look(rng)
            wide, high = rng.uniform(0.25, 0.5), rng.uniform(0.2, step - 0.15)
            at = (x + wide / 2, 0.0, z + 0.03 + high / 2)
            boxes.append(spot.box(at, (wide, 0.5, high), colour, marks))
            x += wide + rng.uniform(0.02, 0.4)
    return boxes


def _pillar(rng: np.random.Generator, spot: _Spot, height: float) -> list[Box]:
    side = float(rng.uniform(0.18, 0.45))
    grey = float(rng.uniform(0.35, 0.7))
    boxes = [spot.box((0.0, 0.0, height / 2), (side, side, height), (grey, grey, grey))]
    if rng.random() < 0.5:
        wide = side + 0.02
        boxes.append(spot.box((0.0, 0.0, 0.5), (wide, wide, 1.0), (0.1, 0.7, 0.85), "boards"))
    return boxes


def _low_wall(rng: np.random.Generator, spot: _Spot, height: float) -> list[Box]:
    grey = float(rng.uniform(0.35, 0.7))
    size = (float(rng.uniform(1.2, 3.0)), 0.18, height)
    return [spot.box((0.0, 0.0, height / 2), size, (grey, grey, grey))]


def _railing(rng: np.random.Generator, spot: _Spot, height: float) -> list[Box]:
    colour, width = _STEEL[rng.integers(len(_STEEL))], float(rng.uniform(1.5, 3.5))
    posts = [
        spot.box((x, 0.0, height / 2), (0.05, 0.05, height), colour)
        for x in np.linspace(-width / 2, width / 2, 4)
    ]
    bars = [spot.box((0.0, 0.0, height * s), (width, 0.04, 0.05), colour) for s in (0.5, 0.97)]
    return posts + bars


def random_things(
    rng: np.random.Generator, camera: Camera, area: Area, room: Area, difficulty: Difficulty
) -> tuple[Box, ...]:
    """What stands round the area, and perhaps something between it and the camera."""
    boxes: list[Box] = []
    for _ in range(rng.integers(difficulty.things[0], difficulty.things[1] + 1)):
        spot = _free_spot(rng, camera, area, room)
        if spot is not None:
            make = (_crates, _pallet, _shelf, _crates)[rng.integers(4)]
            boxes += make(rng, spot)
    if rng.random() < difficulty.occluder:
        boxes += _occluder(rng, camera, area, difficulty)
    return tuple(boxes)


def _outside(area: Area, place: NDArray[np.float64], margin: float) -> bool:
    low, high = np.array([area.x0, area.y0]) - margin, np.array([area.x1, area.y1]) + margin
    return not bool(((place > low) & (place < high)).all())


def _free_spot(rng: np.random.Generator, camera: Camera, area: Area, room: Area) -> _Spot | None:
    """In the room, beside the area, and no nearer to the camera than the area's middle."""
    eye = np.asarray(camera.position_m[:2])
    centre = np.array([area.x0 + area.x1, area.y0 + area.y1]) / 2
    for _ in range(12):
        x = float(rng.uniform(max(room.x0 + 0.6, area.x0 - 4), min(room.x1 - 0.6, area.x1 + 4)))
        y = float(rng.uniform(max(room.y0 + 0.6, area.y0 - 4), min(room.y1 - 0.6, area.y1 + 4)))
        place = np.array([x, y])
        if (place - centre) @ (centre - eye) > 0 and _outside(area, place, CLEAR_M + 0.6):
            return _Spot(x=x, y=y, yaw_rad=float(rng.choice([0.0, math.pi / 2])))
    return None


def _occluder(
    rng: np.random.Generator, camera: Camera, area: Area, difficulty: Difficulty
) -> list[Box]:
    """Between the camera and a place in the area, near the area's edge."""
    eye = np.asarray(camera.position_m[:2])
    target = np.array([rng.uniform(area.x0, area.x1), rng.uniform(area.y0, area.y1)])
    towards = eye - target
    towards = towards / max(float(np.linalg.norm(towards)), 1e-6)
    distance = 0.0
    while not _outside(area, target + distance * towards, CLEAR_M + 0.3):
        distance += 0.1
    distance += rng.uniform(0.0, 0.8)
    place = target + distance * towards
    if (eye - place) @ towards < 1.2:  # too near to the camera, or behind it
        return []
    across = math.atan2(towards[1], towards[0]) + math.pi / 2 + rng.uniform(-0.5, 0.5)
    spot = _Spot(x=float(place[0]), y=float(place[1]), yaw_rad=across)
    if rng.random() < difficulty.pillar:
        # Up to where it leaves the picture: what is behind the camera cannot be drawn.
        foot = float(camera.to_camera(np.array([*place, 0.0]))[2])
        rise = max(-float(camera.rotation[2, 2]), 1e-3)
        return _pillar(rng, spot, min(8.0, (foot - 1.0) / rise))
    height = float(rng.uniform(*difficulty.occluder_height_m))
    kind = rng.integers(3)
    if kind == 0:
        return _low_wall(rng, spot, height)
    return _railing(rng, spot, height) if kind == 1 else _crates(rng, spot)
