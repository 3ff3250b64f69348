# SPDX-License-Identifier: Apache-2.0
"""``poseact train``: models from keypoint files. torch is imported when a command runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from poseact_engine.errors import SinkError
from poseact_engine.sinks.base import check_target

if TYPE_CHECKING:
    from poseact_engine.training.action import Prepared, TrainConfig
    from poseact_engine.training.loop import Trained

Data = Annotated[list[Path], typer.Argument(help="Keypoint files (.npz).", metavar="DATA...")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Checkpoint to write (.pt).")]
Exclude = Annotated[
    list[str] | None,
    typer.Option(help="Leave out sequences of this name (shell pattern, repeatable)."),
]
Epochs = Annotated[int, typer.Option(help="Rounds of training.", min=1)]
EpochWindows = Annotated[int, typer.Option(help="Windows drawn per epoch.", min=1)]
BatchSize = Annotated[int, typer.Option(help="Windows per step.", min=1)]
Seed = Annotated[int, typer.Option(help="The same seed gives the same model.", min=0)]
Hidden = Annotated[int, typer.Option(help="LSTM units per layer.", min=1)]
Layers = Annotated[int, typer.Option(help="LSTM layers.", min=1)]
Dropout = Annotated[float, typer.Option(help="Between LSTM layers.", min=0, max=0.9)]
Rate = Annotated[float, typer.Option(help="Adam's highest learning rate.")]
Validation = Annotated[
    float, typer.Option(help="Share of subjects or trials held out.", min=0, max=0.9)
]
LeastFall = Annotated[
    float,
    typer.Option(help="Learn falls where the body moves this far within a window (pose heights)."),
]
Normalise = Annotated[
    Literal["body", "paper"],
    typer.Option(help="body: free of the camera; paper: plain pixels, standardised."),
]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]

train_app = typer.Typer(
    name="train", help="Train models.", no_args_is_help=True, add_completion=False
)


@train_app.callback()
def _train() -> None:
    """Train models."""


@train_app.command("action")
def train_action(
    data: Data,
    output: Output,
    *,
    exclude: Exclude = None,
    epochs: Epochs = 20,
    epoch_windows: EpochWindows = 8192,
    batch_size: BatchSize = 128,
    seed: Seed = 0,
    hidden: Hidden = 128,
    layers: Layers = 3,
    dropout: Dropout = 0.0,
    lr: Rate = 1e-3,
    validation: Validation = 0.25,
    least_fall: LeastFall = 0.25,
    normalise: Normalise = "body",
    threads: Threads = 2,
) -> None:
    """Train the action model (an LSTM, six actions) on sequences of poses.

    Sequences are split by subject or trial, both cameras together; accuracy is of those held out.
    """
    from poseact_engine.training.dependency import import_torch

    import_torch().set_num_threads(threads)
    from poseact_engine.training.action import TrainConfig
    from poseact_engine.training.loop import LoopConfig
    from poseact_engine.training.models.lstm import LstmConfig

    loop = LoopConfig(
        epochs=epochs, epoch_windows=epoch_windows, batch_size=batch_size, lr=lr, seed=seed
    )
    model = LstmConfig(hidden=hidden, layers=layers, dropout=dropout, normalise=normalise)
    config = TrainConfig(
        data=tuple(data),
        exclude=tuple(exclude or ()),
        validation=validation,
        least_fall=least_fall,
        model=model,
        loop=loop,
    )
    _run(config, output)


def _run(config: TrainConfig, output: Path) -> None:
    from poseact_engine.training import action, report
    from poseact_engine.training.checkpoint import save_checkpoint
    from poseact_engine.training.paper import CLASSES

    check_target(output, overwrite=True)
    if output.resolve() in {path.resolve() for path in config.data}:
        raise SinkError(f"{output}: is a keypoint file and would be overwritten")
    console = Console()
    start_s = time.monotonic()
    prepared = action.prepare(config)
    trained = _learn(config, prepared, console)
    save_checkpoint(action.make_checkpoint(config, prepared, trained), output)
    scores = trained.last.validation
    for table in report.tables(prepared.train, prepared.validation, scores, CLASSES):
        console.print(table)
    for warning in report.warnings(prepared.train, prepared.validation, CLASSES):
        console.print(f"mind: {warning}", style="yellow", highlight=False)
    took = f"{time.monotonic() - start_s:.0f} s"
    done = f"{output}: {config.loop.epochs} epochs, seed {config.loop.seed}, {took}"
    console.print(done, highlight=False, soft_wrap=True)


def _learn(config: TrainConfig, prepared: Prepared, console: Console) -> Trained:
    """Train under a progress bar; none where the output is not a terminal."""
    from poseact_engine.training import action, report

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("training", total=config.loop.epochs)

        def show(epoch: Any) -> None:
            macro = epoch.validation.macro if epoch.validation else float("nan")
            text = f"loss {epoch.loss:.3f}, held out {report.percent(macro)}"
            bar.update(task, advance=1, description=text)

        return action.learn(config, prepared, on_epoch=show)
