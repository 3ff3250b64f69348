# SPDX-License-Identifier: Apache-2.0
"""Floor, walls and sky of a scene, looked up along the ray of each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.area import Area
from poseact_engine.synthetic.camera import Camera
from poseact_engine.synthetic.shapes import Colour
from poseact_engine.synthetic.texture import (
    Field,
    grid,
    line,
    mix,
    noise_tile,
    patchwork,
    resolved,
    sampled,
)

Image = NDArray[np.float32]
Floor = Literal["concrete", "tiles", "asphalt", "planks", "epoxy", "dirt"]
Wall = Literal["plain", "dado", "bricks", "sheets", "panels"]
_FLOORS: tuple[Floor, ...] = ("concrete", "tiles", "asphalt", "planks", "epoxy", "dirt")
_WALLS: tuple[Wall, ...] = ("plain", "dado", "bricks", "sheets", "panels")
_FLOOR_COLOURS: dict[Floor, tuple[Colour, ...]] = {
    "concrete": ((0.50, 0.51, 0.52), (0.60, 0.62, 0.63), (0.42, 0.45, 0.47)),
    "tiles": ((0.66, 0.70, 0.73), (0.45, 0.52, 0.58), (0.55, 0.56, 0.56), (0.74, 0.75, 0.75)),
    "asphalt": ((0.27, 0.27, 0.28), (0.36, 0.36, 0.36)),
    "planks": ((0.25, 0.38, 0.52), (0.38, 0.50, 0.62), (0.20, 0.28, 0.38)),
    "epoxy": ((0.42, 0.52, 0.40), (0.55, 0.48, 0.38), (0.36, 0.40, 0.55), (0.58, 0.60, 0.60)),
    "dirt": ((0.33, 0.42, 0.50), (0.24, 0.40, 0.33), (0.42, 0.50, 0.56)),
}
_WALL_COLOURS: tuple[Colour, ...] = (
    (0.72, 0.74, 0.75), (0.62, 0.68, 0.72), (0.50, 0.50, 0.50), (0.66, 0.60, 0.52),
    (0.40, 0.48, 0.60), (0.58, 0.66, 0.60),
)  # fmt: skip
_PAINTS: tuple[Colour, ...] = ((0.10, 0.72, 0.88), (0.85, 0.86, 0.86), (0.25, 0.28, 0.75))
_FAR_M = 200.0
_SKY, _COUNTRY, _CEILING = (0.86, 0.80, 0.74), (0.42, 0.50, 0.47), (0.30, 0.31, 0.32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Walls around the camera and the area; outdoors they are fences under a sky."""

    walls: Area
    wall_m: float
    """Height; above it are sky or ceiling."""
    indoors: bool
    floor: Floor
    floor_colour: Colour
    turn_rad: float
    """The floor's pattern against the world's axes."""
    wall: Wall
    wall_colour: Colour
    trim: Colour


def random_room(rng: np.random.Generator, camera: Camera, area: Area) -> Room:
    x, y, height = camera.position_m
    gaps = rng.uniform(1.0, 6.0, size=4)
    walls = Area(
        min(area.x0 - gaps[0], x - 0.4),
        max(area.x1 + gaps[1], x + 0.4),
        min(area.y0 - gaps[2], y - 0.4),
        max(area.y1 + gaps[3], y + 0.4),
    )
    indoors = bool(rng.random() < 0.65)
    kinds = [f for f in _FLOORS if f != "dirt"] if indoors else ["asphalt", "concrete", "dirt"]
    floor: Floor = kinds[rng.integers(len(kinds))]  # type: ignore[assignment]  # one of _FLOORS
    colours = _FLOOR_COLOURS[floor]
    return Room(
        walls=walls,
        wall_m=height + rng.uniform(0.4, 2.5) if indoors else rng.uniform(1.8, 5.0),
        indoors=indoors,
        floor=floor,
        floor_colour=_varied(rng, colours[rng.integers(len(colours))]),
        turn_rad=rng.choice([0.0, 0.0, np.pi / 4, rng.uniform(0, np.pi)]),
        wall=_WALLS[rng.integers(len(_WALLS))],
        wall_colour=_varied(rng, _WALL_COLOURS[rng.integers(len(_WALL_COLOURS))]),
        trim=_varied(rng, _WALL_COLOURS[rng.integers(len(_WALL_COLOURS))]),
    )


def _varied(rng: np.random.Generator, colour: Colour) -> Colour:
    b, g, r = np.clip(np.asarray(colour) * rng.uniform(0.85, 1.12), 0.05, 0.95)
    return float(b), float(g), float(r)


def draw_room(
    rng: np.random.Generator, camera: Camera, room: Room
) -> tuple[Image, NDArray[np.bool_]]:
    """Reflected light ``[H, W, 3]`` of the empty room, and where its floor is."""
    width, height = camera.size
    xy = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
    rays = camera.rays(xy).astype(np.float32)
    position = np.asarray(camera.position_m, np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        to_floor = np.where(rays[..., 2] < -1e-5, -position[2] / rays[..., 2], np.inf)
        to_x = _to_wall(rays[..., 0], position[0], room.walls.x0, room.walls.x1)
        to_y = _to_wall(rays[..., 1], position[1], room.walls.y0, room.walls.y1)
    to_wall = np.minimum(to_x, to_y)
    on_floor = to_floor < to_wall
    tiles = noise_tile(rng, roughness=1.1), noise_tile(rng, roughness=0.3)
    far = np.minimum(np.where(on_floor, to_floor, to_wall), _FAR_M)
    place = position + rays * far[..., None]
    pixel = far / camera.focal_px  # metres across the line of sight
    length = np.sqrt((rays * rays).sum(axis=-1))
    steep = np.maximum(np.abs(rays[..., 2]), 0.08) / length
    floor = _floor(rng, room, tiles, place, pixel / np.sqrt(steep))
    facing = np.abs(np.where(to_x < to_y, rays[..., 0], rays[..., 1])) / length + 0.05
    along = np.where(to_x < to_y, place[..., 1], place[..., 0])
    side = np.where(to_x < to_y, np.sign(rays[..., 0]), 2 * np.sign(rays[..., 1]))
    wall = _wall(
        rng,
        room,
        tiles,
        np.stack([along, place[..., 2], side, rays[..., 2]], axis=-1),
        pixel / facing,
    )
    return np.where(on_floor[..., None], floor, wall), on_floor


def _to_wall(ray: Field, position: np.float32, low: float, high: float) -> Field:
    far = np.where(ray > 0, (high - position) / ray, (low - position) / ray)
    return np.where(np.abs(ray) < 1e-6, np.inf, far).astype(np.float32)


def _floor(
    rng: np.random.Generator, room: Room, tiles: tuple[Field, Field], place: Image, pixel: Field
) -> Image:
    cos, sin = np.cos(room.turn_rad), np.sin(room.turn_rad)
    x, y = place[..., 0], place[..., 1]
    u, v = (cos * x + sin * y).astype(np.float32), (cos * y - sin * x).astype(np.float32)
    stains, grain = sampled(tiles[0], u, v, metres=9.0), sampled(tiles[1], u, v, metres=2.6)
    grain = grain * np.clip(0.01 / np.maximum(pixel, 1e-4), 0.1, 1.0)
    rough = {"dirt": 0.16, "asphalt": 0.11, "concrete": 0.06}.get(room.floor, 0.025)
    shade = 1.0 + 0.055 * stains + rough * grain
    if room.floor == "tiles":
        cell = rng.uniform(0.3, 0.9)
        shade = shade * _patches(rng, u, v, cell=(cell, cell), pixel=pixel, amount=0.05)
        shade = shade * (1.0 - 0.3 * _net(u, v, (cell, cell), 0.012, pixel))
    elif room.floor == "planks":
        cells = rng.uniform(1.2, 2.4), rng.uniform(0.12, 0.25)
        shade = shade * _patches(rng, u, v, cell=cells, pixel=pixel, amount=0.09)
        shade = shade * (1.0 - 0.4 * grid(v, cell=cells[1], width=0.008, footprint=pixel))
    elif room.floor == "concrete":
        cell = rng.uniform(2.5, 5.0)
        shade = shade * (1.0 - 0.35 * _net(u, v, (cell, cell), 0.025, pixel))
    image = np.asarray(room.floor_colour, np.float32) * shade[..., None]
    if room.floor in ("epoxy", "asphalt", "concrete"):
        _mark_out(rng, image, u, v, pixel)
    # Less light gets into the corner between floor and wall.
    walls = room.walls
    near = np.minimum.reduce([x - walls.x0, walls.x1 - x, y - walls.y0, walls.y1 - y])
    corner = 1.0 - 0.3 * np.exp(-np.maximum(near, 0) / 0.35)
    return np.asarray(image * corner[..., None], np.float32)


def _patches(
    rng: np.random.Generator, u: Field, v: Field, *,
    cell: tuple[float, float], pixel: Field, amount: float,
) -> Field:  # fmt: skip
    spread = amount * rng.standard_normal((16, 16)).astype(np.float32)
    return patchwork(u, v, cell=cell, spread=spread, footprint=pixel)


def _net(u: Field, v: Field, cell: tuple[float, float], width: float, pixel: Field) -> Field:
    across = grid(u, cell=cell[0], width=width, footprint=pixel)
    return np.maximum(across, grid(v, cell=cell[1], width=width, footprint=pixel))


def _mark_out(rng: np.random.Generator, image: Image, u: Field, v: Field, pixel: Field) -> None:
    """Painted lanes and bays, a little worn."""
    for _ in range(rng.integers(0, 4)):
        paint = _PAINTS[rng.integers(len(_PAINTS))]
        along, across = (u, v) if rng.random() < 0.5 else (v, u)
        offset, width = rng.uniform(-5, 5), rng.uniform(0.07, 0.14)
        cover = line(across - offset, width=width, footprint=pixel)
        if rng.random() < 0.3:
            cover = cover * (np.mod(along, 1.6) < 0.9)
        mix(image, paint, (cover * rng.uniform(0.6, 0.95)).astype(np.float32))


def _wall(
    rng: np.random.Generator, room: Room, tiles: tuple[Field, Field], place: Image, pixel: Field
) -> Image:
    s, z, side, steep = (place[..., k] for k in range(4))
    s = (s + 7.3 * side).astype(np.float32)  # the walls differ
    shade = 1.0 + 0.04 * sampled(tiles[0], s, z, metres=8.0)
    shade = shade * (1.0 + 0.02 * sampled(tiles[1], s, z, metres=1.7))
    if room.wall == "bricks":
        shade = shade * _patches(rng, s, z, cell=(0.3, 0.1), pixel=pixel, amount=0.06)
        shade = shade * (1.0 - 0.25 * grid(z, cell=0.1, width=0.012, footprint=pixel))
    elif room.wall == "sheets":
        waves = np.sin(s * (2 * np.pi / 0.22)) * resolved(0.22, pixel)
        shade = shade * (1.0 + 0.14 * waves)
    elif room.wall == "panels":
        shade = shade * (1.0 - 0.35 * _net(s, z, (1.25, 1.1), 0.02, pixel))
    shade = shade * (1.0 + 0.07 * np.where(np.abs(side) > 1.5, 1.0, -1.0))
    image = np.asarray(room.wall_colour, np.float32) * shade[..., None]
    if room.wall == "dado":
        below = np.clip((rng.uniform(0.9, 1.5) - z) / np.maximum(pixel, 1e-4), 0.0, 1.0)
        mix(image, np.asarray(room.trim) * 0.8, below.astype(np.float32))
    _add_openings(rng, image, s, z, pixel)
    above = np.clip((z - room.wall_m) / np.maximum(pixel, 1e-4), 0.0, 1.0).astype(np.float32)
    mix(image, _CEILING if room.indoors else _SKY, above)
    if not room.indoors:  # over a fence one sees the ground beyond, up to the horizon
        mix(image, _COUNTRY, above * np.clip(-steep / 0.02, 0.0, 1.0))
    return image


def _add_openings(rng: np.random.Generator, image: Image, s: Field, z: Field, pixel: Field) -> None:
    """Doors, windows, posters and boards on the walls."""
    low_s, high_s = float(s.min()), float(s.max())
    for _ in range(rng.integers(3, 9)):
        kind = rng.integers(3)
        at = rng.uniform(-25, 25)
        wide, low, high = (
            (rng.uniform(0.8, 3.2), 0.0, rng.uniform(2.0, 2.8)),
            (rng.uniform(0.8, 2.2), rng.uniform(0.9, 1.4), rng.uniform(1.9, 2.8)),
            (rng.uniform(0.4, 1.2), rng.uniform(1.2, 1.6), rng.uniform(1.8, 2.4)),
        )[kind]
        colour = rng.uniform(0.12, 0.8) * rng.uniform(0.8, 1.2, size=3)
        if at + wide < low_s or at - wide > high_s:
            continue
        for grow, paint in ((0.06, 0.6 * colour), (0.0, colour)):
            across = line(s - at, width=wide + 2 * grow, footprint=pixel)
            upright = line(z - (low + high) / 2, width=high - low + 2 * grow, footprint=pixel)
            mix(image, np.clip(paint, 0.03, 0.9), across * upright)
