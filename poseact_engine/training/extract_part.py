# SPDX-License-Identifier: Apache-2.0
"""What an extraction has done so far: a folder ``OUTPUT.part`` beside the keypoint file.

A video that was read is one small keypoint file, or a note that nobody was found; so a call that
was broken off is taken up where it stopped. Labels and groups are not in it: they are put on when
the parts are joined, so folders may be renamed and patterns changed without reading a video again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from poseact_engine.errors import ConfigError, SinkError, SourceError
from poseact_engine.files import write_atomically
from poseact_engine.training.clips import PART, Clip
from poseact_engine.training.keypoints import PoseSequence, read_sequences, write_sequences

_OPTIONS = "options.json"


@dataclass(frozen=True, slots=True)
class PartFolder:
    """The parts of one output; made by ``open_parts``."""

    path: Path

    def has(self, clip: Clip) -> bool:
        """Whether the video was read, and has not changed since."""
        try:
            known = json.loads(self._note(clip).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(known, dict) and known.get("file") == _state(clip.path)

    def put(self, clip: Clip, sequences: Sequence[PoseSequence]) -> None:
        if sequences:
            write_sequences(self._poses(clip), sequences)
        note = {"name": clip.name, "file": _state(clip.path), "people": len(sequences)}
        _write(self._note(clip), note)

    def sequences(self, clip: Clip, prefix: str) -> list[PoseSequence]:
        """Those of a clip that is there, with its label and groups."""
        if not json.loads(self._note(clip).read_text(encoding="utf-8"))["people"]:
            return []
        return [
            replace(
                sequence,
                name=f"{prefix}/{clip.name}{sequence.name.removeprefix(clip.name)}",
                labels=np.full(len(sequence.labels), clip.label, np.int8),
                clip=clip.clip,
                camera=clip.camera,
                subject=clip.subject,
            )
            for sequence in read_sequences([self._poses(clip)])
        ]

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _note(self, clip: Clip) -> Path:
        return self.path / f"{_key(clip)}.json"

    def _poses(self, clip: Clip) -> Path:
        return self.path / f"{_key(clip)}.npz"


def open_parts(output: Path, options: Mapping[str, Any]) -> PartFolder:
    """Makes the folder, or takes up the one that is there.

    Raises ConfigError if that was begun with other options: its poses would not fit to new ones.
    """
    parts = PartFolder(output.with_name(output.name + PART))
    note = parts.path / _OPTIONS
    try:
        parts.path.mkdir(exist_ok=True)
        if not note.exists():
            _write(note, dict(options))
            return parts
        known = json.loads(note.read_text(encoding="utf-8"))
    except OSError as error:
        raise SinkError(f"{parts.path}: cannot be used: {error.strerror or error}") from error
    except ValueError:
        known = {}
    known = known if isinstance(known, dict) else {}
    differ = sorted(k for k in {*known, *options} if known.get(k) != options.get(k))
    if differ:
        said = ", ".join(f"{k} {known.get(k)!r}, now {options.get(k)!r}" for k in differ)
        raise ConfigError(
            f"{parts.path}: was begun with other options ({said}); give the same to go on, or "
            "delete the folder to begin anew"
        )
    return parts


def _key(clip: Clip) -> str:
    return hashlib.sha256(clip.name.encode()).hexdigest()[:24]


def _state(path: Path) -> list[int]:
    try:
        stat = path.stat()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    return [stat.st_size, stat.st_mtime_ns]


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        write_atomically(json.dumps(content).encode(), path)
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error
