# SPDX-License-Identifier: Apache-2.0
"""`poseact models`: official weights to be had, and what a model file says of itself."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from poseact_engine.cli.models_check import check_command
from poseact_engine.cli.models_pull import export_line, pull_command
from poseact_engine.contract import describe
from poseact_engine.engine_file import is_engine_file, read_engine
from poseact_engine.manifest import Task
from poseact_engine.manifest_io import load_model, to_json
from poseact_engine.zoo.folder import models_folder
from poseact_engine.zoo.official import ENTRIES
from poseact_engine.zoo.registry import Entry, find_entry

models_app = typer.Typer(
    help="Official weights and model files.", no_args_is_help=True, add_completion=False
)
models_app.command("pull")(pull_command)
models_app.command("check")(check_command)


@models_app.callback()
def models() -> None:
    """Fetch official weights, look into model files, check both."""


@models_app.command("list")
def list_command(
    task: Annotated[Task | None, typer.Option(help="Only of this task.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="The models folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON list.")] = False,
) -> None:
    """List the official weights that `pull` knows, and which are in the models folder already.

    Accuracy is as published; `info NAME` says on what, and the reason behind "commercial".
    """
    entries = [e for e in ENTRIES if task in (None, e.task)]
    if as_json:
        typer.echo(json.dumps([_values(e) for e in entries], indent=2))
        return
    folder = models_folder(to)
    titles = ("name", "task", "accuracy", "licence", "commercial", "here")
    rows = [
        (
            *(e.name, e.task, f"{e.accuracy:.1f} {e.metric}", e.licence, e.commercial),
            "yes" if (folder / e.file).is_file() else "",
        )
        for e in entries
    ]
    if not sys.stdout.isatty():
        for row in (titles, *rows):
            typer.echo("\t".join(row))
        return
    table = Table(*titles, box=None, padding=(0, 1, 0, 0))  # fits 80 columns
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*map(escape, row))
    Console().print(table)


@models_app.command()
def info(
    model: Annotated[
        str, typer.Argument(help="A model file, or a name of `list`.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Print the manifest of a model or engine file and what belongs to it, or what a name means.

    The file is checked as the engine would: manifest, contract, checksum.
    """
    file = Path(model)
    if file.exists() or _is_path(model):
        values = _file_values(file)
    else:
        values = _values(find_entry(model, ENTRIES))
        values = values if as_json else {k: v for k, v in values.items() if v is not None}
    if as_json:
        typer.echo(json.dumps(values))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in values.items():
        # inputs and outputs: one line each
        for line in value if name in ("inputs", "outputs") else [value]:
            table.add_row(name, escape(_text(line)))
    Console().print(table)


def _is_path(text: str) -> bool:
    return "/" in text or bool(Path(text).suffix)


def _values(entry: Entry) -> dict[str, Any]:
    values = dataclasses.asdict(entry)
    return {**values, "export": export_line(entry, entry.file, f"{entry.name}.onnx")}


def _file_values(file: Path) -> dict[str, Any]:
    if is_engine_file(file):
        engine = read_engine(file)
        built = json.loads(engine.fingerprint.to_json())
        return {"file": str(file), **json.loads(to_json(engine.manifest)), "engine": built}
    _, model, manifest = load_model(file)
    shapes = {
        "inputs": [describe(v) for v in model.graph.input],
        "outputs": [describe(v) for v in model.graph.output],
    }
    return {"file": str(file), **json.loads(to_json(manifest)), **shapes}


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "; ".join(f"{name} {_text(part)}" for name, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
