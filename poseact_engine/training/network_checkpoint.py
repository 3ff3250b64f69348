# SPDX-License-Identifier: Apache-2.0
"""Trained detectors and pose models as files: weights, and all that export needs to know of them.

Plain data and tensors, read by ``torch.load(weights_only=True)``. The weights stand under
``state_dict`` by their official names, so that whoever reads official files reads these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.training.session import UNREADABLE, write_torch

NetworkTask = Literal["detector", "pose"]
FORMAT = "poseact-network-checkpoint"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelInput:
    """What becomes of a picture before the network: ``(level * scale - mean) / std``."""

    color: Literal["rgb", "bgr"]
    mean: tuple[float, float, float]
    """In the network's order of channels, as ``std``."""
    std: tuple[float, float, float]
    scale: float
    border: tuple[int, int, int]
    """R, G, B outside the picture."""


DETECTOR_INPUT = PixelInput(
    color="bgr", mean=(0, 0, 0), std=(1, 1, 1), scale=1.0, border=(114, 114, 114)
)
POSE_INPUT = PixelInput(
    color="rgb",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    scale=1 / 255,
    border=(0, 0, 0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkInfo:
    """All that a checkpoint says besides its weights."""

    task: NetworkTask
    network: Mapping[str, Any]
    """YoloxConfig or HrnetConfig, by field."""
    size: tuple[int, int]
    """Height, width of the input."""
    input: PixelInput
    names: tuple[str, ...]
    """Classes of a detector, joints of a pose model."""
    options: Mapping[str, Any]
    """Pose: ``geometry``, ``expansion``, ``decode``. Detector: ``placement``, ``nms_iou``."""
    source: str
    """Where the weights come from, for the manifest."""
    licence: str | None
    """None: not said; export asks for it."""
    training: Mapping[str, Any]
    """How it came about: data and their sha256, seeds, options, scores."""

    def __post_init__(self) -> None:
        if self.task not in get_args(NetworkTask):
            raise ConfigError(f"task: expected detector or pose, got {self.task!r}")
        if len(self.size) != 2 or not all(type(side) is int and side > 0 for side in self.size):
            raise ConfigError(f"size: expected two whole numbers above 0, got {self.size!r}")
        if not self.names or not all(isinstance(n, str) and n for n in self.names):
            raise ConfigError(f"names: expected names, got {self.names!r}")
        if not isinstance(self.options, Mapping):
            raise ConfigError(f"options: expected them by name, got {self.options!r:.40}")
        if not isinstance(self.source, str) or not isinstance(self.licence, str | None):
            raise ConfigError("source, licence: expected text")


def save_network(info: NetworkInfo, state: Mapping[str, Tensor], path: Path) -> None:
    """Whole or not at all; SinkError where it cannot be written."""
    content = {"format": FORMAT, "version": VERSION, "state_dict": dict(state)} | asdict(info)
    write_torch(content, path)


def read_info(path: Path) -> NetworkInfo | None:
    """What our own checkpoint says of itself; None for a file of somebody else.

    SourceError for one of ours that is malformed or of another version.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE:
        return None  # who reads its weights says what is wrong
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return None
    if content.get("version") != VERSION:
        raise SourceError(f"{path}: expected version {VERSION}, got {content.get('version')!r}")
    values = {k: v for k, v in content.items() if k not in ("format", "version", "state_dict")}
    try:
        values["input"] = PixelInput(**values["input"])
        values["size"], values["names"] = tuple(values["size"]), tuple(values["names"])
        return NetworkInfo(**values)
    except (ConfigError, TypeError, KeyError) as error:
        raise SourceError(f"{path}: malformed checkpoint: {error}") from error
