# SPDX-License-Identifier: Apache-2.0
"""Foreign person detectors, adapted to the detector contract: `boxes` and `scores`, best first.

Layouts:

- ``yolox``: one output [B, A, 5 + classes], per anchor point x, y, w, h still to be decoded, then
  objectness and class scores after their sigmoid. ``centre = (xy + grid) * stride``,
  ``size = exp(wh) * stride``; the score is objectness times the person's class score.
- ``rtmdet``: decoded boxes [B, A, 4] (x0 y0 x1 y1 in input pixels) and scores [B, classes, A] that
  go into a built-in non-maximum suppression. The graph is cut before it. A file without one has
  boxes [B, A, 4] and scores [B, A, classes] as its outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from export.finish import finish
from export.foreign_model import ForeignDetector
from export.front import InputOptions, input_size, normalise
from export.graph import Dims, GraphBuilder, assemble, load_foreign
from export.package import check_output
from export.parity.options import GateOptions
from export.sizes import fix_sizes
from export.suppression import cut_suppression
from export.verify import verify_batches
from poseact_engine.config_track import TrackScores
from poseact_engine.contract import contract_of
from poseact_engine.errors import ExportError
from poseact_engine.manifest import DetectorManifest, Placement

if TYPE_CHECKING:
    from export.precision import PrecisionOptions

Layout = Literal["yolox", "rtmdet"]
_STRIDES = ((8, 16, 32), (8, 16, 32, 64))


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorOptions:
    """What a foreign detector's file does not say of itself."""

    layout: Layout
    input: InputOptions
    letterbox: Placement
    nms_iou: float | None
    max_boxes: int
    track_scores: TrackScores | None = None
    person_class: int | None
    """Needed where the network knows several classes."""
    source: str
    licence: str


def export_detector(
    onnx_file: Path,
    output: Path,
    options: DetectorOptions,
    *,
    precision: PrecisionOptions | None = None,
    gate: GateOptions | None = None,
) -> DetectorManifest:
    """Adapts a foreign detector, compares it with the original and writes it (``finish``); returns
    its manifest.

    Raises ExportError: a file that is not of the layout, options that do not fit it.
    """
    check_output(output, onnx_file)
    model = load_foreign(onnx_file)
    height, width = input_size(model, options.input)
    manifest = make_manifest(options, height, width)
    if options.layout == "rtmdet":
        cut_suppression(model)
    shapes = fix_sizes(model, height=height, width=width)
    assemble_detector(model, shapes, manifest, options)
    verify_batches(model, manifest)
    original = ForeignDetector(
        onnx_file, manifest, options.input,
        layout=options.layout, person_class=options.person_class,
    )  # fmt: skip
    return finish(
        model, manifest, output,
        reference=original, precision=precision, gate=gate or GateOptions(),
    )  # fmt: skip


def make_manifest(options: DetectorOptions, height: int, width: int) -> DetectorManifest:
    """The manifest without its sha256."""
    return DetectorManifest(
        task="detector",
        precision="fp32",
        target="any",
        source=options.source,
        licence=options.licence,
        sha256="",
        height=height,
        width=width,
        placement=options.letterbox,
        border=options.input.border,
        nms_iou=options.nms_iou,
        max_boxes=options.max_boxes,
        track_scores=options.track_scores,
    )


def assemble_detector(
    model: onnx.ModelProto,
    shapes: dict[str, Dims],
    manifest: DetectorManifest,
    options: DetectorOptions,
) -> None:
    """Puts normalisation before and decoding behind a network (in place); ``shapes`` are those of
    its outputs. ExportError where it is not of the layout."""
    back = GraphBuilder("decode")
    if options.layout == "yolox":
        size = (manifest.height, manifest.width)
        boxes, scores, count = _yolox(model, shapes, back, size, options)
    else:
        boxes, scores, count = _rtmdet(model, shapes, back, options)
    _best(back, boxes, scores, count, options.max_boxes)
    contract = contract_of(manifest)
    front = normalise(contract.input.name, model.graph.input[0].name, options.input)
    assemble(model, front=front, back=back, inputs=[contract.input], outputs=contract.outputs)


def _best(back: GraphBuilder, boxes: str, scores: str, count: int, most: int) -> None:
    """The best ``most`` of [B, A] scores, best first; TopK puts the lower index first at a tie."""
    if most > count:
        raise ExportError(
            f"--max-boxes: expected at most the network's {count} candidates, got {most}"
        )
    k = back.constant([most], np.int64)
    _, index = back.split("TopK", [scores, k], outputs=["scores", None], axis=1)
    index = back.node("Unsqueeze", [index, back.constant([2], np.int64)])
    index = back.node("Expand", [index, back.constant([1, 1, 4], np.int64)])
    back.node("GatherElements", [boxes, index], output="boxes", axis=1)


def _slice(back: GraphBuilder, tensor: str, first: int, last: int) -> str:
    """Channels first to last - 1 of the last of three axes."""
    bounds = [back.constant([v], np.int64) for v in (first, last, 2)]
    return back.node("Slice", [tensor, *bounds])


def _person_class(options: DetectorOptions, classes: int) -> int:
    if options.person_class is None and classes > 1:
        raise ExportError(
            f"--person-class: expected the index of the person among the network's {classes} "
            "classes (0 in COCO's order), got none"
        )
    chosen = options.person_class or 0
    if not 0 <= chosen < classes:
        raise ExportError(f"--person-class: expected 0 to {classes - 1}, got {chosen}")
    return chosen


# ---------------------------------------------------------------- yolox


def yolox_grid(
    height: int, width: int, strides: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cell (x, y) [A, 2] and stride [A, 1] of every anchor point: finest level first, by rows."""
    cells, steps = [], []
    for stride in strides:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        steps.append(np.full((x.size, 1), stride))
    return np.concatenate(cells), np.concatenate(steps)


def _yolox(
    model: onnx.ModelProto,
    shapes: dict[str, Dims],
    back: GraphBuilder,
    size: tuple[int, int],
    options: DetectorOptions,
) -> tuple[str, str, int]:
    outputs = [v.name for v in model.graph.output]
    dims = shapes.get(outputs[0], ())
    expected = {
        sum((size[0] // s) * (size[1] // s) for s in strides): strides for strides in _STRIDES
    }
    if len(outputs) != 1 or len(dims) != 3 or dims[1] not in expected or (dims[2] or 0) < 6:
        raise ExportError(
            f"--layout yolox: expected one output [batch, {' or '.join(map(str, expected))}, "
            f"5 + classes] for {size[0]}x{size[1]}, got "
            f"{'; '.join(str(list(shapes.get(o, ()))) for o in outputs)}"
        )
    count, channels = dims[1] or 0, dims[2] or 0
    person = 5 + _person_class(options, channels - 5)
    cells, steps = yolox_grid(*size, expected[count])
    out = outputs[0]
    stride = back.constant(steps[None])
    centre = back.node("Add", [_slice(back, out, 0, 2), back.constant(cells[None])])
    centre = back.node("Mul", [centre, stride])
    half = back.node("Exp", [_slice(back, out, 2, 4)])
    half = back.node("Mul", [half, back.constant(steps[None] / 2)])
    corners = [back.node(op, [centre, half]) for op in ("Sub", "Add")]
    boxes = back.node("Concat", corners, axis=2)
    parts = [_slice(back, out, 4, 5), _slice(back, out, person, person + 1)]
    scores = back.node("Squeeze", [back.node("Mul", parts), back.constant([2], np.int64)])
    return boxes, scores, count


# ---------------------------------------------------------------- rtmdet


def _rtmdet(
    model: onnx.ModelProto,
    shapes: dict[str, Dims],
    back: GraphBuilder,
    options: DetectorOptions,
) -> tuple[str, str, int]:
    outputs = [v.name for v in model.graph.output]
    dims = [shapes.get(o, ()) for o in outputs]
    ok = len(dims) == 2 and all(len(d) == 3 for d in dims)
    if not ok or dims[0][2] != 4 or dims[0][1] != dims[1][1] or None in dims[0][1:] + dims[1][1:]:
        raise ExportError(
            "--layout rtmdet: expected boxes [batch, A, 4] and scores [batch, A, classes] (before "
            f"the suppression, if there is one), got {'; '.join(str(list(d)) for d in dims)}"
        )
    count, classes = dims[1][1] or 0, dims[1][2] or 0
    person = _person_class(options, classes)
    scores = _slice(back, outputs[1], person, person + 1) if classes > 1 else outputs[1]
    return outputs[0], back.node("Squeeze", [scores, back.constant([2], np.int64)]), count
