# SPDX-License-Identifier: Apache-2.0
"""Foreign top-down pose networks, adapted to the pose contract: `keypoints` in crop pixels.

Layouts:

- ``heatmap``: one output [M, K, h, w]. Arg max (ties: lowest index); along each axis a quarter of a
  cell towards the larger neighbour, none at a border; then to crop pixels: ``x * W / w`` (geometry
  default) or ``x * (W - 1) / (w - 1)`` (udp). The score is the maximum; 0 or less gives (0, 0, 0).
- ``simcc``: two outputs [M, K, W * r] and [M, K, H * r], one classification per axis. Arg max each
  (ties: lowest index), divided by the split ratio r. The score is the smaller of both maxima, as in
  RTMPose; one of 0 or less gives (0, 0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto

from export.front import InputOptions, input_size, normalise
from export.graph import Dims, GraphBuilder, assemble, load_foreign
from export.package import check_output, write_model
from export.sizes import fix_sizes
from export.verify import verify_batches
from poseact_engine.contract import contract_of
from poseact_engine.errors import ExportError
from poseact_engine.manifest import Geometry, PoseManifest

Layout = Literal["heatmap", "simcc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseOptions:
    """What a foreign pose network's file does not say of itself."""

    layout: Layout
    input: InputOptions
    geometry: Geometry
    expansion: float
    joints: tuple[str, ...]
    source: str
    licence: str


def export_pose(onnx_file: Path, output: Path, options: PoseOptions) -> PoseManifest:
    """Adapts a foreign pose network and writes it; returns its manifest.

    Raises ExportError: a file that is not of the layout, options that do not fit it.
    """
    check_output(output, onnx_file)
    model = load_foreign(onnx_file)
    height, width = input_size(model, options.input)
    manifest = PoseManifest(
        task="pose", precision="fp32", target="any", source=options.source, licence=options.licence, sha256="",
        height=height, width=width, geometry=options.geometry, expansion=options.expansion,
        border=options.input.border, joints=options.joints,
        decode="quarter" if options.layout == "heatmap" else "simcc", flip_test=False,
    )  # fmt: skip
    shapes = fix_sizes(model, height=height, width=width)
    back = GraphBuilder("decode")
    if options.layout == "heatmap":
        joints = _heatmap(model, shapes, back, (height, width), options.geometry)
    else:
        joints = _simcc(model, shapes, back, (height, width))
    if joints != len(options.joints):
        raise ExportError(
            f"--joints: expected {joints} names, as the network gives, got {len(options.joints)}"
        )
    contract = contract_of(manifest)
    front = normalise(contract.input.name, model.graph.input[0].name, options.input)
    assemble(model, front=front, back=back, inputs=[contract.input], outputs=contract.outputs)
    verify_batches(model, manifest)
    return write_model(model, manifest, output)


def _finish(back: GraphBuilder, x: str, y: str, score: str) -> None:
    """x, y, score [M, K, 1] each to `keypoints`; a score of 0 or less gives (0, 0, 0)."""
    joints = back.node("Concat", [x, y, score], axis=2)
    zero = back.constant(0.0)
    found = back.node("Greater", [score, zero])
    back.node("Where", [found, joints, zero], output="keypoints")


def _argmax(back: GraphBuilder, values: str) -> tuple[str, str]:
    """Index (int64) and value of the maximum along the last of three axes, [M, K, 1] each."""
    index = back.node("ArgMax", [values], axis=2, keepdims=1, select_last_index=0)
    return index, back.node("GatherElements", [values, index], axis=2)


# ---------------------------------------------------------------- heatmap


def _heatmap(
    model: onnx.ModelProto,
    shapes: dict[str, Dims],
    back: GraphBuilder,
    size: tuple[int, int],
    geometry: Geometry,
) -> int:
    outputs = [v.name for v in model.graph.output]
    dims = shapes.get(outputs[0], ())
    if len(outputs) != 1 or len(dims) != 4 or None in dims[1:]:
        got = "; ".join(str(list(shapes.get(o, ()))) for o in outputs)
        raise ExportError(f"--layout heatmap: expected one output [batch, joints, h, w], got {got}")
    joints, rows, columns = (d or 0 for d in dims[1:])
    # A square of less than 2 x 2 cells has neither neighbours nor a udp scale.
    if rows < 2 or columns < 2:
        raise ExportError(
            f"--layout heatmap: expected maps of 2 x 2 cells or more, got {rows} x {columns}"
        )
    maps = back.node("Reshape", [outputs[0], back.constant([0, 0, rows * columns], np.int64)])
    index, score = _argmax(back, maps)
    width = back.constant(columns, np.int64)
    y, x = back.node("Div", [index, width]), back.node("Mod", [index, width])
    coordinates = []
    for place, cells, step, pixels in ((x, columns, 1, size[1]), (y, rows, columns, size[0])):
        scale = pixels / cells if geometry == "default" else (pixels - 1) / (cells - 1)
        refined = _refine(back, maps, index, _Axis(place, cells, step, rows * columns))
        coordinates.append(back.node("Mul", [refined, back.constant(scale)]))
    _finish(back, coordinates[0], coordinates[1], score)
    return joints


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of heat maps laid out as one row: a tensor of places along it, and its measures."""

    place: str
    cells: int
    step: int
    """From one cell to the next in the row."""
    total: int
    """Cells of a whole map."""


def _refine(back: GraphBuilder, maps: str, index: str, axis: _Axis) -> str:
    """The place as float32, a quarter of a cell towards the larger of its two neighbours."""
    first, last = back.constant(0, np.int64), back.constant(axis.total - 1, np.int64)
    values = []
    for op in ("Add", "Sub"):
        neighbour = back.node(op, [index, back.constant(axis.step, np.int64)])
        neighbour = back.node("Min", [back.node("Max", [neighbour, first]), last])
        values.append(back.node("GatherElements", [maps, neighbour], axis=2))
    quarter = back.node("Mul", [back.node("Sign", [back.node("Sub", values)]), back.constant(0.25)])
    inner = back.node(
        "And",
        [
            back.node("Greater", [axis.place, first]),
            back.node("Less", [axis.place, back.constant(axis.cells - 1, np.int64)]),
        ],
    )
    quarter = back.node("Where", [inner, quarter, back.constant(0.0)])
    return back.node("Add", [back.node("Cast", [axis.place], to=TensorProto.FLOAT), quarter])


# ---------------------------------------------------------------- simcc


def _split_ratio(axes: list[Dims], size: tuple[int, int]) -> float | None:
    """r where [.., W * r] and [.., H * r] are the two outputs in this order, else None."""
    ratios = [
        (axis[2] or 0) / pixels for axis, pixels in zip(axes, (size[1], size[0]), strict=True)
    ]
    return ratios[0] if ratios[0] == ratios[1] and ratios[0] > 0 else None


def _simcc(
    model: onnx.ModelProto, shapes: dict[str, Dims], back: GraphBuilder, size: tuple[int, int]
) -> int:
    outputs = [v.name for v in model.graph.output]
    axes = [shapes.get(o, ()) for o in outputs]
    ok = len(axes) == 2 and all(len(a) == 3 for a in axes) and axes[0][1] == axes[1][1]
    ratio = _split_ratio(axes, size) if ok else None
    if ok and ratio is None:  # the file may name y first
        outputs, axes = outputs[::-1], axes[::-1]
        ratio = _split_ratio(axes, size)
    if ratio is None or axes[0][1] is None:
        got = "; ".join(str(list(a)) for a in axes)
        raise ExportError(
            f"--layout simcc: expected two outputs [batch, joints, {size[1]} * r] and "
            f"[batch, joints, {size[0]} * r], got {got}"
        )
    places, maxima = [], []
    for name in outputs:
        index, value = _argmax(back, name)
        place = back.node("Cast", [index], to=TensorProto.FLOAT)
        places.append(back.node("Div", [place, back.constant(ratio)]))
        maxima.append(value)
    _finish(back, places[0], places[1], back.node("Min", maxima))
    return axes[0][1]
