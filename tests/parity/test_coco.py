# SPDX-License-Identifier: Apache-2.0
"""Keypoint AP on real pictures through our own decoder, crop, geometry and stages.

The reference is a separate script (OpenCV's warpAffine, one picture and person at a time); its
numbers stand in the README of the real data. The same weights must find the same people.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poseact_engine.config import BackendChoice
from poseact_engine.evaluation.pose_eval import PoseEvalConfig, evaluate_pose
from poseact_engine.evaluation.walk import Where
from tests.real_models import adapt_rtmdet, adapt_tinypose, adapt_yolox

pytestmark = pytest.mark.needs_data

# Rounding alone (a mean of 0.1 grey levels in the detector's input) moves AP by 0.005: there are
# 201 people.
TOLERANCE = 0.01


@pytest.fixture(scope="module")
def pose(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapt_tinypose(data_dir, tmp_path_factory.mktemp("pose"))


def average_precision(data: Path, pose: Path, **options: Any) -> float:
    coco = data / "coco"
    config = PoseEvalConfig(
        truth=coco / "person_keypoints_val88.json", images=coco / "images", pose=pose, **options
    )
    return evaluate_pose(config).scores.ap


@pytest.mark.parametrize(
    "backend", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.needs_openvino)]
)
def test_pose_of_true_boxes(data_dir: Path, pose: Path, backend: BackendChoice) -> None:
    found = average_precision(data_dir, pose, where=Where(backend=backend))
    assert found == pytest.approx(0.673, abs=0.005)


@pytest.mark.parametrize(("adapt", "expected"), [(adapt_rtmdet, 0.603), (adapt_yolox, 0.570)])
def test_detector_and_pose(
    adapt: Any, expected: float, data_dir: Path, tmp_path: Path, pose: Path
) -> None:
    detector = adapt(data_dir, tmp_path)
    found = average_precision(data_dir, pose, detector=detector, min_score=0.2)
    assert found == pytest.approx(expected, abs=TOLERANCE)
