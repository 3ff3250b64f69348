# SPDX-License-Identifier: Apache-2.0
"""`python -m export detector` and `pose`: foreign ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import typer

from export.cli_options import (
    Border,
    ColorOption,
    DarkKernel,
    DecodeOption,
    DetectorLayout,
    DetectorLayoutOption,
    Expansion,
    FlipTest,
    GeometryOption,
    Joints,
    Letterbox,
    Licence,
    MaxBoxes,
    Mean,
    NmsIou,
    OnnxFile,
    Output,
    PersonClass,
    PoseLayout,
    PoseLayoutOption,
    Scale,
    Size,
    Source,
    Std,
    TrackScores,
    value_of,
)
from export.detector import DetectorOptions, export_detector
from export.front import Color, InputOptions
from export.options import (
    parse_border,
    parse_iou,
    parse_joints,
    parse_number,
    parse_size,
    parse_track_scores,
    parse_triple,
    require,
)
from export.parity.cli_options import BoundOption, Data, Detector, Report, Truth, gate_options
from export.pose import HeatmapDecode, PoseOptions, export_pose
from export.precision_options import (
    MOST_KEPT,
    Calibrate,
    CalibrateDetector,
    Keep,
    LeastDb,
    MostKept,
    PrecisionChoice,
    PrecisionOption,
    TargetOption,
    precision_options,
)
from poseact_engine.manifest import DetectorManifest, Geometry, Placement, PoseManifest

commands = typer.Typer()


@commands.command()
def detector(
    onnx: OnnxFile = None,
    layout: DetectorLayoutOption = None,
    output: Output = None,
    size: Size = None,
    color: ColorOption = None,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    letterbox: Letterbox = None,
    border: Border = None,
    nms_iou: NmsIou = None,
    max_boxes: MaxBoxes = None,
    track_scores: TrackScores = None,
    person_class: PersonClass = None,
    source: Source = None,
    licence: Licence = None,
    precision: PrecisionOption = PrecisionChoice.fp32,
    target: TargetOption = None,
    calibrate: Calibrate = None,
    least_db: LeastDb = None,
    most_kept: MostKept = MOST_KEPT,
    keep: Keep = None,
    data: Data = None,
    bound: BoundOption = None,
    report: Report = None,
) -> None:
    """Adapt a foreign person detector: normalisation before, box decoding behind, NMS cut off."""
    given = require(
        "export detector", onnx=onnx, layout=value_of(layout), output=output,
        color=value_of(color), mean=mean, std=std, scale=scale, letterbox=value_of(letterbox),
        border=border, nms_iou=nms_iou, max_boxes=max_boxes, source=source, licence=licence,
    )  # fmt: skip
    options = DetectorOptions(
        layout="yolox" if layout is DetectorLayout.yolox else "rtmdet",
        input=_input_options(given, size),
        letterbox=cast(Placement, given["letterbox"]),
        nms_iou=parse_iou(given["nms_iou"]),
        max_boxes=int(given["max_boxes"]),
        track_scores=parse_track_scores(track_scores),
        person_class=person_class,
        source=given["source"],
        licence=given["licence"],
    )
    changed = precision_options(
        precision, target, calibrate, least_db=least_db,
        most_kept=most_kept, keep=keep,
    )  # fmt: skip
    gate = gate_options(data, bound, report)
    written = export_detector(
        Path(given["onnx"]), Path(given["output"]), options, precision=changed, gate=gate
    )
    tell(given["output"], written)


@commands.command()
def pose(
    onnx: OnnxFile = None,
    layout: PoseLayoutOption = None,
    output: Output = None,
    size: Size = None,
    color: ColorOption = None,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    geometry: GeometryOption = None,
    expansion: Expansion = None,
    border: Border = None,
    joints: Joints = None,
    decode: DecodeOption = None,
    dark_kernel: DarkKernel = None,
    flip_test: FlipTest = False,
    source: Source = None,
    licence: Licence = None,
    precision: PrecisionOption = PrecisionChoice.fp32,
    target: TargetOption = None,
    calibrate: Calibrate = None,
    calibrate_detector: CalibrateDetector = None,
    least_db: LeastDb = None,
    most_kept: MostKept = MOST_KEPT,
    keep: Keep = None,
    data: Data = None,
    truth: Truth = None,
    detector: Detector = None,
    bound: BoundOption = None,
    report: Report = None,
) -> None:
    """Adapt a foreign top-down pose network: normalisation before, heat-map decoding behind."""
    given = require(
        "export pose", onnx=onnx, layout=value_of(layout), output=output, color=value_of(color),
        mean=mean, std=std, scale=scale, geometry=value_of(geometry), expansion=expansion,
        border=border, joints=joints, source=source, licence=licence,
    )  # fmt: skip
    options = PoseOptions(
        layout="heatmap" if layout is PoseLayout.heatmap else "simcc",
        input=_input_options(given, size),
        geometry=cast(Geometry, given["geometry"]),
        expansion=float(given["expansion"]),
        joints=parse_joints(given["joints"]),
        source=given["source"],
        licence=given["licence"],
        decode=cast(HeatmapDecode | None, value_of(decode)),
        dark_kernel=dark_kernel,
        flip_test=flip_test,
    )
    changed = precision_options(
        precision, target, calibrate, detector=calibrate_detector, least_db=least_db,
        most_kept=most_kept, keep=keep,
    )  # fmt: skip
    gate = gate_options(data, bound, report, truth=truth, detector=detector)
    written = export_pose(
        Path(given["onnx"]), Path(given["output"]), options, precision=changed, gate=gate
    )
    tell(given["output"], written)


def tell(output: str, written: DetectorManifest | PoseManifest) -> None:
    size = f"{written.width}x{written.height}"
    typer.echo(f"{output}: {written.task} {size}, sha256 {written.sha256[:12]}")


def _input_options(given: dict[str, str], size: str | None) -> InputOptions:
    return InputOptions(
        color=cast(Color, given["color"]),
        mean=parse_triple("--mean", given["mean"]),
        std=parse_triple("--std", given["std"]),
        scale=parse_number("--scale", given["scale"]),
        border=parse_border(given["border"]),
        size=None if size is None else parse_size(size),
    )
