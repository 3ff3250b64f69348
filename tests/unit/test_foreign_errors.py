# SPDX-License-Identifier: Apache-2.0
"""Malformed keypoints of other estimators: one line that names the place, and what to do."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, SourceError
from tests.foreign_keypoints import (
    alphapose_entries,
    coco_results,
    converted,
    pyskl_content,
    write_json,
    write_openpose,
    write_pickle,
)
from tests.poses import make_poses

FRAMES = 30


@pytest.fixture(scope="module")
def poses() -> NDArray[np.float32]:
    return make_poses("walking", np.arange(FRAMES) / 30, seed=4)


def broken(entry: dict[str, Any], **changes: Any) -> Any:
    return [{k: v for k, v in (entry | changes).items() if v is not None}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1.0] * 50}, "x, y, score per joint, got 50 numbers"),
        ({"keypoints": [1.0] * 54}, "expected 17, 26, 133, 136 joints, got 18"),
        ({"keypoints": [1e30] * 51}, r"coordinates in pixels, got NaN or more than 1e\+06"),
        ({"keypoints": [10**400] * 51}, "huge number"),
        ({"keypoints": ["1"] * 51}, "list of numbers"),
        ({"keypoints": [True] * 51}, "list of numbers"),
        ({"keypoints": {"x": 1}}, "'keypoints' is a dict"),
        ({"keypoints": None}, "an object with 'keypoints'"),
        ({"image_id": "front.jpg"}, "ends in the frame's number, got 'front.jpg'"),
        ({"image_id": None}, "'image_id'"),
        ({"image_id": True}, "'image_id' is a bool"),
        ({"idx": "first"}, "a person's number, got 'first'"),
    ],
)
def test_wrong_alphapose_entries_are_named(
    tmp_path: Path, poses: Any, change: Any, message: str
) -> None:
    (entry,) = alphapose_entries([[poses[0]]])
    path = write_json(tmp_path / "bad.json", broken(entry, **change))
    with pytest.raises(SourceError, match=message) as error:
        converted("alphapose", path)
    assert str(error.value).startswith(f"{path}, pose 0: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "malformed or cut off at line 1"),
        ('[{"image_id": "0.jpg", "keyp', "malformed or cut off"),
        ('[{"image_id": "0.jpg", "keypoints": [NaN]}]', "finite numbers: got NaN"),
        ("[" * 100_000, "malformed or cut off|finite numbers"),
        (f"[{'9' * 5000}]", "finite numbers"),
        ('{"version": 1.1, "people": []}', "read by `poseact convert openpose FOLDER`"),
        ('"text"', "AlphaPose's results"),
        ('{"0.jpg": {"x": []}}', "'bodies' or 'people'"),
    ],
)
def test_files_that_are_none_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=message) as error:
        converted("alphapose", path)
    assert str(path) in str(error.value)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="no text"):
        converted("alphapose", path)


def test_mixed_numbers_twice_the_same_person_and_time_stamps(tmp_path: Path, poses: Any) -> None:
    entries = alphapose_entries([[p, p] for p in poses[:3]], ids=True)
    path = tmp_path / "a.json"
    entries[1]["idx"] = 1
    with pytest.raises(SourceError, match="person 1 twice in frame 0"):
        converted("alphapose", write_json(path, entries))
    del entries[1]["idx"]
    with pytest.raises(SourceError, match="with every pose or with none, got 5 of 6"):
        converted("alphapose", write_json(path, entries))
    stamped = alphapose_entries([[p] for p in poses[:2]])
    stamped[1]["image_id"] = "20250101093000123.jpg"
    with pytest.raises(SourceError, match="expected frame numbers, got 0 to 20250101093000123"):
        converted("alphapose", write_json(path, stamped))
    for nothing in ([], {}):
        with pytest.raises(ConfigError, match="found none"):
            converted("alphapose", write_json(path, nothing))


def test_wrong_folders_and_frames_of_openpose(tmp_path: Path, poses: Any) -> None:
    with pytest.raises(SourceError, match="found none"):
        converted("openpose", tmp_path)
    write_openpose(tmp_path, [[p] for p in poses[:3]])
    one = tmp_path / "clip_000000000001_keypoints.json"
    with pytest.raises(SourceError, match="expected a folder"):
        converted("openpose", one)
    again = tmp_path / "clip_1_keypoints.json"
    again.write_text(one.read_text())
    with pytest.raises(SourceError, match="frame 1 is in"):
        converted("openpose", tmp_path)
    for content, message in (
        ({}, "an object with 'people'"),
        ({"people": [{}]}, "person 0: expected an object with 'pose_keypoints_2d'"),
        ({"people": [{"pose_keypoints_2d": [0.0] * 45}]}, "expected 18, 25 joints, got 15"),
    ):
        again.unlink(missing_ok=True)
        one.write_text(json.dumps(content))
        with pytest.raises(SourceError, match=message):
            converted("openpose", tmp_path)


def test_wrong_coco_results(tmp_path: Path, poses: Any) -> None:
    entries = coco_results(poses, range(FRAMES))
    path = tmp_path / "r.json"
    with pytest.raises(SourceError, match="belongs to --images"):
        converted("coco", write_json(path, {"images": []}))
    image = {"id": 0, "file_name": "a_1.png", "height": 480}
    for width in (0, 2**31):
        images = write_json(tmp_path / "i.json", {"images": [image | {"width": width}]})
        with pytest.raises(SourceError, match=f"width and height, got {width} x 480"):
            converted("coco", write_json(path, entries), images=images)
    images = write_json(tmp_path / "i.json", {"images": []})
    with pytest.raises(SourceError, match="has no image 0"):
        converted("coco", write_json(path, entries), images=images)
    entries[2]["category_id"] = 18
    with pytest.raises(SourceError, match="pose 2: expected category 1, person, got 18"):
        converted("coco", write_json(path, entries))
    with pytest.raises(ConfigError, match="give --size"):
        converted("coco", write_json(path, entries[:2]), size=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoint": np.zeros((1, 30, 25, 3))}, r"got \[1, 30, 25, 3\]; skeletons in 3D"),
        ({"keypoint_score": np.zeros((1, 29, 17))}, "expected 'keypoint_score'"),
        ({"keypoint": np.full((1, 30, 17, 2), np.nan)}, "in pixels, got NaN"),
        ({"keypoint_score": np.full((1, 30, 17), np.inf)}, "finite scores"),
        ({"keypoint": [[0.0]]}, "NumPy array in 'keypoint'"),
        ({"keypoint": None, "raw_file": "x.pkl"}, "Kinetics keeps its poses in other files"),
        ({"total_frames": 31}, "its 31 frames, got 30"),
        ({"label": "walk"}, "whole number in 'label'"),
        ({"frame_dir": 5}, "its name in 'frame_dir'"),
        ({"img_shape": (0, 4)}, "height and width"),
    ],
)
def test_wrong_clips_of_pickles_are_named(
    tmp_path: Path, poses: Any, change: Any, message: str
) -> None:
    content = pyskl_content(poses[None])
    content["annotations"][0] |= change
    with pytest.raises(SourceError, match=message) as error:
        converted("pyskl", write_pickle(tmp_path / "a.pkl", content))
    assert "clip 0" in str(error.value)


def nested(levels: int) -> list[Any]:
    """Ten times the same list in a list, and so on: small in a pickle, endless when written out."""
    value: list[Any] = [1]
    for _ in range(levels):
        value = [value] * 10
    return value


@pytest.mark.parametrize("name", ["label", "frame_dir", "total_frames", "img_shape"])
@pytest.mark.parametrize("kind", ["nested", "number"])
def test_values_that_are_endless_when_written_out_are_not(
    tmp_path: Path, poses: Any, name: str, kind: str
) -> None:
    content = pyskl_content(poses[None])
    content["annotations"][0][name] = nested(30) if kind == "nested" else [10**5000]
    path = write_pickle(tmp_path / "a.pkl", content)
    with pytest.raises(SourceError, match="clip 0") as error:
        converted("pyskl", path)
    assert len(str(error.value)) < 400 + len(str(path))


def test_the_same_clip_twice_and_no_clips_in_a_pickle(tmp_path: Path, poses: Any) -> None:
    content = pyskl_content(poses[None])
    content["annotations"] *= 2
    with pytest.raises(SourceError, match="is in it twice"):
        converted("pyskl", write_pickle(tmp_path / "a.pkl", content))
    for nothing in ([], {}, 5):
        with pytest.raises(SourceError, match="a list of 'annotations'"):
            converted("pyskl", write_pickle(tmp_path / "a.pkl", nothing))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": Fraction(0)}, "--fps"),
        ({"size": (0, 5)}, "--size"),
        ({"min_seconds": -1.0}, "min_seconds"),
        ({"people": "best"}, "--people: expected main or all"),
        ({"label_map": {1: 1}}, "none with a map"),
        ({"images": Path("x")}, "--images: expected with coco"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        converted("alphapose", Path("x.json"), **options)
