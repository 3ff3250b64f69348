# SPDX-License-Identifier: Apache-2.0
"""Where crops lie in frames: the only place that computes the a and b of ``source = a * d + b``.

A window is a row ``ax, bx, ay, by`` (float64): destination pixel index ``d`` of a crop reads source
pixel index ``a * d + b`` of the displayed frame. Pixel indices put a pixel's centre on an integer;
boxes are edges, so the box of pixel ``i`` alone is ``[i, i + 1]`` and ``edge = index + 1/2``.
Everything is vectorised over rows and computed in float64.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, ShapeError

Placement = Literal["top_left", "center"]
PoseGeometry = Literal["default", "udp"]

_LEAST_SIDE_PX = 1.0


def _rows(who: str, name: str, values: NDArray[Any], columns: int) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != columns:
        raise ShapeError(f"{who}: expected {name} [N, {columns}], got {list(array.shape)}")
    return array


def _same_length(who: str, **arrays: NDArray[Any]) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"{who}: expected as many rows in each, got {lengths}")


def _check_size(who: str, height: int, width: int, least: int) -> None:
    if height < least or width < least:
        raise ConfigError(f"{who}: expected sides of {least} px or more, got {width} x {height}")


def letterbox(
    sizes: NDArray[Any], *, height: int, width: int, placement: Placement
) -> NDArray[np.float64]:
    """Windows that fit whole frames into ``width x height``, aspect kept.

    ``sizes`` ``[F, 2]`` are frames' (width, height) in pixels, as :attr:`FrameBatch.size` gives
    them. The picture gets ``floor(size * min(width / w, height / h))`` pixels (at least 1), at the
    top left or centred (an odd pixel goes right or below), resized with half-pixel centres:
    ``a = w / new_w``, ``b = a / 2 - 1/2 - a * pad``. YOLOX (Ge et al. 2021, ``preproc``) and
    MMDetection's RTMDet place the picture at the top left; MMYOLO's RTMDet and YOLOv5 at the
    centre. Returns float64 ``[F, 4]``.

    >>> letterbox(np.array([[1920, 1080]]), height=640, width=640, placement="top_left")
    array([[3., 1., 3., 1.]])
    >>> letterbox(np.array([[200, 100]]), height=100, width=100, placement="center")
    array([[  2. ,   0.5,   2. , -49.5]])
    """
    who = "letterbox"
    _check_size(who, height, width, 1)
    if placement not in ("top_left", "center"):
        raise ConfigError(f"{who}: expected placement top_left or center, got {placement!r}")
    source = _rows(who, "sizes", sizes, 2).astype(np.int64)
    if (source < 1).any():
        raise ConfigError(f"{who}: expected sizes of 1 px or more, got {source.min(axis=0)}")
    w, h = source[:, 0], source[:, 1]
    # In whole numbers: floor(w * (width / w)) in floating point is at times width - 1.
    wide = width * h <= height * w
    new = np.stack(
        [np.where(wide, width, w * height // h), np.where(wide, h * width // w, height)], axis=1
    )
    new = np.maximum(new, 1)
    pad = (np.array([width, height]) - new) // 2 if placement == "center" else np.zeros_like(new)
    a = source / new
    b = 0.5 * a - 0.5 - a * pad
    return np.stack([a[:, 0], b[:, 0], a[:, 1], b[:, 1]], axis=1)


def boxes_from_letterbox(
    boxes_px: NDArray[Any], windows: NDArray[np.float64], sizes: NDArray[Any]
) -> NDArray[np.float32]:
    """Boxes of a letterbox, back in their frames and clipped to them.

    ``boxes_px`` ``[N, 4]`` are x0 y0 x1 y1 edges in pixels of the letterbox; ``windows`` ``[N, 4]``
    and ``sizes`` ``[N, 2]`` (width, height) belong to each box's frame: ``windows[frame]``. Edges
    are continuous, so ``source = a * (edge - 1/2) + b + 1/2``. Returns float32 ``[N, 4]``.

    >>> window = letterbox(np.array([[200, 100]]), height=100, width=100, placement="center")
    >>> boxes_from_letterbox(np.array([[10, 30, 120, 75]]), window, np.array([[200, 100]]))
    array([[ 20.,  10., 200., 100.]], dtype=float32)
    """
    who = "boxes_from_letterbox"
    boxes = _rows(who, "boxes", boxes_px, 4)
    rows = _rows(who, "windows", windows, 4)
    limit = _rows(who, "sizes", sizes, 2)
    _same_length(who, boxes=boxes, windows=rows, sizes=limit)
    a, b = rows[:, [0, 2, 0, 2]], rows[:, [1, 3, 1, 3]]
    source = a * (boxes - 0.5) + b + 0.5
    return np.clip(source, 0.0, limit[:, [0, 1, 0, 1]]).astype(np.float32)


def pose_crops(
    boxes_px: NDArray[Any], *, height: int, width: int, expansion: float, geometry: PoseGeometry
) -> NDArray[np.float64]:
    """Windows around people, as the pose model saw them in training.

    Each box ``[N, 4]`` (x0 y0 x1 y1, px of the displayed frame) grows on its shorter side to the
    aspect ratio ``width : height`` about its centre (cx, cy), then by ``expansion`` to ``w x h``.

    ``default`` (HRNet, Sun et al. 2019; AlphaPose; ``get_affine_transform``): a crop is ``width``
    pixels long, ``a = w / width`` for both axes, ``source = a * (d - width / 2) + cx``.
    ``udp`` (Huang et al. 2020, unbiased data processing): lengths lie between pixel centres,
    ``a = w / (width - 1)`` and alike in y, ``source = a * (d - (width - 1) / 2) + cx``.

    A side below one pixel (empty or inverted boxes, too) counts as one pixel; a box that is not
    finite is a ConfigError. Returns float64 ``[N, 4]``.

    >>> pose_crops(np.array([[100, 50, 196, 178]]), height=256, width=192, expansion=1.0,
    ...            geometry="default")
    array([[  0.5, 100. ,   0.5,  50. ]])
    """
    who = "pose_crops"
    _check_size(who, height, width, 2)
    if geometry not in ("default", "udp"):
        raise ConfigError(f"{who}: expected geometry default or udp, got {geometry!r}")
    if not (np.isfinite(expansion) and expansion > 0):
        raise ConfigError(f"{who}: expected an expansion above 0, got {expansion!r}")
    boxes = _rows(who, "boxes", boxes_px, 4)
    if not np.isfinite(boxes).all():
        row = int(np.argmin(np.isfinite(boxes).all(axis=1)))
        raise ConfigError(f"{who}: expected finite boxes, got row {row} = {boxes[row].tolist()}")
    center = 0.5 * (boxes[:, :2] + boxes[:, 2:])
    side = np.maximum(boxes[:, 2:] - boxes[:, :2], _LEAST_SIDE_PX)
    w = np.maximum(side[:, 0], side[:, 1] * (width / height)) * expansion
    size = np.array([width, height], dtype=np.float64)
    if geometry == "default":
        a = np.repeat((w / width)[:, None], 2, axis=1)
        b = center - a * (0.5 * size)
    else:
        a = np.stack([w, w * (height / width)], axis=1) / (size - 1.0)
        b = center - a * (0.5 * (size - 1.0))
    return np.stack([a[:, 0], b[:, 0], a[:, 1], b[:, 1]], axis=1)


def keypoints_from_crops(
    keypoints_px: NDArray[Any], windows: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Joints of crops, back in their frames: ``source = a * d + b``.

    ``keypoints_px`` ``[M, K, 3]`` are x, y (pixel indices of the crop) and score; ``windows``
    ``[M, 4]`` those the crops were made with. A joint with a score of 0 or less was not found and
    is (0, 0, 0). Returns float32 ``[M, K, 3]``.

    >>> window = np.array([[0.5, 100.0, 0.5, 50.0]])
    >>> keypoints_from_crops(np.array([[[96, 128, 0.9], [3, 4, 0]]]), window)[0]
    array([[148. , 114. ,   0.9],
           [  0. ,   0. ,   0. ]], dtype=float32)
    """
    who = "keypoints_from_crops"
    rows = _rows(who, "windows", windows, 4)
    points = np.asarray(keypoints_px, dtype=np.float64)
    if points.ndim != 3 or points.shape[2] != 3:
        raise ShapeError(f"{who}: expected keypoints [M, K, 3], got {list(points.shape)}")
    _same_length(who, keypoints=points, windows=rows)
    found = points[:, :, 2:] > 0
    placed = points.copy()
    placed[:, :, :2] = points[:, :, :2] * rows[:, None, [0, 2]] + rows[:, None, [1, 3]]
    return np.where(found, placed, 0.0).astype(np.float32)
