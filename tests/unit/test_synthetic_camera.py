# SPDX-License-Identifier: Apache-2.0
"""Cameras of made scenes, against OpenCV's own projection in float64."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.synthetic.area import Area
from poseact_engine.synthetic.camera import Camera, random_camera
from poseact_engine.synthetic.difficulty import DIFFICULTY

AREA = Area(-2.5, 2.5, -2.0, 3.0)
SIZE = (640, 360)


def opencv(camera: Camera, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Projected by OpenCV, from the camera's place and its axes in the world."""
    rotation = camera.rotation
    matrix = np.array(
        [
            [camera.focal_px, 0, (camera.size[0] - 1) / 2],
            [0, camera.focal_px, (camera.size[1] - 1) / 2],
            [0, 0, 1],
        ]
    )
    shift = -rotation @ np.asarray(camera.position_m)
    found, _ = cv2.projectPoints(
        points, cv2.Rodrigues(rotation)[0], shift, matrix, np.array([camera.k1, 0, 0, 0])
    )
    return np.asarray(found[:, 0], np.float64)


@pytest.mark.parametrize("seed", range(8))
def test_projection_is_opencvs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera = random_camera(rng, SIZE, AREA)
    points = rng.uniform((-4, -4, 0), (4, 4, 2), (500, 3))
    xy, depth = camera.project(points)
    expected = opencv(camera, points)
    # The picture and as much again on each side: farther out OpenCV's polynomial folds back.
    near = (depth > 0.2) & (np.abs(expected - (320, 180)) < (640, 360)).all(axis=1)
    undistorted = camera.to_camera(points)[:, :2] / np.maximum(depth, 0.2)[:, None]
    near &= 1 + 3 * camera.k1 * (undistorted**2).sum(axis=1) > 0
    assert near.sum() > 250
    np.testing.assert_allclose(xy[near], expected[near], atol=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_rays_undo_the_projection(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera = random_camera(rng, SIZE, AREA)
    pixels = rng.uniform((0, 0), SIZE, (300, 2))
    far = rng.uniform(0.5, 20, (300, 1))
    points = np.asarray(camera.position_m) + far * camera.rays(pixels)
    np.testing.assert_allclose(opencv(camera, points), pixels, atol=1e-6)
    np.testing.assert_allclose(camera.project(points)[1], far[:, 0], rtol=1e-9)


def level_camera(**changes: float) -> Camera:
    values = {"yaw_rad": 0.0, "pitch_rad": 0.0, "roll_rad": 0.0} | changes
    return Camera(position_m=(0.0, 0.0, 2.0), focal_px=300.0, size=SIZE, **values)


def test_axes_are_as_documented() -> None:
    centre = np.array([319.5, 179.5])
    ahead, right, above = np.array([[0, 5, 2], [1, 5, 2], [0, 5, 3]], float)
    xy, depth = level_camera().project(np.stack([ahead, right, above]))
    np.testing.assert_allclose(xy - centre, [(0, 0), (60, 0), (0, -60)], atol=1e-9)
    np.testing.assert_allclose(depth, 5)
    # Turned left, what was ahead is at the right; pitched down, above; rolled right, the world's
    # top leans to the picture's left.
    left, _ = level_camera(yaw_rad=0.1).project(ahead)
    down, _ = level_camera(pitch_rad=0.1).project(ahead)
    rolled, _ = level_camera(roll_rad=0.1).project(above)
    np.testing.assert_allclose(left - centre, (300 * math.tan(0.1), 0), atol=1e-9)
    np.testing.assert_allclose(down - centre, (0, -300 * math.tan(0.1)), atol=1e-9)
    np.testing.assert_allclose(
        rolled - centre, (-60 * math.sin(0.1), -60 * math.cos(0.1)), atol=1e-9
    )


def test_points_far_outside_stay_outside() -> None:
    """A barrel polynomial turns back at a radius; such points must not land in the picture."""
    camera = dataclasses.replace(level_camera(), k1=-0.1)
    away = np.linspace(0, 400, 4000)
    xy, _ = camera.project(np.stack([away, np.full(4000, 2.0), np.full(4000, 2.0)], axis=1))
    assert (np.diff(xy[:, 0]) > 0).all()


def test_what_is_behind_has_no_depth() -> None:
    xy, depth = level_camera().project(np.array([[0.0, -3.0, 2.0], [0.0, 0.0, 2.0]]))
    assert (depth <= 0).all()
    assert np.isfinite(xy).all()


def test_random_cameras_are_cctv_and_see_the_area() -> None:
    rng = np.random.default_rng(3)
    persons = []
    for _ in range(60):
        camera = random_camera(rng, SIZE, AREA)
        assert 2.2 <= camera.position_m[2] <= 6.0
        assert math.radians(5) <= camera.pitch_rad <= math.radians(52)
        fov = 2 * math.degrees(math.atan(320 / camera.focal_px))
        assert 45 <= fov <= 95.0001
        spots = rng.uniform((-2.5, -2.0), (2.5, 3.0), (200, 2))
        feet = np.concatenate([spots, np.zeros((200, 1))], axis=1)
        ends = [opencv(camera, feet), opencv(camera, feet + np.array([0, 0, 1.7]))]
        inside = [((e >= 0) & (e < SIZE)).all(axis=1) for e in ends]
        assert (inside[0] & inside[1]).mean() > 0.45
        middle = np.array([[0.0, 0.5, 0.0], [0.0, 0.5, 1.7]])
        persons.append(float(np.ptp(opencv(camera, middle)[:, 1])))
    assert 45 < min(persons) < 90
    assert 150 < max(persons) < 320


def test_random_camera_comes_from_its_generator_alone() -> None:
    one, other = (random_camera(np.random.default_rng(5), SIZE, AREA) for _ in range(2))
    assert one == other
    assert one != random_camera(np.random.default_rng(6), SIZE, AREA)


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"camera\.focal_px: expected more than 0, got 0"):
        dataclasses.replace(level_camera(), focal_px=0)
    with pytest.raises(ConfigError, match=r"camera\.k1: expected -5 to 0"):
        dataclasses.replace(level_camera(), k1=0.1)
    steep = dataclasses.replace(DIFFICULTY, camera_pitch_deg=(1.0, 1.1), camera_height_m=(6, 6))
    with pytest.raises(ConfigError, match="random_camera: expected ranges"):
        random_camera(np.random.default_rng(0), SIZE, AREA, difficulty=steep)
