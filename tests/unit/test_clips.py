# SPDX-License-Identifier: Apache-2.0
"""Folders and names of labelled videos: classes, groups, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poseact_engine.errors import ConfigError
from poseact_engine.training.clips import Clip, ClipsConfig, find_clips
from poseact_engine.training.paper import CLASSES


def lay_out(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def found(folder: Path, **options: Any) -> dict[str, Clip]:
    return {clip.name: clip for clip in find_clips(ClipsConfig(folder=folder, **options))}


@pytest.mark.parametrize(
    ("folder", "action"),
    [
        ("carrying", "carrying"),
        ("Carry", "carrying"),
        ("falling down", "falling_down"),
        ("Falling", "falling_down"),
        ("fall", "falling_down"),
        ("FALL-DOWN", "falling_down"),
        ("walk", "walking"),
        ("lifting", "lifting"),
        ("Standing ", "standing"),
        ("lying", "lying_down"),
        ("03 Lie_Down", "lying_down"),
        ("laying_down", "lying_down"),
    ],
)
def test_usual_spellings_name_the_six_actions(folder: str, action: str, tmp_path: Path) -> None:
    (clip,) = found(lay_out(tmp_path, f"{folder}/a.mp4")).values()
    assert CLASSES[clip.label] == action


def test_other_folders_are_what_the_caller_says(tmp_path: Path) -> None:
    lay_out(tmp_path, "Other/a.mp4", "none/b.mp4", "dance/c.mp4", "queue/d.mp4", "bin/e.mp4")
    maps = {"dance": "harmless", "queue": "standing", "bin": "skip"}
    clips = found(tmp_path, class_map=maps)
    labels = {name: clip.label for name, clip in clips.items()}
    standing = CLASSES.index("standing")
    assert labels == {"Other/a": -1, "none/b": -1, "dance/c": -2, "queue/d": standing}
    clips = found(tmp_path, class_map=maps, other="harmless")
    assert [clips[name].label for name in ("Other/a", "none/b")] == [-2, -2]


def test_videos_below_a_folder_are_its_own_and_other_files_are_none(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        "walk/day1/a.MP4",
        "walk/a.avi",
        "walk/notes.txt",
        "walk/._a.mp4",
        ".git/x.mp4",
        "loose.mp4",
    )
    assert sorted(found(tmp_path)) == ["walk/a", "walk/day1/a"]


def test_names_tell_clip_camera_and_subject(tmp_path: Path) -> None:
    """As AI-Hub's: two cameras see one event; they must stay together."""
    data = lay_out(
        tmp_path / "hub", "fall/C01_E7_P03.mp4", "fall/C02_E7_P03.mp4", "walk/C01_E8_P03.mp4"
    )
    pattern = r"(?P<camera>C\d+)_(?P<clip>E\d+)_(?P<subject>P\d+)$"
    clips = found(data, pattern=pattern)
    groups = {n: (c.clip, c.camera, c.subject) for n, c in clips.items()}
    assert groups == {
        "fall/C01_E7_P03": ("hub/E7", "C01", "hub/P03"),
        "fall/C02_E7_P03": ("hub/E7", "C02", "hub/P03"),
        "walk/C01_E8_P03": ("hub/E8", "C01", "hub/P03"),
    }
    together = found(data, pattern=r"/(?P<camera>C\d+)_")
    assert len({c.clip for n, c in together.items() if n.startswith("fall")}) == 1
    plain = found(data, dataset="mine")
    assert {c.clip for c in plain.values()} == {f"mine/{name}" for name in plain}
    assert {(c.camera, c.subject) for c in plain.values()} == {(None, None)}


def test_cameras_that_end_a_name_see_one_clip(tmp_path: Path) -> None:
    names = ("walk/a_cam1.mp4", "walk/a_cam2.mp4", "walk/b_cam1.mp4")
    clips = found(lay_out(tmp_path / "site", *names)).values()
    assert [(c.clip, c.camera) for c in clips] == [
        ("site/walk/a", "cam1"),
        ("site/walk/a", "cam2"),
        ("site/walk/b", "cam1"),
    ]


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["dance/a.mp4"], {}, r"carrying, .*lying_down .*got 'dance'.*--class-map 'dance'=CLASS"),
        (["walk/a.txt"], {}, r"expected videos in folders named carrying, .*found none"),
        (["walk/a.mp4"], {"class_map": {"wlak": "walking"}}, "wlak=.*no such folder"),
        (["walk/a.mp4"], {"class_map": {"walk": "running"}}, "one of carrying, .*'running'"),
        (["walk/a.mp4"], {"pattern": "("}, "regular expression"),
        (["walk/a.mp4"], {"pattern": r"(P\d+)"}, "named groups .*got none"),
        (["walk/a.mp4"], {"pattern": r"(?P<person>P\d+)"}, "named groups .*got person"),
        (["walk/a.mp4"], {"pattern": r"(?P<subject>P\d+)"}, "does not fit the name 'walk/a'"),
        (["walk/a.mp4", "walk/a.avi"], {}, "a.mp4: expected a name of its own, a.avi has"),
        (["walk/a\udcff.mp4"], {}, "printable name"),
        (["walk/a.mp4"], {"other": "falling"}, "unknown or harmless"),
        (["walk/a.mp4"], {"dataset": "a\udcff"}, "--dataset: expected a printable name"),
    ],
)
def test_what_is_refused(
    names: list[str], options: dict[str, Any], words: str, tmp_path: Path
) -> None:
    lay_out(tmp_path, *names)
    with pytest.raises(ConfigError, match=words):
        found(tmp_path, **options)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one folder per class"):
        found(tmp_path / "gone")
