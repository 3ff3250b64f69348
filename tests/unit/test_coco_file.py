# SPDX-License-Identifier: Apache-2.0
"""COCO files that are wrong in any way: one line that says where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.evaluation.coco import PoseEvaluation
from poseact_engine.evaluation.walk import truth_batches
from tests.coco_files import PERSON, person, write_truth


def wrong(truth: Path, **changes: Any) -> None:
    content = json.loads(truth.read_text())
    content.update({k: v for k, v in changes.items() if k in content})
    for key in ("image", "annotation", "category"):
        for name, value in changes.get(key, {}).items():
            first = content[{"category": "categories"}.get(key, f"{key}s")][0]
            first.pop(name, None) if value is None else first.update({name: value})
    truth.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "expected pictures, got none"),
        ({"annotations": []}, "expected annotations of people, got none"),
        ({"categories": [{"id": 1, "name": "dog"}]}, "named 'person', got the categories dog"),
        ({"categories": [PERSON, PERSON]}, "expected one category named 'person'"),
        ({"categories": 3}, "with the lists images, annotations, categories"),
        ({"image": {"width": 9, "height": 9}}, r"b\.png: expected \(9, 9\) px"),
        ({"image": {"file_name": None}}, r"images\[0\]: expected the key 'file_name'"),
        ({"image": {"file_name": "c.png"}}, r"1 of them are missing, c\.png first"),
        ({"image": {"id": 1}}, "id 1 is there twice"),
        ({"annotation": {"image_id": 9}}, "'image_id' to be one of the pictures' ids, got 9"),
        ({"annotation": {"image_id": []}}, "'image_id' to be one of the pictures' ids"),
        ({"annotation": {"bbox": [1, 2, 3]}}, r"annotations\[0\]: expected 'bbox' to be four"),
        ({"annotation": {"bbox": [1, 2, 3, "4"]}}, "expected 'bbox' to be four numbers"),
        ({"annotation": {"bbox": [1, 2, 3, 10**400]}}, "expected 'bbox' to be four numbers"),
        ({"annotation": {"area": float("nan")}}, "'area' to be a number, 0 or more, got nan"),
        ({"annotation": {"area": -1}}, "'area' to be a number, 0 or more, got -1"),
        ({"annotation": {"area": None}}, r"annotations\[0\]: expected the key 'area'"),
        ({"annotation": {"iscrowd": 2}}, "expected 'iscrowd' to be 0 or 1, got 2"),
        ({"annotation": {"keypoints": [1, 2]}}, "expected 'keypoints' to be numbers"),
        ({"annotation": {"num_keypoints": "17"}}, "'num_keypoints' to be a whole number"),
        ({"annotation": {"num_keypoints": None}}, "expected num_keypoints and 51 keypoints"),
        ({"annotation": {"keypoints": [1, 2, 2]}}, "51 keypoints of every person, got 3"),
        ({"annotation": {"num_keypoints": 0, "keypoints": 5.5}}, "51 keypoints .*, got 5.5 of one"),
        ({"annotation": {"num_keypoints": 0, "keypoints": ["x"] * 51}}, "51 keypoints .*, got"),
        ({"category": {"keypoints": ["nose"]}}, "expected the 17 joints of COCO"),
        ({"category": {"keypoints": 5}}, "'keypoints' to be a list of names, got 5"),
    ],
)
def test_a_truth_file_that_is_wrong_says_so(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    box = (20.0, 30.0, 48.0, 64.0)
    people = [person(2, box), person(1, box)]
    truth = write_truth(tmp_path / "t.json", {"b.png": 2, "a.png": 1}, people)
    wrong(truth, **changes)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises((SourceError, ConfigError), match=message) as caught:
        list(truth_batches(PoseEvaluation(truth).file, tmp_path))
    assert "\n" not in str(caught.value)
