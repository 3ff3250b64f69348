# SPDX-License-Identifier: Apache-2.0
"""`poseact models check`: whether files are what they were, and what they say they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from poseact_engine.errors import PoseActError, SourceError
from poseact_engine.manifest_io import read_manifest
from poseact_engine.zoo.folder import models_folder, read_record, verify
from poseact_engine.zoo.official import ENTRIES
from poseact_engine.zoo.registry import Entry, find_entry

SOMETHING_WRONG = 1


def check_command(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, or names of `list`; all in the models folder otherwise.",
            metavar="[FILE|NAME]...",
            show_default=False,
        ),
    ] = None,
    *,
    to: Annotated[Path | None, typer.Option("--to", help="The models folder.")] = None,
) -> None:
    """Check weights (checksums) and model files (manifest, contract, checksum).

    Prints one line a file; exits 1 if anything is wrong.
    """
    folder = models_folder(to)
    files = [_file_of(text, folder) for text in what] if what else list(_all(folder))
    if not files:
        typer.echo(f"{folder}: nothing to check")
    for part in () if what else sorted(folder.glob("*.part")):
        typer.echo(f"unfinished: {part}: pull it again to go on")
    wrong = 0
    for file in files:
        try:
            typer.echo(f"ok: {file}: {_check(file)}")
        except PoseActError as error:
            wrong += 1
            typer.echo(f"wrong: {error}")
    if wrong:
        raise typer.Exit(SOMETHING_WRONG)


def _file_of(text: str, folder: Path) -> Path:
    path = Path(text)
    if path.exists() or "/" in text or path.suffix:
        return path
    return folder / find_entry(text, ENTRIES).file


def _all(folder: Path) -> Iterator[Path]:
    """What is there of the registry, then the model files."""
    weights = [folder / e.file for e in ENTRIES]
    yield from (f for f in weights if f.exists())
    if folder.is_dir():
        models = sorted(folder.glob("*.onnx"))
        yield from (f for f in models if f not in weights)


def _entry_of(file: Path) -> Entry | None:
    return next((e for e in ENTRIES if e.file == file.name), None)


def _check(file: Path) -> str:
    """What was found right, in words; raises PoseActError that names the file."""
    entry = _entry_of(file)
    if entry is None:
        if file.suffix != ".onnx" and file.exists():
            raise SourceError(
                f"{file}: expected a model file (.onnx) or weights under their official name"
            )
        manifest = read_manifest(file)
        return f"{manifest.task} {manifest.precision}, sha256 {manifest.sha256[:12]}..."
    if not file.exists():
        raise SourceError(f"{file}: is not there; `poseact models pull {entry.name}` fetches it")
    sha256, equal = verify(entry, file, read_record(file))
    known = f"equals {equal}" if equal else f"nothing to compare with: pull {entry.name} records it"
    return f"{entry.name}, sha256 {sha256[:12]}... {known}"
