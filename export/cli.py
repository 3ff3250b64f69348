# SPDX-License-Identifier: Apache-2.0
"""`python -m export`, also `poseact export`: foreign weights to model files with a manifest.

Nothing is guessed: every option that the file itself cannot answer is required, and an error lists
all that are missing at once.
"""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import cast

import typer

from export.action import command as action_command
from export.cli_options import (
    Border,
    ColorOption,
    DetectorLayout,
    DetectorLayoutOption,
    Expansion,
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
)
from export.detector import DetectorOptions, export_detector
from export.front import Color, InputOptions
from export.options import (
    parse_border,
    parse_iou,
    parse_joints,
    parse_number,
    parse_size,
    parse_triple,
    require,
)
from export.pose import PoseOptions, export_pose
from poseact_engine.errors import PoseActError
from poseact_engine.manifest import DetectorManifest, Geometry, Placement, PoseManifest

app = typer.Typer(
    name="export",
    help="Turn weights into ONNX model files that carry their manifest.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _value(choice: Enum | None) -> str | None:
    return None if choice is None else str(choice.value)


@app.command()
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
    person_class: PersonClass = None,
    source: Source = None,
    licence: Licence = None,
) -> None:
    """Adapt a foreign person detector: normalisation before, box decoding behind, NMS cut off."""
    given = require(
        "export detector", onnx=onnx, layout=_value(layout), output=output, color=_value(color),
        mean=mean, std=std, scale=scale, letterbox=_value(letterbox), border=border,
        nms_iou=nms_iou, max_boxes=max_boxes, source=source, licence=licence,
    )  # fmt: skip
    options = DetectorOptions(
        layout="yolox" if layout is DetectorLayout.yolox else "rtmdet",
        input=_input_options(given, size),
        letterbox=cast(Placement, given["letterbox"]),
        nms_iou=parse_iou(given["nms_iou"]),
        max_boxes=int(given["max_boxes"]),
        person_class=person_class,
        source=given["source"],
        licence=given["licence"],
    )
    _report(output, export_detector(Path(given["onnx"]), Path(given["output"]), options))


@app.command()
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
    source: Source = None,
    licence: Licence = None,
) -> None:
    """Adapt a foreign top-down pose network: normalisation before, heat-map decoding behind."""
    given = require(
        "export pose", onnx=onnx, layout=_value(layout), output=output, color=_value(color),
        mean=mean, std=std, scale=scale, geometry=_value(geometry), expansion=expansion,
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
    )
    _report(output, export_pose(Path(given["onnx"]), Path(given["output"]), options))


app.command("action")(action_command)


def _report(output: Path | None, written: DetectorManifest | PoseManifest) -> None:
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


def main() -> None:
    """Errors are one line and exit code 2."""
    try:
        app(prog_name="python -m export")
    except PoseActError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
