# SPDX-License-Identifier: Apache-2.0
"""Other estimators' joints as COCO's 17: where each stands in theirs.

A joint that they do not have, or did not find (a score of 0 or less), is (0, 0, 0). What COCO does
not have (neck, middle of the hips, feet, hands, faces) is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import SourceError
from poseact_engine.types import COCO_JOINTS

FURTHEST_PX = 1e6
"""No picture is larger; further out is no coordinate."""

_RIGHT_SIDE = ("right_shoulder", "right_elbow", "right_wrist")
_LEFT_SIDE = ("left_shoulder", "left_elbow", "left_wrist")
_RIGHT_LEG = ("right_hip", "right_knee", "right_ankle")
_LEFT_LEG = ("left_hip", "left_knee", "left_ankle")
_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")
OPENPOSE_18 = ("nose", "neck", *_RIGHT_SIDE, *_LEFT_SIDE, *_RIGHT_LEG, *_LEFT_LEG, *_FACE)
"""OpenPose's COCO model, tf-pose-estimation, and AlphaPose's formats ``cmu`` and ``open``."""
_LEFT_FOOT = ("left_big_toe", "left_small_toe", "left_heel")
_RIGHT_FOOT = ("right_big_toe", "right_small_toe", "right_heel")
_UPPER_25 = ("nose", "neck", *_RIGHT_SIDE, *_LEFT_SIDE, "middle_hip")
BODY_25 = (*_UPPER_25, *_RIGHT_LEG, *_LEFT_LEG, *_FACE, *_LEFT_FOOT, *_RIGHT_FOOT)
"""OpenPose's BODY_25 (its doc/02_output.md)."""
HALPE_26 = 26
HALPE_136 = 136
"""AlphaPose's fuller bodies, and COCO-WholeBody's 133, begin with COCO's 17."""
WHOLE_BODY = 133


def coco_order(joints: Sequence[str]) -> NDArray[np.int64]:
    """int64 ``[17]``: where each of COCO's joints is among ``joints``."""
    return np.array([list(joints).index(name) for name in COCO_JOINTS], dtype=np.int64)


ORDERS: dict[str, dict[int, NDArray[np.int64]]] = {
    "coco": {n: np.arange(len(COCO_JOINTS)) for n in (17, HALPE_26, WHOLE_BODY, HALPE_136)},
    "openpose": {18: coco_order(OPENPOSE_18), 25: coco_order(BODY_25)},
}


def order_of(where: str, family: str, joints: int) -> NDArray[np.int64]:
    """The order of a family's skeleton with so many joints; SourceError lists what it has."""
    orders = ORDERS[family]
    if joints not in orders:
        known = ", ".join(map(str, orders))
        raise SourceError(f"{where}: expected {known} joints, got {joints}")
    return orders[joints]


def to_coco(
    where: str, keypoints: NDArray[np.float64], order: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Their joints ``[..., J, 3]`` (x, y, score) as float32 ``[..., 17, 3]``; SourceError for what
    is no number or lies outside of any picture."""
    # Scores first: who leaves a joint out may write anything for its place.
    chosen = keypoints[..., order, :]
    if not np.isfinite(chosen[..., 2]).all():
        raise SourceError(f"{where}: expected finite scores, got NaN or infinity")
    seen = chosen[..., 2:] > 0
    chosen = np.where(seen, chosen, 0.0)
    if not (np.abs(chosen) <= FURTHEST_PX).all():
        raise SourceError(
            f"{where}: expected coordinates in pixels, got NaN or more than {FURTHEST_PX:.0e}"
        )
    return chosen.astype(np.float32)
