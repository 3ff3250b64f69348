# SPDX-License-Identifier: Apache-2.0
"""What stands before a foreign picture network: from uint8 RGB to the numbers it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto

from export.graph import GraphBuilder, dims_of
from poseact_engine.errors import ExportError

Color = Literal["bgr", "rgb"]
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """How a network wants its picture: ``(grey level * scale - mean) / std`` per channel."""

    color: Color
    mean: Triple
    """In the network's channel order, like ``std``."""
    std: Triple
    scale: float
    border: tuple[int, int, int]
    """R, G, B of what lies outside the picture."""
    size: tuple[int, int] | None
    """Height, width; needed where the file leaves them open."""

    def __post_init__(self) -> None:
        if not all(s > 0 for s in self.std):
            raise ExportError(f"--std: expected three numbers above 0, got {self.std}")
        if not self.scale > 0:
            raise ExportError(f"--scale: expected a number above 0, got {self.scale}")


def input_size(model: onnx.ModelProto, options: InputOptions) -> tuple[int, int]:
    """Height and width of the network's input: as the file fixes them, else as the option says."""
    inputs = list(model.graph.input)
    dims = dims_of(inputs[0]) if inputs else ()
    dtype = inputs[0].type.tensor_type.elem_type if inputs else 0
    if len(inputs) != 1 or len(dims) != 4 or dims[1] not in (3, None) or dtype != TensorProto.FLOAT:
        got = (
            ", ".join(f"{v.name.removeprefix('net/')} {list(dims_of(v))}" for v in inputs) or "none"
        )
        raise ExportError(f"graph: expected one float32 input [batch, 3, height, width], got {got}")
    height, width = dims[2], dims[3]
    if options.size is not None:
        if height not in (options.size[0], None) or width not in (options.size[1], None):
            raise ExportError(
                f"--size: expected {height}x{width}, which the file fixes, "
                f"got {options.size[0]}x{options.size[1]}"
            )
        return options.size
    if height is None or width is None:
        raise ExportError("--size: expected HEIGHTxWIDTH, as the file leaves them open, got none")
    return height, width


def normalise(name: str, network_input: str, options: InputOptions) -> GraphBuilder:
    """Nodes from the uint8 RGB input ``name`` to the network's float32 input."""
    front = GraphBuilder("front")
    tensor = front.node("Cast", [name], to=TensorProto.FLOAT)
    if options.color == "bgr":  # not before the cast: all that TensorRT does to bytes is cast them
        tensor = front.node("Gather", [tensor, front.constant([2, 1, 0], np.int64)], axis=1)
    std = np.asarray(options.std, np.float64).reshape(1, 3, 1, 1)
    factor = options.scale / std
    offset = -np.asarray(options.mean, np.float64).reshape(1, 3, 1, 1) / std
    if np.any(factor != 1):
        tensor = front.node("Mul", [tensor, front.constant(factor)])
    if np.any(offset != 0):
        tensor = front.node("Add", [tensor, front.constant(offset)])
    front.node("Identity", [tensor], output=network_input)
    return front
