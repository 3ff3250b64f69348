# SPDX-License-Identifier: Apache-2.0
"""YOLOX checkpoints to model files: ONNX Runtime against torch and a decoder written here."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from export.cli import app
from export.front import InputOptions
from export.package import pack
from export.yolox import FRONT, LEGACY_FRONT, YoloxOptions, build_graph, export_yolox
from poseact_engine.backends.base import Model, ModelFile
from poseact_engine.backends.registry import open_file, open_model
from poseact_engine.errors import ExportError, ManifestError, SourceError
from poseact_engine.manifest import DetectorManifest
from poseact_engine.manifest_io import read_manifest
from tests.foreign_models import pictures, prepared

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from export.torch_model import open_torch, torch_detector
    from poseact_engine.training.models.yolox import YOLOX_SIZES, Yolox, YoloxConfig
    from tests.lively import liven, scale

SIZE = (64, 96)
OPTIONS = YoloxOptions(size=SIZE, nms_iou=0.45, max_boxes=60, source="made by code", licence="none")

NEAR = 4e-5
"""Twice what rounding may do to a score."""


def network(config: Any = None, front: InputOptions = FRONT, size: tuple[int, int] = SIZE) -> Any:
    """Random weights, and boxes of sensible sizes whatever the scale of the pictures."""
    torch.manual_seed(0)
    net = liven(Yolox(config or YoloxConfig(depth=0.33, width=0.125, classes=3)))
    x = torch.from_numpy(batch_of(pictures(1, size), front))
    scale(net, net.head.reg_preds, x, 0.5)
    scale(net, [*net.head.obj_preds, *net.head.cls_preds], x, 2.0)
    return net


def batch_of(images: NDArray[np.uint8], front: InputOptions) -> NDArray[np.float32]:
    return np.concatenate([prepared(image, front) for image in images])


def decoded(
    net: Any, images: NDArray[np.uint8], front: InputOptions, person: int
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Boxes and scores of all candidates of each picture, in float64 (Ge et al. 2021)."""
    with torch.no_grad():
        raws = net(torch.from_numpy(batch_of(images, front))).double().numpy()
    grids = []
    for stride in (8, 16, 32):
        for y in range(images.shape[2] // stride):
            grids += [(x, y, stride) for x in range(images.shape[3] // stride)]
    cx, cy, stride = np.array(grids, np.float64).T[..., None]
    answers = []
    for raw in raws:
        centre = (raw[:, :2] + np.hstack([cx, cy])) * stride
        size = np.exp(raw[:, 2:4]) * stride
        boxes = np.hstack([centre - size / 2, centre + size / 2])
        answers.append((boxes, raw[:, 4] * raw[:, 5 + person]))
    return answers


def opened(net: Any, options: YoloxOptions) -> tuple[Model, DetectorManifest]:
    data, manifest = pack(*build_graph(net, options), Path("made.onnx"))
    return open_file(ModelFile(path=None, data=data, manifest=manifest), threads=1), manifest


def assert_best(found: tuple[NDArray[Any], ...], answers: Any) -> None:
    """Best first; candidates whose scores are within NEAR of a neighbour's may change places."""
    shares = []
    for boxes, scores, (expected, ranks) in zip(*found, answers, strict=True):
        order = np.argsort(-ranks, kind="stable")
        sorted_ranks = ranks[order][: len(scores) + 1]
        np.testing.assert_allclose(scores, sorted_ranks[: len(scores)], atol=NEAR / 2)
        gaps = -np.diff(sorted_ranks, prepend=np.inf)
        gaps = np.append(gaps, np.inf)[: len(scores) + 1]
        clear = (gaps[:-1] > NEAR) & (gaps[1:] > NEAR)
        shares.append(clear.mean())
        kept = order[: len(scores)]
        np.testing.assert_allclose(boxes[clear], expected[kept][clear], rtol=1e-6, atol=1e-2)
    assert np.mean(shares) > 0.9


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("person", [0, 2])
@pytest.mark.parametrize("depthwise", [False, True])
def test_boxes_are_torchs(legacy: bool, person: int, depthwise: bool) -> None:
    front = LEGACY_FRONT if legacy else FRONT
    net = network(YoloxConfig(depth=0.33, width=0.125, classes=3, depthwise=depthwise), front)
    options = dataclasses.replace(OPTIONS, legacy=legacy, person_class=person)
    model, manifest = opened(net, options)
    images = pictures(7, SIZE)
    answers = decoded(net, images, front, person)
    found = model.run(images)
    assert_best(found, answers)
    assert_best(torch_detector(net, manifest, front, person).run(images), answers)
    for batch in (0, 1, 3):
        part = model.run(images[:batch])
        assert part[0].shape == (batch, 60, 4)
        np.testing.assert_allclose(part[1], found[1][:batch], atol=NEAR / 2)


@pytest.mark.parametrize("name", ["nano", "tiny"])
def test_the_published_sizes(name: str) -> None:
    net = network(YOLOX_SIZES[name], size=(416, 416))
    options = dataclasses.replace(OPTIONS, size=(416, 416), max_boxes=300)
    model, manifest = opened(net, options)
    images = pictures(2, (416, 416))
    assert_best(model.run(images), decoded(net, images, FRONT, 0))
    assert (manifest.placement, manifest.border, manifest.nms_iou) == ("top_left", (114,) * 3, 0.45)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("yolox") / "yolox_nano.pth"
    torch.save({"model": network().state_dict()}, path)
    return path


def test_from_a_checkpoint_to_a_file(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "d.onnx"
    manifest = export_yolox(checkpoint, output, OPTIONS)
    assert manifest == read_manifest(output)
    images = pictures(3, SIZE)
    answers = decoded(network(), images, FRONT, 0)
    assert_best(open_model(output, task="detector").run(images), answers)
    assert_best(open_torch(checkpoint, manifest).run(images), answers)


def test_the_command(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "d.onnx"
    args = ["yolox", "--weights", str(checkpoint), "-o", str(output), "--source", "made"]
    with pytest.raises(ExportError, match="export yolox: expected --size, --licence too"):
        CliRunner().invoke(app, args, catch_exceptions=False)
    args += ["--licence", "none", "--size", "64x96", "--max-boxes", "50", "--nms-iou", "none"]
    args += ["--track-scores", "0.25,0.5,0.7"]
    result = CliRunner().invoke(app, [*args, "--legacy"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "detector 96x64, sha256" in result.output
    written = read_manifest(output)
    assert isinstance(written, DetectorManifest)
    assert (written.max_boxes, written.nms_iou) == (50, None)
    assert written.track_scores == (0.25, 0.5, 0.7)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"size": (64, 90)}, ExportError, "--size: expected multiples of 32"),
        ({"size": (0, 32)}, ExportError, "--size: expected multiples of 32"),
        ({"person_class": 3}, ExportError, "--person-class: expected 0 to 2, got 3"),
        ({"max_boxes": 200}, ExportError, "--max-boxes: expected at most the network's 126"),
        ({"max_boxes": 301}, ManifestError, "max_boxes"),
    ],
)
def test_options_that_do_not_fit(change: dict[str, Any], error: Any, words: str) -> None:
    net = network()
    with pytest.raises(error, match=words):
        build_graph(net, dataclasses.replace(OPTIONS, **change))


def test_weights_of_another_network(checkpoint: Path, tmp_path: Path) -> None:
    from export.hrnet import HrnetOptions, export_hrnet

    options = HrnetOptions(
        size=(64, 64), geometry="default", decode="quarter", source="made", licence="none"
    )
    with pytest.raises(SourceError, match="expected the weights of HRNet, got those of YOLOX"):
        export_hrnet(checkpoint, tmp_path / "p.onnx", options)
    assert not list(tmp_path.iterdir())
