# SPDX-License-Identifier: Apache-2.0
"""Truth of made scenes as COCO, MOTChallenge and keypoint files, from truths written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseact_engine.errors import ConfigError, SinkError
from poseact_engine.evaluation.coco_file import read_coco
from poseact_engine.synthetic.coco import CocoTruth
from poseact_engine.synthetic.files import FilesConfig, SceneFiles, find_earlier, mot_lines
from poseact_engine.synthetic.scene import SceneConfig
from poseact_engine.synthetic.truth import FrameTruth
from poseact_engine.training.scene_keypoints import scene_sequences
from poseact_engine.types import ACTIONS, COCO_JOINTS

SIZE = (640, 360)
NOSE, LEFT_EYE = 0, 1
WALKING = ACTIONS.index("walking")


def truth(index: int, *ids: int, visible: float = 1.0, action: int = WALKING) -> FrameTruth:
    """Person p at (100 p, 50); the nose is hidden, the left eye outside the picture."""
    joints = np.zeros((len(ids), 17, 3), np.float32)
    joints[..., 0] = 100 * np.array(ids, np.float32).reshape(-1, 1) + np.arange(17)
    joints[..., 1], joints[..., 2] = 60.5, 2
    joints[:, NOSE, 2], joints[:, LEFT_EYE, 2] = 1, 0
    boxes = np.array([(100 * p, 50, 100 * p + 20.25, 130) for p in ids], np.float32).reshape(-1, 4)
    return FrameTruth(
        index=index,
        time_s=index / 30,
        ids=np.array(ids, np.int64),
        boxes_px=boxes,
        full_boxes_px=boxes,
        visible=np.full(len(ids), visible, np.float32),
        areas_px=np.full(len(ids), 900.126, np.float32),
        keypoints_px=joints,
        actions=np.full(len(ids), action, np.int8),
    )


def coco(*truths: FrameTruth) -> dict[str, Any]:
    made = CocoTruth()
    for t in truths:
        made.add(f"{t.index}.jpg", SIZE, t, scene="scene-000001")
    return json.loads(json.dumps(made.content(), allow_nan=False))


def test_coco_says_where_people_are_and_who(tmp_path: Path) -> None:
    content = coco(truth(0), truth(15, 1, 3))
    first, second = content["annotations"]
    assert [image["id"] for image in content["images"]] == [1, 2]
    assert [a["image_id"] for a in content["annotations"]] == [2, 2]
    assert [a["id"] for a in content["annotations"]] == [1, 2]  # 0 is found by no evaluation
    assert [a["track_id"] for a in content["annotations"]] == [1, 3]
    assert first["bbox"] == [100, 50, 20.25, 80]
    assert (first["area"], first["iscrowd"], first["action"]) == (900.13, 0, "walking")
    assert second["num_keypoints"] == 16
    joints = np.array(second["keypoints"]).reshape(17, 3)
    assert joints[NOSE].tolist() == [300, 60.5, 1]
    assert joints[LEFT_EYE].tolist() == [0, 0, 0]
    assert joints[2].tolist() == [302, 60.5, 2]
    (category,) = content["categories"]
    assert tuple(category["keypoints"]) == COCO_JOINTS
    path = tmp_path / "t.json"
    path.write_text(json.dumps(content))
    assert read_coco(path).boxes()[2].tolist() == [[100, 50, 120.25, 130], [300, 50, 320.25, 130]]


def test_the_skeleton_is_cocos() -> None:
    """As person_keypoints_val2017.json has it."""
    expected = [
        [16, 14], [14, 12], [17, 15], [15, 13], [12, 13], [6, 12], [7, 13], [6, 7], [6, 8],
        [7, 9], [8, 10], [9, 11], [2, 3], [1, 2], [1, 3], [2, 4], [3, 5], [4, 6], [5, 7],
    ]  # fmt: skip
    assert coco()["categories"][0]["skeleton"] == expected


def test_who_is_hidden_is_not_asked_for() -> None:
    assert coco(truth(0, 1, visible=0.0))["annotations"] == []
    (hardly,) = coco(truth(0, 1, visible=0.04))["annotations"]
    assert (hardly["num_keypoints"], set(hardly["keypoints"])) == (0, {0})
    names = [coco(truth(0, 1, action=a))["annotations"][0]["action"] for a in (-1, -2, -3)]
    assert names == ["unknown", "harmless", "no_fall"]


def test_mot_lines_count_frames_from_1() -> None:
    text = mot_lines([truth(0, 1), truth(1), truth(2, 1, 2, visible=0.0)])
    assert text.splitlines() == [
        "1,1,100.00,50.00,20.25,80.00,1,1,1.000",
        "3,1,100.00,50.00,20.25,80.00,0,1,0.000",
        "3,2,200.00,50.00,20.25,80.00,0,1,0.000",
    ]


def test_sequences_are_one_a_person_and_never_parted() -> None:
    config = SceneConfig(seed=7, fps=(30, 1), size=SIZE)
    first, second = scene_sequences(config, [truth(0, 1), truth(1, 1, 2), truth(2, 2, action=-2)])
    assert [first.name, second.name] == ["synthetic/7_p1", "synthetic/7_p2"]
    for s in (first, second):
        assert (s.clip, s.camera, s.subject) == ("synthetic/7",) * 3
        np.testing.assert_allclose(s.times_s, [0, 1 / 30, 2 / 30])
        assert s.size == SIZE
    assert second.labels.tolist() == [-1, WALKING, -2]
    assert not second.keypoints_px[0].any()
    assert second.keypoints_px[1, NOSE].tolist() == [200, 60.5, 0.5]
    assert second.keypoints_px[1, LEFT_EYE].tolist() == [0, 0, 0]
    assert second.keypoints_px[1, 2].tolist() == [202, 60.5, 1]
    assert scene_sequences(config, [truth(0)]) == []


def test_only_what_was_made_counts_as_earlier(tmp_path: Path) -> None:
    made = ["videos/scene-000001.mp4", "images/scene-000001_000000.jpg", "gt/scene-000001.txt"]
    others = ["videos/mine.mp4", "images/cat.jpg", "notes.txt"]
    for name in [*made, *others, "scenes.json", "keypoints.npz"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = {path.relative_to(tmp_path).as_posix() for path in find_earlier(tmp_path)}
    assert found == {*made, "scenes.json", "keypoints.npz"}
    assert find_earlier(tmp_path / "gone") == []


def test_wrong_options_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="images_every"):
        FilesConfig(folder=tmp_path, images_every=0)
    with pytest.raises(ConfigError, match="jpg or png"):
        FilesConfig(folder=tmp_path, image_format="bmp")  # type: ignore[arg-type]
    (tmp_path / "videos").touch()
    with pytest.raises(SinkError, match=r"videos: expected a folder, got a file"):
        SceneFiles(FilesConfig(folder=tmp_path)).make_folders()
