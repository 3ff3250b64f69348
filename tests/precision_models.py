# SPDX-License-Identifier: Apache-2.0
"""A small pose network with every kind of edge that precision conversion meets, as a model file's
graph; and how numbers look inside one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, shape_inference

from export.calibration import with_outputs
from export.front import InputOptions
from export.pose import PoseOptions, export_pose
from export.verify import open_session
from poseact_engine.evaluation.made import made_pictures
from poseact_engine.manifest import PoseManifest
from poseact_engine.manifest_io import load_model

SIZE = 64
JOINTS = ("head", "hand", "foot")
LAYERS = 7
"""Of the small network, without its last one."""


def small_pose(folder: Path) -> tuple[onnx.ModelProto, PoseManifest]:
    """64 x 64 pictures to 3 joints; residual sum, depthwise, batch normalisation, two sizes."""
    onnx.save(_raw(), folder / "raw.onnx")
    options = PoseOptions(
        layout="heatmap",
        input=InputOptions(
            color="rgb",
            mean=(0.45, 0.5, 0.4),
            std=(0.25,) * 3,
            scale=1 / 255,
            border=(0, 0, 0),
            size=None,
        ),
        geometry="default",
        expansion=1.25,
        joints=JOINTS,
        source="made by code",
        licence="none",
    )
    export_pose(folder / "raw.onnx", folder / "small.onnx", options)
    _, model, manifest = load_model(folder / "small.onnx")
    assert isinstance(manifest, PoseManifest)
    return model, manifest


class _Raw:
    """A graph with foreign names and He's random weights, node by node."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(7)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []

    def constant(self, value: Any, name: str, dtype: Any = np.float32) -> str:
        self.tensors.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(self, op: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv(
        self, source: str, shape: tuple[int, int], name: str, *, kernel: int = 3, stride: int = 1,
        groups: int = 1, bias: bool = True,
    ) -> str:  # fmt: skip
        before, after = shape
        fan = before // groups * kernel**2
        weight = self.rng.normal(0, (2 / fan) ** 0.5, (after, before // groups, kernel, kernel))
        inputs = [source, self.constant(weight, f"{name}.weight")]
        if bias:
            inputs.append(self.constant(self.rng.normal(0, 0.1, after), f"{name}.bias"))
        return self.node(
            "Conv", inputs, name, kernel_shape=[kernel] * 2, strides=[stride] * 2,
            pads=[kernel // 2] * 4, group=groups,
        )  # fmt: skip


def _raw() -> onnx.ModelProto:
    g = _Raw()
    stem = g.node("Relu", [g.conv("image", (3, 8), "stem", stride=2)], "stem.relu")
    wide = g.conv(stem, (8, 16), "wide", stride=2, bias=False)
    norm = [g.constant(g.rng.uniform(0.5, 1.5, 16), f"norm.{n}") for n in ("scale", "b", "m", "v")]
    wide = g.node("BatchNormalization", [wide, *norm], "norm")
    wide = g.node("Clip", [wide, g.constant(0, "low"), g.constant(3e38, "high")], "norm.clip")
    first = g.node("Relu", [g.conv(wide, (16, 16), "first")], "first.relu")
    each = g.conv(first, (16, 16), "each", groups=16, bias=False)
    each = g.node(
        "Add", [each, g.constant(g.rng.normal(0, 0.1, (1, 16, 1, 1)), "shift")], "shifted"
    )
    total = g.node("Relu", [g.node("Add", [each, wide], "sum")], "sum.relu")
    half = g.conv(total, (16, 8), "half", stride=2)
    scales = g.constant([1, 1, 2, 2], "scales")
    large = g.node("Resize", [half, "", scales], "large", mode="nearest",
                   coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
    pool = g.node("MaxPool", [total], "pool", kernel_shape=[3, 3], pads=[1] * 4)
    both = g.node("Concat", [large, pool], "both", axis=1)
    gate = g.conv(both, (24, 16), "gate", kernel=1)
    lit = g.node("Mul", [gate, g.node("Sigmoid", [gate], "sigmoid")], "silu")
    last = g.node("Relu", [g.conv(lit, (16, 16), "last")], "last.relu")
    maps = g.conv(last, (16, len(JOINTS)), "maps", kernel=1)
    graph = helper.make_graph(
        g.nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info(maps, TensorProto.FLOAT, ["n", len(JOINTS), 16, 16])],
        g.tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def pictures(count: int = 8, *, seed: int = 3, size: tuple[int, int] = (SIZE, SIZE)) -> Any:
    return made_pictures(count, *size, seed=seed)


def write_pictures(folder: Path, images: NDArray[np.uint8]) -> Path:
    """PNG files of uint8 [N, 3, H, W] RGB."""
    folder.mkdir()
    for i, image in enumerate(images):
        cv2.imwrite(
            str(folder / f"{i:03}.png"), np.ascontiguousarray(image.transpose(1, 2, 0)[..., ::-1])
        )
    return folder


def inside(model: onnx.ModelProto, names: Sequence[str], batch: NDArray[Any]) -> list[NDArray[Any]]:
    """Tensors of a graph as ONNX Runtime computes them, with all its optimisations."""
    session = open_session(with_outputs(model, list(names)))
    values: list[NDArray[Any]] = session.run(list(names), {model.graph.input[0].name: batch})
    return values


def decibels(reference: NDArray[Any], got: NDArray[Any]) -> float:
    noise = np.mean((np.asarray(got, np.float64) - reference) ** 2)
    return float(10 * np.log10(np.mean(np.asarray(reference, np.float64) ** 2) / max(noise, 1e-30)))


def kinds(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every tensor, inferred by ONNX in its strict mode."""
    graph = shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    found = {v.name: int(v.type.tensor_type.elem_type) for v in values}
    return found | {t.name: int(t.data_type) for t in graph.initializer}


def parse_with_tensorrt(model: onnx.ModelProto) -> list[str]:
    """What TensorRT for RTX has against the graph, strongly typed; parsing needs no GPU."""
    import tensorrt_rtx_bindings as trt

    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, trt.Logger(trt.Logger.ERROR))
    parsed = parser.parse(model.SerializeToString())
    errors = [str(parser.get_error(i)) for i in range(parser.num_errors)]
    return errors if errors or parsed else ["not parsed"]
