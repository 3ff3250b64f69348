# SPDX-License-Identifier: Apache-2.0
"""Inputs for measurements: what the engine would feed a model, from files of every kind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.evaluation.coco_file import true_boxes
from poseact_engine.evaluation.frames import list_files, read_pictures
from poseact_engine.evaluation.inputs import DataOptions, inputs_for
from poseact_engine.evaluation.made import made_pictures, made_windows
from poseact_engine.manifest_io import read_manifest
from tests.coco_files import person, write_truth
from tests.media import write_clip
from tests.models import make_action, make_detector, make_pose

JOINTS = np.full((17, 2), 0.5)
SIZE = (64, 48)


def write_picture(
    path: Path, value: int, *, width: int = 96, height: int = 128
) -> NDArray[np.uint8]:
    """Grey with a brighter right half, so that a mirrored or transposed crop would show."""
    picture = np.full((height, width, 3), value, np.uint8)
    picture[:, width // 2 :] = value + 60
    cv2.imwrite(str(path), picture)
    return picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "pictures"
    inside.mkdir()
    for i, value in enumerate((40, 80, 120)):
        write_picture(inside / f"{i}.png", value)
    (inside / "notes.txt").write_text("not a picture")
    return inside


def coco(path: Path, boxes: dict[str, list[list[float]]]) -> Path:
    people = [person(i, box) for i, found in enumerate(boxes.values()) for box in found]
    people.append(person(0, [0, 0, 9, 9], num_keypoints=0))
    people.append(person(0, [0, 0, 9, 9], iscrowd=1))
    return write_truth(path, {name: i for i, name in enumerate(boxes)}, people)


def test_a_folder_gives_its_images_in_order(folder: Path) -> None:
    names = [p.name for p in read_pictures([folder], per_video=4)]
    assert names == ["0.png", "1.png", "2.png"]


@pytest.mark.needs_ffmpeg_cli
def test_a_video_gives_frames_spread_over_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "v.mp4", frames=40)
    found = [p.frame.index for p in read_pictures([path], per_video=5)]
    assert found == [0, 8, 16, 24, 32]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="found none"):
        list_files([tmp_path / "empty"])
    with pytest.raises(SourceError, match="nowhere"):
        list(read_pictures([tmp_path / "nowhere.png"], per_video=1))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(SourceError):
        list(read_pictures([tmp_path / "text.png"], per_video=1))


def jpeg(value: int) -> bytes:
    """Noise, so that half the file is half the picture."""
    noise = np.random.default_rng(value).integers(0, 255, (128, 96, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".jpg", noise)[1])


def with_thumbnail(picture: bytes) -> bytes:
    """A whole JPEG, its end mark included, in a segment of another, behind a filling byte."""
    inside = b"Exif\0\0" + jpeg(2)
    return (
        picture[:2] + b"\xff\xff\xe1" + (len(inside) + 2).to_bytes(2, "big") + inside + picture[2:]
    )


@pytest.mark.parametrize("content", [jpeg(1), with_thumbnail(jpeg(1))], ids=["plain", "thumbnail"])
def test_a_jpeg_without_its_end_is_refused(content: bytes, tmp_path: Path) -> None:
    # FFmpeg fills up what is missing and reports no fault.
    path = tmp_path / "a.jpg"
    for whole in (content, content + b"behind the end"):
        path.write_bytes(whole)
        assert [p.name for p in read_pictures([path], per_video=1)] == ["a.jpg"]
    for cut in (len(content) - 2, len(content) - 4000, 40):
        path.write_bytes(content[:cut])
        with pytest.raises(SourceError, match=r"a\.jpg: expected a whole JPEG"):
            list(read_pictures([path], per_video=1))


def test_true_boxes_are_edges_without_crowds(tmp_path: Path) -> None:
    path = coco(tmp_path / "t.json", {"a.png": [[10, 20, 30, 40]], "b.png": []})
    found = true_boxes(path)
    np.testing.assert_array_equal(found["a.png"], [[10, 20, 40, 60]])
    assert found["b.png"].shape == (0, 4)


@pytest.mark.parametrize("text", ["", "[]", '{"images": []}', "\xff"])
def test_a_file_that_is_no_coco_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text, encoding="latin-1")
    with pytest.raises(SourceError, match=r"t\.json"):
        true_boxes(tmp_path / "t.json")


def test_crops_of_true_boxes_are_what_opencv_cuts(folder: Path, tmp_path: Path) -> None:
    box = [16.0, 16.0, 48.0, 64.0]  # 3:4 like the crop, so that only the expansion matters
    truth = coco(tmp_path / "t.json", {"1.png": [box]})
    manifest = read_manifest(make_pose(tmp_path / "p.onnx", JOINTS, size=SIZE))
    found = inputs_for(manifest, DataOptions(data=(folder,), truth=truth))
    assert found.real
    assert found.what == "1 crops of 3 pictures, boxes of t.json"
    scale = 48 * 1.25 / 48  # source pixels per crop pixel
    centre = (40.0, 48.0)
    matrix = np.array([[scale, 0, centre[0] - scale * 24], [0, scale, centre[1] - scale * 32]])
    picture = cv2.imread(str(folder / "1.png"))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(picture, matrix, (48, 64), flags=flags)[:, :, ::-1]
    assert np.abs(found.batch[0].transpose(1, 2, 0).astype(int) - expected).max() <= 2


def test_boxes_of_a_detector(folder: Path, tmp_path: Path) -> None:
    detector = make_detector(tmp_path / "d.onnx", [(1, 2, 30, 40), (5, 6, 20, 60)])
    manifest = read_manifest(make_pose(tmp_path / "p.onnx", JOINTS, size=SIZE))
    found = inputs_for(manifest, DataOptions(data=(folder,), detector=detector, most=4))
    assert found.batch.shape == (4, 3, *SIZE)
    assert found.windows is not None
    assert found.windows.shape == (4, 4)
    assert "boxes by d.onnx" in found.what


def test_no_person_is_said(folder: Path, tmp_path: Path) -> None:
    truth = coco(tmp_path / "t.json", {"elsewhere.png": [[1, 1, 9, 9]]})
    manifest = read_manifest(make_pose(tmp_path / "p.onnx", JOINTS, size=SIZE))
    with pytest.raises(ConfigError, match="people in 3 pictures"):
        inputs_for(manifest, DataOptions(data=(folder,), truth=truth))


def test_frames_for_a_detector(folder: Path, tmp_path: Path) -> None:
    manifest = read_manifest(make_detector(tmp_path / "d.onnx", [(1, 2, 30, 40)]))
    found = inputs_for(manifest, DataOptions(data=(folder,), most=2))
    assert found.batch.shape == (2, 3, 64, 64)
    # The letterbox of 96 x 128 in 64 x 64 leaves a quarter of the width to the border.
    assert len(np.unique(found.batch[0, :, :, -1])) == 1


def test_made_inputs_are_said_to_be_made(tmp_path: Path) -> None:
    for make in (make_action, lambda p: make_pose(p, JOINTS, size=SIZE)):
        found = inputs_for(read_manifest(make(tmp_path / "m.onnx")), DataOptions())
        assert not found.real
        assert "made by code" in found.what


def test_made_pictures_use_the_range_and_depend_on_the_seed_alone() -> None:
    pictures = made_pictures(4, 64, 48, seed=3)
    assert pictures.std(axis=(1, 2, 3)).min() > 10
    np.testing.assert_array_equal(pictures, made_pictures(4, 64, 48, seed=3))
    assert (pictures != made_pictures(4, 64, 48, seed=4)).mean() > 0.9


def test_made_windows_have_people_seen_in_part_and_not_at_all() -> None:
    windows = made_windows(9, 17)
    unseen = (windows[..., 2] == 0).mean(axis=(1, 2))
    assert unseen.min() < 0.2
    assert unseen[-1] == 1
    assert np.isfinite(windows).all()
