# SPDX-License-Identifier: Apache-2.0
"""`python -m export verify`: exit codes, AP against pycocotools, checkpoints and other backends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from typer.testing import CliRunner

from export.cli import app, main
from export.package import write_model
from export.pose import export_pose
from poseact_engine.backends.registry import open_model
from poseact_engine.errors import ParityError
from poseact_engine.geometry import keypoints_from_crops, pose_crops
from poseact_engine.manifest_io import load_model
from tests.coco_files import person, write_truth
from tests.foreign_models import foreign_heatmap
from tests.models import STANDING, make_action, make_detector, make_pose
from tests.parity.parity_cases import (
    POSE_SIZE,
    change_tensor,
    gate,
    pose_options,
    run,
)

ROOT = Path(__file__).resolve().parents[2]


def test_average_precision_is_that_of_pycocotools(tmp_path: Path) -> None:
    """Two fixed poses in three made pictures; people stand near the first."""
    rng = np.random.default_rng(0)
    boxes = {f"{i}.png": [(40 + 60 * k, 30 + 8 * i, 50, 120) for k in range(3)] for i in range(3)}
    people, expected_rows = [], {"a": [], "b": []}  # type: ignore[var-annotated]
    shifts = {"a": 0.0, "b": 0.03}
    for i, found in enumerate(boxes.values()):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((240, 320, 3), 90, np.uint8))
        for x, y, w, h in found:
            box = np.array([[x, y, x + w, y + h]], np.float32)
            window = pose_crops(box, height=256, width=192, expansion=1.25, geometry="default")
            for name, shift in shifts.items():
                seen = (STANDING + shift) * (191, 255)
                joints = np.column_stack([seen, np.full(17, 0.8)])[None].astype(np.float32)
                expected_rows[name].append((i + 1, keypoints_from_crops(joints, window)[0]))
            true = expected_rows["a"][-1][1][:, :2] + rng.normal(0, 2.5, (17, 2))
            people.append(person(i + 1, (x, y, w, h), [tuple(p) for p in true.tolist()]))
    truth = write_truth(tmp_path / "t.json", {n: i + 1 for i, n in enumerate(boxes)}, people)
    make_pose(tmp_path / "a.onnx")
    make_pose(tmp_path / "b.onnx", STANDING + np.float32(0.03))
    code = _main(
        ["verify", tmp_path / "a.onnx", tmp_path / "b.onnx", "--truth", truth, "--report",
         tmp_path / "r.json", *(v for i in range(3) for v in ("--data", tmp_path / f"{i}.png"))]
    )  # fmt: skip
    assert code == 3
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["inputs"] == {
        "what": "9 crops of 3 pictures, boxes of t.json", "real": True, "count": 9,
    }  # fmt: skip
    points = [_points(truth, expected_rows[name]) for name in "ab"]
    assert points[0] != points[1]
    assert report["metrics"]["ap_reference"] == pytest.approx(points[0], abs=1e-3)
    assert report["metrics"]["ap_new"] == pytest.approx(points[1], abs=1e-3)
    assert report["metrics"]["ap_drop"] == pytest.approx(points[0] - points[1], abs=1e-3)
    step = 0.03 * np.hypot(191, 255)
    assert report["metrics"]["median_px"] == pytest.approx(step, rel=1e-4)
    scale = np.hypot(0.03 * 191, 0.03 * 255) * 120 * 1.25 / 256  # the crop is 150 px high
    assert report["metrics"]["frame_median_px"] == pytest.approx(scale, rel=1e-4)


def _points(truth: Path, rows: list[tuple[int, Any]]) -> float:
    coco = COCO(str(truth))
    results = [
        {"image_id": i, "category_id": 1, "keypoints": pose.astype(float).ravel().tolist(),
         "score": float(pose[:, 2].mean())}
        for i, pose in rows
    ]  # fmt: skip
    evaluation = COCOeval(coco, coco.loadRes(results), "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return 100 * float(evaluation.stats[0])


# ---------------------------------------------------------------- export verify


def _main(arguments: list[Any]) -> int:
    """Exit code of `python -m export` in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["export", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
    return int(stopped.value.code or 0)


def test_verify_on_the_command_line(tmp_path: Path) -> None:
    make_pose(tmp_path / "a.onnx")
    make_pose(tmp_path / "b.onnx", STANDING + np.float32(0.02))
    command = [sys.executable, "-m", "export", "verify", str(tmp_path / "a.onnx")]
    result = subprocess.run(
        [*command, str(tmp_path / "b.onnx")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 3, result.stderr
    assert "inputs were made by code" in result.stdout
    comparing, error = result.stderr.strip().splitlines()
    assert comparing.endswith("on 32 pictures made by code")
    assert error.startswith("error: parity: the new model differs from its reference: ")
    assert "median_px: expected at most 0.01, got 6.37" in error


def test_verify_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = make_action(tmp_path / "a.onnx")
    box = make_detector(tmp_path / "d.onnx", [[0, 0, 9, 9]])
    small = make_pose(tmp_path / "s.onnx", size=(64, 48))
    large = make_pose(tmp_path / "l.onnx")
    assert _main(["verify", one, one]) == 0
    assert "agreement" in capsys.readouterr().out
    for arguments, words in (
        ([one, box], "one task, got action and detector"),
        ([small, large], "same height in both models, got 64 and 256"),
        ([one, tmp_path / "none.onnx"], "cannot read it"),
        ([tmp_path / "x.pth", tmp_path / "y.pt"], "two checkpoints"),
        ([one, one, "--backend-b", "torch"], "no torch checkpoint"),
        ([one, one, "--bound", "median_px=1"], "drift_max"),
        ([one, one, "--report", tmp_path / "r.pdf"], r".json or .html"),
        ([one, one, "--data", tmp_path / "none.npz"], "none.npz"),
        ([large, large, "--data", tmp_path / "none.jpg"], "none.jpg"),
    ):
        assert _main(["verify", *arguments]) == 2, words
        said = capsys.readouterr().err
        assert words in said
        assert len(said.strip().splitlines()) == 1


def test_verify_finds_a_changed_action_model(tmp_path: Path) -> None:
    first = make_action(tmp_path / "a.onnx")
    _, model, manifest = load_model(first)
    change_tensor(model, lambda n: _is_scalar(model, n, 20.0), lambda v: v * np.float32(0.6))
    with pytest.raises(ParityError, match="drift_max"):
        run((model, manifest, open_model(first, task="action")), tmp_path / "b.onnx", gate())
    assert not (tmp_path / "b.onnx").exists()


def _is_scalar(model: onnx.ModelProto, name: str, value: float) -> bool:
    tensor = next(t for t in model.graph.initializer if t.name == name)
    array = numpy_helper.to_array(tensor)
    return bool(array.size == 1 and array.ravel()[0] == value)


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Layers as small as these are slower on two."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.needs_torch
@pytest.mark.usefixtures("one_torch_thread")
def test_verify_of_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A narrow HRNet with random weights beside its export, and beside that of other weights."""
    import torch

    from export.hrnet import HrnetOptions, build_graph
    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig

    options = HrnetOptions(
        size=(64, 64), geometry="udp", decode="quarter", source="random", licence="none"
    )
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = Hrnet(HrnetConfig(width=8)).eval()
        weights, output = tmp_path / f"{seed}.pth", tmp_path / f"{seed}.onnx"
        torch.save(network.state_dict(), weights)
        model, manifest = build_graph(network, options)
        write_model(model, manifest, output)
    assert _main(["verify", tmp_path / "0.pth", tmp_path / "0.onnx"]) == 0
    said = capsys.readouterr().out
    assert "on torch/cpu" in said
    assert "on onnxruntime/cpu" in said
    assert _main(["verify", tmp_path / "1.onnx", tmp_path / "0.pth"]) == 3
    capsys.readouterr()
    assert _main(["verify", make_action(tmp_path / "a.onnx"), tmp_path / "0.pth"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.needs_torch
@pytest.mark.usefixtures("one_torch_thread")
def test_verify_of_a_checkpoint_is_told_what_the_export_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """AlphaPose's pixels and DARK's kernel stand in no manifest; maps of 16 x 16 have no usual."""
    import torch

    from export.hrnet import HrnetOptions, build_graph
    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig

    torch.manual_seed(0)
    network = Hrnet(HrnetConfig(width=8)).eval()
    weights, output = tmp_path / "a.pth", tmp_path / "a.onnx"
    torch.save(network.state_dict(), weights)
    options = HrnetOptions(
        size=(64, 64), geometry="default", decode="dark", dark_kernel=3, alphapose=True,
        source="random", licence="none",
    )  # fmt: skip
    write_model(*build_graph(network, options), output)
    both, told = ["verify", weights, output], ["--dark-kernel", "3", "--alphapose"]
    assert _main([*both, *told]) == 0
    assert _main([*both, *told[:2]]) == 3  # HRNet's pixels
    for arguments, words in (
        ([*both], "--dark-kernel: expected the Gaussian's cells"),
        ([*both, *told, "--legacy"], "--legacy: expected a checkpoint of task detector"),
        ([*both, "--dark-kernel", "4"], "expected an odd number"),
        (["verify", output, output, "--alphapose"], "got no checkpoint"),
    ):
        capsys.readouterr()
        assert _main(arguments) == 2
        assert words in capsys.readouterr().err


def test_verify_of_a_checkpoint_without_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "export.torch_model", raising=False)
    assert _main(["verify", tmp_path / "a.pth", make_pose(tmp_path / "a.onnx")]) == 2
    assert "poseact-engine[train]" in capsys.readouterr().err


@pytest.mark.needs_openvino
def test_verify_on_two_backends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = foreign_heatmap(tmp_path / "f.onnx", POSE_SIZE, joints=17)
    export_pose(foreign, tmp_path / "p.onnx", pose_options())
    model = tmp_path / "p.onnx"
    assert _main(["verify", model, model, "--backend-b", "openvino"]) == 0
    assert "on openvino/cpu" in capsys.readouterr().out


def test_an_export_past_its_bound_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign = foreign_heatmap(tmp_path / "f.onnx", POSE_SIZE, joints=17)
    output, report = tmp_path / "p.onnx", tmp_path / "r.html"
    arguments = ["pose", "--onnx", foreign, "-o", output, "--layout", "heatmap", "--color", "bgr",
                 "--mean", "103.5,116.3,123.7", "--std", "57.4,57.1,58.4", "--scale", "1",
                 "--geometry", "default", "--expansion", "1.25", "--border", "0,0,0",
                 "--joints", "coco17", "--source", "made", "--licence", "none",
                 "--report", report]  # fmt: skip
    assert _main([*arguments, "--bound", "oks_mean=1.5"]) == 3
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "oks_mean: expected at least 1.5, got 1; " in error
    assert not output.exists()
    assert "failed" in report.read_text(encoding="utf-8")
    assert _main([*arguments, "--bound", "nonsense=1"]) == 2
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    assert output.is_file()
    assert "passed" in report.read_text(encoding="utf-8")
