# SPDX-License-Identifier: Apache-2.0
"""Model files to build engines of: whole networks with random weights, and odd little graphs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export.graph import GraphBuilder
from export.package import write_model
from poseact_engine.manifest import Manifest
from poseact_engine.manifest_io import read_manifest
from poseact_engine.types import COCO_JOINTS
from tests.models import make_detector


def hrnet_w32() -> tuple[onnx.ModelProto, Manifest]:
    import torch

    from export.hrnet import HrnetOptions, build_graph
    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig

    torch.manual_seed(0)
    options = HrnetOptions(
        size=(256, 192), geometry="default", decode="quarter", source="made", licence="none"
    )
    return build_graph(Hrnet(HrnetConfig(width=32)).eval(), options)


def yolox_tiny() -> tuple[onnx.ModelProto, Manifest]:
    import torch

    from export.yolox import YoloxOptions, build_graph
    from poseact_engine.training.models.yolox import YOLOX_SIZES, Yolox

    torch.manual_seed(0)
    options = YoloxOptions(
        size=(416, 416), nms_iou=0.45, max_boxes=300, source="made", licence="none"
    )
    return build_graph(Yolox(YOLOX_SIZES["tiny"]).eval(), options)


def lstm() -> tuple[onnx.ModelProto, Manifest]:
    import torch

    from export.action import build_graph, make_manifest
    from poseact_engine.training.checkpoint import ActionCheckpoint
    from poseact_engine.training.models.lstm import ActionLstm, LstmConfig
    from tests.poses import CLASSES, random_windows

    torch.manual_seed(0)
    model = ActionLstm(LstmConfig(hidden=128, layers=3, normalise="body"))
    model.fit_standardise(torch.from_numpy(random_windows(50, seed=0)))
    checkpoint = ActionCheckpoint(
        state=model.state_dict(), classes=CLASSES, joints=COCO_JOINTS, length=9, rate=(30, 1),
        normalise="body", hidden=128, layers=3, training={},
    )  # fmt: skip
    manifest = make_manifest(checkpoint, source="made", licence="none")
    return build_graph(checkpoint, manifest), manifest


NETWORKS = {"hrnet": hrnet_w32, "yolox": yolox_tiny, "lstm": lstm}


def in_precision(
    name: str, model: onnx.ModelProto, manifest: Manifest, precision: Any, folder: Path
) -> Path:
    """The network's model file; int8 calibrated on noise, all layers, since none is scored."""
    import cv2

    from export.precision import PrecisionOptions, convert
    from poseact_engine.evaluation.inputs import DataOptions

    if precision != "int8":
        options = PrecisionOptions(precision=precision)
    else:
        (folder / "images").mkdir(exist_ok=True)
        noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "images" / "noise.png"), noise)
        options = PrecisionOptions(
            precision="int8", target="tensorrt", least_db=0.0, method="minmax",
            calibration=DataOptions(data=(folder / "images",)),
        )  # fmt: skip
    path = folder / f"{name}_{precision}.onnx"
    write_model(*convert(model, manifest, options), path)
    return path


def quantised(path: Path, kind: Any, target: Any) -> Path:
    """A detector whose scores go through a Q/DQ pair of a kind."""
    model = onnx.load(str(make_detector(path, [(0, 0, 1, 1)])))
    manifest = dataclasses.replace(read_manifest(path), precision="int8", target=target)
    node = next(n for n in model.graph.node if n.output[0] == "scores")
    node.name = node.output[0] = "made/scores"
    b = GraphBuilder("q")
    scale, zero = b.constant(0.01), b.constant(0, kind)
    q = b.node("QuantizeLinear", ["made/scores", scale, zero])
    b.node("DequantizeLinear", [q, scale, zero], output="scores")
    model.graph.node.extend(b.nodes)
    model.graph.initializer.extend(b.tensors)
    write_model(model, manifest, path)
    return path
