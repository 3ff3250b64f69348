# SPDX-License-Identifier: Apache-2.0
"""Scores on pictures with truth, against pycocotools run by hand and against answers known
beforehand."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import astuple
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poseact_engine.errors import BackendError, ConfigError, ManifestError, SourceError
from poseact_engine.evaluation.coco import DetectorEvaluation, PoseEvaluation
from poseact_engine.evaluation.detector_eval import DetectorEvalConfig, evaluate_detector
from poseact_engine.evaluation.pose_eval import PoseEvalConfig, evaluate_pose
from poseact_engine.evaluation.walk import Where
from poseact_engine.types import COCO_JOINTS
from tests.coco_files import PERSON, person, write_truth
from tests.models import STANDING, make_bright_detector, make_detector, make_pose

HALF = 51 / 101
"""AP where half is found, before all else: of 101 recalls, those up to 0.5 have precision 1."""


def by_hand(path: Path, results: list[dict[str, Any]], kind: str, **limits: Any) -> Any:
    """pycocotools as its own demo runs it."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        evaluation = COCOeval(truth, truth.loadRes(json.loads(json.dumps(results))), kind)
        for name, value in limits.items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def crowd(path: Path, seed: int = 0) -> tuple[Path, NDArray[np.float32]]:
    """Five pictures with people of all sizes, some without joints, and a crowd; and their joints
    [M, 17, 2]."""
    rng = np.random.default_rng(seed)
    people = []
    for picture in range(5):
        for _ in range(4):
            x, y = rng.uniform(0, 300, 2)
            w = rng.choice([20.0, 60.0, 150.0])
            joints = rng.uniform((x, y), (x + w, y + 2 * w), (17, 2))
            people.append(person(picture + 10, [x, y, w, 2 * w], joints.tolist()))
    people[3]["num_keypoints"] = 0
    people[7]["iscrowd"] = 1
    joints = np.array([p["keypoints"] for p in people], np.float32).reshape(-1, 17, 3)[..., :2]
    pictures = {f"{i}.png": i + 10 for i in range(5)}
    return write_truth(path, pictures, people), joints


def guesses(joints: NDArray[np.float32], seed: int = 1) -> tuple[Any, Any, list[int]]:
    """Poses [M, 17, 3] from near the truth to far off, scores [M], picture ids [M]."""
    rng = np.random.default_rng(seed)
    off = rng.choice([0.5, 3.0, 8.0, 40.0], (len(joints), 1, 1))
    places = joints + rng.normal(0, 1, joints.shape) * off
    score = rng.uniform(0.1, 1, (*joints.shape[:2], 1))
    poses = np.concatenate([places, score], axis=-1).astype(np.float32)
    return (
        poses,
        rng.random(len(joints)).astype(np.float32),
        [10 + m // 4 for m in range(len(poses))],
    )


def test_pose_scores_are_those_of_pycocotools(tmp_path: Path) -> None:
    path, joints = crowd(tmp_path / "t.json")
    evaluation = PoseEvaluation(path)
    results = evaluation.results(*guesses(joints))
    expected = by_hand(path, results, "keypoints")
    assert 0.1 < expected[0] < 0.9
    np.testing.assert_allclose(astuple(evaluation.scores(results)), expected)
    again = evaluation.scores(results)  # neither truth nor results were changed by the first time
    np.testing.assert_allclose(astuple(again), expected)
    assert evaluation.average_precision(results) == pytest.approx(expected[0])


def test_pose_scores_of_some_of_the_pictures(tmp_path: Path) -> None:
    path, joints = crowd(tmp_path / "t.json")
    evaluation = PoseEvaluation(path)
    results = [r for r in evaluation.results(*guesses(joints)) if r["image_id"] in (10, 12)]
    expected = by_hand(path, results, "keypoints", imgIds=[10, 12])
    found = evaluation.scores(results, pictures={12, 10})
    np.testing.assert_allclose(astuple(found), np.where(expected < 0, np.nan, expected))
    assert found.ap > evaluation.scores(results).ap  # the others' people are missed there


def test_joints_go_into_the_files_order(tmp_path: Path) -> None:
    path, joints = crowd(tmp_path / "t.json")
    evaluation = PoseEvaluation(path)
    poses, scores, ids = guesses(joints)
    order = np.random.default_rng(0).permutation(17)
    names = [COCO_JOINTS[k] for k in order]
    mixed = evaluation.results(poses[:, order], scores, ids, joints=names)
    assert mixed == evaluation.results(poses, scores, ids)
    with pytest.raises(ManifestError, match=r"expected a pose model of its joints nose, .*tail"):
        evaluation.results(poses, scores, ids, joints=[*COCO_JOINTS[:-1], "tail"])


def test_box_scores_are_those_of_pycocotools_for_people_alone(tmp_path: Path) -> None:
    path, _ = crowd(tmp_path / "t.json")
    content = json.loads(path.read_text())
    content["categories"] = [{"id": 7, "name": "dog"}, {**PERSON, "id": 1}]
    dogs = [{**a, "id": 100 + a["id"], "category_id": 7} for a in content["annotations"][::2]]
    content["annotations"] += dogs
    path.write_text(json.dumps(content))
    evaluation = DetectorEvaluation(path)
    rng = np.random.default_rng(2)
    people = [a for a in content["annotations"] if a["category_id"] == 1]
    boxes = np.array([a["bbox"] for a in people]) + rng.normal(0, 3, (len(people), 4))
    boxes[:, 2:] += boxes[:, :2]
    scores = rng.random(len(people)).astype(np.float32)
    ids = [a["image_id"] for a in people]
    results = evaluation.results(boxes.astype(np.float32), scores, ids)
    expected = by_hand(path, results, "bbox", catIds=[1])
    assert 0.1 < expected[0] < 0.9
    np.testing.assert_allclose(astuple(evaluation.scores(results)), expected)


def test_a_person_of_id_0_can_be_found(tmp_path: Path) -> None:
    """pycocotools alone takes a match with it for none."""
    path = write_truth(tmp_path / "t.json", {"a.png": 1}, [person(1, [10, 10, 50, 90], id=0)])
    evaluation = DetectorEvaluation(path)
    results = evaluation.results(np.float32([[10, 10, 60, 100]]), np.float32([0.9]), [1])
    assert evaluation.scores(results).ap == pytest.approx(1)
    assert by_hand(path, results, "bbox")[0] == 0


def test_nothing_found_is_a_score_of_0_and_nothing_to_find_is_none(tmp_path: Path) -> None:
    path = write_truth(tmp_path / "t.json", {"a.png": 1}, [person(1, [10, 10, 50, 90])])
    scores = PoseEvaluation(path).scores([])
    assert (scores.ap, scores.ar, scores.ap_medium) == (0, 0, 0)
    assert np.isnan(scores.ap_large)
    with pytest.raises(ConfigError, match=r"results of its pictures, got some of \[5\]"):
        PoseEvaluation(path).scores([{"image_id": 5}])


# ---------------------------------------------------------------- pictures made by code


def write_pictures(folder: Path, pictures: dict[str, NDArray[np.uint8]]) -> Path:
    """RGB [H, W, 3] each."""
    folder.mkdir()
    for name, rgb in pictures.items():
        cv2.imwrite(str(folder / name), rgb[:, :, ::-1])
    return folder


def standing(box: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """Where a network that sees STANDING in every crop of 256 x 192 puts the joints, for a box
    (x y w h) of 3:4: the crop spans 1.25 times the box about its middle."""
    x, y, w, h = box
    scale = 1.25 * w / 192
    middle = np.array([x + w / 2, y + h / 2])
    return middle + scale * (STANDING * (191, 255) - (96, 128))


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two pictures with one person each; the joints of the second are somewhere else."""
    black = np.zeros((120, 160, 3), np.uint8)
    images = write_pictures(tmp_path / "images", {"a.png": black, "b.png": black})
    box = (20.0, 30.0, 48.0, 64.0)
    here = standing(box)
    people = [person(2, box, here + 500), person(1, box, here), person(1, (0, 0, 9, 9), iscrowd=1)]
    return write_truth(tmp_path / "t.json", {"b.png": 2, "a.png": 1}, people), images


def test_ap_of_a_made_pose_model_in_true_boxes(two: tuple[Path, Path], tmp_path: Path) -> None:
    truth, images = two
    pose = make_pose(tmp_path / "p.onnx", score=0.8)
    seen: list[tuple[int, int]] = []
    config = PoseEvalConfig(truth=truth, images=images, pose=pose)
    report = evaluate_pose(config, on_progress=lambda *now: seen.append(now))
    s = report.scores
    assert (s.ap, s.ap_50, s.ap_75, s.ap_medium) == pytest.approx([HALF] * 4)
    assert (s.ar, s.ar_50, s.ar_75, s.ar_medium) == pytest.approx([0.5] * 4)
    assert np.isnan([s.ap_large, s.ar_large]).all()
    assert (report.pictures, report.boxes, report.boxes_of) == (2, 2, "truth")
    assert [r["image_id"] for r in report.results] == [1, 2]
    assert [r["score"] for r in report.results] == pytest.approx([0.8, 0.8])
    found = np.array(report.results[0]["keypoints"]).reshape(17, 3)
    np.testing.assert_allclose(found[:, :2], standing((20, 30, 48, 64)), atol=1e-3)
    assert seen == [(2, 2)]


def test_detected_people_score_box_times_joints_and_doubles_go(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    """Both boxes hold the same crop, so both give the same pose."""
    truth, images = two
    pose = make_pose(tmp_path / "p.onnx", score=0.8)
    # Of 160 x 120 in 64 x 64: 2.5 px a cell.
    boxes = np.array([(20, 30, 68, 94), (20, 30, 68, 94), (20, 30, 68, 94)]) / 2.5
    detector = make_detector(tmp_path / "d.onnx", boxes, scores=(0.9, 0.6, 0.1))
    config = {"truth": truth, "images": images, "pose": pose, "detector": detector}
    report = evaluate_pose(PoseEvalConfig(**config))
    assert [r["score"] for r in report.results] == pytest.approx([0.72, 0.48] * 2)
    assert report.boxes_of == "d.onnx"
    for nms in ("oks", "parametric"):
        alone = evaluate_pose(PoseEvalConfig(**config, nms=nms))
        assert [r["score"] for r in alone.results] == pytest.approx([0.72] * 2)
        assert [r["image_id"] for r in alone.results] == [1, 2]


def test_ap_of_a_made_detector(tmp_path: Path) -> None:
    """Red is found, white is not; the true boxes are what is painted."""
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[20:100, 40:80, 0] = 255
    unseen = np.zeros((128, 128, 3), np.uint8)
    unseen[20:100, 40:80] = 255
    images = write_pictures(tmp_path / "images", {"a.png": picture, "b.png": unseen})
    box = [40.0, 20.0, 40.0, 80.0]
    truth = write_truth(
        tmp_path / "t.json", {"a.png": 1, "b.png": 2}, [person(1, box), person(2, box)]
    )
    detector = make_bright_detector(tmp_path / "d.onnx")
    report = evaluate_detector(DetectorEvalConfig(truth=truth, images=images, detector=detector))
    s = report.scores
    assert (s.ap, s.ap_50, s.ap_75, s.ap_medium) == pytest.approx([HALF] * 4)
    assert (s.ar_1, s.ar_10, s.ar, s.ar_medium) == pytest.approx([0.5] * 4)
    assert np.isnan([s.ap_small, s.ap_large]).all()
    assert [(r["image_id"], r["bbox"]) for r in report.results] == [(1, box)]


def test_joints_of_another_kind_are_refused_before_pictures_are_read(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    truth, _ = two
    pose = make_pose(tmp_path / "p.onnx", STANDING[:3], names=("a", "b", "c"))
    with pytest.raises(
        ManifestError, match=r"expected a pose model of its joints nose.*got one of a"
    ):
        evaluate_pose(PoseEvalConfig(truth=truth, images=tmp_path / "nowhere", pose=pose))


def test_pictures_that_cannot_be_read_say_so(two: tuple[Path, Path], tmp_path: Path) -> None:
    truth, images = two
    pose = make_pose(tmp_path / "p.onnx")
    with pytest.raises(SourceError, match="nowhere: expected the folder of the pictures"):
        evaluate_pose(PoseEvalConfig(truth=truth, images=tmp_path / "nowhere", pose=pose))
    (images / "b.png").write_text("no picture")
    with pytest.raises(SourceError, match=r"b\.png"):
        evaluate_pose(PoseEvalConfig(truth=truth, images=images, pose=pose))


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_are_counted_from_one(threads: int) -> None:
    with pytest.raises(ConfigError, match=r"where\.threads: expected"):
        Where(threads=threads)


def test_true_boxes_of_nobody_are_an_error(tmp_path: Path) -> None:
    truth = write_truth(
        tmp_path / "t.json", {"a.png": 1}, [person(1, [0, 0, 9, 9], num_keypoints=0)]
    )
    config = PoseEvalConfig(truth=truth, images=tmp_path, pose=make_pose(tmp_path / "p.onnx"))
    with pytest.raises(SourceError, match="expected people with joints, found none"):
        evaluate_pose(config)


def test_a_model_that_gives_no_numbers_is_not_scored(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    truth, images = two
    pose = make_pose(tmp_path / "p.onnx", np.full((17, 2), np.nan))
    with pytest.raises(BackendError, match="68 of 102 that are not"):
        evaluate_pose(PoseEvalConfig(truth=truth, images=images, pose=pose))
