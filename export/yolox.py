# SPDX-License-Identifier: Apache-2.0
"""Official YOLOX weights as one ONNX file with its manifest.

Megvii's pictures since 0.1.1: BGR, grey levels as they are, at the top left of grey 114. ``legacy``
is what their demo calls so: RGB, ImageNet's mean and std, for weights older than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from export.detector import DetectorOptions, assemble_detector, make_manifest
from export.finish import finish
from export.front import InputOptions
from export.graph import Dims
from export.package import check_output
from export.parity.options import GateOptions
from poseact_engine.config_track import TrackScores
from poseact_engine.errors import ExportError
from poseact_engine.manifest import DetectorManifest

if TYPE_CHECKING:
    import onnx
    from torch import nn

    from export.precision import PrecisionOptions

GREY = (114, 114, 114)
FRONT = InputOptions(color="bgr", mean=(0, 0, 0), std=(1, 1, 1), scale=1.0, border=GREY, size=None)
LEGACY_FRONT = InputOptions(
    color="rgb",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    scale=1 / 255,
    border=GREY,
    size=None,
)
STEP = 32
"""Sides are multiples of the coarsest stride."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloxOptions:
    """What a file of YOLOX weights does not say of itself."""

    size: tuple[int, int]
    """Height, width of the input."""
    nms_iou: float | None
    max_boxes: int
    track_scores: TrackScores | None = None
    person_class: int = 0
    legacy: bool = False
    source: str
    licence: str

    def __post_init__(self) -> None:
        if any(side < STEP or side % STEP for side in self.size):
            raise ExportError(
                f"--size: expected multiples of {STEP}, as 416x416, got "
                f"{self.size[0]}x{self.size[1]}"
            )


def export_yolox(
    weights: Path,
    output: Path,
    options: YoloxOptions,
    *,
    precision: PrecisionOptions | None = None,
    gate: GateOptions | None = None,
) -> DetectorManifest:
    """Compares the graph with torch and writes ``output`` (``finish``); returns its manifest.

    ``precision`` None: fp32. Raises SourceError for weights that are not YOLOX's, ExportError for
    options that do not fit them, ParityError past a bound, DependencyError without torch.
    """
    check_output(output, weights)
    network = _load(weights)
    model, manifest = build_graph(network, options)
    from export.torch_model import torch_detector

    reference = torch_detector(network, manifest, _front(options), options.person_class)
    return finish(
        model, manifest, output,
        reference=reference, precision=precision, gate=gate or GateOptions(),
    )  # fmt: skip


def build_graph(
    network: nn.Module, options: YoloxOptions
) -> tuple[onnx.ModelProto, DetectorManifest]:
    """`images` uint8 [B, 3, H, W] RGB to `boxes` and `scores`, fp32; and its manifest without a
    checksum."""
    from export.trace import trace

    detector = DetectorOptions(
        layout="yolox",
        input=_front(options),
        letterbox="top_left",
        nms_iou=options.nms_iou,
        max_boxes=options.max_boxes,
        track_scores=options.track_scores,
        person_class=options.person_class,
        source=options.source,
        licence=options.licence,
    )
    height, width = options.size
    manifest = make_manifest(detector, height, width)
    model = trace(network, height=height, width=width)
    classes = int(network.get_parameter("head.cls_preds.0.weight").shape[0])
    count = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    shapes: dict[str, Dims] = {model.graph.output[0].name: (None, count, 5 + classes)}
    assemble_detector(model, shapes, manifest, detector)
    return model, manifest


def _front(options: YoloxOptions) -> InputOptions:
    return LEGACY_FRONT if options.legacy else FRONT


def _load(weights: Path) -> nn.Module:
    from poseact_engine.training.dependency import import_torch

    import_torch()
    from poseact_engine.training.official import load_yolox

    return load_yolox(weights)
