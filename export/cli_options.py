# SPDX-License-Identifier: Apache-2.0
"""The options of `python -m export`, with what each usually is."""

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


class HeatmapDecoding(Enum):
    quarter = "quarter"
    dark = "dark"


def value_of(choice: Enum | None) -> str | None:
    return None if choice is None else str(choice.value)


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
TrackScores = Annotated[
    str | None,
    typer.Option(
        help="LOW,HIGH,NEW: scores from which a box of this network may continue a track, is "
        "matched first, and starts a track. Otherwise 0.1,0.5,0.5."
    ),
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
DecodeOption = Annotated[
    HeatmapDecoding | None,
    typer.Option(
        help="How joints are read off heat maps: quarter (of a cell towards the larger neighbour) "
        "or dark, with geometry udp in MMPose's form for it. Otherwise as a checkpoint of our "
        "training, or an official file's name, says (hrnet), or quarter."
    ),
]
DarkKernel = Annotated[
    int | None,
    typer.Option(
        help="Cells of DARK's Gaussian, an odd number. Otherwise as a checkpoint of our training "
        "says (hrnet, verify), or 11 for maps of 64 x 48 and 17 for 96 x 72; required for others."
    ),
]
FlipTest = Annotated[
    bool,
    typer.Option(
        "--flip-test",
        help="Run the network over the mirrored crop, too, and take the mean: twice the work.",
    ),
]


# ---------------------------------------------------------------- official checkpoints

Weights = Annotated[Path | None, typer.Option(help="The PyTorch checkpoint. Required.")]
OfficialSize = Annotated[
    str | None,
    typer.Option(
        help="HEIGHTxWIDTH of the input, multiples of 32. Required, unless HRNet's file has it in "
        "its name. YOLOX nano and tiny 416x416, others 640x640."
    ),
]
OfficialGeometry = Annotated[
    PoseGeometry | None,
    typer.Option(
        help="How crops were cut in training. Otherwise udp where the file's name says so, "
        "or default."
    ),
]
OfficialJoints = Annotated[
    str | None,
    typer.Option(help="coco17, or the joints' names with commas. Required where they are not 17."),
]
OfficialNmsIou = Annotated[
    str, typer.Option("--nms-iou", help="Boxes that overlap a better one by more go; or none.")
]
OfficialMaxBoxes = Annotated[
    int, typer.Option("--max-boxes", help="Best boxes kept before that, 1 to 300.")
]
OfficialPerson = Annotated[int, typer.Option("--person-class", help="Index of the person.")]
AlphaPose = Annotated[
    bool,
    typer.Option(
        "--alphapose",
        help="Weights that AlphaPose trained: RGB less (0.406, 0.457, 0.480), not divided. They "
        "cannot be told from those of HRNet's authors.",
    ),
]
Legacy = Annotated[
    bool,
    typer.Option(
        "--legacy",
        help="Weights older than YOLOX 0.1.1: RGB pictures, normalised by ImageNet's mean and std.",
    ),
]
