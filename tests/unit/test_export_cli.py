# SPDX-License-Identifier: Apache-2.0
"""The command line of exports and of `poseact models`: files come out whole, errors in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner

from export.options import (
    parse_border,
    parse_iou,
    parse_joints,
    parse_number,
    parse_size,
    parse_track_scores,
)
from export.package import check_output, write_model
from export.precision_options import PrecisionChoice, TargetChoice, precision_options
from poseact_engine.cli.models import models_app
from poseact_engine.errors import ExportError
from poseact_engine.manifest import DetectorManifest
from poseact_engine.manifest_io import read_manifest
from tests.foreign_models import foreign_heatmap, foreign_yolox
from tests.models import make_detector, make_pose

ROOT = Path(__file__).resolve().parents[2]
COMMON = ["--color", "bgr", "--mean", "128,128,128", "--std", "60,60,60", "--border", "9,9,9"]
COMMON += ["--source", "made by code", "--licence", "Apache-2.0"]
DETECTOR = [*COMMON, "--layout", "yolox", "--scale", "1", "--letterbox", "top_left"]
DETECTOR += ["--nms-iou", "none", "--max-boxes", "20", "--person-class", "0"]
POSE = [*COMMON, "--layout", "heatmap", "--scale", "1/255", "--geometry", "udp"]
POSE += ["--expansion", "1.25", "--joints", "a, b,c"]


def export(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "export", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )


def assert_one_error(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


def test_detector_and_its_manifest(tmp_path: Path) -> None:
    foreign = foreign_yolox(tmp_path / "f.onnx", (64, 96), classes=3)
    result = export("detector", "--onnx", foreign, "-o", tmp_path / "d.onnx", *DETECTOR,
                    "--track-scores", "0.2,0.5,0.6")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "detector 96x64" in result.stdout
    manifest = read_manifest(tmp_path / "d.onnx", task="detector")
    assert isinstance(manifest, DetectorManifest)
    assert (manifest.source, manifest.track_scores) == ("made by code", (0.2, 0.5, 0.6))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.onnx", "f.onnx"]


def test_pose_and_its_manifest(tmp_path: Path) -> None:
    foreign = foreign_heatmap(tmp_path / "f.onnx", (64, 48), joints=3)
    result = export("pose", "--onnx", foreign, "-o", tmp_path / "p.onnx", *POSE)
    assert result.returncode == 0, result.stderr
    manifest = read_manifest(tmp_path / "p.onnx", task="pose")
    assert (manifest.geometry, manifest.joints) == ("udp", ("a", "b", "c"))  # type: ignore[attr-defined]


def test_all_that_is_missing_is_named_at_once() -> None:
    missing = ["--onnx", "--output", "--std", "--border", "--nms-iou", "--licence"]
    assert_one_error(export("detector", "--layout", "yolox", "--mean", "0,0,0"), *missing)
    assert_one_error(export("pose"), "--geometry", "--expansion", "--joints")


def test_errors_name_the_file_or_the_option(tmp_path: Path) -> None:
    text = tmp_path / "f.onnx"
    text.write_text("no network")
    out = ["-o", str(tmp_path / "d.onnx")]
    assert_one_error(export("detector", "--onnx", text, *out, *DETECTOR), "f.onnx", "ONNX")
    assert_one_error(export("detector", "--onnx", tmp_path / "g", *out, *DETECTOR), "No such file")
    assert_one_error(export("detector", "--onnx", tmp_path, *out, *DETECTOR), "directory")
    assert_one_error(export("detector", *DETECTOR, "--layout", "ssd"), "ssd")
    foreign = foreign_yolox(tmp_path / "f.onnx", (64, 96), classes=3)
    nowhere = export("detector", "--onnx", foreign, "-o", tmp_path / "no/d.onnx", *DETECTOR)
    assert_one_error(nowhere, "expected a folder to write it in")
    assert [p.name for p in tmp_path.iterdir()] == ["f.onnx"]


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_border, "0,0"),
        (parse_border, "0,0,256"),
        (parse_border, "0,0,0.5"),
        (parse_size, "320"),
        (parse_size, "0x320"),
        (parse_size, "-1x320"),
        (parse_iou, "0"),
        (parse_iou, "1.5"),
        (parse_iou, "None"),
        (parse_track_scores, "0.1,0.5"),
        (parse_track_scores, "0.5,0.1,0.7"),
        (parse_track_scores, "0.1,0.5,1.1"),
        (parse_track_scores, "a,b,c"),
        (lambda text: parse_number("--scale", text), "1/0"),
        (lambda text: parse_number("--scale", text), "nan"),
        (lambda text: parse_number("--scale", text), ""),
    ],
)
def test_values_that_cannot_be(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ExportError, match="--"):
        parse(text)


def test_values_that_can_be() -> None:
    assert parse_number("--scale", " 1/255") == 1 / 255
    assert parse_size("256x192") == (256, 192)
    assert parse_iou("none") is None
    assert parse_iou("0.6") == 0.6
    assert parse_track_scores(None) is None
    assert parse_track_scores("0.25, 0.5, 0.7") == (0.25, 0.5, 0.7)
    assert len(parse_joints("coco17")) == 17


def test_an_old_file_stays_when_the_new_one_is_refused(tmp_path: Path) -> None:
    path = make_pose(tmp_path / "p.onnx")
    before, manifest = path.read_bytes(), read_manifest(path)
    empty = helper.make_model(helper.make_graph([], "none", [], []))
    with pytest.raises(ExportError, match="contract"):
        write_model(empty, manifest, path)
    assert path.read_bytes() == before


def test_the_foreign_file_and_devices_are_never_replaced(tmp_path: Path) -> None:
    foreign, pipe = tmp_path / "f.onnx", tmp_path / "pipe"
    foreign.write_bytes(b"mine")
    os.mkfifo(pipe)
    with pytest.raises(ExportError, match="is the file to be exported"):
        check_output(tmp_path / "." / "f.onnx", foreign)
    for target in (pipe, tmp_path):
        with pytest.raises(ExportError, match="got a folder, device or pipe"):
            check_output(target, foreign)
    with pytest.raises(ExportError, match="expected a folder to write it in"):
        check_output(tmp_path / "none" / "new.onnx", foreign)  # before the work, not after it
    check_output(tmp_path / "new.onnx", foreign)
    result = export("pose", "--onnx", foreign, "-o", foreign, *POSE)
    assert_one_error(result, "is the file to be exported")
    assert foreign.read_bytes() == b"mine"


def test_what_an_export_reads_is_never_replaced(tmp_path: Path) -> None:
    detector = make_detector(tmp_path / "d.onnx", [(0, 0, 9, 9)])
    before = detector.read_bytes()
    foreign = foreign_heatmap(tmp_path / "f.onnx", (64, 48), joints=3)
    picture = ["--data", str(tmp_path / "none.png"), "--detector", str(detector)]
    result = export("pose", "--onnx", foreign, "-o", detector, *POSE, *picture)
    assert_one_error(result, "is a file to be read")
    assert detector.read_bytes() == before


@pytest.mark.parametrize("precision", [PrecisionChoice.fp32, PrecisionChoice.fp16])
@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"target": TargetChoice.cpu}, "--target"),
        ({"calibrate": [Path("v.mp4")]}, "--calibrate"),
        ({"detector": Path("d.onnx")}, "--calibrate-detector"),
        ({"least_db": 30.0}, "--least-db"),
        ({"most_kept": 0.3}, "--most-kept"),
        ({"keep": "conv"}, "--keep"),
    ],
)
def test_options_of_int8_are_not_taken_in_silence(
    precision: PrecisionChoice, given: dict[str, Any], name: str
) -> None:
    with pytest.raises(ExportError, match=f"int8 with {name}, got {precision.value}"):
        precision_options(precision, **given)


def test_same_weights_give_the_same_file(tmp_path: Path) -> None:
    first, second = (make_pose(tmp_path / f"{n}.onnx").read_bytes() for n in "ab")
    assert first == second


# ---------------------------------------------------------------- poseact models


def test_models_info_reads_well(tmp_path: Path) -> None:
    path = make_detector(tmp_path / "d.onnx", [(0, 0, 9, 9)])
    result = CliRunner().invoke(models_app, ["info", str(path)], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    for words in (
        "images uint8 [batch, 3, 64, 64]",
        "scores float32 [batch, 1]",
        "nms_iou",
        "none",
        read_manifest(path).sha256,
    ):
        assert words in result.output


def test_models_info_as_json(tmp_path: Path) -> None:
    path = make_pose(tmp_path / "p.onnx")
    result = CliRunner().invoke(models_app, ["info", str(path), "--json"])
    values = json.loads(result.output)
    assert values["task"] == "pose"
    assert values["outputs"] == ["keypoints float32 [batch, 17, 3]"]


def test_models_info_refuses_what_the_engine_refuses(tmp_path: Path) -> None:
    path = make_pose(tmp_path / "p.onnx")
    model = onnx.load(str(path))
    model.ClearField("metadata_props")
    onnx.save(model, str(path))
    result = CliRunner().invoke(models_app, ["info", str(path)])
    assert result.exit_code != 0
    assert "manifest" in str(result.exception)
