# SPDX-License-Identifier: Apache-2.0
"""A graph made ready for int8: what stands behind a convolution goes into its weights and bias.

Batch normalisation and additions of a constant per channel would otherwise be layers of their own,
in floating point. Folded in float64.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from export.body import Body
from export.graph import initialisers, prune

_Array = NDArray[np.float64]


def fold_into_convolutions(model: onnx.ModelProto, body: Body) -> onnx.ModelProto:
    """A copy whose convolutions of the body have taken in what can be folded into them."""
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    _Folding(folded.graph, body).run()
    return folded


class _Folding:
    """One walk over a graph, in place."""

    def __init__(self, graph: onnx.GraphProto, body: Body) -> None:
        self._graph = graph
        self._body = body
        self._constants = initialisers(graph)
        self._uses = Counter(i for n in graph.node for i in n.input)
        self._uses.update(v.name for v in graph.output)

    def run(self) -> None:
        renamed: dict[str, str] = {}
        makers: dict[str, onnx.NodeProto] = {}
        kept = []
        for node in self._graph.node:
            for place, name in enumerate(node.input):
                node.input[place] = renamed.get(name, name)
            if node in self._body:
                taken = self._take(node, makers)
                if taken is not None:
                    # The convolution keeps its name: it is the layer that people know.
                    renamed[node.output[0]] = taken.output[0]
                    self._uses[taken.output[0]] = self._uses[node.output[0]]
                    continue
                makers.update((o, node) for o in node.output)
            kept.append(node)
        del self._graph.node[:]
        self._graph.node.extend(kept)
        prune(self._graph)

    def _take(
        self, node: onnx.NodeProto, makers: dict[str, onnx.NodeProto]
    ) -> onnx.NodeProto | None:
        """The convolution that took the node in, if one did."""
        for place in range(min(2, len(node.input))):
            conv = makers.get(node.input[place])
            if conv is None or conv.op_type != "Conv" or self._uses[conv.output[0]] != 1:
                continue
            weight = self._constants.get(conv.input[1])
            change = None if weight is None else self._change(node, place, weight.dims[0])
            if change is not None:
                self._apply(conv, *change)
                return conv
        return None

    def _change(
        self, node: onnx.NodeProto, place: int, channels: int
    ) -> tuple[_Array, _Array] | None:
        """Factor and summand per channel that the node is, if it is such a one."""
        if node.op_type == "BatchNormalization" and place == 0:
            values = [self._value(n) for n in node.input[1:5]]
            scale, shift, mean, variance = (v for v in values if v is not None)
            epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
            factor = scale / np.sqrt(variance + epsilon)
            return factor, shift - mean * factor
        if node.op_type not in ("Add", "Mul"):
            return None
        value = self._value(node.input[1 - place])
        if value is None or not _per_channel(value, channels):
            return None
        flat = np.broadcast_to(value.reshape(-1), (channels,))
        add = node.op_type == "Add"
        return (np.ones(channels), flat) if add else (flat, np.zeros(channels))

    def _value(self, name: str) -> _Array | None:
        found = self._constants.get(name)
        return None if found is None else numpy_helper.to_array(found).astype(np.float64)

    def _apply(self, conv: onnx.NodeProto, factor: _Array, summand: _Array) -> None:
        weight = numpy_helper.to_array(self._constants[conv.input[1]])
        bias = self._value(conv.input[2]) if len(conv.input) > 2 and conv.input[2] else None
        bias = summand if bias is None else bias * factor + summand
        shape = (-1,) + (1,) * (weight.ndim - 1)
        self._replace(conv, 1, weight * factor.reshape(shape), conv.input[1])
        name = conv.input[2] if len(conv.input) > 2 and conv.input[2] else f"{conv.output[0]}/bias"
        self._replace(conv, 2, bias, name)

    def _replace(self, conv: onnx.NodeProto, place: int, value: _Array, name: str) -> None:
        """A tensor of the node's own: others may share the old one."""
        shared = self._uses[name] > 1
        name = f"{conv.output[0]}/{name.rpartition('/')[2]}" if shared else name
        tensor = numpy_helper.from_array(value.astype(np.float32), name)
        if name in self._constants:
            self._constants[name].CopyFrom(tensor)
        else:
            self._graph.initializer.append(tensor)
            self._constants[name] = self._graph.initializer[-1]
        while len(conv.input) <= place:
            conv.input.append("")
        conv.input[place] = name


def _per_channel(value: _Array, channels: int) -> bool:
    """[C, 1, 1], [1, C, 1, 1], or a single number."""
    if value.size == 1:
        return value.ndim <= 4
    shape = (1,) * (4 - value.ndim) + value.shape
    return value.ndim in (3, 4) and shape == (1, channels, 1, 1)
