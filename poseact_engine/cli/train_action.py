# SPDX-License-Identifier: Apache-2.0
"""What ``poseact train action`` does once its options are understood. Imports torch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from poseact_engine.cli.console import report_console
from poseact_engine.cli.stop import Stop, stop_on_signals
from poseact_engine.errors import SinkError, SourceError
from poseact_engine.sinks.base import check_target
from poseact_engine.training import action, report
from poseact_engine.training.action import Prepared, TrainConfig
from poseact_engine.training.board import Board
from poseact_engine.training.checkpoint import load_checkpoint, save_checkpoint
from poseact_engine.training.device import DeviceChoice, resolve_device
from poseact_engine.training.loop import Epoch, OnEpoch, Run, Trained
from poseact_engine.training.models.lstm import LstmConfig, NormaliseMode
from poseact_engine.training.paper import CLASSES
from poseact_engine.training.session import resume_path


def model_config(
    init: Path | None,
    hidden: int | None,
    layers: int | None,
    normalise: NormaliseMode | None,
    *,
    dropout: float,
) -> LstmConfig:
    """The network that was asked for; what was not asked is the first checkpoint's, if any."""
    given = LstmConfig() if init is None else load_checkpoint(init)
    return LstmConfig(
        hidden=given.hidden if hidden is None else hidden,
        layers=given.layers if layers is None else layers,
        normalise=given.normalise if normalise is None else normalise,
        dropout=dropout,
    )


def run(
    config: TrainConfig,
    output: Path,
    *,
    device: DeviceChoice,
    overwrite: bool,
    resume: bool,
    tensorboard: Path | None,
) -> None:
    """Train, write the checkpoint and print how well it does.

    ``typer.Exit`` with the signal's code where the run was broken off.
    """
    state = resume_path(output)
    _check_files(config, output, state, overwrite=overwrite, resume=resume)
    where = resolve_device(device)
    console = report_console()
    start_s = time.monotonic()
    with Board(tensorboard) as board, stop_on_signals(lambda: None) as stop:
        console.print(f"training on {where.type}", highlight=False)
        prepared = action.prepare(config)
        place = Run(
            device=where, state=state, resume=resume, should_stop=lambda: stop.code is not None
        )
        with _watched(console, config.loop.epochs, board) as on_epoch:
            trained = action.learn(config, prepared, on_epoch=on_epoch, run=place)
    if not trained.finished:
        _say_stopped(console, stop, state, trained)
    save_checkpoint(action.make_checkpoint(config, prepared, trained), output)
    state.unlink(missing_ok=True)
    _print(console, config, prepared, trained)
    took = f"{time.monotonic() - start_s:.0f} s"
    done = f"{output}: {trained.epochs} epochs, seed {config.loop.seed}, {took}"
    console.print(done, highlight=False, soft_wrap=True)


def _check_files(
    config: TrainConfig, output: Path, state: Path, *, overwrite: bool, resume: bool
) -> None:
    """What would go wrong after the long work, or destroy what is read or an earlier run."""
    given = (*config.data, *config.validation_data, config.init)
    read = {path.resolve() for path in given if path is not None}
    for path in (output, state):
        if path.resolve() in read:
            raise SinkError(f"{path}: is a file to be read and would be overwritten")
        check_target(path, overwrite=overwrite or path == state)
    if resume and not state.is_file():
        raise SourceError(
            f"{state}: no such training state to go on from; leave --resume out to begin anew"
        )
    if state.exists() and not resume:
        raise SinkError(
            f"{state}: an earlier run was broken off there; go on with it by --resume, or delete it"
        )


@contextmanager
def _watched(console: Console, epochs: int, board: Board) -> Iterator[OnEpoch]:
    """Shows each epoch: a bar on a terminal, lines elsewhere; and TensorBoard's curves."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    shown = console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not shown) as bar:
        task = bar.add_task("training", total=epochs)

        def show(epoch: Epoch) -> None:
            macro = epoch.validation.macro if epoch.validation else math.nan
            text = f"loss {epoch.loss:.3f}, held out {report.percent(macro)}"
            bar.update(task, completed=epoch.number, description=text)
            if not shown:
                console.print(f"epoch {epoch.number}/{epochs}: {text}", highlight=False)
            board.write(_curves(epoch), epoch.number)

        yield show


def _curves(epoch: Epoch) -> dict[str, float]:
    scores = epoch.validation
    curves = {"train/loss": epoch.loss}
    if scores is not None:
        curves |= {
            "held_out/accuracy": scores.accuracy,
            "held_out/mean_of_classes": scores.macro,
            "held_out/harmless_named_abnormal": scores.false_alarm,
            "held_out/no_fall_named_falling": scores.false_fall,
        }
    return curves


def _say_stopped(console: Console, stop: Stop, state: Path, trained: Trained) -> None:
    console.print(
        f"stopped after {trained.epochs} epochs; {state} has them:"
        " give the same command with --resume to go on",
        highlight=False,
        soft_wrap=True,
    )
    raise typer.Exit(stop.code or 1)


def _print(console: Console, config: TrainConfig, prepared: Prepared, trained: Trained) -> None:
    scores = trained.last.validation
    for table in report.tables(prepared.train, prepared.validation, scores, CLASSES):
        console.print(table)
    minds = report.warnings(prepared.train, prepared.validation, CLASSES)
    minds += report.caveats(
        split=config.split,
        patience=config.loop.patience,
        epoch=trained.last.number,
        learnt_before=len(action.learnt_before(config, prepared)),
    )
    for mind in minds:
        console.print(f"mind: {mind}", style="yellow", highlight=False)
