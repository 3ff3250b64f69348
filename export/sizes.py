# SPDX-License-Identifier: Apache-2.0
"""Fixed height and width, dynamic batch: what a foreign graph computes or states of its shapes.

One pass mends constants that hold a batch of one; the other replaces everything that follows from
the fixed sizes alone (anchors, shape arithmetic) by constants.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from export.graph import BATCH, Dims, dims_of, initialisers, prune
from export.verify import output_dims
from poseact_engine.errors import ExportError

_MAX_PASSES = 32
_MAX_FOLDED_BYTES = 16 << 20
_NEVER_FOLDED = {
    "RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli",
    "Multinomial", "Dropout", "QuantizeLinear", "DequantizeLinear", "If", "Loop", "Scan",
}  # fmt: skip


def set_input_size(model: onnx.ModelProto, *, batch: int | str, height: int, width: int) -> None:
    """States the one input as [batch, 3, height, width]; every other shape is left to inference."""
    value = model.graph.input[0]
    dtype = value.type.tensor_type.elem_type
    stated = helper.make_tensor_value_info(value.name, dtype, [batch, 3, height, width])
    del model.graph.input[:], model.graph.value_info[:]
    model.graph.input.append(stated)
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")


def infer(model: onnx.ModelProto) -> dict[str, Dims]:
    """Shapes of all tensors that can be known."""
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    values = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    known = {v.name: dims_of(v) for v in values if v.type.tensor_type.HasField("shape")}
    known.update({t.name: tuple(t.dims) for t in inferred.graph.initializer})
    return known


def fix_sizes(model: onnx.ModelProto, *, height: int, width: int) -> dict[str, Dims]:
    """Both passes, in place; returns the shapes of the outputs, whose batch (None) is dynamic."""
    set_input_size(model, batch=1, height=height, width=width)
    _make_batch_dynamic(model)
    set_input_size(model, batch=BATCH, height=height, width=width)
    fold(model)
    return output_dims(model, height=height, width=width)


def _image_tensors(graph: onnx.GraphProto) -> set[str]:
    """Tensors whose values come from the picture; a shape of one does not."""
    found = {v.name for v in graph.input}
    for node in graph.node:
        if node.op_type not in ("Shape", "Size") and found.intersection(node.input):
            found.update(node.output)
    return found


def _make_batch_dynamic(model: onnx.ModelProto) -> None:
    """Mends Reshape and Resize constants that were traced with a batch of one.

    A Reshape keeps the sizes it has at batch 1 except the first, which follows from the data: right
    for every network that keeps the batch (or batch times groups) in front. Whether it holds for
    this one is proven by running it (`verify`).
    """
    graph = model.graph
    shapes, constants, images = infer(model), initialisers(graph), _image_tensors(graph)
    for node in graph.node:
        if node.input[0:1] and node.input[0] not in images:
            continue
        if node.op_type == "Reshape" and node.input[1] in constants:
            _mend_reshape(graph, node, shapes)
        elif node.op_type == "Resize" and len(node.input) == 4 and node.input[3] in constants:
            _mend_resize(graph, node, constants[node.input[3]])


def _replace_input(
    graph: onnx.GraphProto, node: onnx.NodeProto, slot: int, value: list[int]
) -> None:
    # A new tensor: other nodes may share the old one.
    name = f"{node.output[0]}/sizes"
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.int64), name))
    node.input[slot] = name


def _mend_reshape(graph: onnx.GraphProto, node: onnx.NodeProto, shapes: dict[str, Dims]) -> None:
    before, after = shapes.get(node.input[0], ()), shapes.get(node.output[0], ())
    if not before or not after or None in after:
        raise ExportError(
            f"graph: expected sizes that follow from the input's, got none for {node.output[0]!r}; "
            "its batch cannot be made dynamic"
        )
    first = 0 if before[0] == after[0] == 1 else -1
    _replace_input(graph, node, 1, [first, *(n for n in after[1:] if n is not None)])
    node.ClearField("attribute")  # allowzero would give 0 another meaning


def _mend_resize(graph: onnx.GraphProto, node: onnx.NodeProto, sizes: onnx.TensorProto) -> None:
    values = numpy_helper.to_array(sizes).tolist()
    if len(values) == 4 and not any(a.name == "axes" for a in node.attribute):
        node.attribute.append(helper.make_attribute("axes", [2, 3]))
        _replace_input(graph, node, 3, values[2:])


def fold(model: onnx.ModelProto) -> None:
    """Replaces what depends on neither picture nor batch by constants (in place)."""
    for _ in range(_MAX_PASSES):
        shapes = infer(model)
        if not _fold_once(model.graph, shapes):
            break
    prune(model.graph)


def _fold_once(graph: onnx.GraphProto, shapes: dict[str, Dims]) -> bool:
    constants = initialisers(graph)
    sources = {
        n.output[0]: n.input[0] for n in graph.node if n.op_type == "Shape" and not n.attribute
    }
    kept = []
    for node in graph.node:
        values = _static_sizes(node, shapes, sources, constants) or _evaluate(node, constants)
        if values is None:
            kept.append(node)
            continue
        for name, value in zip(node.output, values, strict=True):
            constants[name] = numpy_helper.from_array(value, name)
            graph.initializer.append(constants[name])
    changed = len(kept) < len(graph.node)
    del graph.node[:]
    graph.node.extend(kept)
    return changed


def _static_sizes(
    node: onnx.NodeProto,
    shapes: dict[str, Dims],
    sources: dict[str, str],
    constants: dict[str, onnx.TensorProto],
) -> list[NDArray[Any]] | None:
    """Sizes that are known although the batch is not: Shape(x)[i], or all of Shape(x)."""
    if node.op_type == "Shape" and not node.attribute:
        dims = shapes.get(node.input[0], (None,))
        return None if None in dims else [np.asarray(dims, np.int64)]
    if node.op_type == "Gather" and node.input[0] in sources and node.input[1] in constants:
        dims = shapes.get(sources[node.input[0]], ())
        index = numpy_helper.to_array(constants[node.input[1]])
        chosen = [dims[i] if -len(dims) <= i < len(dims) else None for i in index.ravel().tolist()]
        if None not in chosen:
            return [np.asarray(chosen, np.int64).reshape(index.shape)]
    return None


def _evaluate(
    node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> list[NDArray[Any]] | None:
    """The outputs of a node all of whose inputs are constants."""
    names = [i for i in node.input if i]
    if node.op_type in _NEVER_FOLDED or not all(n in constants for n in names):
        return None
    graph = helper.make_graph(
        [node], "fold", [], [onnx.ValueInfoProto(name=o) for o in node.output],
        [constants[n] for n in dict.fromkeys(names)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    try:
        values = [np.asarray(v) for v in ReferenceEvaluator(model).run(None, {})]
    except Exception:  # of any kind: what cannot be folded here stays for the backend to compute
        return None
    return values if sum(v.nbytes for v in values) <= _MAX_FOLDED_BYTES else None
