# SPDX-License-Identifier: Apache-2.0
"""`poseact models pull`: official weights into the models folder, and a model file out of them."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from poseact_engine.errors import DependencyError, ManifestError, PoseActError
from poseact_engine.manifest_io import read_manifest
from poseact_engine.zoo.folder import models_folder, record_path
from poseact_engine.zoo.http import Network
from poseact_engine.zoo.official import ENTRIES
from poseact_engine.zoo.pull import pull
from poseact_engine.zoo.registry import Entry, find_entry


def pull_command(
    name: Annotated[str, typer.Argument(help="A name of `list`.", show_default=False)],
    *,
    to: Annotated[
        Path | None,
        typer.Option(help="Models folder [$POSEACT_MODELS, ~/.local/share/poseact_engine/models]."),
    ] = None,
    mirror: Annotated[
        str | None, typer.Option(help="Base URL in place of scheme and host.", metavar="URL")
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            help="http://[USER:PASSWORD@]HOST:PORT [http_proxy, https_proxy].", metavar="URL"
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Longest silence of the server, seconds.", min=1)
    ] = 30.0,
    export: Annotated[bool, typer.Option(help="Make a model file of the weights.")] = True,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing; use what is in the folder.")
    ] = False,
) -> None:
    """Download official weights, verify them, and export them to a model file.

    A download that broke off is taken up where it stopped. Without a network the message says which
    file to place where; the same command goes on from there.
    """
    entry = find_entry(name, ENTRIES)
    network = Network(mirror=mirror, proxy=proxy, timeout_s=timeout)
    folder = models_folder(to)
    typer.echo(f"{entry.title}: {entry.licence}, commercial use: {entry.commercial}; {entry.terms}")
    with Screen(entry.name) as screen:
        weights = pull(entry, folder, None if offline else network, screen)
    output = folder / f"{entry.name}.onnx"
    line = export_line(entry, str(weights), str(output))
    if not export:
        typer.echo(f"to make a model file of it: {line}")
    elif _is_model(output):
        typer.echo(f"{output}: is here already; delete it to have it made anew")
    else:
        _export(entry, weights, output)


def export_line(entry: Entry, weights: str, output: str) -> str:
    """What a person types to export the weights."""
    return shlex.join(["poseact", "export", *entry.export_arguments(weights, output)])


def _is_model(file: Path) -> bool:
    if not file.exists():
        return False
    try:
        read_manifest(file)
    except ManifestError as error:
        typer.echo(f"{error}; it is made anew")
        return False
    return True


def _export(entry: Entry, weights: Path, output: Path) -> None:
    from export.cli import app

    later = f"the weights are kept; later: {export_line(entry, str(weights), str(output))}"
    arguments = entry.export_arguments(str(weights), str(output))
    try:
        code = app(args=arguments, prog_name="poseact export", standalone_mode=False)
    except DependencyError as error:
        raise DependencyError(f"{error}; {later}") from error
    except PoseActError:
        typer.echo(later, err=True)
        typer.echo(
            f"if {weights.name} itself is wrong: delete it and {record_path(weights).name}, which "
            "another download must equal, and pull again",
            err=True,
        )
        raise
    if isinstance(code, int) and code:  # typer returns what an Exit carries
        typer.echo(later, err=True)
        raise typer.Exit(code)


class Screen:
    """A bar on a terminal, lines in a pipe; both on standard error."""

    def __init__(self, what: str) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(what, total=None, visible=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def progress(self, done_bytes: int, total_bytes: int | None) -> None:
        self._bar.update(self._task, completed=done_bytes, total=total_bytes, visible=True)

    def note(self, text: str) -> None:
        self._console.print(text, markup=False)
