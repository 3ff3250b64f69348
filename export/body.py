# SPDX-License-Identifier: Apache-2.0
"""Which nodes of a model file may leave fp32: the network's body.

The body is every node of the network itself that still has a layer with weights behind it. The last
such layers (of a pose network the one that makes the heat maps; of a detector the ones that make
scores and box sides) and all that follows stay fp32 in every precision, as does what the export put
before and behind the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx
from onnx import TensorProto, shape_inference

from poseact_engine.errors import ExportError
from poseact_engine.manifest import Task

_PREFIX: dict[Task, str] = {"detector": "net/", "pose": "net/", "action": "action/"}
_LAYERS = {"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN"}


@dataclass(frozen=True, slots=True)
class Body:
    """A graph's body; nodes are known by their first output."""

    nodes: frozenset[str]
    layers: tuple[str, ...]
    """The body's layers with weights, in the graph's order."""
    last: tuple[str, ...]
    """The network's last layers, which are not part of the body."""

    def __contains__(self, node: onnx.NodeProto) -> bool:
        return node.output[0] in self.nodes


def find_body(model: onnx.ModelProto, task: Task) -> Body:
    """Raises ExportError where the graph has no network by our names, or one with inner graphs."""
    graph, prefix = model.graph, _PREFIX[task]
    weights = {t.name for t in graph.initializer}
    network = [n for n in graph.node if n.output[0].startswith(prefix)]
    layers = [n for n in network if n.op_type in _LAYERS and weights.intersection(n.input)]
    if not layers:
        raise ExportError(
            f"precision: expected a network's layers, named {prefix}…, in the {task} graph, got "
            f"none among {len(graph.node)} nodes; make the file with `python -m export` first"
        )
    before = _upstream(network, layers)
    if task == "action":  # what normalises the windows bears the prefix, too
        before &= _downstream(network, layers)
    _refuse_inner_graphs(n for n in network if n.output[0] in before)
    names = [n.output[0] for n in layers]
    return Body(
        nodes=frozenset(before),
        layers=tuple(n for n in names if n in before),
        last=tuple(n for n in names if n not in before),
    )


def _upstream(network: list[onnx.NodeProto], layers: list[onnx.NodeProto]) -> set[str]:
    """Nodes with a layer behind them."""
    ends = {n.output[0] for n in layers}
    wanted: set[str] = set()
    found: set[str] = set()
    for node in reversed(network):
        inside = not wanted.isdisjoint(node.output)
        if inside:
            found.add(node.output[0])
        if inside or node.output[0] in ends:
            wanted.update(i for i in node.input if i)
    return found


def _downstream(network: list[onnx.NodeProto], layers: list[onnx.NodeProto]) -> set[str]:
    """The layers and the nodes with a layer before them."""
    found = {n.output[0] for n in layers}
    reached = {o for n in layers for o in n.output}
    for node in network:
        if not reached.isdisjoint(node.input):
            found.add(node.output[0])
            reached.update(node.output)
    return found


def _refuse_inner_graphs(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise ExportError(
                f"precision: expected a network without inner graphs, got {node.op_type} "
                f"{node.name or node.output[0]!r}; keep it in fp32"
            )


def element_types(model: onnx.ModelProto) -> dict[str, int]:
    """The ONNX element type of every tensor; raises ExportError where types do not fit."""
    try:
        inferred = shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except shape_inference.InferenceError as error:
        raise ExportError(f"precision: expected a graph whose types fit, got: {error}") from error
    graph = inferred.graph
    values = [*graph.value_info, *graph.input, *graph.output]
    found = {v.name: int(v.type.tensor_type.elem_type) for v in values}
    found.update({t.name: int(t.data_type) for t in graph.initializer})
    return found


def is_float(types: dict[str, int], tensor: str) -> bool:
    return types.get(tensor) == TensorProto.FLOAT
