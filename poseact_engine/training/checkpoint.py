# SPDX-License-Identifier: Apache-2.0
"""The file that training writes and export reads: plain data and tensors, no pickled code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.training.models.lstm import ActionLstm, LstmConfig, NormaliseMode
from poseact_engine.training.paper import JOINTS
from poseact_engine.training.session import UNREADABLE, write_torch

FORMAT = "poseact-action-checkpoint"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCheckpoint:
    """A trained action model and all that export needs to know of it."""

    state: Mapping[str, Tensor]
    """Weights and standardisation, by their names in ActionLstm."""
    classes: tuple[str, ...]
    joints: tuple[str, ...]
    length: int
    rate: tuple[int, int]
    normalise: NormaliseMode
    hidden: int
    layers: int
    training: Mapping[str, Any]
    """How it came about: data files and their sha256, excluded patterns, seed, options, scores."""

    def __post_init__(self) -> None:
        for name in ("length", "hidden", "layers"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name}: expected a whole number, 1 or more, got {value!r}")
        if self.length % 2 == 0:
            raise ConfigError(f"length: expected an odd number of poses, got {self.length}")
        if len(self.rate) != 2 or not all(type(v) is int and v > 0 for v in self.rate):
            raise ConfigError(f"rate: expected two whole numbers above 0, got {self.rate!r}")
        if self.normalise not in get_args(NormaliseMode):
            raise ConfigError(f"normalise: expected body or paper, got {self.normalise!r}")
        for name, least in (("classes", 1), ("joints", JOINTS)):
            words = getattr(self, name)
            if len(words) < least or not all(isinstance(w, str) and w for w in words):
                raise ConfigError(f"{name}: expected {least} or more names, got {words!r}")
        if len(self.joints) != JOINTS:
            raise ConfigError(f"joints: expected {JOINTS} names, got {len(self.joints)}")

    def make_model(self) -> ActionLstm:
        """The network with its weights, in evaluation mode; ConfigError where they do not fit."""
        config = LstmConfig(
            hidden=self.hidden,
            layers=self.layers,
            normalise=self.normalise,
            classes=len(self.classes),
        )
        model = ActionLstm(config)
        try:
            model.load_state_dict(dict(self.state))
        except (RuntimeError, TypeError, AttributeError) as error:
            raise ConfigError(f"weights do not fit {config}: {error}") from error
        return model.eval()


def save_checkpoint(checkpoint: ActionCheckpoint, path: Path) -> None:
    """Write ``checkpoint``, whole or not at all, so that ``torch.load(weights_only=True)`` can read
    it; SinkError where it cannot be written."""
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    for field in fields(checkpoint):
        value = getattr(checkpoint, field.name)
        content[field.name] = dict(value) if isinstance(value, Mapping) else value
    write_torch(content, path)


def load_checkpoint(path: Path) -> ActionCheckpoint:
    """Read a checkpoint; SourceError says what is wrong with the file."""
    content = _load(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SourceError(f"{path}: expected an action checkpoint of `poseact train action`")
    if content.get("version") != VERSION:
        raise SourceError(f"{path}: expected version {VERSION}, got {content.get('version')!r}")
    names = {field.name for field in fields(ActionCheckpoint)}
    got = set(content) - {"format", "version"}
    if got != names:
        raise SourceError(
            f"{path}: expected the keys {sorted(names)},"
            f" missing {sorted(names - got)}, unknown {sorted(map(str, got - names))}"
        )
    values: dict[str, Any] = {name: content[name] for name in names}
    try:
        for name in ("classes", "joints", "rate"):
            values[name] = tuple(values[name])
        checkpoint = ActionCheckpoint(**values)
        checkpoint.make_model()
    except (ConfigError, TypeError) as error:
        raise SourceError(f"{path}: malformed checkpoint: {error}") from error
    return checkpoint


def _load(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such checkpoint") from None
    except UNREADABLE as error:
        # torch's own message tells people to load files that they do not trust.
        raise SourceError(
            f"{path}: expected an action checkpoint of `poseact train action`,"
            " got a file that is none or is cut off"
        ) from error
