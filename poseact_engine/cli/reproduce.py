# SPDX-License-Identifier: Apache-2.0
"""``poseact reproduce``: the paper's experiments, and the honest ones, as one HTML page."""

from __future__ import annotations

import platform
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from poseact_engine.errors import ConfigError, SinkError
from poseact_engine.files import write_atomically

if TYPE_CHECKING:
    from poseact_engine.evaluation.reproduce.data import DataSet
    from poseact_engine.evaluation.reproduce.experiment import ReproduceConfig

T = TypeVar("T", int, float)
EPOCHS, MAX_WINDOWS, HOURS = 200, 5000, 1.0
QUICK_EPOCHS, QUICK_WINDOWS, QUICK_HOURS = 4, 600, 0.1

Data = Annotated[
    list[Path] | None,
    typer.Argument(help="Keypoint files (.npz), together one data set.", metavar="DATA"),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Page to write (.html).")]
Hours = Annotated[
    float | None,
    typer.Option(
        help=f"Hours of made poses, a data set of their own; 0: none. (default {HOURS:g})", min=0
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(help=f"Rounds of training of the paper's LSTM. (default {EPOCHS})", min=1),
]
MaxWindows = Annotated[
    int | None,
    typer.Option(
        help=f"Windows of a data set, at most, drawn at random. (default {MAX_WINDOWS})", min=50
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Little of everything: shows the page, proves nothing.")
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same numbers.", min=0)]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]
DeviceName = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where the LSTMs learn.")]


def reproduce_command(
    data: Data = None,
    *,
    output: Output,
    synthetic_hours: Hours = None,
    epochs: Epochs = None,
    max_windows: MaxWindows = None,
    quick: Quick = False,
    seed: Seed = 0,
    threads: Threads = 2,
    device: DeviceName = "auto",
) -> None:
    """Repeat the paper's experiments and set the honest test beside each, as one HTML page.

    LSTM with Adam and with RMSProp, random forest, SVM, on the paper's split (windows at random)
    and on people never seen; our own recipe; robustness. About 20 minutes a data set on one core.
    """
    from poseact_engine.evaluation.reproduce.baselines import require_sklearn
    from poseact_engine.evaluation.reproduce.plots import require_matplotlib
    from poseact_engine.training.dependency import import_torch

    paths = tuple(data or ())
    hours = _chosen(synthetic_hours, QUICK_HOURS if quick else HOURS)
    _check(paths, output, hours)
    import_torch().set_num_threads(threads)
    require_sklearn()
    require_matplotlib()
    config = _config(quick, epochs, max_windows, seed=seed, threads=threads, device=device)
    start_s = time.monotonic()
    sets = _load(paths, hours, seed)
    _write(sets, config, output, start_s=start_s)


def _check(paths: tuple[Path, ...], output: Path, hours: float) -> None:
    from poseact_engine.cli.eval_report import check_outputs

    if not paths and not hours > 0:
        raise ConfigError(
            "reproduce: expected keypoint files or made poses, got neither; give DATA.npz, or"
            " --synthetic-hours above 0"
        )
    if output.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"reproduce: expected a name that ends in .html, got {output}")
    check_outputs([output], reads=paths)


def _config(
    quick: bool,
    epochs: int | None,
    max_windows: int | None,
    *,
    seed: int,
    threads: int,
    device: Literal["auto", "cpu", "cuda"],
) -> ReproduceConfig:
    from poseact_engine.evaluation.reproduce.experiment import ReproduceConfig
    from poseact_engine.training.device import resolve_device
    from poseact_engine.training.loop import LoopConfig

    return ReproduceConfig(
        epochs=_chosen(epochs, QUICK_EPOCHS if quick else EPOCHS),
        max_windows=_chosen(max_windows, QUICK_WINDOWS if quick else MAX_WINDOWS),
        recipe=LoopConfig(epochs=3, epoch_windows=1024) if quick else LoopConfig(),
        seed=seed,
        threads=threads,
        device="cuda" if resolve_device(device).type == "cuda" else "cpu",
    )


def _load(paths: tuple[Path, ...], hours: float, seed: int) -> list[DataSet]:
    from poseact_engine.evaluation.reproduce.data import make_data_set, synthetic_sequences
    from poseact_engine.training.keypoints import read_sequences

    sets = []
    if hours > 0:
        typer.echo(f"synthetic: making {hours:g} h of poses")
        made = synthetic_sequences(hours, seed=seed)
        sets.append(make_data_set("synthetic", made, seed=seed))
    if paths:
        name = ", ".join(path.stem for path in paths)
        sets.append(make_data_set(name, read_sequences(paths), seed=seed))
    for one in sets:
        typer.echo(f"{one.name}: {len(one.sequences)} sequences, {len(one.windows)} windows")
    return sets


def _write(sets: list[DataSet], config: ReproduceConfig, output: Path, *, start_s: float) -> None:
    from poseact_engine.evaluation.reproduce.experiment import reproduce
    from poseact_engine.evaluation.reproduce.page import make_page

    findings = reproduce(sets, config, say=typer.echo)
    took_s = time.monotonic() - start_s
    page = make_page(findings, _facts(config, took_s))
    try:
        write_atomically(page.encode(), output.resolve())
    except OSError as error:
        raise SinkError(f"{output}: cannot be written: {error.strerror}") from error
    typer.echo(f"{output}: {len(sets)} data sets, seed {config.seed}, {took_s:.0f} s")


def _facts(config: ReproduceConfig, took_s: float) -> dict[str, str]:
    packages = ("torch", "scikit-learn", "numpy")
    return {
        "command": shlex.join(["poseact", *sys.argv[1:]]),
        "seed": str(config.seed),
        "epochs of the paper's LSTM": str(config.epochs),
        "windows of a data set, at most": str(config.max_windows),
        "windows the SVM learns from, at most": str(config.svm_windows),
        "our recipe": f"{config.recipe.epochs} epochs of {config.recipe.epoch_windows} draws",
        "device": config.device,
        "machine": f"{platform.machine()}, {config.threads} threads",
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
        "time": f"{took_s:.0f} s",
    }


def _chosen(given: T | None, default: T) -> T:
    return default if given is None else given
