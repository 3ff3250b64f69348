# SPDX-License-Identifier: Apache-2.0
"""A head: an ellipsoid, hair all round but for the face, eyes, ears, or a helmet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.appearance import Outfit
from poseact_engine.synthetic.camera import Camera
from poseact_engine.synthetic.light import Light
from poseact_engine.synthetic.rig import RIG_JOINTS
from poseact_engine.synthetic.shapes import Colour, Shape, cross, drawn_in, shaded

Points = NDArray[np.float64]
NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR, NECK, TOP = (
    RIG_JOINTS.index(name)
    for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "neck", "head_top")
)
_ROUND = np.linspace(0, 2 * np.pi, 21)[:-1]
_FACE, _HELMET = np.radians(74), np.radians(82)
_CROWN = np.array([-0.119, 0.0, 0.993])
"""Up, and a little backwards."""
_LEAST_PX = 4.0
"""Heads smaller than this across have neither eyes nor ears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """An ellipsoid in the world."""

    centre_m: Points
    axes_m: Points
    """float64 ``[3, 3]``, rows: half its depth (forward), width (left) and height (up)."""
    joints_m: Points
    """float64 ``[5, 3]``: the face."""
    depth_m: float

    def inside(self, points_m: NDArray[Any]) -> Points:
        """Points ``[..., 3]`` where the ellipsoid is the unit sphere."""
        squares = (self.axes_m**2).sum(axis=1)
        unit: Points = ((points_m - self.centre_m) @ self.axes_m.T) / squares
        return unit

    def outside(self, unit: Points) -> Points:
        """The other way round."""
        return self.centre_m + unit @ self.axes_m


def ellipsoid(joints_m: NDArray[Any]) -> tuple[Points, Points]:
    """Centres ``[..., 3]`` and half axes ``[..., 3, 3]`` of heads, from the joints ``[..., J, 3]``.

    Eyes, ears and nose lie on it or just outside it.
    """
    joints = np.asarray(joints_m, np.float64)
    left, right = joints[..., LEFT_EAR, :], joints[..., RIGHT_EAR, :]
    middle = (left + right) / 2
    across = (left - right) / 2
    up = joints[..., TOP, :] - middle
    forward = joints[..., NOSE, :] - middle
    width = np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-6)
    across = across / width
    forward = forward - (forward * across).sum(axis=-1, keepdims=True) * across
    reach = np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-6)
    forward = forward / reach
    upright = cross(forward, across)
    upright *= np.sign((upright * up).sum(axis=-1, keepdims=True) + 1e-12)
    axes = np.stack([1.03 * reach * forward, 1.02 * width * across, 1.55 * width * upright], -2)
    return middle + 0.12 * width * upright, axes


def draw_head(
    shape: Shape, camera: Camera, head: Head, outfit: Outfit, light: Light, *, detail: bool
) -> None:
    view = head.inside(np.asarray(camera.position_m))  # the camera where the head is a unit sphere
    view = view / np.linalg.norm(view)
    plane = (1.0 / head.depth_m, 0.0, 0.0)
    rim = _circle(view, np.pi / 2)
    outline = drawn_in(camera.project(head.outside(rim))[0])
    shape.add_surface(outline, shaded(outfit.hair, 0.85), plane)
    if detail:
        ahead = head.axes_m[0] / np.linalg.norm(head.axes_m[0])
        skin = shaded(outfit.skin, 0.45 + 0.5 * light.on(ahead))
        _draw_face(shape, camera, head, view=view, skin=skin)
    if outfit.helmet:
        _draw_helmet(shape, camera, head, view=view, colour=outfit.helmet)


def _draw_face(shape: Shape, camera: Camera, head: Head, *, view: Points, skin: Colour) -> None:
    ahead = np.array([1.0, 0.0, -0.32])
    face = _cap(ahead / np.linalg.norm(ahead), _FACE, view)
    if face is not None:
        shape.add(camera.project(head.outside(face))[0], skin)
    width = float(np.linalg.norm(head.axes_m[1])) * camera.focal_px / head.depth_m
    if width < _LEAST_PX / 2:
        return
    xy, _ = camera.project(head.joints_m)
    towards = head.inside(head.joints_m) @ view
    for joint, size, colour in (
        (LEFT_EAR, 0.26, shaded(skin, 0.85)),
        (RIGHT_EAR, 0.26, shaded(skin, 0.85)),
        (LEFT_EYE, 0.12, (0.1, 0.1, 0.12)),
        (RIGHT_EYE, 0.12, (0.1, 0.1, 0.12)),
        (NOSE, 0.16, shaded(skin, 0.72)),
    ):
        if towards[joint] > 0.05:
            ring = np.stack([np.cos(_ROUND[::2]), np.sin(_ROUND[::2])], axis=1)
            shape.add(xy[joint] + size * width * ring, colour)


def _draw_helmet(shape: Shape, camera: Camera, head: Head, *, view: Points, colour: Colour) -> None:
    for angle, light in ((_HELMET, 0.8), (0.6 * _HELMET, 1.0)):
        cap = _cap(_CROWN, angle, view)
        if cap is None:
            continue
        outline = camera.project(head.outside(1.14 * cap))[0]
        if light < 1.0:
            plane = (1.0 / head.depth_m, 0.0, 0.0)
            shape.add_surface(drawn_in(outline), shaded(colour, light), plane)
        else:
            shape.add(outline, colour)


def _circle(axis: Points, angle: float) -> Points:
    """Points ``[20, 3]`` of the unit sphere at an angle from an axis."""
    other = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    u = cross(axis, other)
    u /= np.linalg.norm(u)
    w = cross(axis, u)
    ring = np.cos(_ROUND)[:, None] * u + np.sin(_ROUND)[:, None] * w
    return np.asarray(np.cos(angle) * axis + np.sin(angle) * ring)


def _cap(axis: Points, angle: float, view: Points) -> Points | None:
    """Outline of the seen part of a cap of the unit sphere; None if nothing of it is seen.

    What of its edge lies beyond the rim is moved onto the rim.
    """
    edge = _circle(axis, angle)
    towards = edge @ view
    if (towards < 0).all():
        return None if axis @ view < 0 else _circle(view, np.pi / 2)
    across = edge - towards[:, None] * view
    across /= np.maximum(np.linalg.norm(across, axis=1), 1e-9)[:, None]
    return np.where(towards[:, None] < 0, across, edge)
