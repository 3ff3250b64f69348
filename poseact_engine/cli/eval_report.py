# SPDX-License-Identifier: Apache-2.0
"""What `poseact eval` prints and writes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from poseact_engine.cli.console import report_console
from poseact_engine.errors import SinkError
from poseact_engine.evaluation.action_eval import ActionReport
from poseact_engine.evaluation.action_scores import ActionScores, by_class
from poseact_engine.evaluation.coco import DetectorScores, PoseScores
from poseact_engine.evaluation.walk import OnProgress
from poseact_engine.files import write_atomically
from poseact_engine.manifest import Manifest
from poseact_engine.sinks.base import check_target

SCHEMA = 1


class Report(Protocol):
    """What a measurement says of the model."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def backend(self) -> str: ...


def check_outputs(files: Sequence[Path | None], *, reads: Sequence[Path | None]) -> None:
    """Raises SinkError, before the work, for files that cannot be written or that are read."""
    taken = {path.resolve() for path in reads if path is not None}
    for path in files:
        if path is None:
            continue
        check_target(path, overwrite=True)
        if path.resolve() in taken:
            raise SinkError(f"{path}: is read, or written twice; choose another name")
        taken.add(path.resolve())


def check_folders(*folders: Path | None) -> None:
    """Raises SinkError, before the work, for folders that cannot be made."""
    for folder in folders:
        if folder is not None and folder.exists() and not folder.is_dir():
            raise SinkError(f"{folder}: expected a folder, or a name for one, got a file")


@contextmanager
def progress(what: str) -> Iterator[OnProgress]:
    """A bar on the terminal; nothing elsewhere."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    shown = console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not shown) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def write_json(content: Any, path: Path) -> None:
    """Whole or not at all: a file that was there stays where the new one cannot be written."""
    text = json.dumps(content, allow_nan=False) + "\n"
    is_plain = path.is_file() or not path.exists()  # a device or a pipe is written to itself
    try:
        if is_plain:
            write_atomically(text.encode(), path.resolve())  # behind a link
        else:
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror}") from error


def print_scores(
    scores: PoseScores | DetectorScores,
    report: Report,
    model: Path,
    facts: Mapping[str, Any],
    json_file: Path | None,
) -> None:
    """COCO's figures as a table, and everything as JSON where asked for."""
    values = asdict(scores)
    plain = {name: None if math.isnan(value) else value for name, value in values.items()}
    table = Table(box=None, padding=(0, 1, 0, 0))  # twelve columns in 80 characters
    for name in values:
        table.add_column(_coco_name(name), justify="right")
    table.add_row(*("-" if math.isnan(v) else f"{100 * v:.1f}" for v in values.values()))
    console = report_console()
    console.print(_title(report, model, facts), soft_wrap=True, highlight=False)
    console.print(table)
    _write_all(report, model, {**facts, "scores": plain}, json_file)


def print_action(
    report: ActionReport, model: Path, facts: Mapping[str, Any], json_file: Path | None
) -> None:
    """Figures per class and source and the confusion matrix; and everything as JSON."""
    scores = report.scores
    console = report_console()
    console.print(_title(report, model, facts), soft_wrap=True, highlight=False)
    console.print(
        f"{scores.windows} windows: accuracy {_percent(scores.counts.accuracy)}, mean of classes "
        f"{_percent(scores.counts.macro)}, loss {scores.loss:.3f}, calibration error "
        f"{scores.calibration.error:.3f}",
        soft_wrap=True,
        highlight=False,
    )
    if scores.counts.harmless:
        console.print(
            f"{scores.counts.harmless} harmless windows: {_percent(scores.counts.false_alarm)} "
            "named as falling or lying",
            soft_wrap=True,
            highlight=False,
        )
    if scores.counts.no_fall:
        console.print(
            f"{scores.counts.no_fall} windows of no fall: {_percent(scores.counts.false_fall)} "
            "named as falling",
            soft_wrap=True,
            highlight=False,
        )
    console.print(_class_table(scores))
    console.print(_confusion_table(scores))
    _write_all(report, model, {**facts, "scores": scores.as_json()}, json_file)


def _title(report: Report, model: Path, facts: Mapping[str, Any]) -> str:
    said = ", ".join(
        f"{name.replace('_', ' ')} {', '.join(value) if isinstance(value, list) else value}"
        for name, value in facts.items()
        if value is not None
    )
    return f"{model.name} ({report.manifest.precision}, {report.backend}): {said}"


def _write_all(
    report: Report, model: Path, found: Mapping[str, Any], json_file: Path | None
) -> None:
    manifest = report.manifest
    about = {"file": model.name, "sha256": manifest.sha256, "precision": manifest.precision}
    document = {
        "schema": SCHEMA,
        "task": manifest.task,
        "model": about,
        "backend": report.backend,
        **found,
    }
    if json_file is not None:
        write_json(document, json_file)


def _coco_name(field: str) -> str:
    """``ap_50`` as AP50, ``ar_medium`` as ARM."""
    kind, _, which = field.partition("_")
    return kind.upper() + (which if which.isdigit() else which[:1].upper())


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _class_table(scores: ActionScores) -> Table:
    table = Table("class", title="per class", title_justify="left")
    for name in (*by_class(scores), "windows", *scores.counts.by_source):
        table.add_column(name, justify="right")
    for c, name in enumerate(scores.classes):
        shares = [_percent(column[c]) for column in by_class(scores).values()]
        parts = [
            f"{m[c, c]}/{m[c].sum()}" if m[c].any() else ""
            for m in scores.counts.by_source.values()
        ]
        table.add_row(name, *shares, str(scores.support[c]), *parts)
    return table


def _confusion_table(scores: ActionScores) -> Table:
    title = "confusion (rows: truth, columns: said)"
    table = Table("class", title=title, title_justify="left")
    for name in scores.classes:
        table.add_column(name, justify="right")
    for name, row in zip(scores.classes, scores.counts.confusion, strict=True):
        table.add_row(name, *(str(v) if v else "·" for v in row))
    return table
