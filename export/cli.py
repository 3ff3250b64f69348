# SPDX-License-Identifier: Apache-2.0
"""`python -m export`, also `poseact export`: foreign weights to model files with a manifest.

Nothing is guessed: every option that the file itself cannot answer is required, and an error lists
all that are missing at once.
"""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeVar, cast

import typer

from export.action import command as action_command
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
from poseact_engine.manifest import Geometry, Placement

app = typer.Typer(
    name="export",
    help="Turn weights into ONNX model files that carry their manifest.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class DetectorLayout(Enum):
    yolox = "yolox"
    rtmdet = "rtmdet"


class PoseLayout(Enum):
    heatmap = "heatmap"
    simcc = "simcc"


class ColorOrder(Enum):
    bgr = "bgr"
    rgb = "rgb"


class LetterboxPlace(Enum):
    top_left = "top_left"
    center = "center"


class PoseGeometry(Enum):
    default = "default"
    udp = "udp"


Choice = TypeVar("Choice", bound=Enum)

OnnxFile = Annotated[Path | None, typer.Option("--onnx", help="The foreign ONNX file. Required.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write. Required.")]
ColorOption = Annotated[
    ColorOrder | None,
    typer.Option("--color", help="Channel order of the network's input. Required."),
]
Mean = Annotated[
    str | None,
    typer.Option(
        help="Subtracted per channel, in the network's order, after --scale. Required. "
        "YOLOX 0,0,0; RTMDet (bgr) 103.53,116.28,123.675; ImageNet (rgb) 0.485,0.456,0.406."
    ),
]
Std = Annotated[
    str | None,
    typer.Option(
        help="Divides per channel. Required. YOLOX 1,1,1; RTMDet (bgr) 57.375,57.12,58.395; "
        "ImageNet (rgb) 0.229,0.224,0.225."
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        help="Multiplies the grey levels 0 to 255 first; a fraction may be given. Required. "
        "1, or 1/255 with ImageNet's mean and std."
    ),
]
Border = Annotated[
    str | None,
    typer.Option(
        help="R,G,B of what lies outside the picture. Required. Detectors 114,114,114; "
        "HRNet and TinyPose 0,0,0."
    ),
]
Size = Annotated[
    str | None,
    typer.Option(help="HEIGHTxWIDTH of the input; required where the file leaves it open."),
]
Source = Annotated[str | None, typer.Option(help="Where the weights come from. Required.")]
Licence = Annotated[str | None, typer.Option(help="Licence of the weights. Required.")]


def _value(choice: Choice | None) -> str | None:
    return None if choice is None else str(choice.value)


@app.command()
def detector(
    onnx: OnnxFile = None,
    layout: Annotated[
        DetectorLayout | None, typer.Option(help="Form of the network's output. Required.")
    ] = None,
    output: Output = None,
    size: Size = None,
    color: ColorOption = None,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    letterbox: Annotated[
        LetterboxPlace | None,
        typer.Option(help="Place of the picture in the input. Required. YOLOX, RTMDet top_left."),
    ] = None,
    border: Border = None,
    nms_iou: Annotated[
        str | None,
        typer.Option(
            help="Boxes that overlap a better one by more go; none: the network needs no "
            "suppression. Required. YOLOX 0.45, RTMDet 0.6."
        ),
    ] = None,
    max_boxes: Annotated[
        int | None,
        typer.Option(
            help="Best boxes kept, 1 to 300; some 15 of them may be one person. Required."
        ),
    ] = None,
    person_class: Annotated[
        int | None,
        typer.Option(help="Index of the person; required with several classes. COCO 0."),
    ] = None,
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
    written = export_detector(Path(given["onnx"]), Path(given["output"]), options)
    typer.echo(
        f"{output}: detector {written.width}x{written.height}, best {written.max_boxes} boxes, "
        f"sha256 {written.sha256[:12]}"
    )


@app.command()
def pose(
    onnx: OnnxFile = None,
    layout: Annotated[
        PoseLayout | None, typer.Option(help="Form of the network's output. Required.")
    ] = None,
    output: Output = None,
    size: Size = None,
    color: ColorOption = None,
    mean: Mean = None,
    std: Std = None,
    scale: Scale = None,
    geometry: Annotated[
        PoseGeometry | None,
        typer.Option(help="How crops were cut in training. Required. HRNet, TinyPose default."),
    ] = None,
    expansion: Annotated[
        float | None,
        typer.Option(help="Growth of the box into its crop. Required. HRNet, TinyPose 1.25."),
    ] = None,
    border: Border = None,
    joints: Annotated[
        str | None,
        typer.Option(help="coco17, or the joints' names with commas, in order. Required."),
    ] = None,
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
    written = export_pose(Path(given["onnx"]), Path(given["output"]), options)
    typer.echo(
        f"{output}: pose {written.width}x{written.height}, {len(written.joints)} joints, "
        f"sha256 {written.sha256[:12]}"
    )


app.command("action")(action_command)


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
