# SPDX-License-Identifier: Apache-2.0
"""Networks as others export them, made by code: random weights, old opsets, fixed batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from export.front import InputOptions


class Net:
    """Collects nodes and weights of a foreign graph; the names are as careless as real ones."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def node(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0]

    def constant(self, value: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        tensor = numpy_helper.from_array(np.asarray(value, dtype))
        return self.node("Constant", value=tensor)

    def weight(self, *shape: int, scale: float) -> str:
        name = f"w{len(self.weights)}"
        values = self.rng.normal(0, scale, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, x: str, channels: tuple[int, int], stride: int, *, scale: float) -> str:
        """A convolution whose kernel is its stride, without padding."""
        kernel = self.weight(channels[1], channels[0], stride, stride, scale=scale)
        bias = self.weight(channels[1], scale=scale)
        return self.node("Conv", x, kernel, bias, kernel_shape=[stride] * 2, strides=[stride] * 2)

    def save(
        self, path: Path, image: list[Any], outputs: dict[str, str], *, opset: int, ir: int = 6
    ) -> Path:
        """``outputs``: name to tensor. With IR 3 the weights are inputs, too, as they were then."""
        for name, tensor in outputs.items():
            self.nodes.append(helper.make_node("Identity", [tensor], [name]))
        values = [helper.make_tensor_value_info("images", TensorProto.FLOAT, image)]
        if ir == 3:
            values += [
                helper.make_tensor_value_info(w.name, w.data_type, list(w.dims))
                for w in self.weights
            ]
        ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
        graph = helper.make_graph(self.nodes, "foreign", values, ends, self.weights)
        ids = [helper.make_opsetid("", opset)]
        onnx.save(helper.make_model(graph, opset_imports=ids, ir_version=ir), str(path))
        return path


def foreign_yolox(
    path: Path, size: tuple[int, int], *, classes: int, opset: int = 11, ir: int = 6
) -> Path:
    """YOLOX's head: strides 8, 16, 32, sigmoid inside, boxes not decoded, batch fixed to 1."""
    net, channels = Net(1), 5 + classes
    levels = []
    for stride in (8, 16, 32):
        raw = net.conv("images", (3, channels), stride, scale=0.2 / stride)
        box = net.node("Slice", raw, *_bounds(net, 0, 4, 1))
        rest = net.node("Sigmoid", net.node("Slice", raw, *_bounds(net, 4, channels, 1)))
        both = net.node("Concat", box, rest, axis=1)
        levels.append(net.node("Reshape", both, net.constant([1, channels, -1], np.int64)))
    joined = net.node("Concat", *levels, axis=2)
    out = net.node("Transpose", joined, perm=[0, 2, 1])
    return net.save(path, [1, 3, *size], {"output": out}, opset=opset, ir=ir)


def _bounds(net: Net, first: int, last: int, axis: int) -> list[str]:
    return [net.constant([v], np.int64) for v in (first, last, axis)]


def foreign_rtmdet(path: Path, *, classes: int, suppression: bool = True) -> Path:
    """A detector as mmdeploy writes it: sizes open, anchors from shape arithmetic, the best chosen,
    a threshold that works for one picture alone, and suppression; or just boxes and scores."""
    net, stride = Net(2), 16
    features = net.node("Relu", net.conv("images", (3, 8), stride, scale=0.1))
    distance = net.node("Relu", net.conv(features, (8, 4), 1, scale=8.0))
    scores = net.node("Sigmoid", net.conv(features, (8, classes), 1, scale=1.0))
    shape = net.node("Shape", features)
    rows, columns = (net.node("Gather", shape, net.constant(i, np.int64)) for i in (2, 3))
    flat = [net.node("Transpose", t, perm=[0, 2, 3, 1]) for t in (distance, scores)]
    batch = net.node("Gather", shape, net.constant([0], np.int64))
    shapes = [
        net.node("Concat", batch, net.constant([-1, n], np.int64), axis=0) for n in (4, classes)
    ]
    far, scores = (net.node("Reshape", t, s) for t, s in zip(flat, shapes, strict=True))
    centre = net.node("Mul", _cells(net, rows, columns), net.constant(float(stride)))
    near, away = (net.node("Slice", far, *_bounds(net, i, i + 2, 2)) for i in (0, 2))
    boxes = net.node("Concat", net.node("Sub", centre, near), net.node("Add", centre, away), axis=2)
    if not suppression:
        ends = {"boxes": boxes, "scores": scores}
        return net.save(path, ["n", 3, "h", "w"], ends, opset=11)
    best = net.node("ReduceMax", scores, axes=[1], keepdims=0)
    seen = net.node("Not", net.node("Less", best, net.constant(0.05)))
    kept = net.node("Where", seen, scores, net.constant([0.0]))
    boxes, kept = _choose(net, boxes, kept, classes)
    limits = [net.constant([200], np.int64), net.constant([0.6]), net.constant([0.05])]
    chosen = net.node(
        "NonMaxSuppression", boxes, net.node("Transpose", kept, perm=[0, 2, 1]), *limits
    )
    rows_kept = net.node("Gather", chosen, net.constant(2, np.int64), axis=1)
    dets = net.node("Gather", boxes, rows_kept, axis=1)
    return net.save(path, ["n", 3, "h", "w"], {"dets": dets}, opset=11)


def _cells(net: Net, rows: str, columns: str) -> str:
    """[1, rows * columns, 2] of column and row, by Range and Expand."""
    zero, one = net.constant(0, np.int64), net.constant(1, np.int64)
    y, x = (net.node("Range", zero, n, one) for n in (rows, columns))
    ends = [net.node("Unsqueeze", n, axes=[0]) for n in (rows, columns)]
    grid = net.node("Concat", *ends, axis=0)
    y = net.node("Expand", net.node("Unsqueeze", y, axes=[1]), grid)
    x = net.node("Expand", net.node("Unsqueeze", x, axes=[0]), grid)
    flat = [net.node("Reshape", t, net.constant([1, -1, 1], np.int64)) for t in (x, y)]
    return net.node("Cast", net.node("Concat", *flat, axis=2), to=TensorProto.FLOAT)


def _choose(net: Net, boxes: str, scores: str, classes: int) -> tuple[str, str]:
    """The best few of [B, A, ...], by a Gather over the flattened batch."""
    best = net.node("ReduceMax", scores, axes=[-1], keepdims=0)
    net.node("TopK", best, net.constant([20], np.int64), outputs=2, axis=1)
    index = net.nodes[-1].output[1]
    shape = net.node("Shape", boxes)
    batch, anchors = (net.node("Gather", shape, net.constant(i, np.int64)) for i in (0, 1))
    rows = net.node("Range", net.constant(0, np.int64), batch, net.constant(1, np.int64))
    rows = net.node("Mul", net.node("Reshape", rows, net.constant([-1, 1], np.int64)), anchors)
    index = net.node("Add", index, rows)
    chosen = []
    for tensor, width in ((boxes, 4), (scores, classes)):
        flat = net.node("Flatten", tensor, axis=2)
        size = net.node("Concat", net.node("Shape", index), net.constant([width], np.int64), axis=0)
        chosen.append(net.node("Reshape", net.node("Gather", flat, index, axis=0), size))
    return chosen[0], chosen[1]


def foreign_heatmap(path: Path, size: tuple[int, int], *, joints: int) -> Path:
    """Heat maps a quarter of the input wide, behind a channel shuffle for a batch of 1 alone."""
    net, rows, columns = Net(3), size[0] // 4, size[1] // 4
    x = net.conv("images", (3, 8), 4, scale=0.05)
    for shape in ([1, 2, 4, rows, columns], [1, 8, rows, columns]):
        x = net.node("Reshape", x, net.constant(shape, np.int64))
        if len(shape) == 5:
            x = net.node("Transpose", x, perm=[0, 2, 1, 3, 4])
    small = net.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    none, sizes = net.constant([]), net.constant([1, 8, rows, columns], np.int64)
    x = net.node("Add", x, net.node("Resize", small, none, none, sizes, mode="nearest"))
    maps = net.conv(x, (8, joints), 1, scale=0.3)
    return net.save(path, [1, 3, *size], {"heatmaps": maps}, opset=11)


def picture_heatmap(path: Path, *, opset: int = 13) -> Path:
    """A network whose three heat maps are the picture's channels, averaged over 4 x 4 pixels."""
    net = Net()
    maps = net.node("AveragePool", "images", kernel_shape=[4, 4], strides=[4, 4])
    return net.save(path, ["n", 3, "h", "w"], {"heatmaps": maps}, opset=opset)


def foreign_simcc(
    path: Path, size: tuple[int, int], *, joints: int, ratio: int = 2, y_first: bool = False
) -> Path:
    """RTMPose's head: one classification along x, one along y, ``ratio`` classes per pixel."""
    net, cells = Net(4), (size[0] // 16) * (size[1] // 16)
    x = net.conv("images", (3, joints), 16, scale=0.02)
    flat = net.node("Reshape", x, net.constant([1, joints, cells], np.int64))
    ends = {
        name: net.node("MatMul", flat, net.weight(cells, pixels * ratio, scale=0.3))
        for name, pixels in (("simcc_x", size[1]), ("simcc_y", size[0]))
    }
    if y_first:
        ends = dict(reversed(ends.items()))
    return net.save(path, [1, 3, *size], ends, opset=17, ir=8)


# ---------------------------------------------------------------- as others run them


def pictures(count: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Noise at several scales, so that neither boxes nor scores are all alike."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (count, 3, size[0] // 8, size[1] // 8))
    fine = rng.integers(-40, 40, (count, 3, *size))
    mixed = coarse.repeat(8, axis=2).repeat(8, axis=3) + fine
    return np.clip(mixed, 0, 255).astype(np.uint8)


def prepared(rgb: NDArray[np.uint8], options: InputOptions) -> NDArray[np.float32]:
    """What the foreign network expects of one uint8 RGB picture [3, H, W]."""
    ordered = rgb[::-1] if options.color == "bgr" else rgb
    mean, std = (np.reshape(v, (3, 1, 1)) for v in (options.mean, options.std))
    return ((ordered * options.scale - mean) / std)[None].astype(np.float32)


def run(path: Path, x: NDArray[np.float32], outputs: list[str] | None = None) -> list[Any]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return list(session.run(outputs, {session.get_inputs()[0].name: x}))
