# SPDX-License-Identifier: Apache-2.0
"""What a model file says of itself: read strictly, never defaulted.

Each class checks its values when it is made. How a manifest is stored in an ONNX file, and how the
file is held against it, stands in ``manifest_io`` and ``contract``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from poseact_engine.config_track import TrackScores, are_track_scores
from poseact_engine.errors import ManifestError

Task = Literal["detector", "pose", "action"]
Precision = Literal["fp32", "fp16", "int8"]
Target = Literal["any", "cpu", "tensorrt"]
Decode = Literal["quarter", "dark", "simcc"]
Placement = Literal["top_left", "center"]
Geometry = Literal["default", "udp"]
Normalise = Literal["body", "paper"]

MAX_BOXES = 300
"""Most boxes of one picture that a detector may give (the contract's N)."""


def _require(ok: bool, field: str, expected: str, got: object) -> None:
    if not ok:
        raise ManifestError(f"manifest.{field}: expected {expected}, got {got!r}")


def _require_sizes(**values: int) -> None:
    for field, value in values.items():
        _require(value >= 1, field, "a whole number, 1 or more", value)


def _require_border(border: tuple[int, int, int]) -> None:
    ok = len(border) == 3 and all(0 <= v <= 255 for v in border)
    _require(ok, "border", "three grey levels (R, G, B) from 0 to 255", border)


def _require_names(field: str, names: tuple[str, ...]) -> None:
    ok = len(names) > 0 and len(set(names)) == len(names) and all(names)
    _require(ok, field, "one or more names, none empty or twice", names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Fields that every model has; each task adds its own (see the subclasses)."""

    task: Task
    precision: Precision
    target: Target
    """What an int8 graph is for: ``cpu`` has uint8 activations, ``tensorrt`` symmetric int8 ones
    and no quantised bias. ``any`` for fp32 and fp16."""
    source: str
    """Where the weights come from, free text."""
    licence: str
    sha256: str
    """Hexadecimal, over the sorted initialisers: name, dtype, shape, bytes. Export steps leave it
    empty; ``manifest_io.attach`` computes it."""

    def __post_init__(self) -> None:
        _require(MANIFEST_OF.get(self.task) is type(self), "task", "the class's own", self.task)
        _require(
            self.precision in get_args(Precision), "precision", "fp32, fp16 or int8", self.precision
        )
        targets = ("cpu", "tensorrt") if self.precision == "int8" else ("any",)
        _require(
            self.target in targets,
            "target",
            f"{' or '.join(targets)} for {self.precision}",
            self.target,
        )
        _require(bool(self.source.strip()), "source", "where the weights come from", self.source)
        _require(bool(self.licence.strip()), "licence", "the licence of the weights", self.licence)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorManifest(Manifest):
    """A person detector: where the picture lies in its input, and what must follow its output."""

    height: int
    width: int
    placement: Placement
    """Where the picture lies in the letterbox."""
    border: tuple[int, int, int]
    """RGB of the rest."""
    nms_iou: float | None
    """None: the graph needs no suppression."""
    max_boxes: int
    track_scores: TrackScores | None
    """For this network's boxes; None: nobody measured any, and TrackConfig's will do."""

    def __post_init__(self) -> None:
        Manifest.__post_init__(self)
        _require_sizes(height=self.height, width=self.width)
        ok = self.track_scores is None or are_track_scores(self.track_scores)
        expected = "null or low, high and new score, each from the one before to 1"
        _require(ok, "track_scores", expected, self.track_scores)
        _require(
            self.placement in get_args(Placement), "placement", "top_left or center", self.placement
        )
        _require_border(self.border)
        ok = self.nms_iou is None or 0 < self.nms_iou <= 1
        _require(ok, "nms_iou", "null or a number above 0, at most 1", self.nms_iou)
        ok = 1 <= self.max_boxes <= MAX_BOXES
        _require(ok, "max_boxes", f"1 to {MAX_BOXES}", self.max_boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseManifest(Manifest):
    """A top-down pose network: how a box becomes its crop, and which joints it finds."""

    height: int
    width: int
    geometry: Geometry
    expansion: float
    """The box, brought to the crop's aspect ratio, grows by this."""
    border: tuple[int, int, int]
    joints: tuple[str, ...]
    decode: Decode
    """How joints are read off the network's output: heat maps by arg max and ``quarter`` offset or
    by ``dark`` (Zhang et al. 2020), or ``simcc``."""
    flip_test: bool
    """The graph runs the network over the mirrored crop, too, and takes the mean."""

    def __post_init__(self) -> None:
        Manifest.__post_init__(self)
        _require_sizes(height=self.height, width=self.width)
        _require(self.geometry in get_args(Geometry), "geometry", "default or udp", self.geometry)
        ok = math.isfinite(self.expansion) and self.expansion > 0
        _require(ok, "expansion", "a number above 0", self.expansion)
        _require_border(self.border)
        _require_names("joints", self.joints)
        _require(self.decode in get_args(Decode), "decode", "quarter, dark or simcc", self.decode)
        ok = not (self.flip_test and self.decode == "simcc")
        _require(ok, "flip_test", "false for simcc", self.flip_test)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionManifest(Manifest):
    """A classifier of windows of poses: what a window is, and which actions it names."""

    joints: tuple[str, ...]
    classes: tuple[str, ...]
    length: int
    """Poses in a window."""
    rate: tuple[int, int]
    """Poses per second, numerator and denominator."""
    normalise: Normalise

    def __post_init__(self) -> None:
        Manifest.__post_init__(self)
        _require_names("joints", self.joints)
        _require_names("classes", self.classes)
        _require_sizes(length=self.length)
        ok = len(self.rate) == 2 and all(v >= 1 for v in self.rate)
        _require(ok, "rate", "numerator and denominator, each 1 or more", self.rate)
        _require(
            self.normalise in get_args(Normalise), "normalise", "body or paper", self.normalise
        )


MANIFEST_OF: dict[str, type[Manifest]] = {
    "detector": DetectorManifest,
    "pose": PoseManifest,
    "action": ActionManifest,
}
