# SPDX-License-Identifier: Apache-2.0
"""What the networks of ``training.models`` are made of, as ONNX nodes."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from poseact_engine.errors import ExportError

if TYPE_CHECKING:
    from export.trace import Writer

_TO_THE_END = int(np.iinfo(np.int64).max)


def refuse(node: fx.Node, expected: str, got: object) -> ExportError:
    return ExportError(f"export: {node.target} (at {node.name}): expected {expected}, got {got}")


# ---------------------------------------------------------------- modules


def _conv(w: Writer, node: fx.Node, module: Any) -> str:
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise refuse(node, "padding with zeros, in numbers", module)
    norm = _norm_after(w, node)
    weight, bias = _folded(module, norm)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise refuse(node, "finite weights", "some that are not")
    inputs = [w.input(node, node.args[0]), w.tensor(f"net/{node.target}.weight", weight)]
    if module.bias is not None or norm is not None:
        inputs.append(w.tensor(f"net/{node.target}.bias", bias))
    return w.emit(
        node, "Conv", inputs, kernel_shape=list(module.kernel_size), strides=list(module.stride),
        pads=list(module.padding) * 2, dilations=list(module.dilation), group=module.groups,
    )  # fmt: skip


def _norm_after(w: Writer, node: fx.Node) -> nn.BatchNorm2d | None:
    """The normalisation that alone takes what the node gives."""
    users = list(node.users)
    module = w.module(users[0]) if len(users) == 1 and users[0].op == "call_module" else None
    return module if isinstance(module, nn.BatchNorm2d) else None


def _folded(
    conv: nn.Conv2d, norm: nn.BatchNorm2d | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of the convolution with the normalisation inside, by way of float64."""
    weight = _float64(conv.weight)
    bias = np.zeros(len(weight)) if conv.bias is None else _float64(conv.bias)
    if norm is not None:
        gain = 1 / np.sqrt(_float64(norm.running_var) + norm.eps)
        gain = gain if norm.weight is None else gain * _float64(norm.weight)
        bias = gain * (bias - _float64(norm.running_mean))
        bias = bias if norm.bias is None else bias + _float64(norm.bias)
        weight = weight * gain[:, None, None, None]
    return weight.astype(np.float32), bias.astype(np.float32)


def _float64(tensor: torch.Tensor | None) -> NDArray[np.float64]:
    if tensor is None:
        raise ExportError("export: expected a normalisation with running statistics, got none")
    return np.asarray(tensor.detach().cpu().double().numpy())


def _norm(w: Writer, node: fx.Node, module: object) -> str:
    """Nothing is left of it: ``_conv`` took it in."""
    before = node.args[0]
    called = before if isinstance(before, fx.Node) and before.op == "call_module" else None
    if called is None or not isinstance(w.module(called), nn.Conv2d) or len(called.users) > 1:
        raise refuse(node, "a convolution before it that feeds nothing else", before)
    del module
    return w.input(node, before)


def _silu(w: Writer, node: fx.Node, module: object) -> str:
    del module
    x = w.input(node, node.args[0])
    return w.emit(node, "Mul", [x, w.emit(node, "Sigmoid", [x], part=".sigmoid")])


def _pool(w: Writer, node: fx.Node, module: Any) -> str:
    if module.return_indices:
        raise refuse(node, "the maxima alone", "their indices, too")
    kernel, stride, padding, dilation = (
        _pair(v) for v in (module.kernel_size, module.stride, module.padding, module.dilation)
    )
    return w.emit(
        node, "MaxPool", [w.input(node, node.args[0])], kernel_shape=kernel, strides=stride,
        pads=padding * 2, dilations=dilation, ceil_mode=int(module.ceil_mode),
    )  # fmt: skip


def _pair(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value, value]


def _upsample(w: Writer, node: fx.Node, module: Any) -> str:
    if module.mode != "nearest" or module.scale_factor is None:
        raise refuse(node, "mode nearest and a scale factor", module)
    scales = np.asarray([1, 1, *_pair(module.scale_factor)], np.float32)
    name = "net/" + "_".join(["scales", *(f"{s:g}" for s in scales[2:])])
    return w.emit(
        node, "Resize", [w.input(node, node.args[0]), "", w.tensor(name, scales)], mode="nearest",
        coordinate_transformation_mode="asymmetric", nearest_mode="floor",
    )  # fmt: skip


def _same(w: Writer, node: fx.Node, module: object) -> str:
    del module
    return w.input(node, node.args[0])


# ---------------------------------------------------------------- functions and methods


def _add(w: Writer, node: fx.Node) -> str:
    if len(node.args) != 2 or node.kwargs:
        raise refuse(node, "two tensors", (node.args, node.kwargs))
    return w.emit(node, "Add", [w.input(node, value) for value in node.args])


def _concat(w: Writer, node: fx.Node) -> str:
    parts, axis = node.args[0], _argument(node, 1, "dim", 0)
    if not isinstance(parts, list | tuple) or not isinstance(axis, int):
        raise refuse(node, "a list of tensors and an axis", (node.args, node.kwargs))
    return w.emit(node, "Concat", [w.input(node, part) for part in parts], axis=axis)


def _argument(node: fx.Node, position: int, name: str, default: object) -> object:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _sigmoid(w: Writer, node: fx.Node) -> str:
    return w.emit(node, "Sigmoid", [w.input(node, node.args[0])])


def _flatten(w: Writer, node: fx.Node) -> str:
    if (_argument(node, 1, "start_dim", 0), _argument(node, 2, "end_dim", -1)) != (2, -1):
        raise refuse(node, "axis 2 to the last", (node.args[1:], node.kwargs))
    return w.emit(node, "Reshape", [w.input(node, node.args[0]), w.ints(0, 0, -1)])


def _permute(w: Writer, node: fx.Node) -> str:
    rest = list(node.args[1:])
    order: list[Any] = list(rest[0]) if rest and isinstance(rest[0], list | tuple) else rest
    if not order or set(order) != set(range(len(order))):
        raise refuse(node, "all axes, counted from 0", (node.args[1:], node.kwargs))
    return w.emit(node, "Transpose", [w.input(node, node.args[0])], perm=order)


def _slice(w: Writer, node: fx.Node) -> str:
    index: Any = node.args[1]
    parts = list(index) if isinstance(index, tuple) else [index]
    first = 0
    if parts[0] is Ellipsis:  # the rest is counted from the last axis
        first = 1 - len(parts)
        del parts[0]
    if not all(_is_constant_slice(part) for part in parts):
        raise refuse(node, "slices with constants and steps above 0", index)
    cuts = [(axis, part) for axis, part in enumerate(parts, first) if part != slice(None)]
    bounds = (
        [part.start or 0 for _, part in cuts],
        [_TO_THE_END if part.stop is None else part.stop for _, part in cuts],
        [axis for axis, _ in cuts],
        [part.step or 1 for _, part in cuts],
    )
    return w.emit(node, "Slice", [w.input(node, node.args[0]), *(w.ints(*b) for b in bounds)])


def _is_constant_slice(part: object) -> bool:
    if not isinstance(part, slice):
        return False
    ends = (part.start, part.stop, part.step)
    return all(e is None or isinstance(e, int) for e in ends) and (part.step or 1) > 0


def _relu(w: Writer, node: fx.Node, module: object) -> str:
    del module
    return w.emit(node, "Relu", [w.input(node, node.args[0])])


MODULES: dict[type, Callable[[Writer, fx.Node, Any], str]] = {
    nn.Conv2d: _conv,
    nn.BatchNorm2d: _norm,
    nn.ReLU: _relu,
    nn.SiLU: _silu,
    nn.MaxPool2d: _pool,
    nn.Upsample: _upsample,
    nn.Identity: _same,
}
CALLS: dict[object, Callable[[Writer, fx.Node], str]] = {
    operator.add: _add,
    operator.iadd: _add,
    torch.add: _add,
    torch.cat: _concat,
    operator.getitem: _slice,
    torch.sigmoid: _sigmoid,
    "sigmoid": _sigmoid,
    torch.flatten: _flatten,
    "flatten": _flatten,
    torch.permute: _permute,
    "permute": _permute,
}
