# SPDX-License-Identifier: Apache-2.0
"""A training run that can be broken off and gone on with, as if it had never stopped.

``save_state`` writes everything that the next step depends on: weights, optimiser, random numbers,
and the loop's own counters. ``load_state`` puts it back. A run that is resumed ends with the same
bits as one that was not, on one machine's CPU.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from poseact_engine.errors import SinkError, SourceError
from poseact_engine.files import write_atomically

FORMAT = "poseact-training-state"
VERSION = 1
SUFFIX = ".resume"
UNREADABLE = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)
"""What torch raises for files that are not its own."""
_NOTHING: Any = object()
"""In the place of an option that one side does not know."""


class Part(Protocol):
    """What has a state: a network, an optimiser, an ``EarlyStopping``."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


def resume_path(output: Path) -> Path:
    """Where the state of a run that writes ``output`` stands: beside it, ``NAME.pt.resume``."""
    return output.with_name(output.name + SUFFIX)


def save_state(
    path: Path,
    *,
    options: Mapping[str, Any],
    values: Mapping[str, Any],
    parts: Mapping[str, Part],
    generators: Mapping[str, torch.Generator] | None = None,
) -> None:
    """Write the state, whole or not at all; SinkError where it cannot be written.

    ``options`` is what the run was asked for, as plain data: a state is only gone on with under the
    same. ``values`` are the loop's counters and tensors, ``generators`` its own random numbers; the
    program's are written, too.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "options": dict(options),
        "values": dict(values),
        "parts": {name: dict(part.state_dict()) for name, part in parts.items()},
        "generators": {name: g.get_state() for name, g in (generators or {}).items()},
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    write_torch(content, path)


def load_state(
    path: Path,
    *,
    options: Mapping[str, Any],
    parts: Mapping[str, Part],
    generators: Mapping[str, torch.Generator] | None = None,
) -> dict[str, Any]:
    """Put a saved state back into ``parts`` and ``generators``; returns its ``values``.

    SourceError: no such file, not a state, or one of a run with other ``options`` (says which).
    """
    content = _read(path)
    _check_options(path, content["options"], options)
    own = generators or {}
    if set(content["parts"]) != set(parts) or set(content["generators"]) != set(own):
        raise SourceError(f"{path}: expected the state of this kind of training, got another's")
    try:
        for name, part in parts.items():
            part.load_state_dict(content["parts"][name])
        for name, generator in own.items():
            generator.set_state(content["generators"][name])
        torch.set_rng_state(content["random"])
        if torch.cuda.is_available() and content["random_cuda"]:
            torch.cuda.set_rng_state_all(content["random_cuda"])
    except (*UNREADABLE, TypeError, AttributeError) as error:
        raise SourceError(f"{path}: malformed training state: {error}") from error
    values: dict[str, Any] = content["values"]
    return values


def write_torch(content: Mapping[str, Any], path: Path) -> None:
    """``torch.save``, whole or not at all; SinkError where it cannot be written."""
    data = io.BytesIO()
    torch.save(dict(content), data)
    try:
        write_atomically(data.getvalue(), path)
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such training state to resume from") from None
    except UNREADABLE as error:
        raise SourceError(
            f"{path}: expected a training state (NAME.pt{SUFFIX}), got a file that is none or is"
            " cut off"
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SourceError(f"{path}: expected a training state (NAME.pt{SUFFIX}), got another file")
    if content.get("version") != VERSION:
        raise SourceError(f"{path}: expected version {VERSION}, got {content.get('version')!r}")
    keys = ("options", "values", "parts", "generators")
    if not all(isinstance(content.get(key), dict) for key in keys):
        raise SourceError(f"{path}: malformed training state: expected {', '.join(keys)} in it")
    return content


def _check_options(path: Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    found = _difference("", saved, wanted)
    if found is not None:
        name, was, now = found
        raise SourceError(
            f"{path}: expected to go on with the options that it began with, got another"
            f" {name}: {_shown(now)} instead of {_shown(was)}"
        )


def _shown(value: Any) -> str:
    return "nothing (of another version)" if value is _NOTHING else f"{value!r:.80}"


def _difference(name: str, saved: Any, wanted: Any) -> tuple[str, Any, Any] | None:
    """Where the first difference is (``a.b`` for b within a), and both values; None: nowhere."""
    if not (isinstance(saved, Mapping) and isinstance(wanted, Mapping)):
        return None if saved == wanted else (name, saved, wanted)
    for key in sorted({*saved, *wanted}):
        inner = f"{name}.{key}" if name else str(key)
        found = _difference(inner, saved.get(key, _NOTHING), wanted.get(key, _NOTHING))
        if found is not None:
            return found
    return None
