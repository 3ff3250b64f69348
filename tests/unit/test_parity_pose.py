# SPDX-License-Identifier: Apache-2.0
"""Distances between poses, against float64 NumPy, hand-worked cases and pycocotools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from export.parity.pose import compare_poses, oks_of
from poseact_engine.manifest import PoseManifest
from poseact_engine.types import COCO_JOINTS


def manifest(joints: tuple[str, ...] = COCO_JOINTS, **changes: Any) -> PoseManifest:
    values: dict[str, Any] = {
        "task": "pose", "precision": "fp32", "target": "any", "source": "made by code",
        "licence": "none", "sha256": "", "height": 256, "width": 192, "geometry": "default",
        "expansion": 1.25, "border": (0, 0, 0), "joints": joints, "decode": "quarter",
        "flip_test": False, **changes,
    }  # fmt: skip
    return PoseManifest(**values)


def poses(count: int, joints: int = 17, *, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 190, (count, joints, 2))
    return np.concatenate([xy, rng.uniform(0.4, 1, (count, joints, 1))], axis=2).astype(np.float32)


def test_equal_models_are_at_zero() -> None:
    same = poses(5)
    found = compare_poses(same, same, same, manifest=manifest(), windows=np.ones((5, 4)))
    zeros = ("median_px", "p99_px", "max_px", "share_moved", "frame_max_px", "score_max")
    assert [found.metrics[name] for name in zeros] == [0.0] * len(zeros)
    assert found.metrics["found_differs"] == found.metrics["share_unsteady"] == 0.0
    assert found.metrics["oks_mean"] == found.metrics["oks_p1"] == 1.0
    assert found.metrics["compared"] == 85


def test_by_hand() -> None:
    """Three joints move by (3, 4), (0, 1) and nothing; one is lost; one is unsteady, one unsure."""
    names = ("a", "b", "c", "d", "e", "f")
    reference = np.full((1, 6, 3), 50.0, np.float32)
    reference[..., 2] = (0.5, 0.5, 0.8, 0.5, 0.5, 0.23)
    new, nudged = reference.copy(), reference.copy()
    new[0, 0] += (3, 4, 0.04)
    new[0, 1] += (0, 1, 0)
    new[0, 3] = 0.0
    new[0, 4] += (60, 0, 0)
    new[0, 5] += (70, 0, 0)
    nudged[0, 4, 0] += 0.75
    window = np.array([[2.0, 0.0, 10.0, 0.0]])
    got = compare_poses(reference, nudged, new, manifest=manifest(names), windows=window).metrics
    assert got["compared"] == 3
    assert got["median_px"] == pytest.approx(1.0)
    assert got["max_px"] == pytest.approx(5.0)
    assert got["p99_px"] == pytest.approx(np.percentile([5.0, 1.0, 0.0], 99))
    assert got["share_moved"] == pytest.approx(1 / 3)  # exactly 1 px has not moved
    assert got["frame_median_px"] == pytest.approx(10.0)
    assert got["frame_max_px"] == pytest.approx(np.hypot(6, 40))
    assert got["found_differs"] == pytest.approx(1 / 6)
    assert got["share_unsteady"] == pytest.approx(1 / 4)
    assert got["share_unsure"] == pytest.approx(1 / 5)
    assert got["score_max"] == pytest.approx(0.5 / 0.8)


def test_joints_that_only_the_new_model_finds() -> None:
    reference, new = np.zeros((2, 4, 3), np.float32), poses(2, 4)
    got = compare_poses(reference, reference, new, manifest=manifest(("a", "b", "c", "d"))).metrics
    assert got["found_differs"] == 1.0
    assert got["compared"] == 0.0
    assert np.isnan(got["median_px"])
    assert np.isnan(got["oks_mean"])
    assert "frame_median_px" not in got


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_reach_no_figure(value: float) -> None:
    reference = poses(3)
    new = reference.copy()
    new[1, 2] = value
    got = compare_poses(reference, reference, new, manifest=manifest())
    assert got.metrics["compared"] == 3 * 17 - 1
    assert got.metrics["max_px"] == 0.0
    assert got.metrics["oks_mean"] == pytest.approx((2 + 16 / 17) / 3)
    assert np.isnan(got.distance_px[1, 2])


def test_oks_equals_pycocotools() -> None:
    """The reference as truth of a person whose area is the box's."""
    m = manifest()
    reference = poses(6)
    new = reference.copy()
    rng = np.random.default_rng(1)
    new[..., :2] += rng.normal(0, 8, (6, 17, 2)).astype(np.float32)
    reference[2, 3:9] = 0.0
    new[4, 5] = 0.0
    expected = [_coco_oks(a, b, m) for a, b in zip(reference, new, strict=True)]
    np.testing.assert_allclose(oks_of(reference, new, m), expected, rtol=1e-6)


def _coco_oks(truth: NDArray[np.float32], found: NDArray[np.float32], m: PoseManifest) -> float:
    joints = truth.astype(float).copy()
    joints[:, 2] = np.where(joints[:, 2] > 0, 2, 0)
    person = {
        "id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [0, 0, 192, 256],
        "area": m.height * m.width / m.expansion**2,
    }  # fmt: skip
    seen = int((joints[:, 2] > 0).sum())
    coco, results = COCO(), COCO()
    common = {"images": [{"id": 1}], "categories": [{"id": 1, "name": "person"}]}
    coco.dataset = {
        **common,
        "annotations": [{**person, "keypoints": joints.ravel().tolist(), "num_keypoints": seen}],
    }
    answer = {**person, "keypoints": found.astype(float).ravel().tolist(), "score": 1.0}
    results.dataset = {**common, "annotations": [{**answer, "num_keypoints": 17}]}
    coco.createIndex()
    results.createIndex()
    evaluation = COCOeval(coco, results, "keypoints")
    evaluation._prepare()
    return float(evaluation.computeOks(1, 1)[0, 0])
