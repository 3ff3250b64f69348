# SPDX-License-Identifier: Apache-2.0
"""What names and folders tell of keypoints that other estimators found: labels, takes, subjects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.training.clip_names import ClipNames, parse_label
from tests.foreign_keypoints import (
    alphapose_entries,
    converted,
    write_json,
)
from tests.poses import CLASSES, make_poses

FRAMES = 30


@pytest.fixture(scope="module")
def poses() -> NDArray[np.float32]:
    return make_poses("walking", np.arange(FRAMES) / 30, seed=4)


def test_labels_and_origins_come_from_folders_and_names(tmp_path: Path, poses: Any) -> None:
    for folder, stem in (("Falling", "E1_C1_P7"), ("Falling", "E1_C2_P7"), ("walk", "E2_C1_P8")):
        (tmp_path / folder).mkdir(exist_ok=True)
        write_json(tmp_path / folder / f"{stem}.json", alphapose_entries([[p] for p in poses]))
    names = ClipNames(r"(?P<camera>C\d)_(?P<subject>P\d)")
    done = converted("alphapose", tmp_path, label=None, names=names, dataset="site")
    told = [(s.name, CLASSES[s.labels[0]], s.clip, s.camera, s.subject) for s in done.sequences]
    assert told == [
        ("site/Falling/E1_C1_P7", "falling_down", "site/Falling/E1__P7", "C1", "site/P7"),
        ("site/Falling/E1_C2_P7", "falling_down", "site/Falling/E1__P7", "C2", "site/P7"),
        ("site/walk/E2_C1_P8", "walking", "site/walk/E2__P8", "C1", "site/P8"),
    ]
    one = converted("alphapose", tmp_path / "walk" / "E2_C1_P8.json", label=None)
    assert one.sequences[0].name == f"{tmp_path.name}/walk/E2_C1_P8"
    (tmp_path / "walk").rename(tmp_path / "running")
    with pytest.raises(ConfigError, match=r"folder named carrying, .* got 'running'"):
        converted("alphapose", tmp_path, label=None)


@pytest.mark.parametrize("dataset", [None, "site"])
def test_folders_of_classes_given_one_by_one_are_one_data_set(
    tmp_path: Path, poses: Any, dataset: str | None
) -> None:
    """Else its people would be others in each class, and on both sides of a split."""
    root = tmp_path / "site"
    for folder in ("02 Falling-down", "walking"):
        for subject in ("P1", "P2"):
            path = root / folder / f"{subject}.json"
            path.parent.mkdir(exist_ok=True, parents=True)
            write_json(path, alphapose_entries([[p] for p in poses]))
    options = {"label": None, "names": ClipNames(r"(?P<subject>P\d)"), "dataset": dataset}
    whole = converted("alphapose", root, **options).sequences
    by_class = converted("alphapose", *sorted(root.iterdir()), **options).sequences
    told = [(s.name, s.clip, s.subject, s.labels[0]) for s in whole]
    assert told == [(s.name, s.clip, s.subject, s.labels[0]) for s in by_class]
    assert {s.subject for s in whole} == {"site/P1", "site/P2"}
    alone = converted("alphapose", root / "walking", **options).sequences
    assert [s.name for s in alone] == ["site/walking/P1", "site/walking/P2"]


def test_alphaposes_files_of_single_frames_are_passed_over(tmp_path: Path, poses: Any) -> None:
    write_json(tmp_path / "alphapose-results.json", alphapose_entries([[p] for p in poses]))
    (tmp_path / "sep-json").mkdir()
    frame = {"version": 0.1, "people": []}
    (tmp_path / "sep-json" / "0.json").write_text(json.dumps(frame))
    (sequence,) = converted("alphapose", tmp_path).sequences
    np.testing.assert_allclose(sequence.keypoints_px, poses, rtol=1e-6)
    with pytest.raises(SourceError, match=r"0\.json: expected AlphaPose's results of a whole"):
        converted("alphapose", tmp_path / "sep-json")


def test_clips_of_the_same_name_are_refused(tmp_path: Path, poses: Any) -> None:
    paths = [tmp_path / day / "site" / "walking" for day in ("monday", "tuesday")]
    for path in paths:
        path.mkdir(parents=True)
        content = json.dumps(alphapose_entries([[p] for p in poses]))
        (path / "a.json").write_text(content, encoding="utf-8-sig")
    with pytest.raises(
        ConfigError, match=r"tuesday.* 'site/walking/a' as one of .*monday.*--dataset"
    ):
        converted("alphapose", *paths)
    assert len(converted("alphapose", tmp_path).sequences) == 2


def test_images_of_several_clips_in_one_file_are_several_clips(tmp_path: Path, poses: Any) -> None:
    entries = alphapose_entries([[p] for p in poses])
    for index, entry in enumerate(entries):
        entry["image_id"] = f"{'ab'[index % 2]}_{index:04}.png"
    done = converted("alphapose", write_json(tmp_path / "r.json", entries), dataset="d")
    assert [s.name for s in done.sequences] == ["d/a", "d/b"]
    np.testing.assert_allclose(done.sequences[1].times_s, np.arange(15) / 15)


def test_patterns() -> None:
    whole = ClipNames(r"(?P<clip>.+)-(?P<camera>\w+)$")
    assert whole.parse("a/b-left") == ("a/b", "left", None)
    assert ClipNames().parse("a/b-left") == ("a/b-left", None, None)
    assert ClipNames().parse("a/b_cam12") == ("a/b", "cam12", None)
    assert ClipNames().parse("a/cam1") == ("a", "cam1", None)
    assert ClipNames().parse("cam1") == ("cam1", None, None)
    with pytest.raises(ConfigError, match="does not fit the name 'x'"):
        whole.parse("x")
    for pattern, message in (
        ("(", "regular expression"),
        ("(?P<clip>x{99999999999})", "regular expression"),
        ("a", "got none"),
        ("(?P<who>a)", "got who"),
    ):
        with pytest.raises(ConfigError, match=message):
            ClipNames(pattern)
    spelt = ("Falling down", "01_fall-down", "LYING", "walk", "harmless", "sitting", "")
    assert [parse_label(t) for t in spelt] == [1, 1, 5, 2, -2, None, None]
