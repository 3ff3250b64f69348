# SPDX-License-Identifier: Apache-2.0
"""Scenes: people of known motion before a camera, frame by frame, with their truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from poseact_engine.config_checks import check, check_count, is_number
from poseact_engine.errors import DependencyError
from poseact_engine.synthetic.area import Area
from poseact_engine.synthetic.camera import random_camera
from poseact_engine.synthetic.difficulty import DIFFICULTY
from poseact_engine.synthetic.motion import Plan, make_take
from poseact_engine.synthetic.rig import Take
from poseact_engine.synthetic.truth import FallTruth, FrameTruth, SceneFrame
from poseact_engine.types import ACTIONS

if TYPE_CHECKING:
    from poseact_engine.synthetic.render import Renderer

MOST_PEOPLE, LONGEST_S, SHORTEST_TAKE_S = 20, 3600.0, 0.5
SIDES_PX, LONGEST_ASPECT = (64, 4096), 3
MOST_FPS = 240
REPORTED_AFTER_S = 1.0
"""A fall is to be reported if the scene goes on for this long after its end."""
_CAMERA, _PEOPLE, _MOTION, _LOOKS, _STAGE, _SENSOR, _FRAME = range(7)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneConfig:
    """Which scene. The same config makes the same bytes on one machine."""

    people: int | None = None
    """None: drawn, 1 to 4."""
    seconds: float = 8.0
    seed: int = 0
    size: tuple[int, int] = (640, 360)
    """Width and height, pixels: both even, 64 to 4096, one at most 3 times the other."""
    fps: tuple[int, int] = (30, 1)
    """Numerator and denominator."""
    actions: tuple[str, ...] = ()
    """Of ACTIONS: people do nothing else; empty: whatever is likely."""

    def __post_init__(self) -> None:
        if self.people is not None:
            check_count("scene", least=0, people=self.people)
            expected = f"at most {MOST_PEOPLE} people"
            check(self.people <= MOST_PEOPLE, "scene.people", expected, self.people)
        ok = is_number(self.seconds) and 0 < self.seconds <= LONGEST_S
        check(ok, "scene.seconds", f"more than 0, at most {LONGEST_S:g}", self.seconds)
        check_count("scene", least=0, seed=self.seed)
        check(_is_pair(self.size), "scene.size", "width and height, whole numbers", self.size)
        low, high = SIDES_PX
        ok = all(side % 2 == 0 and low <= side <= high for side in self.size)
        check(ok, "scene.size", f"even sides of {low} to {high} px", self.size)
        ok = max(self.size) <= LONGEST_ASPECT * min(self.size)
        check(ok, "scene.size", f"a side at most {LONGEST_ASPECT} times the other", self.size)
        ok = _is_pair(self.fps) and min(self.fps) > 0 and self.fps[0] / self.fps[1] <= MOST_FPS
        expected = f"a numerator and a denominator, at most {MOST_FPS} frames a second"
        check(ok, "scene.fps", expected, self.fps)
        wrong = [name for name in self.actions if name not in ACTIONS]
        check(not wrong, "scene.actions", f"names among {', '.join(ACTIONS)}", self.actions)

    @property
    def frame_count(self) -> int:
        """Frames of the scene."""
        rate, per = self.fps
        return max(1, int(self.seconds * rate / per + 1e-9))


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
    )


def require_opencv() -> None:
    """Raises DependencyError unless OpenCV is there."""
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            "synthetic scenes: need the package 'cv2'; "
            "install it with: pip install 'poseact-engine[video]'"
        ) from error


class Scene:
    """One camera and its people. Frames are made when they are asked for; nothing is kept of them.

    Not thread-safe; two scenes know nothing of each other.
    """

    def __init__(
        self, config: SceneConfig, *, on_person: Callable[[], None] = lambda: None
    ) -> None:
        """Raises ConfigError, or DependencyError without OpenCV. ``on_person`` is called before
        each person's motion is made, which takes long in long scenes; it may raise."""
        require_opencv()
        self.config = config
        self._area = _draw_area(self._rng(_CAMERA, 0))
        self.camera = random_camera(self._rng(_CAMERA, 1), config.size, self._area)
        self.takes = self._draw_takes(on_person)

    def __len__(self) -> int:
        """Frames."""
        return self.config.frame_count

    def time_s(self, index: int) -> float:
        """Of a frame."""
        return index * self.config.fps[1] / self.config.fps[0]

    def frames(self, every: int = 1) -> Iterator[SceneFrame]:
        """Pictures and truths from the start, every Nth of them; each call begins anew."""
        yield from self._renderer.frames(
            (index, self.time_s(index), self._rng(_FRAME, index))
            for index in range(0, len(self), every)
        )

    def truths(self) -> Iterator[FrameTruth]:
        """The truths that ``frames`` gives, without the pictures."""
        for index in range(len(self)):
            yield self._renderer.truth(index, self.time_s(index))

    @cached_property
    def falls(self) -> tuple[FallTruth, ...]:
        """Falls that can be seen: the person is in the picture, at least half visible on average
        and the scene goes on for a second after; by their time."""
        falls = [
            FallTruth(id=row + 1, start_s=fall.start_s, end_s=fall.end_s)
            for row, take in enumerate(self.takes)
            for fall in take.falls
            if fall.end_s + REPORTED_AFTER_S <= self.config.seconds
        ]
        return tuple(sorted(filter(self._is_seen, falls), key=lambda f: (f.start_s, f.id)))

    def _is_seen(self, fall: FallTruth) -> bool:
        shares = []
        for time_s in np.linspace(fall.start_s, fall.end_s + 0.3, 6):
            truth = self._renderer.truth(0, float(time_s))
            row = np.flatnonzero(truth.ids == fall.id)
            shares.append(float(truth.visible[row[0]]) if len(row) else 0.0)
        return float(np.mean(shares)) >= 0.5

    @cached_property
    def _renderer(self) -> Renderer:
        # OpenCV is optional, so it is imported only once a scene is really made.
        from poseact_engine.synthetic.render import Renderer

        rngs = [self._rng(purpose, 0) for purpose in (_LOOKS, _STAGE, _SENSOR)]
        return Renderer(self.camera, self._area, self.takes, rngs)

    def _draw_takes(self, on_person: Callable[[], None]) -> tuple[Take, ...]:
        people = self.config.people
        if people is None:
            low, high = DIFFICULTY.people
            people = int(self._rng(_PEOPLE, 0).integers(low, high + 1))
        takes: list[Take] = []
        seconds = max(self.config.seconds, SHORTEST_TAKE_S)
        for row in range(people):
            on_person()
            rng = self._rng(_MOTION, row)
            plan = Plan.draw(rng, seconds, allowed=self.config.actions)
            takes.append(make_take(rng, seconds=seconds, area=self._area, plan=plan, avoid=takes))
        return tuple(takes)

    def _rng(self, purpose: int, index: int) -> np.random.Generator:
        """One generator for each purpose, so that one more draw somewhere changes nothing else."""
        return np.random.default_rng(np.random.SeedSequence([self.config.seed, purpose, index]))


def _draw_area(rng: np.random.Generator) -> Area:
    x, y = rng.uniform(*DIFFICULTY.area_side_m, size=2) / 2
    return Area(-x, x, -y, y)
