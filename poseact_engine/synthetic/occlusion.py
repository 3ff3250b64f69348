# SPDX-License-Identifier: Apache-2.0
"""Which joints a camera cannot see, decided without drawing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.rig import RIG_JOINTS, Bone
from poseact_engine.types import COCO_JOINTS

Array = NDArray[np.float64]
_BEHIND, _BEHIND_HEAD = 0.5, 0.15
"""A bone hides a joint that is farther away than its axis by this share of its radius there."""


def hidden_by_body(
    bones: Sequence[Bone], xy_px: Array, depth_m: Array, *, focal_px: float
) -> NDArray[np.bool_]:
    """bool ``[T, 17]``: joints that lie behind a bone which does not end in them.

    Args:
        bones: the body's capsules.
        xy_px: float64 ``[T, J, 2]``, all joints of the rig in the picture.
        depth_m: float64 ``[T, J]``, along the optical axis.
        focal_px: of the camera.

    In the picture a capsule is a line with a width; a joint within it and farther away than the
    line's nearest point is hidden. The face is the exception: it
    lies on the head, so eyes, ears and nose are hidden by the head they sit on.
    """
    # One bone after another, x and y apart and in float32: all of it stays in the cache.
    x, y, far = (np.asarray(v, np.float32) for v in (*np.moveaxis(xy_px, -1, 0), depth_m))
    k = slice(len(COCO_JOINTS))
    hidden = np.zeros(far[:, k].shape, np.bool_)
    for bone in bones:
        a, b = [bone.a], [bone.b]  # [T, 1] of each
        along_x, along_y = x[:, b] - x[:, a], y[:, b] - y[:, a]
        from_x, from_y = x[:, k] - x[:, a], y[:, k] - y[:, a]  # [T, 17]
        length2 = np.maximum(along_x**2 + along_y**2, 1e-6)
        share = np.clip((from_x * along_x + from_y * along_y) / length2, 0, 1)
        off2 = (from_x - share * along_x) ** 2 + (from_y - share * along_y) ** 2
        depth = far[:, a] + share * (far[:, b] - far[:, a])
        radius = bone.radius_a_m + share * (bone.radius_b_m - bone.radius_a_m)
        reach = 0.9 * focal_px * radius / np.maximum(depth, 0.1)
        margin = _BEHIND_HEAD if bone.part == "head" else _BEHIND
        hidden |= (off2 < reach**2) & (far[:, k] > depth + margin * radius) & _may_hide(bone)
    return hidden


def hidden_by_things(rng: np.random.Generator, xy_px: Array) -> NDArray[np.bool_]:
    """bool ``[T, 17]``: joints behind one or two upright rectangles that stand somewhere on the
    person's way: a table's height over the legs, or a pillar's width over everything."""
    hidden = np.zeros(xy_px.shape[:2], np.bool_)
    for _ in range(rng.integers(1, 3)):
        pose = xy_px[rng.integers(len(xy_px))]  # as it is at some time
        low, high = pose.min(axis=0), pose.max(axis=0)
        side = max(float((high - low).max()), 1.0)
        middle = rng.uniform(low[0], high[0])
        if rng.random() < 0.7:  # stands on the ground before the person
            width, top = rng.uniform(0.3, 2.0) * side, high[1] - rng.uniform(0.1, 0.55) * side
        else:
            width, top = rng.uniform(0.06, 0.25) * side, -np.inf
        hidden |= (np.abs(xy_px[..., 0] - middle) < width / 2) & (xy_px[..., 1] > top)
    return hidden


def _may_hide(bone: Bone) -> NDArray[np.bool_]:
    """bool ``[17]``: joints that do not belong to the bone, nor touch it."""
    may = np.ones(len(COCO_JOINTS), np.bool_)
    ends = {RIG_JOINTS[bone.a], RIG_JOINTS[bone.b]}
    for k, joint in enumerate(COCO_JOINTS):
        at_shoulders = "neck" in ends and "shoulder" in joint
        at_hips = "pelvis" in ends and "hip" in joint
        may[k] = joint not in ends and not at_shoulders and not at_hips
    return may
