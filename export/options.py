# SPDX-License-Identifier: Apache-2.0
"""Text of the command line to values; every error names the option."""

from __future__ import annotations

import math
from dataclasses import dataclass

from poseact_engine.config_track import TrackScores, are_track_scores
from poseact_engine.errors import ConfigError, ExportError
from poseact_engine.manifest import Task
from poseact_engine.types import COCO_JOINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointOptions:
    """What neither a checkpoint nor the manifest of the model made of it says."""

    alphapose: bool = False
    dark_kernel: int | None = None
    legacy: bool = False
    person_class: int = 0

    def check(self, task: Task | None) -> None:
        """Raises ConfigError for what a checkpoint of ``task`` (None: no checkpoint) has not."""
        of: dict[str, tuple[bool, Task]] = {
            "--alphapose": (self.alphapose, "pose"),
            "--dark-kernel": (self.dark_kernel is not None, "pose"),
            "--legacy": (self.legacy, "detector"),
            "--person-class": (self.person_class != 0, "detector"),
        }
        if self.dark_kernel is not None and (self.dark_kernel < 3 or self.dark_kernel % 2 == 0):
            raise ConfigError(
                f"--dark-kernel: expected an odd number, 3 or more, got {self.dark_kernel}"
            )
        for name, (given, fits) in of.items():
            if given and fits != task:
                got = "no checkpoint" if task is None else f"one of task {task}"
                raise ConfigError(f"{name}: expected a checkpoint of task {fits}, got {got}")


def require(command: str, **values: object) -> dict[str, str]:
    """All values as text, by name; ExportError with every option that is missing."""
    missing = [f"--{name.replace('_', '-')}" for name, value in values.items() if value is None]
    if missing:
        raise ExportError(
            f"{command}: expected {', '.join(missing)} too: the file does not say, and nothing is "
            f"guessed; `{command} --help` has the usual values"
        )
    return {name: str(value) for name, value in values.items()}


def parse_number(option: str, text: str) -> float:
    """A finite number; a fraction such as 1/255 is one, too."""
    above, _, below = text.strip().partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise ExportError(f"{option}: expected a number, got {text!r}")
    return value


def parse_triple(option: str, text: str) -> tuple[float, float, float]:
    parts = text.split(",")
    if len(parts) != 3:
        raise ExportError(f"{option}: expected three numbers a,b,c, got {text!r}")
    return (
        parse_number(option, parts[0]),
        parse_number(option, parts[1]),
        parse_number(option, parts[2]),
    )


def parse_border(text: str) -> tuple[int, int, int]:
    values = parse_triple("--border", text)
    if any(v != int(v) or not 0 <= v <= 255 for v in values):
        raise ExportError(f"--border: expected whole grey levels from 0 to 255, got {text!r}")
    return int(values[0]), int(values[1]), int(values[2])


def parse_size(text: str) -> tuple[int, int]:
    """Height and width."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdecimal() and int(p) > 0 for p in parts):
        raise ExportError(f"--size: expected HEIGHTxWIDTH, as 320x320, got {text!r}")
    return int(parts[0]), int(parts[1])


def parse_iou(text: str) -> float | None:
    value = None if text == "none" else parse_number("--nms-iou", text)
    if value is not None and not 0 < value <= 1:
        raise ExportError(f"--nms-iou: expected a number above 0, at most 1, or none, got {text!r}")
    return value


def parse_track_scores(text: str | None) -> TrackScores | None:
    if text is None:
        return None
    scores = parse_triple("--track-scores", text)
    if not are_track_scores(scores):
        raise ExportError(
            "--track-scores: expected LOW,HIGH,NEW, each from the one before to 1, as "
            f"0.1,0.5,0.5, got {text!r}"
        )
    return scores


def parse_joints(text: str) -> tuple[str, ...]:
    """`coco17`, or names with commas between them."""
    return COCO_JOINTS if text == "coco17" else tuple(n.strip() for n in text.split(","))
