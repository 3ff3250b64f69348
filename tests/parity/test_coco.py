# SPDX-License-Identifier: Apache-2.0
"""Keypoint AP on real pictures through our own crop, geometry and stages.

The reference is a separate script (OpenCV's warpAffine, one picture and person at a time); its
numbers stand in the README of the real data. The same weights must find the same people.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poseact_engine.backends.registry import open_model
from poseact_engine.config import DetectConfig, PoseConfig
from poseact_engine.detect import DetectStage
from poseact_engine.pose import PoseStage
from poseact_engine.types import Frame, FrameBatch, People, Tracks
from tests.real_models import adapt_rtmdet, adapt_tinypose, adapt_yolox

pytestmark = pytest.mark.needs_data

TOLERANCE = 0.01
BATCH = 8


class Pictures:
    """The COCO pictures as batches of frames, with their ids."""

    def __init__(self, data: Path) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.coco = COCO(str(data / "coco" / "person_keypoints_val88.json"))
        self.ids: list[int] = sorted(self.coco.getImgIds())
        self._folder = data / "coco" / "images"
        parts = [self.ids[k : k + BATCH] for k in range(0, len(self.ids), BATCH)]
        self.batches = [(ids, FrameBatch([self._frame(i) for i in ids])) for ids in parts]

    def _frame(self, picture: int) -> Frame:
        path = self._folder / self.coco.loadImgs([picture])[0]["file_name"]
        bgr = cv2.imread(str(path))
        assert bgr is not None, path
        return Frame.from_rgb(np.ascontiguousarray(bgr[:, :, ::-1]))

    def boxes(self, ids: list[int]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Boxes of the people with joints, as edges, and the row of their picture."""
        found = [(a["bbox"], row) for row, i in enumerate(ids) for a in self._people(i)]
        corners = np.array([b for b, _ in found], np.float32).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        return corners, np.array([row for _, row in found], np.int32)

    def _people(self, picture: int) -> list[dict[str, Any]]:
        known = self.coco.loadAnns(self.coco.getAnnIds([picture]))
        return [a for a in known if a["num_keypoints"] > 0]

    def average_precision(self, results: list[dict[str, Any]]) -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(self.coco, self.coco.loadRes(results), "keypoints")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return float(evaluation.stats[0])


def as_tracks(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], frame: NDArray[np.int32]
) -> Tracks:
    return Tracks(
        boxes_px=boxes,
        scores=scores,
        ids=np.arange(1, len(boxes) + 1, dtype=np.int64),
        frame=frame,
        stream=np.zeros(len(boxes), np.int32),
        observed=np.ones(len(boxes), np.bool_),
        ended_stream=np.empty(0, np.int32),
        ended_ids=np.empty(0, np.int64),
    )


def pose_results(
    stage: PoseStage, ids: list[int], frames: FrameBatch, tracks: Tracks
) -> list[dict[str, Any]]:
    joints = stage(frames, tracks).keypoints_px.astype(float)
    return [
        {
            "image_id": ids[frame],
            "category_id": 1,
            "keypoints": person.ravel().tolist(),
            "score": float(score * person[:, 2].mean()),
        }
        for person, score, frame in zip(joints, tracks.scores, tracks.frame, strict=True)
    ]


@pytest.fixture(scope="module")
def pictures(data_dir: Path) -> Pictures:
    return Pictures(data_dir)


@pytest.fixture(scope="module")
def pose_stage(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> PoseStage:
    path = adapt_tinypose(data_dir, tmp_path_factory.mktemp("pose"))
    return PoseStage(open_model(path, task="pose"), PoseConfig(model=path))


def test_pose_of_true_boxes(pictures: Pictures, pose_stage: PoseStage) -> None:
    results: list[dict[str, Any]] = []
    for ids, frames in pictures.batches:
        boxes, frame = pictures.boxes(ids)
        tracks = as_tracks(boxes, np.ones(len(boxes), np.float32), frame)
        results += pose_results(pose_stage, ids, frames, tracks)
    assert pictures.average_precision(results) == pytest.approx(0.673, abs=TOLERANCE)


@pytest.mark.parametrize(("adapt", "expected"), [(adapt_rtmdet, 0.603), (adapt_yolox, 0.570)])
def test_detector_and_pose(
    adapt: Any,
    expected: float,
    data_dir: Path,
    tmp_path: Path,
    pictures: Pictures,
    pose_stage: PoseStage,
) -> None:
    path = adapt(data_dir, tmp_path)
    detect = DetectStage(open_model(path, task="detector"), DetectConfig(model=path, min_score=0.2))
    results: list[dict[str, Any]] = []
    for ids, frames in pictures.batches:
        people: People = detect(frames)
        tracks = as_tracks(people.boxes_px, people.scores, people.frame)
        results += pose_results(pose_stage, ids, frames, tracks)
    assert pictures.average_precision(results) == pytest.approx(expected, abs=TOLERANCE)
