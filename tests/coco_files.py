# SPDX-License-Identifier: Apache-2.0
"""COCO annotation files made by code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from poseact_engine.types import COCO_JOINTS

PERSON: dict[str, Any] = {"id": 1, "name": "person", "keypoints": list(COCO_JOINTS)}


def person(
    picture: int,
    box: Sequence[float],
    joints: Sequence[tuple[float, float]] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """An annotation: box x y w h, and joints [17, 2], all visible (None: all at its middle)."""
    x, y, w, h = box
    places = joints if joints is not None else [(x + w / 2, y + h / 2)] * len(COCO_JOINTS)
    return {
        "image_id": picture,
        "category_id": 1,
        "bbox": [float(v) for v in box],
        "area": float(w * h),
        "iscrowd": 0,
        "num_keypoints": len(places),
        "keypoints": [v for px, py in places for v in (float(px), float(py), 2)],
        **changes,
    }


def write_truth(
    path: Path, pictures: Mapping[str, int], people: Sequence[Mapping[str, Any]], **changes: Any
) -> Path:
    """A file of pictures (name to id) and annotations, whose ids are 1, 2, ... unless given."""
    content = {
        "images": [{"id": i, "file_name": name} for name, i in pictures.items()],
        "annotations": [{"id": k + 1, **p} for k, p in enumerate(people)],
        "categories": [PERSON],
        **changes,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
