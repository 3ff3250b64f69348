# SPDX-License-Identifier: Apache-2.0
"""A person as polygons: limbs are tapered capsules, the torso is the hull of shoulders and hips,
the head an ellipsoid with a face in front and hair behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.appearance import Outfit
from poseact_engine.synthetic.camera import Camera
from poseact_engine.synthetic.head import Head, draw_head
from poseact_engine.synthetic.light import Light
from poseact_engine.synthetic.shapes import (
    NEAREST_M,
    Colour,
    Shape,
    axis_planes,
    capsules,
    shaded,
)
from poseact_engine.synthetic.stance import PELVIS, Solid, Stance
from poseact_engine.synthetic.torso import Torso, hull

Points = NDArray[np.float64]
_LIT = np.array([(0.0, 1.0), (0.2, 0.8), (0.4, 0.5)])
"""A limb and the lighter parts of it: how far towards the lamp, and how wide, in its radii."""
_DARK_SIDE, _DETAIL_PX = 0.62, 2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A person who is drawn in every frame. Immutable."""

    owner: int
    solid: Solid
    outfit: Outfit

    def shape(self, camera: Camera, stance: Stance, light: Light, *, detail: bool) -> Shape | None:
        """None for somebody who is behind the camera or right before it.

        ``detail`` false leaves out the paint, which no truth depends on.
        """
        xy, depth = camera.project(stance.joints_m)
        if depth.min() < NEAREST_M + 0.3:
            return None
        shape = Shape(owner=self.owner, depth_m=float(depth[PELVIS]))
        parts = self._limbs(camera, xy, depth, light)
        if self.outfit.legs == "skirt":
            parts.append(self._skirt(camera, xy, depth))
        torso = Torso(camera, stance)
        head = Head(
            centre_m=stance.head_m,
            axes_m=stance.head_axes_m,
            joints_m=stance.joints_m[:5],
            depth_m=float(camera.to_camera(stance.head_m)[2]),
        )
        order = [*(part.depth_m for part in parts), torso.depth_m, head.depth_m - 0.05]
        for index in np.argsort(-np.array(order), kind="stable"):
            if index < len(parts):
                parts[index].draw(shape, detail=detail)
            elif index == len(parts):
                torso.draw(shape, self.outfit, light, detail=detail)
            else:
                draw_head(shape, camera, head, self.outfit, light, detail=detail)
        return shape

    def _limbs(self, camera: Camera, xy: Points, depth: Points, light: Light) -> list[_Limb]:
        solid = self.solid
        a, b = xy[solid.a], xy[solid.b]
        depth_a, depth_b = depth[solid.a], depth[solid.b]
        ra = solid.radius_a_m * camera.focal_px / depth_a
        rb = solid.radius_b_m * camera.focal_px / depth_b
        planes = axis_planes(a, b, depth_a, depth_b)
        # The lit side of a limb: shifted across its axis towards the lamp, as seen.
        lamp = (camera.rotation @ light.direction)[:2]
        along = (b - a) / np.maximum(np.linalg.norm(b - a, axis=1), 1e-6)[:, None]
        across = lamp - (along @ lamp)[:, None] * along
        shift, size = _LIT[:, 0, None, None], _LIT[:, 1, None]
        both = capsules(
            (a + shift * across * ra[:, None]).reshape(-1, 2),
            (b + shift * across * rb[:, None]).reshape(-1, 2),
            (size * ra).reshape(-1),
            (size * rb).reshape(-1),
        ).reshape(len(_LIT), len(a), -1, 2)
        mean = (depth_a + depth_b) / 2
        return [
            _Limb(
                depth_m=float(mean[i]),
                outline=both[0, i],
                lit=[both[1, i], both[2, i]] if ra[i] > _DETAIL_PX else [],
                colour=self._colour(part),
                plane=(float(planes[i, 0]), float(planes[i, 1]), float(planes[i, 2])),
            )
            for i, part in enumerate(solid.part)
        ]

    def _skirt(self, camera: Camera, xy: Points, depth: Points) -> _Limb:
        """Round both thighs, down to three quarters of them."""
        thighs = np.array([part == "thigh" for part in self.solid.part])
        a, b = self.solid.a[thighs], self.solid.b[thighs]
        hem = xy[a] + 0.75 * (xy[b] - xy[a])
        deep = depth[a] + 0.75 * (depth[b] - depth[a])
        top, low = self.solid.radius_a_m[thighs] / depth[a], self.solid.radius_a_m[thighs] / deep
        radii = camera.focal_px * np.concatenate([top, 1.15 * low])
        middle = xy[a].mean(axis=0)[None], hem.mean(axis=0)[None]
        plane = axis_planes(*middle, depth[a].mean()[None], deep.mean()[None])[0]
        return _Limb(
            depth_m=float((depth[a] + deep).mean()) / 2 - 0.02,
            outline=hull(np.concatenate([xy[a], hem]), radii),
            lit=[],
            colour=self.outfit.bottom,
            plane=(float(plane[0]), float(plane[1]), float(plane[2])),
        )

    def _colour(self, part: str) -> Colour:
        outfit = self.outfit
        bare_legs = outfit.legs != "trousers"
        return {
            "neck": shaded(outfit.skin, 0.8),  # in the shadow of the chin
            "upper_arm": outfit.top,
            "forearm": outfit.top if outfit.long_sleeves else outfit.skin,
            "hand": outfit.gloves or outfit.skin,
            "thigh": outfit.bottom,
            "shin": outfit.skin if bare_legs else outfit.bottom,
            "foot": outfit.shoes,
        }[part]


@dataclass(slots=True, kw_only=True)
class _Limb:
    depth_m: float
    outline: Points
    lit: list[Points]
    colour: Colour
    plane: tuple[float, float, float]

    def draw(self, shape: Shape, *, detail: bool) -> None:
        dark = _DARK_SIDE if self.lit else 0.82
        shape.add_surface(self.outline, shaded(self.colour, dark), self.plane)
        if detail:
            for polygon, light in zip(self.lit, (0.82, 1.0), strict=False):
                shape.add(polygon, shaded(self.colour, light))
