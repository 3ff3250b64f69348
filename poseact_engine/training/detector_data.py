# SPDX-License-Identifier: Apache-2.0
"""What a detector learns from: whole pictures, as the engine would letterbox them, then moved,
mirrored and seen in other light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from poseact_engine import geometry
from poseact_engine.errors import ConfigError
from poseact_engine.training.detector_loss import IGNORED, NOBODY, PERSON
from poseact_engine.training.loader import Example
from poseact_engine.training.photometry import PhotometryConfig, change_photometry
from poseact_engine.training.pictures import LabelledPicture, PictureStore, import_cv2

BORDER = (114, 114, 114)
PLACEMENT: geometry.Placement = "top_left"


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorAugment:
    """How far pictures are changed."""

    scale: tuple[float, float] = (1 / 1.5, 1.5)
    """Of the letterboxed picture."""
    shift: float = 0.15
    """Of the input's sides, each way, after the zoom is centred."""
    mirror: float = 0.5
    least_kept: float = 0.3
    """Of a box that the shift cuts: what keeps less is not learnt from, neither way."""
    least_px: float = 6.0
    """Smaller boxes (longer side, in the input) are not learnt from, neither way."""
    light: PhotometryConfig = field(default_factory=PhotometryConfig)

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 < low <= high:
            raise ConfigError(f"augment.scale: expected 0 < low <= high, got {self.scale!r}")
        for name in ("shift", "mirror", "least_kept"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augment.{name}: expected 0 to 1, got {getattr(self, name)!r}")
        if not self.least_px >= 0:
            raise ConfigError(f"augment.least_px: expected 0 or more, got {self.least_px!r}")


class DetectorExamples:
    """Pictures to (uint8 ``[3, H, W]`` BGR, boxes f32 ``[G, 4]``, kinds int64 ``[G]``). Owns the
    decoded pictures; ``augment`` None: letterboxed and nothing else."""

    def __init__(
        self,
        pictures: Sequence[LabelledPicture],
        *,
        size: tuple[int, int],
        augment: DetectorAugment | None,
        store: PictureStore,
    ) -> None:
        self._boxes = [p.boxes_px for p in pictures]
        self._crowd = [p.crowd for p in pictures]
        self._store = store
        self._size, self._augment = size, augment

    def __len__(self) -> int:
        return len(self._boxes)

    def make(self, index: int, rng: Generator) -> Example:
        picture = self._store.read(index)
        width = self._size[1]
        window = letterbox_window(picture, self._size)
        mirrored = False
        if self._augment is not None:
            window = _move(window, self._size, self._augment, rng)
            mirrored = bool(rng.random() < self._augment.mirror)
        moved = _warp(picture, window, self._size)
        boxes, kinds = place_boxes(
            self._boxes[index], self._crowd[index], window, self._size, self._augment
        )
        if mirrored:
            moved = moved[:, ::-1]
            boxes = np.stack(
                [width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1
            )
        if self._augment is not None:
            moved = change_photometry(moved, self._augment.light, rng)
        return (
            torch.from_numpy(np.ascontiguousarray(moved.transpose(2, 0, 1))),
            torch.from_numpy(np.ascontiguousarray(boxes, np.float32)),
            torch.from_numpy(kinds),
        )


def collate(examples: list[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures stacked; boxes and kinds filled up with nobody."""
    most = max(1, *(len(boxes) for _, boxes, _ in examples))
    boxes = torch.zeros(len(examples), most, 4)
    kinds = torch.full((len(examples), most), NOBODY)
    for row, (_, some, of) in enumerate(examples):
        boxes[row, : len(some)], kinds[row, : len(of)] = some, of
    return torch.stack([picture for picture, _, _ in examples]), boxes, kinds


def letterbox_window(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float64]:
    """The window through which the engine would look: ``ax, bx, ay, by``."""
    of = np.array([[picture.shape[1], picture.shape[0]]])
    window = geometry.letterbox(of, height=size[0], width=size[1], placement=PLACEMENT)
    row: NDArray[np.float64] = window[0]
    return row


def _move(
    window: NDArray[np.float64], size: tuple[int, int], augment: DetectorAugment, rng: Generator
) -> NDArray[np.float64]:
    """Zoomed about the input's middle, then shifted."""
    low, high = np.log(augment.scale)
    factor = float(np.exp(rng.uniform(low, high)))
    height, width = size
    moved = window.copy()
    for axis, side in ((0, width), (2, height)):
        a, b = window[axis : axis + 2]
        # Destination d shows what the middle m + (d - m - shift) / factor showed before.
        middle, shift = 0.5 * (side - 1), rng.uniform(-augment.shift, augment.shift) * side
        moved[axis] = a / factor
        moved[axis + 1] = b + a * (middle - (middle + shift) / factor)
    return moved


def _warp(
    picture: NDArray[np.uint8], window: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.uint8]:
    cv2 = import_cv2()
    ax, bx, ay, by = window
    matrix = np.array([[ax, 0, bx], [0, ay, by]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(
            picture, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_CONSTANT,
            borderValue=BORDER,
        )
    )  # fmt: skip


def place_boxes(
    boxes_px: NDArray[np.float32],
    crowd: NDArray[np.bool_],
    window: NDArray[np.float64],
    size: tuple[int, int],
    augment: DetectorAugment | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Boxes of the picture in pixels of the input, cut at its edges, and their kinds."""
    ax, bx, ay, by = window
    a, b = np.array([ax, ay, ax, ay]), np.array([bx, by, bx, by])
    whole = (boxes_px - 0.5 - b) / a + 0.5
    limit = np.array([size[1], size[0]] * 2, np.float64)
    cut = np.clip(whole, 0, limit)
    sides, full = cut[:, 2:] - cut[:, :2], whole[:, 2:] - whole[:, :2]
    there = (sides > 0).all(axis=1)
    least = augment or DetectorAugment()
    kept = sides.prod(axis=1) >= least.least_kept * full.prod(axis=1)
    large = sides.max(axis=1, initial=0.0) >= least.least_px
    kinds = np.where(kept & large & ~crowd, PERSON, IGNORED)
    return cut[there].astype(np.float32), kinds[there].astype(np.int64)
