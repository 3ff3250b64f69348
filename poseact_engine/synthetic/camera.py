# SPDX-License-Identifier: Apache-2.0
"""Pinhole cameras with a little radial distortion, hung as CCTV cameras are.

World: metres, z up. Camera: x right, y down, z forward (OpenCV's axes). At yaw, pitch and roll 0 it
looks along the world's +y; yaw turns it to the left, pitch down, roll its top to the right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.synthetic.area import Area
from poseact_engine.synthetic.difficulty import DIFFICULTY, Difficulty

_NEAR_M = 1e-3
_SIZES, _TRIES = 4, 20
_PERSON_M = 1.7


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where a camera is and how it sees; the principal point is the middle of the picture."""

    position_m: tuple[float, float, float]
    yaw_rad: float
    pitch_rad: float
    roll_rad: float
    focal_px: float
    size: tuple[int, int]
    """Width and height, pixels."""
    k1: float = 0.0
    """``r' = r (1 + k1 r^2)``, as OpenCV's first coefficient; 0 or less (barrel)."""

    def __post_init__(self) -> None:
        if not self.focal_px > 0:
            raise ConfigError(f"camera.focal_px: expected more than 0, got {self.focal_px}")
        if not -5.0 <= self.k1 <= 0:
            raise ConfigError(f"camera.k1: expected -5 to 0 (barrel), got {self.k1}")

    @cached_property
    def rotation(self) -> NDArray[np.float64]:
        """float64 ``[3, 3]``: world directions to camera axes (rows: right, down, forward)."""
        sy, cy = math.sin(self.yaw_rad), math.cos(self.yaw_rad)
        sp, cp = math.sin(self.pitch_rad), math.cos(self.pitch_rad)
        sr, cr = math.sin(self.roll_rad), math.cos(self.roll_rad)
        right = np.array([cy, sy, 0.0])
        down = np.array([sp * sy, -sp * cy, -cp])
        forward = np.array([-cp * sy, cp * cy, -sp])
        return np.stack([cr * right + sr * down, cr * down - sr * right, forward])

    @property
    def centre_px(self) -> tuple[float, float]:
        """The principal point, in pixel indices."""
        return (self.size[0] - 1) / 2, (self.size[1] - 1) / 2

    @cached_property
    def _centre(self) -> NDArray[np.float64]:
        return np.asarray(self.centre_px)

    @cached_property
    def _shift(self) -> NDArray[np.float64]:
        """The world's origin in the camera's axes."""
        origin: NDArray[np.float64] = -np.asarray(self.position_m) @ self.rotation.T
        return origin

    @cached_property
    def _fold(self) -> float:
        """The radius from which on ``r (1 + k1 r^2)`` would shrink again."""
        return math.sqrt(-1.0 / (3.0 * self.k1)) if self.k1 < 0 else math.inf

    def to_camera(self, points_m: NDArray[Any]) -> NDArray[np.float64]:
        """World points ``[..., 3]`` in the camera's axes, metres."""
        points = np.asarray(points_m, dtype=np.float64)
        seen: NDArray[np.float64] = points @ self.rotation.T + self._shift
        return seen

    def project(self, points_m: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """World points ``[..., 3]`` to pixel indices ``[..., 2]`` and depths ``[...]`` in metres.

        Depth is along the optical axis; at 0 or less a point is behind the camera and its pixel
        means nothing (it is finite). Points so far outside the picture that the distortion would
        fold them back into it go on outwards instead.
        """
        xyz = self.to_camera(points_m)
        depth = xyz[..., 2]
        flat = xyz[..., :2] / np.maximum(depth, _NEAR_M)[..., None]
        if self.k1 == 0.0:
            return self.focal_px * flat + self._centre, depth
        r2 = flat[..., 0] ** 2 + flat[..., 1] ** 2
        scale = 1.0 + self.k1 * r2
        fold = self._fold
        if (r2 > fold * fold).any():
            r = np.sqrt(np.maximum(r2, 1e-12))
            beyond = fold * (1.0 + self.k1 * fold * fold) + 0.3 * (r - fold)
            scale = np.where(r > fold, beyond / r, scale)
        return flat * (self.focal_px * scale)[..., None] + self._centre, depth

    def rays(self, xy_px: NDArray[Any]) -> NDArray[np.float64]:
        """World directions ``[..., 3]`` of pixels, scaled to a depth of 1 m."""
        bent = (np.asarray(xy_px, dtype=np.float64) - np.asarray(self.centre_px)) / self.focal_px
        wanted = np.sqrt((bent * bent).sum(axis=-1))
        r = np.minimum(wanted, self._fold)
        for _ in range(4):  # Newton; the distortion is small, so this is exact to 1e-9
            slope = np.maximum(1.0 + 3.0 * self.k1 * r * r, 0.05)
            r = r - (r * (1.0 + self.k1 * r * r) - wanted) / slope
        flat = bent * (r / np.maximum(wanted, 1e-12))[..., None]
        ahead = np.concatenate([flat, np.ones((*flat.shape[:-1], 1))], axis=-1)
        directions: NDArray[np.float64] = ahead @ self.rotation
        return directions

    def pixels_per_metre(self, point_m: tuple[float, float, float]) -> float:
        """How long a metre across the line of sight is at a point."""
        depth = float(self.to_camera(np.asarray(point_m))[2])
        return self.focal_px / max(depth, _NEAR_M)


def share_in_view(camera: Camera, area: Area) -> float:
    """Share of the area's ground where a standing person's feet and head are in the picture."""
    grid = np.stack(
        np.meshgrid(
            np.linspace(area.x0, area.x1, 7), np.linspace(area.y0, area.y1, 7), [0.0, _PERSON_M]
        ),
        axis=-1,
    )
    xy, depth = camera.project(grid)
    inside = (depth > 0.3) & (xy >= 0).all(axis=-1) & (xy < np.asarray(camera.size)).all(axis=-1)
    return float(inside.all(axis=-1).mean())


def random_camera(
    rng: np.random.Generator,
    size: tuple[int, int],
    area: Area,
    *,
    difficulty: Difficulty = DIFFICULTY,
) -> Camera:
    """A camera of CCTV's kind that looks at ``area``.

    How large people are is drawn first, and kept for 20 draws of the rest; the first camera that
    sees enough of the area is taken. After four sizes it is the one that sees most.
    """
    best: tuple[float, Camera] | None = None
    low, high = difficulty.person_height
    for _ in range(_SIZES):
        person = math.exp(rng.uniform(math.log(low), math.log(high)))
        for _ in range(_TRIES):
            camera = _draw_camera(rng, size, area, difficulty, person=person)
            if camera is None:
                continue
            share = share_in_view(camera, area)
            if best is None or share > best[0]:
                best = share, camera
            if share >= difficulty.area_in_view:
                return camera
    if best is None:
        raise ConfigError(
            f"random_camera: expected ranges of pitch and lens that fit together, got {difficulty}"
        )
    return best[1]


def _draw_camera(
    rng: np.random.Generator, size: tuple[int, int], area: Area, difficulty: Difficulty,
    *, person: float,
) -> Camera | None:  # fmt: skip
    """None where the draw would have to look too steeply, or hardly, down.

    ``person`` is how high one is, as a share of the picture's shorter side.
    """
    height_m = rng.uniform(*difficulty.camera_height_m)
    fov = math.radians(rng.uniform(*difficulty.camera_fov_deg))
    focal_px = max(size) / (2.0 * math.tan(fov / 2.0))
    azimuth = rng.uniform(-math.pi, math.pi)
    middle = np.array([area.x0 + area.x1, area.y0 + area.y1]) / 2
    aim = middle + rng.uniform(-1.0, 1.0, size=2) * difficulty.camera_aim_m
    roll = math.radians(rng.uniform(-1.0, 1.0) * difficulty.camera_roll_deg)
    corner = math.hypot(*size) / 2.0 / focal_px
    k1 = -rng.uniform(*difficulty.camera_bend) / corner**2
    # A person of height p at distance d under a pitch of t is about f p cos(t) / d pixels high.
    distance = focal_px * _PERSON_M / (person * min(size))
    drop = height_m - _PERSON_M / 2.0
    if drop >= distance * math.sin(math.radians(difficulty.camera_pitch_deg[1])):
        return None
    pitch = math.asin(drop / distance)
    if pitch < math.radians(difficulty.camera_pitch_deg[0]):
        return None
    ground = distance * math.cos(pitch)
    return Camera(
        position_m=(
            float(aim[0] - ground * -math.sin(azimuth)),
            float(aim[1] - ground * math.cos(azimuth)),
            height_m,
        ),
        yaw_rad=azimuth,
        pitch_rad=pitch,
        roll_rad=roll,
        focal_px=focal_px,
        size=size,
        k1=k1,
    )
