# SPDX-License-Identifier: Apache-2.0
"""Nothing that lost accuracy passes the gate: damaged graphs leave no file, whole ones are at zero.

The references are the original files, read by NumPy.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.detector import export_detector
from export.finish import finish
from export.foreign_model import ForeignDetector, ForeignPose
from export.parity.options import GateOptions
from export.pose import export_pose
from export.precision import PrecisionOptions
from poseact_engine.backends.registry import open_model
from poseact_engine.errors import ConfigError, ParityError
from poseact_engine.evaluation.inputs import DataOptions
from poseact_engine.manifest import Manifest
from poseact_engine.manifest_io import load_model
from tests.foreign_models import foreign_rtmdet, foreign_simcc
from tests.parity.parity_cases import (
    DAMAGES,
    FRONT,
    POSE_SIZE,
    Case,
    detector_case,
    detector_options,
    gate,
    one_weight,
    pose_case,
    pose_options,
    run,
)


@pytest.fixture(scope="module")
def pose(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return pose_case(tmp_path_factory.mktemp("pose"))


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return detector_case(tmp_path_factory.mktemp("detector"))


# ---------------------------------------------------------------- whole


@pytest.mark.parametrize("task", ["pose", "detector"])
def test_what_is_whole_is_written(
    task: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    case: Case = request.getfixturevalue(task)
    run(case, tmp_path / "m.onnx", gate(tmp_path / "r.json"))
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["passed"] is True
    assert report["inputs"]["real"] is False
    assert open_model(tmp_path / "m.onnx", task=case[1].task).manifest == case[1]
    assert report["metrics"]["compared"] > 50
    if task == "pose":
        assert report["metrics"]["max_px"] < 1e-4
        assert report["metrics"]["score_max"] < 1e-5
    else:
        assert report["metrics"]["matched_90"] == 1.0
        assert report["metrics"]["iou_p1"] > 0.9999


def test_an_exact_copy_is_at_zero(pose: Case, tmp_path: Path) -> None:
    run(pose, tmp_path / "m.onnx", gate())
    copy = open_model(tmp_path / "m.onnx", task="pose")
    exact = gate(tmp_path / "r.json", max_px=0.0, score_max=0.0, found_differs=0.0, oks_p1=1.0)
    run((pose[0], pose[1], copy), tmp_path / "again.onnx", exact)
    metrics = json.loads((tmp_path / "r.json").read_text())["metrics"]
    assert metrics["max_px"] == metrics["p99_px"] == metrics["score_max"] == 0.0
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "m.onnx").read_bytes()


@pytest.mark.parametrize("y_first", [False, True])
def test_simcc_and_its_original(tmp_path: Path, y_first: bool) -> None:
    foreign = foreign_simcc(tmp_path / "f.onnx", POSE_SIZE, joints=17, y_first=y_first)
    manifest = export_pose(foreign, tmp_path / "p.onnx", pose_options("simcc"))
    _, model, _ = load_model(tmp_path / "p.onnx")
    reference = ForeignPose(foreign, manifest, FRONT)
    run((model, manifest, reference), tmp_path / "m.onnx", gate(max_px=1e-4))


@pytest.mark.parametrize("suppression", [False, True])
def test_rtmdet_and_its_original(tmp_path: Path, suppression: bool) -> None:
    foreign = foreign_rtmdet(tmp_path / "f.onnx", classes=2, suppression=suppression)
    options = detector_options("rtmdet", (64, 96), 2)
    manifest = export_detector(foreign, tmp_path / "d.onnx", options)
    _, model, _ = load_model(tmp_path / "d.onnx")
    reference = ForeignDetector(foreign, manifest, FRONT, layout="rtmdet", person_class=1)
    run((model, manifest, reference), tmp_path / "m.onnx", gate(iou_p1=0.9999))


# ---------------------------------------------------------------- damaged


@pytest.mark.parametrize(("task", "damage"), DAMAGES, ids=[f"{t}-{d.__name__}" for t, d in DAMAGES])
@pytest.mark.parametrize("older", [None, b"the older file"])
def test_what_is_damaged_leaves_no_file(
    task: str,
    damage: Callable[[onnx.ModelProto], None],
    older: bytes | None,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    case: Case = request.getfixturevalue(task)
    model = onnx.ModelProto()
    model.CopyFrom(case[0])
    damage(model)
    output, report = tmp_path / "m.onnx", tmp_path / "r.json"
    if older is not None:
        output.write_bytes(older)
    with pytest.raises(ParityError, match=r"parity: .*expected at (most|least) .*, got .*m\.onnx"):
        run(case, output, gate(report), model)
    assert (output.read_bytes() if output.exists() else None) == older
    assert sorted(p.name for p in tmp_path.iterdir()) == (["m.onnx"] if older else []) + ["r.json"]
    assert json.loads(report.read_text())["passed"] is False


def test_a_wrong_border_is_said_before_anything_runs(pose: Case, tmp_path: Path) -> None:
    manifest = dataclasses.replace(pose[1], border=(9, 9, 9))  # type: ignore[call-arg]
    with pytest.raises(ConfigError, match="same border in both models, got 0,0,0 and 9,9,9"):
        run((pose[0], manifest, pose[2]), tmp_path / "m.onnx", gate())


def test_bounds_at_the_edge(pose: Case, tmp_path: Path) -> None:
    """The bound is met by exactly what was measured, and by nothing less."""
    model = onnx.ModelProto()
    model.CopyFrom(pose[0])
    one_weight(model)
    loose = {"median_px": 1e3, "p99_px": 1e3, "share_moved": 1.0, "score_p99": 1e9,
             "found_differs": 1.0, "oks_mean": 0.0}  # fmt: skip
    run(pose, tmp_path / "m.onnx", gate(tmp_path / "r.json", **loose), model)
    got = json.loads((tmp_path / "r.json").read_text())["metrics"]["oks_mean"]
    assert 0 < got < 1
    run(pose, tmp_path / "m.onnx", gate(**{**loose, "oks_mean": got}), model)
    with pytest.raises(ParityError, match="oks_mean"):
        run(pose, tmp_path / "n.onnx", gate(**{**loose, "oks_mean": np.nextafter(got, 1)}), model)


def test_mistakes_are_said_before_the_long_work(pose: Case, tmp_path: Path) -> None:
    output = tmp_path / "m.onnx"
    for options, words in (
        (gate(nonsense=1.0), "--bound: expected a metric"),
        (GateOptions(data=DataOptions(truth=tmp_path / "t.json")), "--data"),
    ):
        with pytest.raises(ConfigError, match=words):
            run(pose, output, options)
    with pytest.raises(ConfigError, match="another file than --output"):
        run(pose, tmp_path / "m.json", gate(tmp_path / "m.json"))


@pytest.mark.parametrize("task", ["pose", "detector"])
def test_a_precision_has_its_own_bounds(
    task: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """fp16 is not fp32: it keeps to its own bounds, and not to the others."""
    case: Case = request.getfixturevalue(task)
    half = PrecisionOptions(precision="fp16")

    def export(output: Path, options: GateOptions) -> Manifest:
        return finish(case[0], case[1], output, reference=case[2], precision=half, gate=options)

    written = export(tmp_path / "m.onnx", gate())
    assert written.precision == "fp16"
    assert open_model(tmp_path / "m.onnx", task=written.task).manifest == written
    with pytest.raises(ParityError, match="score_p99: expected at most 1e-06"):
        export(tmp_path / "n.onnx", gate(score_p99=1e-6))
    assert not (tmp_path / "n.onnx").exists()
