# SPDX-License-Identifier: Apache-2.0
"""The network's body in fp16, with a Cast wherever fp32 meets it; nothing else changes.

Which inputs and outputs of an operator may be fp16 is read from ONNX's own operator schemas: those
whose type variable allows it (all but the scales of Resize, say). An output turns fp16 only where
an input of the same variable does: what makes its type up itself (Range, ConstantOfShape) stays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, defs, helper, numpy_helper

from export.body import Body, element_types, is_float
from export.graph import initialisers, prune
from poseact_engine.contract import OPSET
from poseact_engine.errors import ExportError

_log = logging.getLogger(__name__)

_LARGEST = float(np.finfo(np.float16).max)
_SMALLEST = float(np.finfo(np.float16).smallest_subnormal)
_WORDS: dict[int, str] = {TensorProto.FLOAT16: "half", TensorProto.FLOAT: "full"}
_BOUNDS = {("Clip", 1), ("Clip", 2), ("Pad", 2)}
"""Inputs (operator, place) whose values only bound or fill: the largest number does for more."""
_STAY = {("Resize", 1)}
"""Regions of interest, beside the scales, which must be fp32."""


def to_half(model: onnx.ModelProto, body: Body) -> onnx.ModelProto:
    """A copy with an fp16 body. Raises ExportError for weights that fp16 cannot hold."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    del half.graph.value_info[:]
    _Pass(half, body).run()
    element_types(half)  # raises where a type does not fit
    return half


def _variables(node: onnx.NodeProto) -> tuple[list[str | None], list[str | None]]:
    """Per input and output the type variable that may be fp16, else None."""
    schema = defs.get_schema(node.op_type, OPSET, node.domain)
    allowed = {
        c.type_param_str
        for c in schema.type_constraints
        if "tensor(float16)" in c.allowed_type_strs
    }

    def variable(formal: list[defs.OpSchema.FormalParameter], place: int) -> str | None:
        name = formal[min(place, len(formal) - 1)].type_str  # the last one may be variadic
        return name if name in allowed else None

    inputs = [variable(list(schema.inputs), i) for i in range(len(node.input))]
    outputs = [variable(list(schema.outputs), i) for i in range(len(node.output))]
    return inputs, outputs


class _Pass:
    """One walk over a graph, in place. Owns the graph while it runs."""

    def __init__(self, model: onnx.ModelProto, body: Body) -> None:
        self._graph = model.graph
        self._body = body
        self._types = element_types(model)
        self._constants = initialisers(model.graph)
        self._half: set[str] = set()
        """Tensors that nodes of the body make in fp16."""
        self._made: set[str] = set()
        """Casts and fp16 copies of constants that are there already."""
        self._lost = 0

    def run(self) -> None:
        nodes = list(self._graph.node)
        kept = [n for node in nodes for n in self._node(node)]
        del self._graph.node[:]
        self._graph.node.extend(kept)
        for value in self._graph.output:
            if value.name in self._half:
                raise ExportError(
                    f"precision: expected outputs of fp32 nodes, got {value.name!r} of the body"
                )
        prune(self._graph)
        if self._lost:
            _log.warning("fp16: %d weights are too small for it and become 0", self._lost)

    def _node(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """The node, after the casts it needs."""
        inside = node in self._body
        variables = _variables(node) if inside else ([None] * len(node.input), [])
        turned = set()
        for place, variable in enumerate(variables[0]):
            name = node.input[place]
            if not is_float(self._types, name):
                continue
            wanted = variable is not None and (node.op_type, place) not in _STAY
            if wanted:
                turned.add(variable)
            yield from self._edge(node, place, TensorProto.FLOAT16 if wanted else TensorProto.FLOAT)
        if inside and node.op_type == "Cast":
            turned |= _turn_cast(node)
        for name, variable in zip(node.output, variables[1], strict=False):
            if variable in turned and is_float(self._types, name):
                self._half.add(name)
        yield node

    def _edge(self, node: onnx.NodeProto, place: int, kind: int) -> Iterator[onnx.NodeProto]:
        """Has an input read as ``kind``; gives the Cast where one must be made for it."""
        name = node.input[place]
        if (name in self._half) == (kind == TensorProto.FLOAT16):
            return
        node.input[place] = other = f"{name}/{_WORDS[kind]}"
        if other in self._made:
            return
        self._made.add(other)
        if name in self._constants:
            bound = (node.op_type, place) in _BOUNDS
            values = self._narrow(numpy_helper.to_array(self._constants[name]), name, bound=bound)
            self._graph.initializer.append(numpy_helper.from_array(values, other))
        else:
            yield helper.make_node("Cast", [name], [other], name=other, to=kind)

    def _narrow(
        self, values: NDArray[np.float32], name: str, *, bound: bool
    ) -> NDArray[np.float16]:
        finite = np.isfinite(values)
        if bound:
            values = np.where(finite, np.clip(values, -_LARGEST, _LARGEST), values)
        largest = float(np.abs(values[finite]).max(initial=0.0))
        if largest > _LARGEST:
            raise ExportError(
                f"fp16: expected weights of at most {_LARGEST:g}, got {largest:g} in {name!r}; "
                "keep this model in fp32"
            )
        self._lost += int(np.count_nonzero((values != 0) & (np.abs(values) < _SMALLEST / 2)))
        return values.astype(np.float16)


def _turn_cast(node: onnx.NodeProto) -> set[str | None]:
    """A Cast to fp32 inside the body makes fp16 instead."""
    for attribute in node.attribute:
        if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
            return {"T2"}
    return set()
