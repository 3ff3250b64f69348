# SPDX-License-Identifier: Apache-2.0
"""The foreign networks of the real data, adapted; with the options each was trained with."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from export.detector import DetectorOptions, export_detector
from export.front import InputOptions
from export.pose import PoseOptions, export_pose
from poseact_engine.types import COCO_JOINTS

GREY = (114, 114, 114)

RTMDET = InputOptions(
    color="bgr",
    mean=(103.53, 116.28, 123.675),
    std=(57.375, 57.12, 58.395),
    scale=1.0,
    border=GREY,
    size=(320, 320),
)
YOLOX = InputOptions(color="bgr", mean=(0, 0, 0), std=(1, 1, 1), scale=1.0, border=GREY, size=None)
TINYPOSE = InputOptions(
    color="rgb",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    scale=1 / 255,
    border=(0, 0, 0),
    size=None,
)


def rtmdet_file(data: Path) -> Path:
    return data / "models" / "rtmdet_nano_person.onnx"


def yolox_file(data: Path) -> Path:
    return data / "models" / "yolox_nano_416.onnx"


def tinypose_file(data: Path) -> Path:
    return data / "models" / "tinypose_256x192.onnx"


@functools.cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    """Each export takes seconds and gives the same file: one a test run is enough."""
    return tempfile.TemporaryDirectory(prefix="poseact-real-models-")


def _export_once(export: Callable[[Path], object], name: str, folder: Path) -> Path:
    made = Path(_kept().name) / name
    if not made.exists():
        export(made)
    return Path(shutil.copy(made, folder / name))


def adapt_rtmdet(data: Path, folder: Path) -> Path:
    options = DetectorOptions(
        layout="rtmdet",
        input=RTMDET,
        letterbox="top_left",
        nms_iou=0.6,
        max_boxes=300,
        person_class=None,
        source="RTMDet-nano person, open-mmlab/mmpose",
        licence="Apache-2.0",
    )
    return _export_once(
        lambda made: export_detector(rtmdet_file(data), made, options), "rtmdet.onnx", folder
    )


def adapt_yolox(data: Path, folder: Path) -> Path:
    options = DetectorOptions(
        layout="yolox",
        input=YOLOX,
        letterbox="top_left",
        nms_iou=0.45,
        max_boxes=300,
        person_class=0,
        source="YOLOX-nano COCO, Kazuhito00/YOLOX-ONNX-TFLite-Sample",
        licence="Apache-2.0",
    )
    return _export_once(
        lambda made: export_detector(yolox_file(data), made, options), "yolox.onnx", folder
    )


def adapt_tinypose(data: Path, folder: Path) -> Path:
    options = PoseOptions(
        layout="heatmap",
        input=TINYPOSE,
        geometry="default",
        expansion=1.25,
        joints=COCO_JOINTS,
        source="PP-TinyPose 256x192, PaddleDetection",
        licence="Apache-2.0",
    )
    return _export_once(
        lambda made: export_pose(tinypose_file(data), made, options), "tinypose.onnx", folder
    )
