# SPDX-License-Identifier: Apache-2.0
"""What a pose model learns from: one person a crop, cut as the engine cuts it, then turned, scaled,
mirrored, covered in part and seen in other light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from poseact_engine import geometry
from poseact_engine.errors import ConfigError
from poseact_engine.training.augment import MIRROR
from poseact_engine.training.loader import Example
from poseact_engine.training.photometry import PhotometryConfig, change_photometry
from poseact_engine.training.pictures import LabelledPicture, PictureStore, import_cv2

EXPANSION = 1.25
"""Of the box into its crop."""
UPPER = np.arange(17) < 11
"""COCO's joints above the hips."""

Picture = NDArray[np.uint8]
Matrix = NDArray[np.float64]
"""float64 ``[2, 3]``: from crop pixels to picture pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseAugment:
    """How far crops are changed; chances are per person."""

    rotate: float = 0.6
    rotate_deg: float = 40.0
    scale: float = 0.35
    """Times 1 ± this."""
    shift: float = 0.06
    """Of the box's sides: no detector's boxes are the true ones."""
    mirror: float = 0.5
    half_body: float = 0.2
    """A box around the joints above or below the hips alone."""
    half_body_joints: int = 8
    """Known joints that a person must have for that."""
    cover: float = 0.35
    """Up to two patches over the crop; joints below count as hidden."""
    cover_side: tuple[float, float] = (0.1, 0.4)
    """Of the crop's height."""
    light: PhotometryConfig = field(default_factory=PhotometryConfig)

    def __post_init__(self) -> None:
        for name in ("rotate", "mirror", "half_body", "cover", "shift"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augment.{name}: expected 0 to 1, got {getattr(self, name)!r}")
        if not 0 <= self.scale < 1:
            raise ConfigError(f"augment.scale: expected 0 <= scale < 1, got {self.scale!r}")
        if not 0 <= self.rotate_deg <= 180:
            raise ConfigError(f"augment.rotate_deg: expected 0 to 180, got {self.rotate_deg!r}")
        low, high = self.cover_side
        if not 0 < low <= high <= 1:
            raise ConfigError(
                f"augment.cover_side: expected 0 < low <= high <= 1, got {self.cover_side!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One who is learnt from."""

    picture: int
    """Number in the store."""
    box_px: NDArray[np.float32]
    joints_px: NDArray[np.float32]
    area_px: float


def list_people(pictures: Sequence[LabelledPicture]) -> list[Person]:
    """Everybody with a joint and a box, crowds left out."""
    return [
        Person(picture=n, box_px=box, joints_px=joints, area_px=float(area))
        for n, p in enumerate(pictures)
        for box, crowd, joints, area in zip(
            p.boxes_px, p.crowd, p.joints_px, p.areas_px, strict=True
        )
        if not crowd and (joints[:, 2] > 0).any() and (box[2:] > box[:2]).all()
    ]


class PoseExamples:
    """People to (uint8 ``[3, H, W]`` RGB, joints f32 ``[17, 3]``: x, y in crop pixels, COCO's
    flag). Owns the decoded pictures; ``augment`` None: cut and nothing else."""

    def __init__(
        self,
        people: Sequence[Person],
        *,
        size: tuple[int, int],
        augment: PoseAugment | None,
        store: PictureStore,
    ) -> None:
        self._people, self._size = people, size
        self._augment, self._store = augment, store

    def __len__(self) -> int:
        return len(self._people)

    def make(self, index: int, rng: Generator) -> Example:
        person = self._people[index]
        picture = self._store.read(person.picture)
        if self._augment is None:
            matrix, mirrored = crop_matrix(person.box_px, self._size), False
        else:
            matrix, mirrored = _draw_matrix(person, self._size, self._augment, rng)
        crop = warp(picture, matrix, self._size)
        joints = to_crop(person.joints_px, matrix)
        if mirrored:
            joints = joints[list(MIRROR)]
        if self._augment is not None:
            if rng.random() < self._augment.cover:
                crop, joints = _cover(crop, joints, self._augment, rng)
            crop = change_photometry(crop, self._augment.light, rng)
        rgb = np.ascontiguousarray(crop[..., ::-1].transpose(2, 0, 1))
        return torch.from_numpy(rgb), torch.from_numpy(joints.astype(np.float32))


def crop_matrix(box_px: NDArray[np.float32], size: tuple[int, int]) -> Matrix:
    """As the engine cuts a box."""
    ax, bx, ay, by = geometry.pose_crops(
        box_px[None], height=size[0], width=size[1], expansion=EXPANSION, geometry="default"
    )[0]
    return np.array([[ax, 0, bx], [0, ay, by]])


def turned(
    matrix: Matrix, size: tuple[int, int], *, angle_rad: float, scale: float, mirror: bool
) -> Matrix:
    """About the same middle: turned by ``angle_rad`` (clockwise on the picture), ``scale`` times as
    wide, and mirrored."""
    middle = np.array([0.5 * size[1], 0.5 * size[0]])
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    turn = np.array([[cos, -sin], [sin, cos]]) * scale
    if mirror:
        turn[:, 0] = -turn[:, 0]
    linear = matrix[:, :2] @ turn
    shift = matrix[:, :2] @ middle + matrix[:, 2] - linear @ middle
    return np.column_stack([linear, shift])


def warp(picture: Picture, matrix: Matrix, size: tuple[int, int]) -> Picture:
    """uint8 ``[H, W, 3]``; black outside the picture."""
    cv2 = import_cv2()
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(picture, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_CONSTANT)
    )


def to_crop(joints_px: NDArray[np.float32], matrix: Matrix) -> NDArray[np.float64]:
    """Joints ``[K, 3]`` of the picture in pixels of the crop."""
    joints = joints_px.astype(np.float64)
    joints[:, :2] = (joints[:, :2] - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    return joints


def _draw_matrix(
    person: Person, size: tuple[int, int], augment: PoseAugment, rng: Generator
) -> tuple[Matrix, bool]:
    box = person.box_px.astype(np.float64)
    if rng.random() < augment.half_body:
        box = _half_box(person, box, augment, rng)
    sides = box[2:] - box[:2]
    box = box + np.tile(sides, 2) * rng.uniform(-augment.shift, augment.shift, 4)
    angle = 0.0
    if rng.random() < augment.rotate:
        angle = np.deg2rad(rng.uniform(-augment.rotate_deg, augment.rotate_deg))
    mirror = bool(rng.random() < augment.mirror)
    scale = 1 + rng.uniform(-augment.scale, augment.scale)
    matrix = crop_matrix(box.astype(np.float32), size)
    return turned(matrix, size, angle_rad=angle, scale=scale, mirror=mirror), mirror


def _half_box(
    person: Person, box: NDArray[np.float64], augment: PoseAugment, rng: Generator
) -> NDArray[np.float64]:
    known = person.joints_px[:, 2] > 0
    half = known & (UPPER if rng.random() < 0.5 else ~UPPER)
    if known.sum() < augment.half_body_joints or half.sum() < 3:
        return box
    joints = person.joints_px[half, :2].astype(np.float64)
    low, high = joints.min(axis=0), joints.max(axis=0)
    # Joints lie within the body: a fifth more on each side takes in its outline.
    margin = 0.2 * (high - low).max()
    return np.concatenate([low - margin, high + margin])


def _cover(
    crop: Picture, joints: NDArray[np.float64], augment: PoseAugment, rng: Generator
) -> tuple[Picture, NDArray[np.float64]]:
    crop, joints = crop.copy(), joints.copy()
    height, width = crop.shape[:2]
    low, high = augment.cover_side
    for _ in range(int(rng.integers(1, 3))):
        h, w = (max(1, int(height * rng.uniform(low, high))) for _ in range(2))
        w = min(w, width)
        y, x = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
        if rng.random() < 0.5:
            y2, x2 = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
            crop[y : y + h, x : x + w] = crop[y2 : y2 + h, x2 : x2 + w].copy()
        else:
            crop[y : y + h, x : x + w] = rng.integers(0, 256, 3, dtype=np.uint8)
        below = (np.abs(joints[:, 0] - (x + 0.5 * (w - 1))) <= 0.5 * w) & (
            np.abs(joints[:, 1] - (y + 0.5 * (h - 1))) <= 0.5 * h
        )
        joints[below & (joints[:, 2] > 0), 2] = 1
    return crop, joints
