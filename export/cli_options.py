# SPDX-License-Identifier: Apache-2.0
"""The options of `python -m export detector` and `pose`, with what each usually is."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


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


DetectorLayoutOption = Annotated[
    DetectorLayout | None,
    typer.Option(
        help="Form of the output. Required. yolox: boxes still to be decoded; rtmdet: decoded "
        "boxes, with or without suppression inside (whatever mmdeploy wrote)."
    ),
]
Letterbox = Annotated[
    LetterboxPlace | None,
    typer.Option(help="Place of the picture in the input. Required. YOLOX, RTMDet top_left."),
]
NmsIou = Annotated[
    str | None,
    typer.Option(
        help="Boxes that overlap a better one by more go; none: the network needs no "
        "suppression. Required. YOLOX 0.45, RTMDet 0.6."
    ),
]
MaxBoxes = Annotated[
    int | None,
    typer.Option(help="Best boxes kept, 1 to 300; some 15 of them may be one person. Required."),
]
PersonClass = Annotated[
    int | None,
    typer.Option(help="Index of the person; required with several classes. COCO 0."),
]
PoseLayoutOption = Annotated[
    PoseLayout | None, typer.Option(help="Form of the network's output. Required.")
]
GeometryOption = Annotated[
    PoseGeometry | None,
    typer.Option(help="How crops were cut in training. Required. HRNet, TinyPose default."),
]
Expansion = Annotated[
    float | None,
    typer.Option(help="Growth of the box into its crop. Required. HRNet, TinyPose 1.25."),
]
Joints = Annotated[
    str | None,
    typer.Option(help="coco17, or the joints' names with commas, in order. Required."),
]
