# SPDX-License-Identifier: Apache-2.0
"""`poseact eval` from the command line to its files."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine.cli.eval import eval_app
from poseact_engine.errors import DependencyError, PoseActError, SinkError
from poseact_engine.manifest_io import read_manifest
from tests.coco_files import person, write_truth
from tests.models import make_action, make_detector, make_pose
from tests.poses import write_sequences

ROOT = Path(__file__).parents[2]
POSE = {"ap", "ap_50", "ap_75", "ap_medium", "ap_large", "ar", "ar_50", "ar_75", "ar_medium"}
BOX = (40.0, 20.0, 60.0, 80.0)


@pytest.fixture
def world(tmp_path: Path) -> dict[str, str]:
    """Two pictures of 200 x 200 with a person each, and models; paths as text, by option."""
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(images / name), np.zeros((200, 200, 3), np.uint8))
    people = [person(1, BOX), person(2, BOX)]
    write_sequences(tmp_path / "k.npz", takes=1, seconds=0.5)
    files = {
        "data": write_truth(tmp_path / "t.json", {"a.png": 1, "b.png": 2}, people),
        "images": images,
        # 200 px in 64: the second box is none of anybody's.
        "detector": make_detector(
            tmp_path / "d.onnx", np.array([(40, 20, 100, 100), (0, 150, 50, 190)]) * 0.32
        ),
        "pose": make_pose(tmp_path / "p.onnx"),
        "action": make_action(tmp_path / "a.onnx"),
        "keypoints": tmp_path / "k.npz",
    }
    return {name: str(path) for name, path in files.items()}


def run(command: str, **options: str | Path) -> Any:
    """The command's result, as CliRunner has it."""
    line = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return CliRunner().invoke(eval_app, [command, *line])


def good(command: str, **options: str | Path) -> str:
    done = run(command, **options)
    assert done.exit_code == 0, done.exception
    return str(done.stdout)


def pick(world: dict[str, str], *names: str) -> dict[str, str]:
    return {name: world[name] for name in names}


def test_pose_in_detected_boxes(world: dict[str, str], tmp_path: Path) -> None:
    files = {"json": tmp_path / "f.json", "results": tmp_path / "r.json"}
    text = good("pose", **pick(world, "data", "images", "pose", "detector"), nms="oks", **files)
    found = json.loads(files["json"].read_text())
    assert {k: v for k, v in found.items() if k not in ("scores", "model")} == {
        "schema": 1,
        "task": "pose",
        "backend": "onnxruntime/cpu",
        "data": "t.json",
        "pictures": 2,
        "boxes": 4,
        "boxes_of": "d.onnx",
        "min_score": 0.2,
        "nms": "oks",
    }
    sha256 = read_manifest(Path(world["pose"])).sha256
    assert found["model"] == {"file": "p.onnx", "precision": "fp32", "sha256": sha256}
    assert set(found["scores"]) == POSE | {"ar_large"}
    assert found["scores"]["ap_large"] is None  # no large people, and NaN is not JSON
    rows = json.loads(files["results"].read_text())
    assert [r["image_id"] for r in rows] == [1, 1, 2, 2]
    assert rows[0]["score"] == pytest.approx(0.9 * 0.8)
    heads = ["AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL"]
    assert heads in [line.split() for line in text.splitlines()]


def test_detector(world: dict[str, str], tmp_path: Path) -> None:
    files = {"json": tmp_path / "f.json", "results": tmp_path / "r.json"}
    text = good("detector", **pick(world, "data", "images", "detector"), **files)
    found = json.loads(files["json"].read_text())
    assert (found["task"], found["pictures"], found["boxes"]) == ("detector", 2, 4)
    assert found["scores"]["ap"] == pytest.approx(1)  # what is wrong comes last in each picture
    assert found["scores"]["ap_small"] is None
    assert len(json.loads(files["results"].read_text())) == 4
    assert "d.onnx (fp32, onnxruntime/cpu): data t.json, pictures 2, boxes 4" in text


def test_action(world: dict[str, str], tmp_path: Path) -> None:
    files = {"json": tmp_path / "f.json", "plots": tmp_path / "p", "tensorboard": tmp_path / "t"}
    text = good("action", data=world["keypoints"], action=world["action"], **files)
    found = json.loads(files["json"].read_text())
    scores = found["scores"]
    confusion = np.array(scores["confusion"])
    assert (found["task"], found["data"], found["split"]) == ("action", ["k.npz"], "all")
    assert (
        scores["windows"]
        == confusion.sum()
        == sum(c["support"] for c in scores["classes"].values())
    )
    assert scores["accuracy"] == pytest.approx(np.trace(confusion) / confusion.sum())
    assert scores["classes"]["carrying"]["precision"] is None  # never said
    assert sorted(p.name for p in files["plots"].iterdir()) == [
        "calibration.png",
        "classes.png",
        "confusion.png",
    ]
    assert len(list(files["tensorboard"].iterdir())) == 1
    assert f"accuracy {100 * scores['accuracy']:.1f} %" in text
    assert "lying_down" in text


def test_names_that_look_like_markup_are_printed_as_they_are(
    world: dict[str, str], tmp_path: Path
) -> None:
    arrays = dict(np.load(world["keypoints"]))
    data = tmp_path / "[red]k.npz"
    np.savez(data, **{f"x[-1] [bold]{key}": value for key, value in arrays.items()})
    text = good("action", data=data, action=world["action"])
    assert "data [red]k.npz" in text
    assert "[bold]" in text


def test_what_a_user_does_wrong_is_one_line(world: dict[str, str], tmp_path: Path) -> None:
    pose = pick(world, "data", "images", "pose")
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("pose", {**pose, "pose": world["detector"]}, "expected a model of task pose"),
        ("pose", {**pose, "data": world["pose"]}, "expected COCO JSON"),
        ("pose", {**pose, "data": tmp_path / "no.json"}, "cannot be read: No such file"),
        ("pose", {**pose, "images": tmp_path}, "2 of them are missing, a.png first"),
        ("pose", {**pose, "json": world["data"]}, "is read, or written twice"),
        ("pose", {**pose, "json": "x", "results": "x"}, "is read, or written twice"),
        ("pose", {**pose, "json": tmp_path / "no" / "f"}, "expected an existing folder"),
        ("pose", {**pose, "min-score": 0.5}, "--min-score: expected a --detector"),
        ("pose", {**pose, "device": "cuda", "backend": "onnxruntime"}, "got 'cuda'"),
        ("action", {"data": world["data"], "action": world["action"]}, "NumPy .npz of keypoints"),
        (
            "action",
            {"data": world["keypoints"], "action": world["action"], "plots": world["pose"]},
            "expected a folder",
        ),
        ("action", {"data": world["keypoints"], "action": world["pose"]}, "of task action"),
    ]
    for command, options, message in wrong:
        error = run(command, **options).exception
        assert isinstance(error, PoseActError), (command, options, error)
        assert message in str(error)
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("module", "option"),
    [("matplotlib.figure", "plots"), ("tensorboard.compat.proto", "tensorboard")],
)
def test_a_missing_package_is_said_before_the_work(
    module: str,
    option: str,
    world: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    # No data is there, and nothing asked for it yet.
    options = {"data": tmp_path / "no.npz", "action": world["action"], option: tmp_path / "out"}
    error = run("action", **options).exception
    assert isinstance(error, DependencyError), error
    assert "poseact-engine[eval]" in str(error)


def test_an_output_that_cannot_be_written_costs_neither_scores_nor_an_older_file(
    world: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def run_full(path: Path, data: bytes) -> int:
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    files = {"json": tmp_path / "f.json", "results": tmp_path / "r.json"}
    for file in files.values():
        file.write_text("of yesterday")
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(Path, "write_bytes", run_full)
    done = run("detector", **pick(world, "data", "images", "detector"), **files)
    assert isinstance(done.exception, SinkError)
    assert "f.json: cannot be written: No space left" in str(done.exception)
    assert "100.0" in done.stdout
    assert [f.read_text() for f in files.values()] == ["of yesterday"] * 2
    assert sorted(tmp_path.iterdir()) == before


def test_a_link_to_a_file_stays_one(world: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, file = tmp_path / "f.json", tmp_path / "there" / "g.json"
    link.symlink_to(file)
    good("detector", **pick(world, "data", "images", "detector"), json=link)
    assert link.is_symlink()
    assert json.loads(file.read_text())["task"] == "detector"


def test_the_real_command_line(world: dict[str, str], tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "NO_COLOR": "1"}
    options = [p for n in ("data", "images", "detector") for p in (f"--{n}", world[n])]

    def poseact(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "poseact_engine.cli.main", *arguments]
        return subprocess.run(line, capture_output=True, text=True, env=env, check=False)

    done = poseact("eval", "detector", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "100.0" in done.stdout
    assert max(map(len, done.stdout.splitlines()[1:])) <= 80
    done = poseact("eval", "detector", *options, "--images", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert done.stderr.startswith("poseact: error: ")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
