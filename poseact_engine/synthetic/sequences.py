# SPDX-License-Identifier: Apache-2.0
"""Sequences of poses without pictures: made people, seen by many cameras and an estimator.

Cameras, frame rates and things in the way vary more than in rendered scenes: the action model is to
take the poses of any camera, and no picture has to be drawn here. Hours of them take minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.synthetic.area import Area
from poseact_engine.synthetic.camera import Camera, random_camera
from poseact_engine.synthetic.motion import make_take
from poseact_engine.synthetic.noise import HIDDEN, OUTSIDE, SEEN, PoseNoise, estimated
from poseact_engine.synthetic.occlusion import hidden_by_body, hidden_by_things
from poseact_engine.synthetic.rig import RATE_HZ, Take
from poseact_engine.synthetic.scene import REPORTED_AFTER_S
from poseact_engine.synthetic.truth import FallTruth
from poseact_engine.types import COCO_JOINTS

Array = NDArray[np.float64]
_NEAR_M = 0.8
"""No camera comes nearer to a joint: takes that walk into it are seen by another one."""
_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencesConfig:
    """What sequences are drawn from; pairs are (low, high)."""

    seconds: tuple[float, float] = (8.0, 24.0)
    """Length of a take."""
    cameras: int = 2
    """Cameras that see each take; each gives a sequence."""
    rates_hz: tuple[float, ...] = (10, 12.5, 15, 18, 20, 24, 25, 25, 29.97, 30, 30, 30, 50, 60)
    """Frame rates, one as likely as another."""
    sizes: tuple[tuple[int, int], ...] = (
        (640, 480), (640, 360), (320, 240), (704, 576), (1280, 720), (1920, 1080),
    )  # fmt: skip
    area_side_m: tuple[float, float] = (2.5, 7.0)
    overhead: float = 0.4
    """Share of cameras hung like those of rendered scenes."""
    eye_level_m: tuple[float, float] = (0.9, 2.2)
    oblique_m: tuple[float, float] = (2.0, 3.2)
    """Heights of the others, half each: a person's eyes or a tripod, and the corner of a room."""
    distance_m: tuple[float, float] = (2.2, 11.0)
    """Of the others from the middle of the area, along the ground; logarithmic."""
    fov_deg: tuple[float, float] = (42.0, 85.0)
    """Horizontal field of view of the others."""
    in_view: float = 0.75
    """Least share of the joints of a take that are in the picture."""
    in_the_way: float = 0.4
    """Share of sequences with something that hides a part of the picture."""
    noise: PoseNoise = field(default_factory=PoseNoise)

    def __post_init__(self) -> None:
        for name in ("seconds", "area_side_m", "eye_level_m", "oblique_m", "distance_m", "fov_deg"):
            low, high = getattr(self, name)
            if not 0 < low <= high < math.inf:
                raise ConfigError(f"sequences.{name}: expected 0 < low <= high, got {low, high}")
        for name in ("overhead", "in_view", "in_the_way"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"sequences.{name}: expected 0 to 1, got {getattr(self, name)}")
        if self.cameras < 1 or not self.rates_hz or not self.sizes:
            raise ConfigError("sequences: expected a camera, a rate and a size, or more")
        if not all(1 <= rate <= RATE_HZ for rate in self.rates_hz):
            raise ConfigError(f"sequences.rates_hz: expected 1 to {RATE_HZ}, got {self.rates_hz}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSequence:
    """One person's take seen by one camera; the fields of a keypoint file, and the falls."""

    name: str
    """``synthetic/SEED-TAKE-CAMERA``."""
    keypoints_px: NDArray[np.float32]
    """float32 ``[T, 17, 3]``: x, y, score; all 0 where the person was not found."""
    labels: NDArray[np.int8]
    """int8 ``[T]``: index into ACTIONS, UNKNOWN, HARMLESS or NO_FALL."""
    times_s: NDArray[np.float64]
    """float64 ``[T]``, from 0."""
    size: tuple[int, int]
    clip: str
    camera: str
    subject: str
    falls: tuple[FallTruth, ...]
    """Of person 1, in seconds of the sequence; those that it goes on long enough after."""

    @property
    def seconds(self) -> float:
        return float(self.times_s[-1] - self.times_s[0])


def pose_sequences(
    seed: int,
    *,
    count: int | None = None,
    hours: float | None = None,
    config: SequencesConfig | None = None,
) -> Iterator[MadeSequence]:
    """``count`` sequences, or as many as last ``hours`` together; those of a seed are the same.

    Take i depends on the seed and i alone. Raises ConfigError if not exactly one of ``count`` and
    ``hours`` is given.
    """
    if (count is None) == (hours is None):
        raise ConfigError("pose_sequences: expected one of count and hours")
    if seed < 0 or (count or 0) < 0 or not math.isfinite(hours or 0) or (hours or 0) < 0:
        raise ConfigError(f"pose_sequences: expected 0 or more, got {seed=}, {count=}, {hours=}")
    return _sequences(seed, count, hours, config or SequencesConfig())


def _sequences(
    seed: int, count: int | None, hours: float | None, config: SequencesConfig
) -> Iterator[MadeSequence]:
    made, lasted_s, take_index = 0, 0.0, 0
    while True:
        for sequence in _of_one_take(seed, take_index, config):
            if made == count or (hours is not None and lasted_s >= hours * 3600):
                return
            yield sequence
            made += 1
            lasted_s += sequence.seconds
        take_index += 1


def _of_one_take(seed: int, index: int, config: SequencesConfig) -> Iterator[MadeSequence]:
    motion, *views = np.random.SeedSequence([seed, index]).spawn(1 + config.cameras)
    rng = np.random.default_rng(motion)
    width, depth = rng.uniform(*config.area_side_m, size=2) / 2
    area = Area(-width, width, -depth, depth)
    take = make_take(rng, seconds=rng.uniform(*config.seconds), area=area)
    for number, view in enumerate(views):
        rng = np.random.default_rng(view)
        camera = _camera(rng, area, take, config)
        poses, labels, times = seen_by(rng, take, camera, config)
        yield MadeSequence(
            name=f"synthetic/{seed}-{index}-{number}",
            keypoints_px=poses,
            labels=labels,
            times_s=times,
            size=camera.size,
            clip=f"synthetic/{seed}-{index}",
            camera=f"synthetic/{seed}-{index}-{number}",
            subject=f"synthetic/{seed}-{index}",
            falls=tuple(
                FallTruth(id=1, start_s=f.start_s, end_s=f.end_s)
                for f in take.falls
                if f.end_s + REPORTED_AFTER_S <= times[-1]
            ),
        )


def seen_by(
    rng: np.random.Generator, take: Take, camera: Camera, config: SequencesConfig
) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.float64]]:
    """Poses ``[T, 17, 3]``, labels ``[T]`` and times ``[T]`` of a take at a rate that is drawn."""
    rate = float(rng.choice(config.rates_hz))
    times = np.arange(int(take.seconds * rate) + 1) / rate
    joints = joints_at(take, times)  # [T, J, 3]
    xy, depth = camera.project(joints)
    true = xy[:, : len(COCO_JOINTS)]
    inside = (true >= 0).all(axis=-1) & (true < np.array(camera.size)).all(axis=-1)
    inside &= depth[:, : len(COCO_JOINTS)] > 0
    hidden = hidden_by_body(take.body.bones, xy, depth, focal_px=camera.focal_px)
    if rng.random() < config.in_the_way:
        hidden |= hidden_by_things(rng, true)
    flags = np.where(inside, np.where(hidden, HIDDEN, SEEN), OUTSIDE).astype(np.int8)
    poses = estimated(rng, true, flags, rate_hz=rate, size=camera.size, noise=config.noise)
    labels = take.actions[np.rint(times * RATE_HZ).astype(np.intp)]
    return poses, labels, times


def joints_at(take: Take, times_s: Array) -> Array:
    """float64 ``[T, J, 3]``: joints between the samples of a take, on straight lines."""
    place = np.clip(times_s * RATE_HZ, 0, len(take.actions) - 1)
    before = np.minimum(place.astype(np.intp), max(len(take.actions) - 2, 0))
    after = np.minimum(before + 1, len(take.actions) - 1)
    share = (place - before)[:, None, None]
    joints: Array = take.joints_m[before] * (1 - share) + take.joints_m[after] * share
    return joints


def _camera(rng: np.random.Generator, area: Area, take: Take, config: SequencesConfig) -> Camera:
    """The first draw that the person does not walk into and mostly stays in the picture of; of
    _TRIES draws without such a one the one that sees most."""
    size = config.sizes[rng.integers(len(config.sizes))]
    points = take.joints_m[::6, : len(COCO_JOINTS)]
    best = -1.0
    for _ in range(_TRIES):
        if rng.random() < config.overhead:
            drawn = random_camera(rng, size, area)
        else:
            drawn = _by_hand(rng, size, take, config)
        xy, depth = drawn.project(points)
        inside = (xy >= 0).all(axis=-1) & (xy < np.array(size)).all(axis=-1)
        share = float(inside.mean()) if depth.min() > _NEAR_M else 0.0
        if share > best:
            best, camera = share, drawn
        if share >= config.in_view:
            break
    return camera


def _by_hand(
    rng: np.random.Generator, size: tuple[int, int], take: Take, config: SequencesConfig
) -> Camera:
    """A camera at eye level or in the corner of a room, that looks at where the person is."""
    height = rng.uniform(*(config.eye_level_m if rng.random() < 0.5 else config.oblique_m))
    distance = math.exp(rng.uniform(*np.log(config.distance_m)))
    azimuth = rng.uniform(-math.pi, math.pi)
    aim = take.joints_m[rng.integers(len(take.joints_m)), :, :2].mean(axis=0)
    aim = aim + rng.normal(0, 0.3, 2)
    drop = height - rng.uniform(0.6, 1.2)
    return Camera(
        position_m=(
            float(aim[0] + distance * math.sin(azimuth)),
            float(aim[1] - distance * math.cos(azimuth)),
            height,
        ),
        yaw_rad=azimuth,
        pitch_rad=math.atan2(drop, distance),
        roll_rad=math.radians(rng.normal(0, 2)),
        focal_px=size[0] / (2 * math.tan(math.radians(rng.uniform(*config.fov_deg)) / 2)),
        size=size,
        k1=-rng.uniform(0, 0.1),
    )
