# SPDX-License-Identifier: Apache-2.0
"""One scene's frames: where everybody is, who hides whom, the picture, and what is true of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.appearance import random_outfit
from poseact_engine.synthetic.area import Area
from poseact_engine.synthetic.background import random_room
from poseact_engine.synthetic.camera import Camera
from poseact_engine.synthetic.difficulty import DIFFICULTY
from poseact_engine.synthetic.figure import Figure
from poseact_engine.synthetic.light import random_light
from poseact_engine.synthetic.paint import Depths, is_empty, paint, put, surfaces, window_of
from poseact_engine.synthetic.rig import RATE_HZ, Crate, Take
from poseact_engine.synthetic.sensor import Sensor
from poseact_engine.synthetic.shadow import capsule_shadows, cast, shade, soft_px
from poseact_engine.synthetic.shapes import Shape
from poseact_engine.synthetic.stage import Backdrop, backdrop, thing_depths
from poseact_engine.synthetic.stance import Stance, solid_of, stance_of
from poseact_engine.synthetic.things import (
    Box,
    Marks,
    box_shape,
    is_ahead,
    random_crate_look,
    random_things,
)
from poseact_engine.synthetic.truth import FrameTruth, SceneFrame
from poseact_engine.synthetic.visibility import Boxes, behind_boxes, hidden_by_people
from poseact_engine.types import COCO_JOINTS

K = len(COCO_JOINTS)
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One person in one frame."""

    row: int
    stance: Stance
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    crate: Crate
    colour: tuple[float, float, float]
    marks: Marks


class Renderer:
    """Draws the frames of one scene, each from its time alone. Owns one frame's depths, which it
    writes anew each time. Not thread-safe."""

    def __init__(
        self,
        camera: Camera,
        area: Area,
        takes: tuple[Take, ...],
        rngs: Sequence[np.random.Generator],
    ) -> None:
        """``rngs``: for people's looks, for the stage, for the sensor."""
        looks, stage, self._sensor_rng = rngs
        self._camera, self._takes, self._stage_rng = camera, takes, stage
        self._eye = np.asarray(camera.position_m)
        self._light = random_light(stage, DIFFICULTY)
        self._room = random_room(stage, camera, area)
        seats = [_seat(looks, crate) for take in takes for crate in take.seats]
        things = random_things(stage, camera, area, self._room.walls, DIFFICULTY)
        self._boxes = tuple(box for box in (*things, *seats) if is_ahead(camera, box))
        self._loads = [_load(looks, crate) for take in takes for crate in take.loads]
        self._figures = [
            Figure(
                owner=row + 1,
                solid=solid_of(take.body),
                outfit=random_outfit(looks, ground=self._room.floor_colour, difficulty=DIFFICULTY),
            )
            for row, take in enumerate(takes)
        ]
        self._depths = Depths.empty(camera.size)

    def frames(
        self, times: Iterable[tuple[int, float, np.random.Generator]]
    ) -> Iterator[SceneFrame]:
        """Of frames given as index, time and the sensor's generator."""
        for index, time_s, rng in times:
            picture = self._backdrop.picture.copy()
            truth = self._compose(index, time_s, picture)
            yield SceneFrame(picture=self._sensor.expose(picture, rng), truth=truth)

    def truth(self, index: int, time_s: float) -> FrameTruth:
        return self._compose(index, time_s, None)

    @cached_property
    def _backdrop(self) -> Backdrop:
        return backdrop(self._stage_rng, self._camera, self._room, self._boxes, self._light)

    @cached_property
    def _sensor(self) -> Sensor:
        return Sensor(self._sensor_rng, self._camera.size, DIFFICULTY)

    @cached_property
    def _thing_depths(self) -> Depths:
        return thing_depths(self._camera, self._boxes, self._light)

    def _compose(self, index: int, time_s: float, picture: NDArray[np.uint8] | None) -> FrameTruth:
        people = self._people(time_s, detail=picture is not None)
        loads = [box for box in self._load_boxes(time_s) if is_ahead(self._camera, box)]
        if picture is not None:
            self._draw_shadows(picture, people, loads)
        self._depths.copy_from(self._thing_depths)
        shapes = [person.shape for person in people]
        boxes = (box_shape(self._camera, b, self._light, detail=picture is not None) for b in loads)
        shapes += [shape for shape in boxes if shape is not None]
        for shape in sorted(shapes, key=lambda s: -s.depth_m):
            self._draw(shape, picture)
        return self._truth(index, time_s, people, loads)

    def _people(self, time_s: float, *, detail: bool) -> list[Seen]:
        """Those before the camera whose body is at least partly in the picture."""
        people = []
        for row, (take, figure) in enumerate(zip(self._takes, self._figures, strict=True)):
            stance = stance_of(interpolated(take.joints_m, time_s), figure.solid)
            shape = figure.shape(self._camera, stance, self._light, detail=detail)
            if shape is None or is_empty(window_of(shape, limit=(0, 0, *self._camera.size))):
                continue
            people.append(Seen(row=row, stance=stance, shape=shape))
        return people

    def _load_boxes(self, time_s: float) -> Iterator[Box]:
        for load in self._loads:
            yield Box(
                centre_m=_at(load.crate.centre_m, time_s),
                size_m=load.crate.size_m,
                yaw_rad=_yaw_at(load.crate, time_s),
                colour=load.colour,
                marks=load.marks,
            )

    def _draw(self, shape: Shape, picture: NDArray[np.uint8] | None) -> None:
        window = window_of(shape, limit=(0, 0, *self._camera.size))
        if is_empty(window):
            return
        sight = put(shape, surfaces(shape, window), window, self._depths)
        if picture is not None:
            paint(picture, shape, window, self._light, sight=sight)

    def _draw_shadows(
        self, picture: NDArray[np.uint8], people: list[Seen], loads: list[Box]
    ) -> None:
        outlines: list[Points] = []
        for person in people:
            solid = self._figures[person.row].solid
            outlines += capsule_shadows(self._camera, *person.stance.capsules(solid), self._light)
        for box in loads:
            xy, depth = self._camera.project(cast(box.corners_m, self._light))
            if (depth > 0.5).all():
                outlines.append(xy)
        if people:
            soft = soft_px(self._camera, people[0].stance.head_m)
            shade(
                picture, outlines, self._backdrop.floor, strength=self._light.shadow, soft_px=soft
            )

    def _truth(self, index: int, time_s: float, people: list[Seen], loads: list[Box]) -> FrameTruth:
        full = np.array([p.shape.extent for p in people], np.float32).reshape(-1, 4)
        width, height = self._camera.size
        edges = np.array([width, height, width, height], np.float32)
        measured = [self._measured(person) for person in people]
        return FrameTruth(
            index=index,
            time_s=time_s,
            ids=np.array([p.row + 1 for p in people], np.int64),
            boxes_px=np.clip(full, 0, edges),
            full_boxes_px=full,
            visible=np.array([share for share, _ in measured], np.float32),
            areas_px=np.array([area for _, area in measured], np.float32),
            keypoints_px=self._keypoints(people, loads),
            actions=np.array([_action_at(self._takes[p.row], time_s) for p in people], np.int8),
        )

    def _measured(self, person: Seen) -> tuple[float, float]:
        """Share of a body that is seen, and how many of its pixels are in the picture."""
        width, height = self._camera.size
        whole = window_of(person.shape, limit=(-width, -height, 2 * width, 2 * height))
        body = surfaces(person.shape, whole) > 0
        x0, y0, x1, y1 = window_of(person.shape, limit=(0, 0, width, height))
        inside = body[y0 - whole[1] : y1 - whole[1], x0 - whole[0] : x1 - whole[0]]
        owner = self._depths.owner[y0:y1, x0:x1]
        seen = np.count_nonzero(inside & (owner == person.shape.owner))
        pixels = max(int(np.count_nonzero(body)), 1)
        return int(seen) / pixels, float(np.count_nonzero(inside))

    def _keypoints(self, people: list[Seen], loads: list[Box]) -> NDArray[np.float32]:
        keypoints = np.zeros((len(people), K, 3), np.float32)
        if not people:
            return keypoints
        stances = [person.stance for person in people]
        points = np.concatenate([stance.joints_m[:K] for stance in stances])
        xy = self._camera.project(points)[0].reshape(-1, K, 2)
        keypoints[..., :2] = xy
        solids = [self._figures[person.row].solid for person in people]
        hidden = hidden_by_people(self._eye, stances, solids)
        things = Boxes.of([*self._boxes, *loads])
        hidden |= behind_boxes(self._eye, points, things).reshape(-1, K)
        inside = ((xy >= -0.5) & (xy < np.asarray(self._camera.size) - 0.5)).all(axis=-1)
        keypoints[..., 2] = np.where(inside, np.where(hidden, 1, 2), 0)
        return keypoints


def interpolated(samples: NDArray[np.float32], time_s: float) -> Points:
    """A take's samples ``[T, ...]`` at a time; the first and the last hold before and after."""
    place = min(max(time_s * RATE_HZ, 0.0), len(samples) - 1.0)
    low = int(place)
    share = place - low
    first = samples[low].astype(np.float64)
    between: Points = first + share * (samples[min(low + 1, len(samples) - 1)] - first)
    return between


def _at(samples: NDArray[np.float32], time_s: float) -> tuple[float, float, float]:
    x, y, z = interpolated(samples, time_s)
    return float(x), float(y), float(z)


def _yaw_at(crate: Crate, time_s: float) -> float:
    """The shorter way round between two samples."""
    both = np.stack([np.cos(crate.yaw_rad), np.sin(crate.yaw_rad)], axis=-1)
    cos, sin = interpolated(both.astype(np.float32), time_s)
    return float(np.arctan2(sin, cos))


def _action_at(take: Take, time_s: float) -> int:
    nearest = min(max(round(time_s * RATE_HZ), 0), len(take.actions) - 1)
    return int(take.actions[nearest])


def _load(rng: np.random.Generator, crate: Crate) -> _Load:
    colour, marks = random_crate_look(rng)
    return _Load(crate=crate, colour=colour, marks=marks)


def _seat(rng: np.random.Generator, crate: Crate) -> Box:
    colour, marks = random_crate_look(rng)
    return Box(
        centre_m=_at(crate.centre_m, 0.0),
        size_m=crate.size_m,
        yaw_rad=float(crate.yaw_rad[0]),
        colour=colour,
        marks=marks,
    )
