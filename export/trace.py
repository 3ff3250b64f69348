# SPDX-License-Identifier: Apache-2.0
"""A picture network of ours, from torch to ONNX nodes, one by one.

Not by ``torch.onnx``: that needs packages of its own and writes other graphs with every torch.
``torch.fx`` tells what ``forward`` does; ``trace_ops`` writes what our networks are made of, and
anything else is an ExportError. Batch normalisation goes into the convolution before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn

from export import trace_ops
from export.graph import BATCH, GraphBuilder
from poseact_engine.contract import IR_VERSION, OPSET
from poseact_engine.errors import ExportError

PICTURES = "net/pictures"


def trace(module: nn.Module, *, height: int, width: int) -> onnx.ModelProto:
    """The module as a graph of ``net/pictures`` f32 [batch, 3, height, width]; batch is open.

    Initialisers are named ``net/`` + the parameter's name and stand in the file once. Raises
    ExportError naming the module or function that is not of those known.
    """
    if module.training:
        raise ExportError("export: expected a network in evaluation mode, got one in training")
    try:
        graph = fx.symbolic_trace(module).graph
    except Exception as error:  # whatever ``forward`` raises when its input is no tensor
        raise ExportError(
            f"export: expected {type(module).__name__}.forward without control flow on data, "
            f"got: {error}"
        ) from error
    writer = Writer(module, graph)
    outputs = writer.write()
    made = helper.make_graph(
        writer.builder.nodes,
        type(module).__name__,
        [helper.make_tensor_value_info(PICTURES, TensorProto.FLOAT, [BATCH, 3, height, width])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        writer.builder.tensors,
    )
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )


class Writer:
    """Walks one traced graph, once. Owns the builder that it fills."""

    def __init__(self, module: nn.Module, graph: fx.Graph) -> None:
        self.builder = GraphBuilder("net")
        self._graph = graph
        self._modules: dict[str, nn.Module] = dict(module.named_modules(remove_duplicate=False))
        self._values: dict[fx.Node, str] = {}
        self._tensors: dict[str, NDArray[Any]] = {}
        self._taken: set[str] = {PICTURES}

    def write(self) -> list[str]:
        """Fills the builder; returns the names of the outputs."""
        *nodes, output = self._graph.nodes
        for node in nodes:
            self._values[node] = self._convert(node)
        found = output.args[0]
        return [self.input(output, n) for n in (found if isinstance(found, tuple) else (found,))]

    def _convert(self, node: fx.Node) -> str:
        if node.op == "placeholder":
            if self._values:
                raise ExportError(f"export: expected one input, got another, {node.target!r}")
            return PICTURES
        if node.op == "call_module":
            module = self.module(node)
            write = trace_ops.MODULES.get(type(module))
            if write is None:
                raise self._unknown(node, f"{type(module).__name__} {node.target}")
            return write(self, node, module)
        call = trace_ops.CALLS.get(node.target) if node.op.startswith("call_") else None
        if call is None:
            raise self._unknown(node, str(getattr(node.target, "__name__", node.target)))
        return call(self, node)

    def _unknown(self, node: fx.Node, got: str) -> ExportError:
        known = ", ".join(t.__name__ for t in trace_ops.MODULES)
        return ExportError(
            f"export: expected modules of {known}, and additions, cat, sigmoid, flatten, permute "
            f"and slices, got {got} (at {node.name})"
        )

    def module(self, node: fx.Node) -> nn.Module:
        return self._modules[str(node.target)]

    def input(self, node: fx.Node, value: object) -> str:
        """The tensor that ``node`` takes."""
        if not isinstance(value, fx.Node):
            raise trace_ops.refuse(node, "a tensor", repr(value))
        return self._values[value]

    def emit(
        self, node: fx.Node, op: str, inputs: Sequence[str], *, part: str = "", **attributes: Any
    ) -> str:
        """One ONNX node, named after the module it comes from, or after what it computes."""
        name = f"net/{node.target if node.op == 'call_module' else node.name}{part}"
        if name in self._taken:  # a module that is called again
            name = f"net/{node.name}/again{part}"
        self._taken.add(name)
        return self.builder.node(op, inputs, output=name, **attributes)

    def tensor(self, name: str, value: NDArray[Any]) -> str:
        """An initialiser; the same one for the same name."""
        known = self._tensors.setdefault(name, value)
        if known is value:
            self.builder.tensors.append(numpy_helper.from_array(value, name))
        elif not np.array_equal(known, value):
            raise ExportError(f"export: {name}: expected one value, got two; normalised twice?")
        return name

    def ints(self, *values: int) -> str:
        return self.tensor("net/" + "_".join(map(str, ("ints", *values))), np.asarray(values))
