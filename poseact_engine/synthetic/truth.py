# SPDX-License-Identifier: Apache-2.0
"""What is known of a made frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTruth:
    """The people of one frame, P of them, by id; people outside the picture are left out."""

    index: int
    time_s: float
    ids: NDArray[np.int64]
    """int64 ``[P]``: from 1, the same person in all frames of the scene."""
    boxes_px: NDArray[np.float32]
    """float32 ``[P, 4]``: x0 y0 x1 y1 around the whole body without its load, also where something
    hides it; cut at the picture's edge."""
    full_boxes_px: NDArray[np.float32]
    """float32 ``[P, 4]``: the same, not cut."""
    visible: NDArray[np.float32]
    """float32 ``[P]``: share of the body's pixels, those outside the picture counted, that are in
    the picture with nothing before them."""
    areas_px: NDArray[np.float32]
    """float32 ``[P]``: the body's pixels in the picture, hidden ones too (COCO's ``area``)."""
    keypoints_px: NDArray[np.float32]
    """float32 ``[P, 17, 3]``: x, y in pixel indices, and COCO's flag: 2 seen, 1 hidden (by the body
    itself, by others or by things), 0 outside the picture (x and y are kept then)."""
    actions: NDArray[np.int8]
    """int8 ``[P]``: index into ACTIONS, UNKNOWN, HARMLESS or NO_FALL (see rig)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FallTruth:
    """A fall of a scene that is to be reported."""

    id: int
    start_s: float
    """Balance is lost."""
    end_s: float
    """The body has come to rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFrame:
    """A picture and what is known of it."""

    picture: NDArray[np.uint8]
    """uint8 ``[H, W, 3]``, BGR as OpenCV has it; H and W are even."""
    truth: FrameTruth
