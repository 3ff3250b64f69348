# SPDX-License-Identifier: Apache-2.0
"""How hard the made scenes are: every range that a scene is drawn from, in one place.

Fixed before any model is trained, and never softened afterwards: models are judged by it.
``Range`` is (low, high), drawn uniformly unless said otherwise; pixels are those of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """The ranges of scenes, cameras, light, things in the way and sensors."""

    people: tuple[int, int] = (1, 4)
    """Both included, where the number is not asked for."""
    area_side_m: Range = (2.8, 7.0)
    """Sides of the rectangle in which people walk."""

    camera_height_m: Range = (2.2, 6.0)
    camera_fov_deg: Range = (45.0, 95.0)
    """Along the picture's longer side, without the distortion."""
    person_height: Range = (0.18, 0.62)
    """How high a person of 1.7 m in the middle of the area is, as a share of the picture's height
    (of its width where that is less); logarithmic. Others in the area are nearer or farther."""
    camera_pitch_deg: Range = (5.0, 52.0)
    """Below the horizon."""
    camera_aim_m: float = 0.5
    """How far the camera looks past the middle of the area, at most, in x and y."""
    camera_roll_deg: float = 2.5
    """At most, to either side."""
    camera_bend: Range = (0.0, 0.1)
    """Barrel distortion: how far the picture's corners are pulled inwards, as a share of their
    distance from the middle."""
    area_in_view: float = 0.75
    """Least share of the area where feet and head of a standing person are in the picture."""

    things: tuple[int, int] = (3, 9)
    """Crates, shelves and pallets that stand about, behind and beside people."""
    occluder: float = 0.45
    """Chance that something stands between the camera and the area."""
    occluder_height_m: Range = (0.4, 1.1)
    """Of crates and low walls in the way."""
    pillar: float = 0.3
    """Chance that what is in the way is a pillar, which hides a stripe of whole people."""

    exposure: Range = (0.65, 1.3)
    """Of a well exposed picture; logarithmic."""
    gamma: Range = (0.8, 1.25)
    cast: float = 0.12
    """Gain of blue and red against green, at most, either way."""
    light_slope: float = 0.35
    """How much brighter one side of the picture is, at most."""
    shadow: Range = (0.15, 0.65)
    """Share of the light that a shadow takes away."""
    vignette: Range = (0.0, 0.35)
    """Light lost in the corners."""
    camouflage: float = 0.15
    """Chance that a garment's brightness is close to the floor's."""

    noise: Range = (0.8, 6.0)
    """Standard deviation of the sensor's noise, grey levels; logarithmic."""
    blur_px: Range = (0.35, 1.1)
    """Standard deviation of the lens's blur at 360 lines; it grows with half the picture's size."""
    flicker: float = 0.02
    """Change of exposure from frame to frame, at most."""
    jpeg_quality: tuple[int, int] = (35, 92)
    compressed: float = 0.8
    """Chance that the camera's pictures have been compressed."""


DIFFICULTY = Difficulty()
"""What every scene is drawn from."""
