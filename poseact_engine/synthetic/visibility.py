# SPDX-License-Identifier: Apache-2.0
"""Which joints the camera sees: lines of sight against limbs, torsos, heads and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.stance import TORSO_PAIRS, Solid, Stance
from poseact_engine.synthetic.things import Box
from poseact_engine.types import COCO_JOINTS

Points = NDArray[np.float64]
K = len(COCO_JOINTS)
HEAD_SHARE, TORSO_SHARE = 0.85, 0.8
"""Of their size that one's own head hides its face with, and one's own torso its shoulders and
hips: those joints lie on or in them."""
_FACE, _TORSO, _ANKLES = (0, 1, 2, 3, 4), (5, 6, 11, 12), (15, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capsules:
    """B tapered capsules: ends ``[B, 3]`` and radii ``[B]``."""

    a: Points
    b: Points
    radius_a: Points
    radius_b: Points


def behind_capsules(
    eye: Points, joints_m: Points, capsules: Capsules, share: Points
) -> NDArray[np.bool_]:
    """bool ``[N, B]``: whether the line from the eye to a joint ``[N, 3]`` meets a capsule.

    The least distance of the line to the capsule's axis is weighed against ``share`` ``[N, B]`` of
    the radius there.
    """
    sight = joints_m - eye  # [N, 3]
    axis = capsules.b - capsules.a  # [B, 3]
    off = eye - capsules.a  # [B, 3]
    ss = (sight * sight).sum(axis=1)[:, None]
    aa = np.maximum((axis * axis).sum(axis=1), 1e-12)[None]
    oo = (off * off).sum(axis=1)[None]
    sa = sight @ axis.T
    so = sight @ off.T
    ao = (axis * off).sum(axis=1)[None]
    # Closest points of two segments (Ericson, Real-Time Collision Detection, 5.1.9).
    spread = np.maximum(ss * aa - sa * sa, 1e-9)
    s = np.clip((sa * ao - so * aa) / spread, 0, 1)
    t = np.clip((sa * s + ao) / aa, 0, 1)
    s = np.clip((sa * t - so) / ss, 0, 1)
    # |off + s sight - t axis| squared, without its vectors.
    gap = oo + s * (s * ss + 2 * so) + t * (t * aa - 2 * ao - 2 * s * sa)
    radius = share * (capsules.radius_a * (1 - t) + capsules.radius_b * t)
    met: NDArray[np.bool_] = gap < radius * radius
    return met


def behind_ellipsoids(
    eye: Points, joints_m: Points, centres: Points, axes: Points, share: NDArray[Any]
) -> NDArray[np.bool_]:
    """bool ``[N, H]``: whether the line from the eye to a joint meets a head.

    ``share`` ``[N, H]``: of the head's size.
    """
    squares = (axes * axes).sum(axis=-1)  # [H, 3]
    start = np.einsum("hc,hac->ha", eye - centres, axes) / squares  # [H, 3]
    ends = np.einsum("nhc,hac->nha", joints_m[:, None] - centres, axes) / squares  # [N, H, 3]
    way = ends - start
    t = np.clip(-(way * start).sum(-1) / np.maximum((way * way).sum(-1), 1e-12), 0.0, 1.0)
    nearest = start + t[..., None] * way
    met: NDArray[np.bool_] = (nearest * nearest).sum(-1) < share * share
    return met


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """X upright boxes: centres and half sizes ``[X, 3]``, world to own axes ``[X, 3, 3]``."""

    centres: Points
    halves: Points
    turns: Points

    @classmethod
    def of(cls, boxes: Sequence[Box]) -> Boxes:
        yaw = np.array([box.yaw_rad for box in boxes])
        turns = np.zeros((len(boxes), 3, 3))
        turns[:, 0, 0] = turns[:, 1, 1] = np.cos(yaw)
        turns[:, 0, 1], turns[:, 1, 0] = np.sin(yaw), -np.sin(yaw)
        turns[:, 2, 2] = 1.0
        return cls(
            centres=np.array([box.centre_m for box in boxes]).reshape(-1, 3),
            halves=np.array([box.size_m for box in boxes]).reshape(-1, 3) / 2,
            turns=turns,
        )


def behind_boxes(eye: Points, joints_m: Points, boxes: Boxes) -> NDArray[np.bool_]:
    """bool ``[N]``: whether the line from the eye to a joint ``[N, 3]`` enters a box before it."""
    start = np.einsum("xij,xj->xi", boxes.turns, eye - boxes.centres)  # [X, 3]
    ends = np.einsum("xij,nxj->nxi", boxes.turns, joints_m[:, None] - boxes.centres)
    way = ends - start
    safe = np.where(np.abs(way) < 1e-9, 1e-9, way)
    one, other = (-boxes.halves - start) / safe, (boxes.halves - start) / safe
    enter = np.minimum(one, other).max(axis=-1)
    leave = np.maximum(one, other).min(axis=-1)
    met: NDArray[np.bool_] = ((enter < leave) & (enter > 0) & (enter < 1)).any(axis=-1)
    return met


def hidden_by_people(
    eye: Points, stances: Sequence[Stance], solids: Sequence[Solid]
) -> NDArray[np.bool_]:
    """bool ``[P, 17]`` of P people's joints: hidden by one's own or another's body.

    A limb does not hide the joints it ends in; nor does the own torso those within it.
    """
    people = len(stances)
    points = np.concatenate([stance.joints_m[:K] for stance in stances])
    owner, kind = np.repeat(np.arange(people), K), np.tile(np.arange(K), people)
    limbs = _limbs(stances, solids)
    hidden = behind_capsules(eye, points, limbs, np.ones((1, 1)))
    of = np.repeat(np.arange(people), [len(solid.a) for solid in solids])
    hidden &= ~((owner[:, None] == of) & _excused(solids, kind))
    found = hidden.any(axis=1) | _behind_torsos(eye, points, owner, kind, stances)
    mine = owner[:, None] == np.arange(people)
    share = np.where(mine & np.isin(kind, _FACE)[:, None], HEAD_SHARE, 1.0)
    centres = np.stack([stance.head_m for stance in stances])
    axes = np.stack([stance.head_axes_m for stance in stances])
    found |= behind_ellipsoids(eye, points, centres, axes, share).any(axis=1)
    return found.reshape(people, K)


def _limbs(stances: Sequence[Stance], solids: Sequence[Solid]) -> Capsules:
    both = list(zip(stances, solids, strict=True))
    return Capsules(
        a=np.concatenate([stance.joints_m[solid.a] for stance, solid in both]),
        b=np.concatenate([stance.joints_m[solid.b] for stance, solid in both]),
        radius_a=np.concatenate([solid.radius_a_m for solid in solids]),
        radius_b=np.concatenate([solid.radius_b_m for solid in solids]),
    )


def _excused(solids: Sequence[Solid], kind: NDArray[np.intp]) -> NDArray[np.bool_]:
    """bool ``[N, B]``: limbs that may not hide their own person's joint of this kind."""
    ends = np.concatenate([np.stack([solid.a, solid.b], axis=1) for solid in solids])
    parts = np.array([part for solid in solids for part in solid.part])
    touches = (kind[:, None] == ends[:, 0]) | (kind[:, None] == ends[:, 1])
    around_ankle = np.isin(kind, _ANKLES)[:, None] & np.equal(parts, "foot")
    return np.asarray(touches | around_ankle | np.equal(parts, "neck"))


def _behind_torsos(
    eye: Points, points: Points, owner: NDArray[np.intp], kind: NDArray[np.intp],
    stances: Sequence[Stance],
) -> NDArray[np.bool_]:  # fmt: skip
    """bool ``[N]``."""
    a, b = TORSO_PAIRS.T
    torsos = Capsules(
        a=np.concatenate([stance.torso_m[a] for stance in stances]),
        b=np.concatenate([stance.torso_m[b] for stance in stances]),
        radius_a=np.concatenate([stance.torso_radii_m[a] for stance in stances]),
        radius_b=np.concatenate([stance.torso_radii_m[b] for stance in stances]),
    )
    of = np.repeat(np.arange(len(stances)), len(TORSO_PAIRS))
    within = (owner[:, None] == of) & np.isin(kind, _TORSO)[:, None]
    share = np.where(within, TORSO_SHARE, 1.0)
    met = behind_capsules(eye, points, torsos, share)
    met = met & ~(within & _inside(points, torsos, share))
    return np.asarray(met.any(axis=1))


def _inside(points: Points, capsules: Capsules, share: Points) -> NDArray[np.bool_]:
    """bool ``[N, B]``: which points lie within a capsule; it does not hide what is in it."""
    axis = capsules.b - capsules.a
    length = np.maximum((axis * axis).sum(axis=1), 1e-12)
    off = points[:, None] - capsules.a
    t = np.clip((off * axis).sum(axis=-1) / length, 0, 1)
    gap = off - t[..., None] * axis
    radius = share * (capsules.radius_a * (1 - t) + capsules.radius_b * t)
    within: NDArray[np.bool_] = (gap * gap).sum(axis=-1) < radius * radius
    return within
