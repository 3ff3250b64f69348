# SPDX-License-Identifier: Apache-2.0
"""The exported action graph in ONNX Runtime against torch, on windows of every kind."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from poseact_engine.errors import ExportError, ParityError, SourceError
from poseact_engine.manifest import ActionManifest
from poseact_engine.manifest_io import read_manifest
from tests.poses import CLASSES, random_windows

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from export import action as export_action
    from export.cli import app
    from export.finish import finish
    from export.parity.options import GateOptions
    from export.torch_model import torch_action
    from poseact_engine.training.checkpoint import (
        ActionCheckpoint,
        load_checkpoint,
        save_checkpoint,
    )
    from poseact_engine.training.keypoints import read_sequences
    from poseact_engine.training.models.lstm import ActionLstm, LstmConfig
    from poseact_engine.training.windows import cut_windows
    from poseact_engine.types import COCO_JOINTS

TOLERANCE = 1e-5
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def make_checkpoint(
    path: Path, *, normalise: Any = "body", hidden: int = 128, layers: int = 3, sharp: float = 15.0
) -> ActionCheckpoint:
    """Random weights, larger than fresh ones: answers as sure as a trained network's."""
    torch.manual_seed(hidden + layers)
    model = ActionLstm(LstmConfig(hidden=hidden, layers=layers, normalise=normalise))
    with torch.no_grad():
        for weight in model.lstm.parameters():
            weight.mul_(2)
        model.head.weight.mul_(sharp)
    model.fit_standardise(torch.from_numpy(random_windows(200, seed=0)))
    checkpoint = ActionCheckpoint(
        state=model.state_dict(),
        classes=CLASSES,
        joints=COCO_JOINTS,
        length=9,
        rate=(30, 1),
        normalise=normalise,
        hidden=hidden,
        layers=layers,
        training={},
    )
    save_checkpoint(checkpoint, path)
    return load_checkpoint(path)


def export(folder: Path, **options: Any) -> tuple[ActionCheckpoint, Run, Path]:
    checkpoint = make_checkpoint(folder / "a.pt", **options)
    path = folder / "a.onnx"
    export_action.export_action(folder / "a.pt", path, source="made", licence="none")
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return checkpoint, lambda windows: session.run(None, {"windows": windows})[0], path


def torch_answers(checkpoint: ActionCheckpoint, windows: NDArray[np.float32]) -> Any:
    return checkpoint.make_model().probabilities(torch.from_numpy(windows)).numpy()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[ActionCheckpoint, Run, Path]:
    return export(tmp_path_factory.mktemp("export"))


def test_it_equals_torch_on_made_people(exported: Any) -> None:
    checkpoint, run, _ = exported
    windows = random_windows(300, seed=11)
    found = run(windows)
    assert (found.dtype, found.shape) == (np.float32, (300, 6))
    np.testing.assert_allclose(found, torch_answers(checkpoint, windows), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert found.std(axis=0).max() > 0.1  # the answers differ, or this would show nothing


@pytest.mark.parametrize("missing", [0.3, 0.7, 0.95, 1.0])
def test_it_equals_torch_whatever_is_unseen(exported: Any, missing: float) -> None:
    checkpoint, run, _ = exported
    rng = np.random.default_rng(int(missing * 100))
    windows = random_windows(100, seed=12)
    windows[rng.random(windows.shape[:3]) < missing] = 0
    windows[rng.random(windows.shape[:2]) < 0.2] = 0
    found = run(windows)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, torch_answers(checkpoint, windows), rtol=0, atol=TOLERANCE)


def test_it_equals_torch_on_real_poses(exported: Any, data_dir: Path) -> None:
    checkpoint, run, _ = exported
    windows = cut_windows(read_sequences([data_dir / "keypoints" / "real_poses.npz"]))
    poses = windows.poses_px[::20]
    assert len(poses) > 2000
    expected = torch_answers(checkpoint, poses)
    np.testing.assert_allclose(run(poses), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "options", [{"normalise": "paper", "sharp": 3.0}, {"hidden": 24, "layers": 1}]
)
def test_other_networks_equal_torch_too(tmp_path: Path, options: dict[str, Any]) -> None:
    checkpoint, run, path = export(tmp_path, **options)
    windows = random_windows(60, seed=13)
    np.testing.assert_allclose(
        run(windows), torch_answers(checkpoint, windows), rtol=0, atol=TOLERANCE
    )
    manifest = read_manifest(path)
    assert isinstance(manifest, ActionManifest)
    assert manifest.normalise == checkpoint.normalise


def test_any_number_of_windows_none_included(exported: Any) -> None:
    _, run, _ = exported
    windows = random_windows(7, seed=14)
    assert run(windows[:0]).shape == (0, 6)
    np.testing.assert_allclose(
        np.concatenate([run(w[None]) for w in windows]), run(windows), atol=1e-6
    )


@pytest.mark.parametrize("scale", [0.5, 0.8, 3.0])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (1500.25, -340.5)])
def test_neither_place_nor_size_changes_an_answer(
    exported: Any, scale: float, shift: tuple[float, float]
) -> None:
    _, run, _ = exported
    windows = random_windows(200, seed=15)
    moved = windows.copy()
    moved[..., :2] = windows[..., :2].astype(np.float64) * scale + shift
    moved[windows[..., 2] == 0] = 0
    assert np.abs(run(moved) - run(windows)).max() <= 1e-4


def test_the_manifest_says_what_the_model_is(exported: Any) -> None:
    checkpoint, _, path = exported
    manifest = read_manifest(path)
    assert isinstance(manifest, ActionManifest)
    assert (manifest.classes, manifest.joints) == (CLASSES, COCO_JOINTS)
    assert (manifest.length, manifest.rate, manifest.precision) == (9, (30, 1), "fp32")
    assert (manifest.source, manifest.licence) == ("made", "none")
    assert len(manifest.sha256) == 64
    assert checkpoint.normalise == manifest.normalise == "body"


def test_a_graph_that_differs_is_not_written(exported: Any, tmp_path: Path) -> None:
    checkpoint, _, _ = exported
    manifest = export_action.make_manifest(checkpoint, source="made", licence="none")
    model = export_action.build_graph(checkpoint, manifest)
    other = torch_action(make_checkpoint(tmp_path / "other.pt", sharp=14.5), manifest)
    output = tmp_path / "b.onnx"
    with pytest.raises(ParityError, match="drift_max: expected at most 1e-05, got"):
        finish(model, manifest, output, reference=other, precision=None, gate=GateOptions())
    assert not output.exists()


def test_the_command(exported: Any, tmp_path: Path) -> None:
    _, _, path = exported
    output = tmp_path / "b.onnx"
    rest = ["--weights", str(path.with_suffix(".pt")), "-o", str(output)]
    for name in ("lstm", "action"):
        args = [name, *rest]
        result = CliRunner().invoke(app, [*args, "--source", "made", "--licence", "none"])
        assert result.exit_code == 0, result.output
        assert output.read_bytes() == path.read_bytes()  # the same weights, the same file
        output.unlink()
    with pytest.raises(ExportError, match="expected --source, --licence too"):
        CliRunner().invoke(app, args, catch_exceptions=False)
    with pytest.raises(SourceError, match="no such checkpoint"):
        export_action.export_action(tmp_path / "x.pt", output, source="made", licence="none")
