# SPDX-License-Identifier: Apache-2.0
"""`poseact convert`, from files of another estimator to a keypoint file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine.cli.convert import convert_command
from poseact_engine.errors import ConfigError, SinkError, SourceError
from poseact_engine.training.keypoints import read_sequences
from tests.foreign_keypoints import alphapose_entries, pyskl_content, write_openpose, write_pickle
from tests.poses import make_poses

POSES = make_poses("walking", np.arange(30) / 30, seed=4)


def convert(*args: Any) -> str:
    words = [str(a) for a in args]
    result = CliRunner().invoke(convert_command, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return re.sub(r"\s+", " ", result.output)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(alphapose_entries([[p] for p in POSES])))
    return path


def test_folders_of_classes_become_one_file(tmp_path: Path) -> None:
    for folder in ("falling", "walking"):
        for take in ("P1_C1", "P1_C2", "P2_C1"):
            write_openpose(
                tmp_path / "set" / folder / take, [[p] for p in POSES], name="{:06}.json"
            )
    output = tmp_path / "k.npz"
    said = convert(
        "openpose", tmp_path / "set", "-o", output, "--fps", "30000/1001", "--size", "640x480",
        "--pattern", r"(?P<subject>P\d)_C(?P<camera>\d)",
    )  # fmt: skip
    assert "6 sequences of 6 clips (3 falling_down, 3 walking)" in said
    found = {s.name: s for s in read_sequences([output])}
    one = found["set/falling/P1_C2"]
    assert (one.clip, one.camera, one.subject) == ("set/falling/P1_C", "2", "set/P1")
    np.testing.assert_allclose(one.times_s, np.arange(30) * 1001 / 30000)
    np.testing.assert_allclose(one.keypoints_px, POSES, rtol=1e-6)


def test_class_numbers_are_mapped_by_json_or_csv(tmp_path: Path) -> None:
    clips = [pyskl_content(POSES[None], name=f"A{n}", label=n)["annotations"][0] for n in (7, 8, 9)]
    path = write_pickle(tmp_path / "a.pkl", clips)
    (tmp_path / "m.json").write_text('{"7": "fall", "8": "harmless"}')
    (tmp_path / "m.csv").write_text("id,class\n7,fall\n8,harmless\n")
    (tmp_path / "bom.csv").write_text("7,fall\n8,harmless\n", encoding="utf-8-sig")
    for name in ("m.json", "m.csv", "bom.csv"):
        args = (
            "pyskl",
            path,
            "-o",
            tmp_path / "k.npz",
            "--fps",
            30,
            "--label-map",
            tmp_path / name,
        )
        said = convert(*args)
        before = (tmp_path / "k.npz").read_bytes()
        with pytest.raises(SinkError, match=r"k\.npz exists; .* --overwrite"):
            convert(*args)
        assert (tmp_path / "k.npz").read_bytes() == before
        assert convert(*args, "--overwrite") == said
        assert "2 sequences of 3 clips (1 falling_down, 1 harmless)" in said
        assert "left out: 1 clips of classes that the map does not have" in said
        labels = [set(s.labels.tolist()) for s in read_sequences([tmp_path / "k.npz"])]
        assert labels == [{1}, {-2}]
        (tmp_path / "k.npz").unlink()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7,running", "expected one of carrying, .* got 'running'"),
        ("7,fall\n7,walk", "has class 7 twice"),
        ("7", "a number and a class in each row"),
        ("7,fall\nx,walk", "a number and a class in each row"),
        ("", "got none"),
    ],
)
def test_wrong_maps_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = write_pickle(tmp_path / "a.pkl", pyskl_content(POSES[None]))
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises((ConfigError, SourceError), match=message):
        convert(
            "pyskl", path, "-o", tmp_path / "k.npz", "--fps", 30, "--label-map", tmp_path / "m.csv"
        )
    with pytest.raises(SourceError, match="cannot be read"):
        convert("pyskl", path, "-o", tmp_path / "k.npz", "--fps", 30, "--label-map", tmp_path)


@pytest.mark.parametrize(
    ("extra", "kind", "message"),
    [
        (["--fps", "0"], ConfigError, "--fps: expected above 0"),
        (["--fps", "25/0"], ConfigError, "--fps: expected a number or a fraction"),
        (["--fps", "1e999999999"], ConfigError, "--fps: expected a number or a fraction"),
        (["--fps", "nan"], ConfigError, "--fps"),
        (["--size", "640"], ConfigError, "WIDTHxHEIGHT"),
        (["--size", "0x0"], ConfigError, "--size"),
        (["--label", "running"], ConfigError, "--label: expected one of"),
        (["--pattern", "("], ConfigError, "regular expression"),
        (["--pattern", "(?P<clip>zzz)"], ConfigError, "does not fit the name 'r'"),
        (["-o", "k.json"], ConfigError, "expected a keypoint file, NAME.npz, got k.json"),
        (["--dataset", "a\udcff"], SourceError, "expected a printable name"),
        (["-o", "gone/k.npz"], SinkError, "expected an existing folder"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_written(
    tmp_path: Path, results: Path, extra: list[str], kind: type[Exception], message: str
) -> None:
    output = tmp_path / "k.npz"
    given = ["--fps", "30", "--size", "640x480", "--label", "walking", "-o", str(output)]
    with pytest.raises(kind, match=message) as error:
        convert("alphapose", results, *given, *extra)
    assert "\n" not in str(error.value)
    assert not output.exists()


def test_what_is_read_is_not_overwritten(results: Path) -> None:
    before = results.read_bytes()
    named = results.rename(results.with_name("r.npz"))
    for given, output, kind in (
        (named, named, SinkError),
        (results.parent, results, ConfigError),  # one of the files that a folder stands for
    ):
        with pytest.raises(kind, match=r"is read and would be overwritten|NAME\.npz"):
            convert("alphapose", given, "-o", output, "--fps", "30", "--label", "walking")
        results.write_bytes(before)
    assert named.read_bytes() == before
