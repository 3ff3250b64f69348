# SPDX-License-Identifier: Apache-2.0
"""Finds, by structure, what a detector says before its built-in non-maximum suppression."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.graph import GraphBuilder, initialisers, prune
from poseact_engine.errors import ExportError

_SELECTORS = {"Add", "Mul", "Cast", "Reshape", "Unsqueeze", "Identity"}
"""Operators between a TopK's indices and the Gather that uses them."""


def cut_suppression(model: onnx.ModelProto) -> None:
    """Makes boxes [B, A, 4] and scores [B, A, classes] the outputs (in place).

    The graph is cut before NonMaxSuppression, and before what deployment toolkits put in front of
    it: a choice of the best few thousand candidates (all are ranked later) and a score threshold
    (the engine has its own, and some toolkits write one that works for one picture only). A graph
    without suppression is left alone.
    """
    graph = model.graph
    found = [n for n in graph.node if n.op_type == "NonMaxSuppression"]
    if not found:
        return
    if len(found) > 1:
        raise ExportError(f"--layout rtmdet: expected one NonMaxSuppression, got {len(found)}")
    if any(a.name == "center_point_box" and a.i == 1 for a in found[0].attribute):
        raise ExportError(
            "--layout rtmdet: expected boxes as corners, got centre, width and height"
        )
    back = GraphBuilder("cut")
    scores = back.node("Transpose", [found[0].input[1]], perm=[0, 2, 1])
    graph.node.extend(back.nodes)
    ends = _Walk(graph).before_selection(found[0].input[0], scores)
    del graph.output[:]
    graph.output.extend(
        helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in ends
    )
    prune(graph)


class _Walk:
    """Steps from tensors back to where they come from. Reads one graph, changes nothing."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._producers = {o: n for n in graph.node for o in n.output}
        self._constants = initialisers(graph)

    def before_selection(self, boxes: str, scores: str) -> tuple[str, str]:
        while True:
            scores = self._before_threshold(self._before_double_transpose(scores))
            a, b = self._before_gather(boxes), self._before_gather(scores)
            if a is None or b is None or a[1] != b[1]:
                return boxes, scores
            boxes, scores = a[0], b[0]

    def _node(self, tensor: str, op: str) -> onnx.NodeProto | None:
        node = self._producers.get(tensor)
        return node if node is not None and node.op_type == op else None

    def _before_double_transpose(self, tensor: str) -> str:
        outer = self._node(tensor, "Transpose")
        inner = self._node(outer.input[0], "Transpose") if outer is not None else None
        if outer is None or inner is None:
            return tensor
        first, second = (helper.get_node_attr_value(n, "perm") for n in (inner, outer))
        return str(inner.input[0]) if [first[i] for i in second] == [0, 1, 2] else tensor

    def _before_threshold(self, tensor: str) -> str:
        """``x`` of Where(condition, x, 0)."""
        node = self._node(tensor, "Where")
        other = self._constants.get(node.input[2]) if node is not None else None
        if node is None or other is None or np.any(numpy_helper.to_array(other)):
            return tensor
        return str(node.input[1])

    def _before_gather(self, tensor: str) -> tuple[str, str] | None:
        """``x`` of Reshape(Gather(Flatten(x), TopK indices)), and the TopK's name."""
        reshape = self._node(tensor, "Reshape")
        gather = self._node(reshape.input[0], "Gather") if reshape is not None else None
        flatten = self._node(gather.input[0], "Flatten") if gather is not None else None
        if gather is None or flatten is None:
            return None
        ranking = self._ranking(gather.input[1])
        return (str(flatten.input[0]), ranking) if ranking is not None else None

    def _ranking(self, indices: str) -> str | None:
        """Output of the TopK that an index tensor is computed from, if there is one."""
        open_names, seen = [indices], set()
        while open_names:
            name = open_names.pop()
            node = self._producers.get(name)
            if node is None or name in seen:
                continue
            seen.add(name)
            if node.op_type == "TopK":
                return name
            if node.op_type in _SELECTORS:
                open_names.extend(node.input)
        return None
