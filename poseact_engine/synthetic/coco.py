# SPDX-License-Identifier: Apache-2.0
"""The truth of made pictures as COCO keypoint annotations (https://cocodataset.org/#format-data).

Besides COCO's keys a picture says ``scene``, ``frame`` and ``time_s``; a person ``track_id``,
``action`` and ``visible`` (share of the body that is seen).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from poseact_engine.synthetic.rig import LABEL_NAMES
from poseact_engine.synthetic.truth import FrameTruth
from poseact_engine.types import COCO_JOINTS

PERSON = 1
LEAST_VISIBLE = 0.05
"""Of a person who is seen less the joints are not told, as COCO's annotators do: evaluation then
asks for no pose there."""

_BONES = (
    ("left_ankle", "left_knee"), ("left_knee", "left_hip"), ("right_ankle", "right_knee"),
    ("right_knee", "right_hip"), ("left_hip", "right_hip"), ("left_shoulder", "left_hip"),
    ("right_shoulder", "right_hip"), ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow"),
    ("left_elbow", "left_wrist"), ("right_elbow", "right_wrist"), ("left_eye", "right_eye"),
    ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"),
    ("right_eye", "right_ear"), ("left_ear", "left_shoulder"), ("right_ear", "right_shoulder"),
)  # fmt: skip


class CocoTruth:
    """Collects pictures and their people; ``content`` is the JSON file."""

    def __init__(self) -> None:
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def __len__(self) -> int:
        """Pictures so far."""
        return len(self._images)

    def add(self, name: str, size: tuple[int, int], truth: FrameTruth, *, scene: str) -> None:
        """A picture of this file name, and everybody of whom a pixel is seen."""
        image = len(self._images) + 1
        self._images.append(
            {
                "id": image,
                "file_name": name,
                "width": size[0],
                "height": size[1],
                "scene": scene,
                "frame": truth.index,
                "time_s": round(truth.time_s, 6),
            }
        )
        for p in np.flatnonzero(truth.visible > 0).tolist():
            annotation = {"id": len(self._annotations) + 1, "image_id": image}
            self._annotations.append(annotation | _person(truth, p))

    def content(self) -> dict[str, Any]:
        return {
            "info": {"description": "poseact_engine: made scenes"},
            "images": self._images,
            "annotations": self._annotations,
            "categories": [
                {
                    "id": PERSON,
                    "name": "person",
                    "supercategory": "person",
                    "keypoints": list(COCO_JOINTS),
                    "skeleton": [[COCO_JOINTS.index(a) + 1, COCO_JOINTS.index(b) + 1]
                                 for a, b in _BONES],
                }
            ],
        }  # fmt: skip


def _person(truth: FrameTruth, p: int) -> dict[str, Any]:
    x0, y0, x1, y1 = truth.boxes_px[p].astype(float).tolist()
    joints = truth.keypoints_px[p].astype(float)
    if truth.visible[p] < LEAST_VISIBLE:
        joints = np.zeros_like(joints)
    joints[joints[:, 2] == 0] = 0  # COCO's way to say that a joint is not told
    return {
        "category_id": PERSON,
        "iscrowd": 0,
        "bbox": _short([x0, y0, x1 - x0, y1 - y0]),
        "area": round(float(truth.areas_px[p]), 2),
        "num_keypoints": int((joints[:, 2] > 0).sum()),
        "keypoints": [v for x, y, flag in joints.tolist() for v in (*_short([x, y]), int(flag))],
        "track_id": int(truth.ids[p]),
        "action": LABEL_NAMES[int(truth.actions[p])],
        "visible": round(float(truth.visible[p]), 3),
    }


def _short(values: list[float]) -> list[float]:
    return [round(value, 2) for value in values]
