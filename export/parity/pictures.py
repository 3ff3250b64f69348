# SPDX-License-Identifier: Apache-2.0
"""The inputs on which two models differ most, with what both say drawn on them (OpenCV)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.parity.detector import Detections, DetectorComparison
from export.parity.pose import PoseComparison

_WORST = 8
_COLUMNS = 4
_HEIGHT_PX = 320
_GREEN, _RED = (60, 200, 60), (60, 60, 230)
"""BGR of the reference and of the new model."""
_LIMBS = (
    ("left_ankle", "left_knee"), ("left_knee", "left_hip"), ("right_ankle", "right_knee"),
    ("right_knee", "right_hip"), ("left_hip", "right_hip"), ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"), ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"), ("right_elbow", "right_wrist"), ("nose", "left_eye"),
    ("nose", "right_eye"), ("left_eye", "left_ear"), ("right_eye", "right_ear"),
)  # fmt: skip


def worst_crops(comparison: PoseComparison, crops: NDArray[np.uint8]) -> bytes | None:
    """The crops with the furthest judged joints, worst first, as PNG; None without any."""
    far = np.where(comparison.judged, comparison.distance_px, 0.0).max(axis=1, initial=0.0)
    rows = np.argsort(-far, kind="stable")[:_WORST]
    rows = rows[far[rows] > 0]
    tiles = []
    for row in rows:
        image, scale = _tile(crops[row])
        for pose, color in ((comparison.reference[row], _GREEN), (comparison.new[row], _RED)):
            _draw_pose(image, _places(pose, comparison.joints, scale), color)
        tiles.append(_labelled(image, f"{far[row]:.1f} px"))
    return _sheet(tiles)


def worst_boxes(comparison: DetectorComparison, images: NDArray[np.uint8]) -> bytes | None:
    """The pictures with most boxes without a partner, as PNG; None without any."""
    sides = (comparison.reference, comparison.new)
    count = np.zeros(len(images), np.int64)
    for side, rows in zip(sides, comparison.alone, strict=True):
        np.add.at(count, side.picture[rows], 1)
    chosen = np.argsort(-count, kind="stable")[:_WORST]
    chosen = chosen[count[chosen] > 0]
    tiles = []
    for picture in chosen:
        image, scale = _tile(images[picture])
        for side, rows, color in zip(sides, comparison.alone, (_GREEN, _RED), strict=True):
            _draw_boxes(image, side, rows[side.picture[rows] == picture], color, scale)
        tiles.append(_labelled(image, f"{count[picture]} boxes"))
    return _sheet(tiles)


def _tile(rgb: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """BGR picture of a common height, and by how much it was enlarged."""
    import cv2

    bgr = np.ascontiguousarray(rgb[::-1].transpose(1, 2, 0))
    scale = _HEIGHT_PX / bgr.shape[0]
    size = (max(1, round(bgr.shape[1] * scale)), _HEIGHT_PX)
    image: NDArray[Any] = cv2.resize(bgr, size, interpolation=cv2.INTER_LINEAR)
    return image, scale


def _places(
    pose: NDArray[np.float32], joints: tuple[str, ...], scale: float
) -> dict[str, tuple[int, int]]:
    """Pixels of the enlarged crop, by joint, of those that were found."""
    return {
        name: (round(float((x + 0.5) * scale)), round(float((y + 0.5) * scale)))
        for name, (x, y, score) in zip(joints, pose, strict=True)
        if score > 0 and np.isfinite((x, y)).all()
    }


def _draw_pose(
    image: NDArray[np.uint8], places: dict[str, tuple[int, int]], color: tuple[int, int, int]
) -> None:
    """The reference is drawn first, and wider: what hides it equals it."""
    import cv2

    width = 3 if color == _GREEN else 1
    for a, b in _LIMBS:
        if a in places and b in places:
            cv2.line(image, places[a], places[b], color, width, cv2.LINE_AA)
    for place in places.values():
        cv2.circle(image, place, 2 + width // 2, color, -1, cv2.LINE_AA)


def _draw_boxes(
    image: NDArray[np.uint8],
    side: Detections,
    rows: NDArray[np.int64],
    color: tuple[int, int, int],
    scale: float,
) -> None:
    import cv2

    for row in rows:
        x0, y0, x1, y1 = (round(float(np.clip(v, -1e4, 1e4)) * scale) for v in side.boxes[row])
        cv2.rectangle(image, (x0, y0), (x1, y1), color, 1)
        text = f"{side.scores[row]:.2f}"
        cv2.putText(image, text, (x0 + 2, y1 - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.4, color, 1)


def _labelled(image: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    import cv2

    strip: NDArray[np.uint8] = np.full((20, image.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, text, (3, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return np.concatenate([image, strip])


def _sheet(tiles: list[NDArray[np.uint8]]) -> bytes | None:
    import cv2

    if not tiles:
        return None
    height, width = tiles[0].shape[:2]
    columns = min(_COLUMNS, len(tiles))
    lines = -(-len(tiles) // columns)
    sheet = np.full((lines * (height + 6), columns * (width + 6), 3), 255, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = (i // columns) * (height + 6), (i % columns) * (width + 6)
        sheet[y : y + height, x : x + width] = tile
    done, data = cv2.imencode(".png", sheet)
    return bytes(data) if done else None
