# SPDX-License-Identifier: Apache-2.0
"""The models folder, and what is remembered of the files in it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from poseact_engine.errors import SinkError, SourceError
from poseact_engine.files import file_sha256, write_atomically
from poseact_engine.zoo.registry import Entry

CHUNK_BYTES = 1 << 20


def models_folder(chosen: Path | None = None) -> Path:
    """The chosen folder, else ``$POSEACT_MODELS``, else the user's data folder (XDG)."""
    if chosen is not None:
        return chosen
    if named := os.environ.get("POSEACT_MODELS"):
        return Path(named)
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    # The XDG specification asks that relative paths be ignored.
    base = data if data.is_absolute() else Path.home() / ".local" / "share"
    return base / "poseact_engine" / "models"


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(
            f"{folder}: cannot make the models folder: {error.strerror}; "
            "choose another with --to or $POSEACT_MODELS"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a file was when it first came; one JSON file beside each."""

    file: str
    sha256: str
    size_bytes: int
    source: str
    """The URL, or "placed by hand"."""
    date: str
    """ISO 8601, UTC."""


def record_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.record.json")


def read_record(file: Path) -> Record | None:
    """What is recorded of this file; None if nothing is."""
    path = record_path(file)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{path}: expected what is recorded of {file.name}, cannot read it: {error}; "
            "delete it to record the file anew"
        ) from error
    kinds = {"file": str, "sha256": str, "size_bytes": int, "source": str, "date": str}
    fits = isinstance(values, dict) and {k: type(v) for k, v in values.items()} == kinds
    if not fits or not re.fullmatch("[0-9a-f]{64}", values["sha256"]):
        raise SourceError(
            f"{path}: expected the keys {', '.join(kinds)}, got something else; "
            "delete it to record the file anew"
        )
    return Record(**values)


def write_record(file: Path, record: Record) -> None:
    path = record_path(file)
    text = json.dumps(asdict(record), indent=2) + "\n"
    try:
        write_atomically(text.encode(), path)
    except OSError as error:
        raise SinkError(f"{path}: cannot record the checksum: {error.strerror}") from error


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot read it: {error.strerror}") from error


def verify(entry: Entry, content: Path, record: Record | None) -> tuple[str, str | None]:
    """The sha256 of ``content``, and in words what it was found equal to (None: nothing is known).

    Everything that is known must agree: the registry's sum, the digits in the official name, what
    was recorded at first. Raises SourceError that says which does not.
    """
    found = _sha256(content)
    named = content if content.name == entry.file else entry.file
    known = (
        (entry.sha256, "the registry's"),
        (entry.name_sha256, "the digits in its official name"),
        (record.sha256 if record else None, f"recorded on {record.date}" if record else ""),
    )
    agreed = []
    for expected, whose in known:
        if expected is None:
            continue
        if not found.startswith(expected):
            raise SourceError(
                f"{named}: expected sha256 {expected} ({whose}), got {found}: it is damaged, "
                "was replaced, or is another file"
            )
        agreed.append(whose)
    return found, " and ".join(agreed) or None
