# SPDX-License-Identifier: Apache-2.0
"""A foreign ONNX file, brought to opset 19, and the tools to put nodes before and behind it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

from poseact_engine.contract import IR_VERSION, OPSET, TensorSpec
from poseact_engine.errors import ExportError, ManifestError
from poseact_engine.manifest_io import load_proto

BATCH = "batch"
Dims = tuple[int | None, ...]


def load_foreign(path: Path) -> onnx.ModelProto:
    """The file's graph at opset 19, names prefixed with ``net/`` so that ours cannot meet them.

    Constants become initialisers (the checksum covers those), value infos are dropped (they may
    hold a fixed batch). Raises ExportError with the reason.
    """
    try:
        _, model = load_proto(path)
    except ManifestError as error:
        raise ExportError(str(error)) from error
    foreign = sorted({n.domain for n in model.graph.node} - {"", "ai.onnx"})
    if foreign:
        raise ExportError(
            f"{path}: expected operators of ai.onnx alone, got some of {', '.join(foreign)}; "
            "export the original network without a deployment toolkit's own operators"
        )
    model = _to_opset(model, path)
    named = {t.name for t in model.graph.initializer}
    inputs = [v for v in model.graph.input if v.name not in named]  # IR 3 lists the weights too
    del model.graph.input[:], model.graph.value_info[:]
    model.graph.input.extend(inputs)
    _constants_to_initialisers(model.graph)
    _require_fp32(model, path)
    prefixed: onnx.ModelProto = compose.add_prefix(model, "net/")
    return prefixed


def _to_opset(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    version = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    converted = model
    if version != OPSET:
        try:
            converted = version_converter.convert_version(model, OPSET)
        except Exception as error:  # the converter's C++ errors have no common Python class
            raise ExportError(
                f"{path}: expected a graph that can be brought from opset {version} to {OPSET}, "
                f"got: {error}; export the original network with opset {OPSET}"
            ) from error
    del converted.opset_import[:]
    converted.opset_import.append(helper.make_opsetid("", OPSET))
    converted.ir_version = IR_VERSION
    return converted


def _require_fp32(model: onnx.ModelProto, path: Path) -> None:
    other = sorted(
        TensorProto.DataType.Name(t.data_type)
        for t in model.graph.initializer
        if t.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT8)
    )
    if other:
        raise ExportError(f"{path}: expected fp32 weights, got {len(other)} tensors of {other[0]}")


def _constants_to_initialisers(graph: onnx.GraphProto) -> None:
    kept = []
    for node in graph.node:
        if node.op_type != "Constant":
            kept.append(node)
            continue
        value = helper.get_node_attr_value(node, node.attribute[0].name)
        array = numpy_helper.to_array(value) if isinstance(value, TensorProto) else _plain(value)
        graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)


def _plain(value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float64 else array


def dims_of(value: onnx.ValueInfoProto) -> Dims:
    """Sizes of a tensor; None where the file leaves one open."""
    shape = value.type.tensor_type.shape
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in shape.dim)


def value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    """A graph input or output as the contract wants it."""
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    return helper.make_tensor_value_info(spec.name, dtype, [BATCH, *spec.shape])


def initialisers(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    return {t.name: t for t in graph.initializer}


def prune(graph: onnx.GraphProto) -> None:
    """Drops nodes and initialisers that no output needs."""
    needed = {v.name for v in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(i for i in node.input if i)
            needed.update(_outer_names(node))
            kept.append(node)
    tensors = [t for t in graph.initializer if t.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(tensors)


def _outer_names(node: onnx.NodeProto) -> set[str]:
    """Names a node's branches and bodies read; some are their own, which does no harm."""
    inner = [n for a in node.attribute if a.HasField("g") for n in a.g.node]
    return {i for n in inner for i in n.input} | {name for n in inner for name in _outer_names(n)}


class GraphBuilder:
    """Makes nodes and constants with names of our own, in order; the caller places them.

    Owns what it made. Every method returns the name of the tensor made.
    """

    def __init__(self, prefix: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._prefix = prefix
        self._count = itertools.count()

    def constant(self, value: ArrayLike, dtype: type[np.generic] = np.float32) -> str:
        name = f"{self._prefix}/constant_{next(self._count)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def node(
        self, op: str, inputs: Sequence[str], *, output: str | None = None, **attributes: Any
    ) -> str:
        return self.split(op, inputs, outputs=[output], **attributes)[0]

    def split(
        self, op: str, inputs: Sequence[str], *, outputs: Sequence[str | None], **attributes: Any
    ) -> list[str]:
        """A node with several outputs; None asks for a name of its own."""
        names = [o or f"{self._prefix}/{op}_{next(self._count)}" for o in outputs]
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0], **attributes))
        return names


def assemble(
    model: onnx.ModelProto,
    *,
    front: GraphBuilder,
    back: GraphBuilder,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> None:
    """Puts the front before and the back behind the network (in place); the contract's ends."""
    graph = model.graph
    nodes = [*front.nodes, *graph.node, *back.nodes]
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend([*front.tensors, *back.tensors])
    graph.input.extend(map(value_info, inputs))
    graph.output.extend(map(value_info, outputs))
    prune(graph)
