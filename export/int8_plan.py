# SPDX-License-Identifier: Apache-2.0
"""Where a graph is quantised: which nodes compute in int8, which tensors are rounded to it.

cpu: ONNX Runtime computes a node in int8 only where all it reads and makes is quantised, so every
tensor between two such nodes is, and what does not compute but moves values (MaxPool, Resize, …)
keeps the scale of what it moves. tensorrt: the inputs of layers with weights are quantised, and of
a sum the side that does not come straight from a convolution, with which it is fused (NVIDIA,
"Working with Quantized Types" of the TensorRT documentation).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import onnx

from export.body import Body, element_types, is_float
from export.graph import initialisers

Int8Target = Literal["cpu", "tensorrt"]

_COMPUTE = {"Add", "Mul", "Concat", "Sigmoid", "LeakyRelu", "AveragePool", "GlobalAveragePool"}
_MOVE = {
    "MaxPool", "Resize", "Reshape", "Transpose", "Slice", "Gather", "Split", "Squeeze",
    "Unsqueeze", "Flatten", "Identity",
}  # fmt: skip
_FUSED = {"Relu", "Clip"}
_SWISH_FLOOR = -8.0
"""x * sigmoid(x) is within 0.003 of 0 below this, so steps spent there are lost to the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What ``int8.quantise`` does to a graph; nodes are known by their first output."""

    layers: tuple[str, ...]
    """Layers with weights that compute in int8."""
    sources: dict[str, str]
    """Tensors that are quantised, in order, and the tensor whose range each has."""
    reads: frozenset[tuple[str, int]]
    """Inputs (node, place) that read the quantised tensor."""


@dataclass(slots=True)
class _Wires:
    """Who makes and who reads each tensor."""

    graph: onnx.GraphProto
    makers: dict[str, onnx.NodeProto] = field(default_factory=dict)
    readers: dict[str, list[tuple[onnx.NodeProto, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in self.graph.node:
            self.makers.update((o, node) for o in node.output)
            for place, name in enumerate(node.input):
                self.readers.setdefault(name, []).append((node, place))


def can_quantise(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> bool:
    """Whether a layer with weights has an int8 form."""
    if len(node.input) < 2 or node.input[1] not in constants:
        return False
    attributes = {a.name: a for a in node.attribute}
    if node.op_type == "Gemm":
        plain = all(attributes[n].f == 1 for n in ("alpha", "beta") if n in attributes)
        return plain and not ("transA" in attributes and attributes["transA"].i)
    if node.op_type == "MatMul":
        return len(constants[node.input[1]].dims) == 2
    return node.op_type == "Conv"


class Planner:
    """Makes plans for one graph. Does not change it."""

    def __init__(self, model: onnx.ModelProto, body: Body, target: Int8Target) -> None:
        self._wires = _Wires(model.graph)
        self._body = body
        self._target = target
        self._types = element_types(model)
        self._constants = initialisers(model.graph)
        nodes = {n.output[0]: n for n in model.graph.node if n in body}
        self._nodes = nodes
        self.layers = tuple(n for n in body.layers if can_quantise(nodes[n], self._constants))
        """Layers with weights that can be quantised, in the graph's order."""

    def floors(self) -> dict[str, float]:
        """Tensors that need no range below a number, as only SiLU reads them."""
        found = {}
        for node in self._nodes.values():
            readers = self._wires.readers.get(node.input[0], [])
            others = [n for n, _ in readers if n is not node]
            silu = len(others) == 1 and others[0].op_type == "Mul"
            if node.op_type == "Sigmoid" and silu and node.output[0] in others[0].input:
                found[str(node.input[0])] = _SWISH_FLOOR
        return found

    def plan(self, kept: frozenset[str] = frozenset()) -> Plan:
        """The plan that leaves the nodes ``kept`` in floating point."""
        layers = tuple(n for n in self.layers if n not in kept)
        if self._target == "tensorrt":
            reads = set(self._tensorrt_reads(set(layers)))
            tensors = {self._nodes[n].input[p] for n, p in reads}
            sources = {t: t for t in self._wires.readers if t in tensors}
        else:
            sources = self._cpu_tensors(self._with_neighbours(set(layers), kept))
            reads = {(n.output[0], p) for t in sources for n, p in self._wires.readers.get(t, [])}
        return Plan(layers=layers, sources=sources, reads=frozenset(reads))

    def _activations(self, node: onnx.NodeProto) -> Iterator[tuple[int, str]]:
        """Places and names of the float inputs that are no constants."""
        for place, name in enumerate(node.input):
            if is_float(self._types, name) and name not in self._constants:
                yield place, name

    # ---------------------------------------------------------------- tensorrt

    def _tensorrt_reads(self, layers: set[str]) -> Iterator[tuple[str, int]]:
        for name, node in self._nodes.items():
            if name in layers:
                yield from ((name, place) for place, _ in self._activations(node))
            elif node.op_type == "Add":
                places = list(self._activations(node))
                straight = [p for p, t in places if self._ends_in(t, layers)]
                if len(places) == 2 and straight:
                    yield name, 1 - straight[0]

    def _ends_in(self, tensor: str, layers: set[str]) -> bool:
        """Whether a tensor comes straight from a quantised layer that nothing else reads."""
        return tensor in layers and len(self._wires.readers[tensor]) == 1

    # ---------------------------------------------------------------- cpu

    def _with_neighbours(self, layers: set[str], kept: frozenset[str]) -> set[str]:
        """The layers and what stands between them; not what leads to floating point alone."""
        chosen = set(layers)
        for name, node in self._nodes.items():
            if name not in kept and self._is_between(node):
                chosen.add(name)
        while True:
            alone = {n for n in chosen - layers if not self._feeds(self._nodes[n], chosen)}
            if not alone:
                return chosen
            chosen -= alone

    def _is_between(self, node: onnx.NodeProto) -> bool:
        floats = [i for i in node.input if is_float(self._types, i)]
        if node.op_type == "Resize":
            mode = next((a.s for a in node.attribute if a.name == "mode"), b"nearest")
            return mode == b"nearest"
        constant = any(i in self._constants for i in floats)
        return node.op_type in _MOVE | _COMPUTE and bool(floats) and not constant

    def _feeds(self, node: onnx.NodeProto, chosen: set[str]) -> bool:
        outputs = (self._result(o) for o in node.output)
        return any(
            n.output[0] in chosen for o in outputs for n, _ in self._wires.readers.get(o, [])
        )

    def _result(self, tensor: str) -> str:
        """The tensor, or what the Relu or Clip makes of it that alone reads it."""
        readers = self._wires.readers.get(tensor, [])
        if len(readers) == 1 and readers[0][0].op_type in _FUSED and readers[0][0] in self._body:
            return str(readers[0][0].output[0])
        return tensor

    def _cpu_tensors(self, chosen: set[str]) -> dict[str, str]:
        sources: dict[str, str] = {}
        for name, node in self._nodes.items():
            if name not in chosen:
                continue
            for _, tensor in self._activations(node):
                sources.setdefault(tensor, tensor)
            for output in node.output:
                moved = sources[node.input[0]] if node.op_type in _MOVE else None
                result = output if moved else self._result(output)
                sources[result] = moved or result
        return sources
