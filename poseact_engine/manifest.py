# SPDX-License-Identifier: Apache-2.0
"""What a model file says of itself: read strictly, never defaulted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["detector", "pose", "action"]
Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Fields that every model has; each task adds its own (see the subclasses)."""

    task: Task
    precision: Precision
    source: str
    """Where the weights come from, free text."""
    licence: str
    sha256: str
    """Over the sorted initialisers: name, dtype, shape, bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorManifest(Manifest):
    height: int
    width: int
    placement: Literal["top_left", "center"]
    """Where the picture lies in the letterbox."""
    border: tuple[int, int, int]
    """RGB of the rest."""
    nms_iou: float | None
    """None: the graph needs no suppression."""
    max_boxes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseManifest(Manifest):
    height: int
    width: int
    geometry: Literal["default", "udp"]
    expansion: float
    """The box, brought to the crop's aspect ratio, grows by this."""
    border: tuple[int, int, int]
    joints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionManifest(Manifest):
    joints: tuple[str, ...]
    classes: tuple[str, ...]
    length: int
    """Poses in a window."""
    rate: tuple[int, int]
    """Poses per second, numerator and denominator."""
    normalise: Literal["body", "paper"]
