# SPDX-License-Identifier: Apache-2.0
"""Adapted graphs with their originals, whole and damaged, for the tests of the parity gate."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.detector import DetectorOptions, export_detector
from export.finish import finish
from export.foreign_model import ForeignDetector, ForeignPose
from export.front import InputOptions
from export.parity.options import GateOptions
from export.pose import PoseOptions, export_pose
from poseact_engine.backends.base import Model
from poseact_engine.manifest import Manifest
from poseact_engine.manifest_io import load_model
from poseact_engine.types import COCO_JOINTS
from tests.foreign_models import foreign_heatmap, foreign_yolox

FRONT = InputOptions(
    color="bgr", mean=(103.5, 116.3, 123.7), std=(57.4, 57.1, 58.4), scale=1.0, border=(0, 0, 0),
    size=None,
)  # fmt: skip
POSE_SIZE = (64, 48)


def pose_options(layout: Any = "heatmap", **changes: Any) -> PoseOptions:
    made = PoseOptions(
        layout=layout, input=FRONT, geometry="default", expansion=1.25, joints=COCO_JOINTS,
        source="made by code", licence="none",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


def detector_options(layout: Any, size: tuple[int, int], classes: int) -> DetectorOptions:
    return DetectorOptions(
        layout=layout, input=dataclasses.replace(FRONT, size=size), letterbox="top_left",
        nms_iou=0.6, max_boxes=20, person_class=classes - 1, source="made by code", licence="none",
    )  # fmt: skip


Case = tuple[onnx.ModelProto, Manifest, Model]


def pose_case(folder: Path) -> Case:
    """The adapted graph, its manifest, and the original as its reference."""
    foreign = foreign_heatmap(folder / "f.onnx", POSE_SIZE, joints=17)
    manifest = export_pose(foreign, folder / "p.onnx", pose_options())
    _, model, _ = load_model(folder / "p.onnx")
    return model, manifest, ForeignPose(foreign, manifest, FRONT)


def detector_case(folder: Path) -> Case:
    size = (64, 96)
    foreign = foreign_yolox(folder / "f.onnx", size, classes=3)
    manifest = export_detector(foreign, folder / "d.onnx", detector_options("yolox", size, 3))
    _, model, _ = load_model(folder / "d.onnx")
    reference = ForeignDetector(foreign, manifest, FRONT, layout="yolox", person_class=2)
    return model, manifest, reference


def gate(report: Path | None = None, **bounds: float) -> GateOptions:
    return GateOptions(bounds=tuple(bounds.items()), report=report)


def run(
    case: Case, output: Path, options: GateOptions, model: onnx.ModelProto | None = None
) -> None:
    finish(
        model or case[0], case[1], output, reference=case[2], precision=None, gate=options,
    )  # fmt: skip


# ---------------------------------------------------------------- damages


def change_tensor(model: onnx.ModelProto, name: Callable[[str], bool], change: Any) -> None:
    tensor = next(t for t in model.graph.initializer if name(t.name))
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))


def one_weight(model: onnx.ModelProto) -> None:
    def change(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        found = values.copy()
        found.flat[0] += 5 * np.abs(values).max()
        return found

    change_tensor(model, lambda n: n.startswith("net/w0"), change)


def not_a_number(model: onnx.ModelProto) -> None:
    def change(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        found = values.copy()
        found.flat[0] = np.nan
        return found

    change_tensor(model, lambda n: n.startswith("net/w0"), change)


def swapped_outputs(model: onnx.ModelProto) -> None:
    """Joints 5 and 6 change places."""
    last = [t.name for t in model.graph.initializer if t.name.startswith("net/w")][-2:]
    order = np.arange(17)
    order[[5, 6]] = [6, 5]
    for name in last:
        change_tensor(model, lambda n, name=name: n == name, lambda v: v[order])  # type: ignore[misc]


def shifted_maps(model: onnx.ModelProto) -> None:
    """What the decoding reads lies one cell further right; the first column comes twice."""
    graph = model.graph
    maps = next(n.input[0] for n in graph.node if n.output[0].startswith("decode/Reshape"))
    columns = np.maximum(np.arange(POSE_SIZE[1] // 4) - 1, 0)
    graph.initializer.append(numpy_helper.from_array(columns, "damage/columns"))
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == maps and node.output[0].startswith("decode/"):
                node.input[i] = "damage/maps"
    at = next(i for i, n in enumerate(graph.node) if n.output[0].startswith("decode/"))
    shift = helper.make_node("Gather", [maps, "damage/columns"], ["damage/maps"], axis=3)
    graph.node.insert(at, shift)


def other_colors(model: onnx.ModelProto) -> None:
    tensor = next(
        t for t in model.graph.initializer
        if t.name.startswith("front/") and t.data_type == onnx.TensorProto.INT64
    )  # fmt: skip
    tensor.CopyFrom(numpy_helper.from_array(np.array([0, 1, 2]), tensor.name))


def other_std(model: onnx.ModelProto) -> None:
    change_tensor(
        model,
        lambda n: n.startswith("front/") and _floats(model, n),
        lambda v: (v * 1.2).astype(np.float32),
    )


def _floats(model: onnx.ModelProto, name: str) -> bool:
    return any(t.name == name and t.data_type == onnx.TensorProto.FLOAT
               for t in model.graph.initializer)  # fmt: skip


DAMAGES: list[tuple[str, Callable[[onnx.ModelProto], None]]] = [
    ("pose", one_weight),
    ("pose", not_a_number),
    ("pose", swapped_outputs),
    ("pose", shifted_maps),
    ("pose", other_colors),
    ("pose", other_std),
    ("detector", one_weight),
    ("detector", not_a_number),
    ("detector", other_colors),
    ("detector", other_std),
]
