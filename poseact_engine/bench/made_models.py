# SPDX-License-Identifier: Apache-2.0
"""Models by code for `poseact-bench pipeline`: known cost, no weights, the contracts kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from poseact_engine.contract import IR_VERSION, OPSET, contract_of
from poseact_engine.manifest import ActionManifest, DetectorManifest, Manifest, PoseManifest
from poseact_engine.manifest_io import attach
from poseact_engine.types import ACTIONS, COCO_JOINTS

PEOPLE = 5
SIDE = 320
POSE_HEIGHT, POSE_WIDTH = 256, 192
CHANNELS = 48
BLOCKS = 56
"""Depthwise and pointwise convolutions at a quarter of the crop's size.

Chosen for TinyPose's time, 9 ms a crop on a Zen 4 core, where 0.35 GFLOP of such plain layers take
2 ms: TinyPose spends the rest on shuffles, pooling and many small tensors.
"""
CLASSES = ACTIONS
MADE: dict[str, Any] = {
    "precision": "fp32",
    "target": "any",
    "source": "made by code for a benchmark",
    "licence": "Apache-2.0",
    "sha256": "",
}


class _Graph:
    """Nodes and weights in order."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(seed)

    def weight(self, values: Any) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str | None = None, **options: Any) -> str:
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **options))
        return name

    def conv(self, x: str, shape: tuple[int, int, int], *, stride: int = 1, group: int = 1) -> str:
        """Weights [out, in / group, k, k] that keep the spread of values; with ReLU."""
        out, into, size = shape
        spread = np.sqrt(2 / (into * size * size))
        values = self._random.normal(0, spread, (out, into, size, size)).astype(np.float32)
        pads = [size // 2] * 4
        y = self.node(
            "Conv", [x, self.weight(values)], pads=pads, strides=[stride] * 2, group=group
        )
        return self.node("Relu", [y])

    def finish(self, manifest: Manifest, path: Path) -> Path:
        contract = contract_of(manifest)
        kinds = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
        values = [
            helper.make_tensor_value_info(v.name, kinds[v.dtype], ["batch", *v.shape])
            for v in (contract.input, *contract.outputs)
        ]
        graph = helper.make_graph(
            self.nodes, manifest.task, values[:1], values[1:], initializer=self.weights
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        attach(model, manifest)
        onnx.save(model, str(path))
        return path


def make_detector(path: Path) -> Path:
    """Gives the same five boxes for every picture, whatever is in it."""
    g = _Graph()
    left = np.linspace(10, SIDE - 60, PEOPLE)
    boxes = np.stack([left, np.full(PEOPLE, 30), left + 45, np.full(PEOPLE, 150)], axis=1)
    batch = g.node("Shape", ["images"], start=0, end=1)
    for name, values in (("boxes", boxes), ("scores", np.linspace(0.9, 0.8, PEOPLE))):
        fixed = g.weight(values[None].astype(np.float32))
        ones = g.weight(np.ones(values.ndim, np.int64))
        g.node("Expand", [fixed, g.node("Concat", [batch, ones], axis=0)], name)
    manifest = DetectorManifest(
        task="detector",
        height=SIDE,
        width=SIDE,
        placement="top_left",
        border=(114, 114, 114),
        nms_iou=None,
        max_boxes=PEOPLE,
        track_scores=None,
        **MADE,
    )
    return g.finish(manifest, path)


def make_pose(path: Path) -> Path:
    """A depthwise network of TinyPose's cost whose heat maps mean nothing."""
    g = _Graph()
    x = g.node("Cast", ["crops"], to=TensorProto.FLOAT)
    x = g.node("Mul", [x, g.weight(np.float32(1 / 255))])
    x = g.conv(x, (CHANNELS, 3, 3), stride=2)
    x = g.conv(x, (CHANNELS, 1, 3), stride=2, group=CHANNELS)
    for _ in range(BLOCKS):
        x = g.conv(x, (CHANNELS, 1, 5), group=CHANNELS)
        x = g.conv(x, (CHANNELS, CHANNELS, 1))
    x = g.conv(x, (len(COCO_JOINTS), CHANNELS, 1))
    _decode(g, x)
    manifest = PoseManifest(
        task="pose",
        height=POSE_HEIGHT,
        width=POSE_WIDTH,
        geometry="default",
        expansion=1.25,
        border=(0, 0, 0),
        joints=COCO_JOINTS,
        decode="quarter",
        flip_test=False,
        **MADE,
    )
    return g.finish(manifest, path)


def _decode(g: _Graph, heat_maps: str) -> None:
    """The maximum's place, four crop pixels per heat-map pixel, and the maximum."""
    joints, columns = len(COCO_JOINTS), POSE_WIDTH // 4
    flat = g.node("Reshape", [heat_maps, g.weight(np.array([0, joints, -1]))])
    score = g.node("ReduceMax", [flat, g.weight(np.array([2]))], keepdims=1)
    best = g.node("ArgMax", [flat], axis=2, keepdims=1)
    wide = g.weight(np.array(columns))
    places = [g.node("Mod", [best, wide]), g.node("Div", [best, wide])]
    four = g.weight(np.float32(4))
    pixels = [
        g.node("Mul", [g.node("Cast", [place], to=TensorProto.FLOAT), four]) for place in places
    ]
    g.node("Concat", [*pixels, score], "keypoints", axis=2)


def make_action(path: Path) -> Path:
    """One linear layer and a softmax."""
    g = _Graph()
    length, joints = 9, len(COCO_JOINTS)
    flat = g.node("Reshape", ["windows", g.weight(np.array([0, -1]))])
    size = (length * joints * 3, len(CLASSES))
    values = np.random.default_rng(0).normal(0, 1e-4, size).astype(np.float32)
    g.node("Softmax", [g.node("MatMul", [flat, g.weight(values)])], "probabilities", axis=1)
    manifest = ActionManifest(
        task="action",
        joints=COCO_JOINTS,
        classes=CLASSES,
        length=length,
        rate=(30, 1),
        normalise="paper",
        **MADE,
    )
    return g.finish(manifest, path)
