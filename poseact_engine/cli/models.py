# SPDX-License-Identifier: Apache-2.0
"""`poseact models`: what a model file says of itself."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from poseact_engine.contract import describe
from poseact_engine.manifest import Manifest
from poseact_engine.manifest_io import load_model, to_json

models_app = typer.Typer(help="Look into model files.", no_args_is_help=True, add_completion=False)


@models_app.callback()
def models() -> None:
    """Look into model files."""


@models_app.command()
def info(
    file: Annotated[Path, typer.Argument(help="A model file.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Print the manifest of a model file, its inputs and its outputs.

    The file is checked as the engine would: manifest, contract, checksum.
    """
    data, model, manifest = load_model(file)
    inputs, outputs = (
        [describe(v) for v in values] for values in (model.graph.input, model.graph.output)
    )
    if as_json:
        shapes = {"inputs": inputs, "outputs": outputs}
        typer.echo(json.dumps({"file": str(file), **json.loads(to_json(manifest)), **shapes}))
        return
    rows = [("file", f"{file} ({len(data) / 1e6:.1f} MB)"), *_rows(manifest)]
    rows += [("input", v) for v in inputs] + [("output", v) for v in outputs]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value.replace("[", "\\["))
    Console().print(table)


def _rows(manifest: Manifest) -> list[tuple[str, str]]:
    return [(name, _text(value)) for name, value in dataclasses.asdict(manifest).items()]


def _text(value: object) -> str:
    if value is None:
        return "none"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
