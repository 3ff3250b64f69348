# SPDX-License-Identifier: Apache-2.0
"""poseact-bench models: every file on every backend, and the report is whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poseact_engine.bench.main import app
from poseact_engine.errors import ConfigError
from poseact_engine.manifest_io import read_manifest
from tests.models import make_action, make_pose


@pytest.mark.needs_openvino
def test_rates_and_ratios_follow_from_the_times(tmp_path: Path) -> None:
    one = make_pose(tmp_path / "one.onnx", size=(64, 48))
    two = make_pose(tmp_path / "two.onnx", size=(32, 32))
    output = tmp_path / "r.json"
    options = ["--threads", "1,2", "--batch", "3", "--repeats", "4", "--json", str(output)]
    done = CliRunner().invoke(app, ["models", str(one), str(two), *options])
    assert done.exit_code == 0, done.exception
    report = json.loads(output.read_text())
    assert report["summary"]["unit"] == "crops per second"
    assert report["summary"]["baseline"] == "one.onnx (fp32), onnxruntime/cpu"
    variants = [
        f"{file}.onnx (fp32), {backend}/cpu"
        for file in ("one", "two")
        for backend in ("onnxruntime", "openvino")
    ]
    for case in ("1 thread, batch 3", "2 threads, batch 3"):
        rows = [row for row in report["rows"] if row["case"] == case]
        assert [row["variant"] for row in rows] == variants
        for row in rows:
            assert row["per_s"] == pytest.approx(3 / (row["median_ms"] / 1e3))
            assert row["n"] == 4
        assert rows[0]["ratio"] is None
        for row in rows[1:]:
            assert row["ratio"] == pytest.approx(rows[0]["median_ms"] / row["median_ms"])
    assert len(report["rows"]) == 8


@pytest.mark.needs_torch
def test_an_hrnet_of_random_weights_is_made_for_it(tmp_path: Path) -> None:
    output = tmp_path / "r.json"
    options = ["--backends", "onnxruntime", "--threads", "1", "--batch", "1", "--repeats", "1"]
    done = CliRunner().invoke(app, ["models", "--hrnet", "8", *options, "--json", str(output)])
    assert done.exit_code == 0, done.exception
    (row,) = json.loads(output.read_text())["rows"]
    assert row["variant"] == "hrnet_w8_random.onnx (fp32), onnxruntime/cpu"


def test_what_cannot_be_measured_says_so(tmp_path: Path) -> None:
    pose = make_pose(tmp_path / "p.onnx", size=(32, 32))
    action = make_action(tmp_path / "a.onnx")
    assert read_manifest(action).task == "action"
    for arguments, message in (
        ([], "expected files of one task, got no file"),
        ([pose, action], "expected files of one task, got action, pose"),
        ([pose, "--backends", "onnxruntime,numpy"], "--backends: expected some of onnxruntime"),
        ([pose, "--threads", "1,0"], "--threads: expected whole numbers"),
        ([pose, pose, "--backends", "onnxruntime"], "got some twice"),
    ):
        error = CliRunner().invoke(app, ["models", *map(str, arguments)]).exception
        assert isinstance(error, ConfigError), (arguments, error)
        assert message in str(error)
