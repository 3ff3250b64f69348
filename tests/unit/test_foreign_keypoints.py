# SPDX-License-Identifier: Apache-2.0
"""Other estimators' keypoints against the poses that were written in their formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.training.foreign.convert import Converted
from poseact_engine.training.foreign.mapping import BODY_25, OPENPOSE_18
from tests.foreign_keypoints import (
    COCO,
    alphapose_entries,
    coco_name,
    coco_results,
    converted,
    openpose_numbers,
    pyskl_content,
    write_json,
    write_openpose,
    write_pickle,
)
from tests.foreign_keypoints import (
    OPENPOSE_18 as PARTS_18,
)
from tests.foreign_keypoints import (
    OPENPOSE_25 as PARTS_25,
)
from tests.poses import make_poses

FRAMES = 30
LEFT_WRIST, RIGHT_WRIST, RIGHT_KNEE = (
    COCO.index(n) for n in ("left_wrist", "right_wrist", "right_knee")
)


@pytest.fixture(scope="module")
def poses() -> NDArray[np.float32]:
    """Someone who walks, without a left wrist throughout and without a right knee at the end."""
    made = make_poses("walking", np.arange(FRAMES) / 30, seed=4)
    made[:, LEFT_WRIST] = 0
    made[20:, RIGHT_KNEE] = 0
    return made


def check_one(done: Converted, poses: NDArray[np.float32], *, rtol: float = 1e-6) -> None:
    (sequence,) = done.sequences
    np.testing.assert_allclose(sequence.keypoints_px, poses, rtol=rtol)
    np.testing.assert_allclose(sequence.times_s, np.arange(len(poses)) / 30, atol=1e-12)
    assert sequence.size == (640, 480)
    assert (sequence.labels == 2).all()
    # Left stays left, and what was not found is marked so.
    assert (sequence.keypoints_px[:, LEFT_WRIST] == 0).all()
    assert (sequence.keypoints_px[:, RIGHT_WRIST, 2] > 0).all()


# ---------------------------------------------------------------- formats


def test_the_joint_tables_are_the_published_ones() -> None:
    for ours, theirs in ((OPENPOSE_18, PARTS_18), (BODY_25, PARTS_25)):
        of_coco = {i: name for i, name in enumerate(ours) if name in COCO}
        assert of_coco == {i: n for i, p in enumerate(theirs) if (n := coco_name(p)) in COCO}
        assert len(of_coco) == 17


@pytest.mark.parametrize("joints", [17, 26, 136])
def test_alphapose_with_any_of_its_skeletons(tmp_path: Path, poses: Any, joints: int) -> None:
    entries = alphapose_entries([[p] for p in poses], joints=joints)
    check_one(
        converted("alphapose", write_json(tmp_path / "alphapose-results.json", entries)), poses
    )


@pytest.mark.parametrize(
    ("people", "numbers"), [("bodies", "joints"), ("people", "pose_keypoints_2d")]
)
def test_alphapose_in_others_formats(tmp_path: Path, poses: Any, people: str, numbers: str) -> None:
    content = {
        f"{frame}.jpg": {
            "version": "AlphaPose v0.3",
            people: [{numbers: openpose_numbers(p, PARTS_18)}],
        }
        for frame, p in enumerate(poses)
    }
    check_one(converted("alphapose", write_json(tmp_path / "a.json", content)), poses)


@pytest.mark.parametrize("parts", [PARTS_18, PARTS_25])
@pytest.mark.parametrize("key", ["pose_keypoints_2d", "pose_keypoints"])
def test_openpose(tmp_path: Path, poses: Any, parts: list[str], key: str) -> None:
    write_openpose(tmp_path / "x", [[p] for p in poses], parts, key=key, first=100)
    done = converted("openpose", tmp_path / "x")
    check_one(done, poses)
    assert done.sequences[0].name == "x/clip"


def test_openposes_frames_may_have_nothing_but_numbers(tmp_path: Path, poses: Any) -> None:
    write_openpose(tmp_path / "ward" / "x1", [[p] for p in poses], name="{:06}.json")
    assert converted("openpose", tmp_path).sequences[0].name == f"{tmp_path.name}/ward/x1"


def test_shares_of_the_frame_become_pixels_when_asked_for(tmp_path: Path, poses: Any) -> None:
    """tf-pose-estimation's 18 joints have x and y from 0 to 1."""
    shares = poses / np.array([640, 480, 1])
    write_openpose(tmp_path / "x", [[p] for p in shares], PARTS_18)
    for directory in (tmp_path / "x").iterdir():
        text = directory.read_text().replace("987.0, 654.0", "0.5, 0.5")
        directory.write_text(text)
    check_one(converted("openpose", tmp_path / "x", normalised=True), poses, rtol=1e-5)
    with pytest.raises(ConfigError, match="give --normalised"):
        converted("openpose", tmp_path / "x")
    write_openpose(tmp_path / "y", [[p] for p in poses])
    with pytest.raises(ConfigError, match=r"shares .* for --normalised, got .* are pixels"):
        converted("openpose", tmp_path / "y", normalised=True)


def test_coco_results_by_number_and_by_the_images_names(tmp_path: Path, poses: Any) -> None:
    by_number = coco_results(poses, range(1000, 1000 + FRAMES))
    check_one(converted("coco", write_json(tmp_path / "r.json", by_number)), poses)
    rng = np.random.default_rng(0)
    ids = rng.permutation(FRAMES).tolist()
    images = [
        {"id": i, "file_name": f"hall/{frame:06}.jpg", "width": 640, "height": 480}
        for frame, i in enumerate(ids)
    ]
    named = write_json(tmp_path / "images.json", {"images": images})
    results = write_json(tmp_path / "s.json", coco_results(poses, ids)[::-1])
    done = converted("coco", results, images=named, size=None)
    check_one(done, poses)
    assert done.sequences[0].name == f"{tmp_path.name}/hall"
    images[3]["width"] = 641
    named.write_text(json.dumps({"images": images}))
    with pytest.raises(SourceError, match="images of one size in clip 'hall'"):
        converted("coco", results, images=named)


@pytest.mark.parametrize("protocol", range(6))
def test_pyskl_pickles_of_every_protocol(tmp_path: Path, poses: Any, protocol: int) -> None:
    far = np.zeros_like(poses)  # the second person of a clip that has one is all zeros
    path = write_pickle(tmp_path / "a.pkl", pyskl_content(np.stack([poses, far])), protocol)
    done = converted("pyskl", path, label=None, label_map={42: 2}, size=None)
    check_one(done, poses.astype(np.float16), rtol=1e-6)
    done = converted("pyskl", path, label=None, label_map={42: -2})
    assert set(done.sequences[0].labels) == {-2}
    with pytest.raises(ConfigError, match=r"1 of classes that --label-map does not have"):
        converted("pyskl", path, label=None, label_map={7: 2})
    with pytest.raises(ConfigError, match="give --label-map"):
        converted("pyskl", path, label=None)


def test_pyskl_with_openposes_joints_and_a_list_alone(tmp_path: Path, poses: Any) -> None:
    (entry,) = pyskl_content(poses[None])["annotations"]
    joints = np.array([openpose_numbers(p, PARTS_18) for p in poses]).reshape(1, FRAMES, 18, 3)
    entry |= {"keypoint": joints[..., :2], "keypoint_score": joints[..., 2]}
    check_one(converted("pyskl", write_pickle(tmp_path / "a.pkl", [entry])), poses)


# ---------------------------------------------------------------- people


def two_people() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    times = np.arange(FRAMES) / 30
    one, other = (make_poses("standing", times, seed=s) for s in (1, 2))
    other[..., 0] += 300  # beside one another
    return one, other


@pytest.mark.parametrize("ids", [False, True])
def test_people_are_told_apart_by_number_or_by_place(tmp_path: Path, ids: bool) -> None:
    one, other = two_people()
    frames = [
        [a, b] if ids or f % 2 else [b, a] for f, (a, b) in enumerate(zip(one, other, strict=True))
    ]
    frames[10] = frames[10][:1]  # somebody is missed once
    path = write_json(tmp_path / "a.json", alphapose_entries(frames, ids=ids))
    done = converted("alphapose", path, people="all")
    assert [s.name.rsplit("_", 1)[1] for s in done.sequences] == ["p1", "p2"]
    assert {len(s.times_s) for s in done.sequences} == {FRAMES, FRAMES - 1}
    for sequence in done.sequences:
        truth = min((one, other), key=lambda p: abs(p[0, 0, 0] - sequence.keypoints_px[0, 0, 0]))
        rows = np.rint(sequence.times_s * 30).astype(int)
        np.testing.assert_allclose(sequence.keypoints_px, truth[rows])
    (main,) = converted("alphapose", path).sequences
    assert len(main.times_s) == FRAMES


def test_who_is_away_for_long_comes_back_as_somebody_else_and_the_brief_are_left_out(
    tmp_path: Path, poses: Any
) -> None:
    frames: list[list[Any]] = [[p] for p in poses[:20]] + [[]] * 20 + [[p] for p in poses[20:]]
    path = write_json(tmp_path / "a.json", alphapose_entries(frames))
    done = converted("alphapose", path, people="all", min_seconds=0.3)
    assert [len(s.times_s) for s in done.sequences] == [20, 10]
    assert done.sequences[1].times_s[0] == pytest.approx(40 / 30)
    assert len(converted("alphapose", path, people="all").sequences) == 1
    with pytest.raises(ConfigError, match="people seen for 3 s in one of 1 clips"):
        converted("alphapose", path, min_seconds=3)


def test_poses_that_score_too_little_are_left_out(tmp_path: Path, poses: Any) -> None:
    weak = poses.copy()
    weak[::3, :, 2] *= 0.1
    path = write_json(tmp_path / "a.json", alphapose_entries([[p] for p in weak]))
    (sequence,) = converted("alphapose", path, min_score=0.2).sequences
    np.testing.assert_array_equal(np.rint(sequence.times_s * 30), [i for i in range(30) if i % 3])
