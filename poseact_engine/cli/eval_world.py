# SPDX-License-Identifier: Apache-2.0
"""`poseact eval world`: the whole engine on made scenes, and the action model on made poses."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from poseact_engine.cli.bundled import BUNDLED, model_files
from poseact_engine.config import BackendChoice, DeviceChoice
from poseact_engine.errors import ConfigError
from poseact_engine.synthetic import FIRST_EVALUATION_SEED

if TYPE_CHECKING:
    from poseact_engine.evaluation.world import Figure, Part, WorldEvalConfig, WorldReport

Detector = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Detector.", show_default=BUNDLED)
]
Pose = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Pose model.", show_default=BUNDLED)
]
Action = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Action model.", show_default=BUNDLED)
]
Oracle = Annotated[
    list[str] | None,
    typer.Option(
        metavar="detector|pose",
        help="Put the truth in for this stage: true boxes, or true joints with an estimator's noise"
        " (repeatable). Tells which stage loses what.",
    ),
]
SCENES, SECONDS, SIZE, HOURS = 100, 8.0, "640x360", 10.0
Scenes = Annotated[
    int | None,
    typer.Option(min=1, help="How many scenes the engine sees.", show_default=f"{SCENES}"),
]
Seconds = Annotated[
    float | None, typer.Option(min=0.5, help="Length of each.", show_default=f"{SECONDS:g}")
]
FirstSeed = Annotated[
    int,
    typer.Option(
        min=FIRST_EVALUATION_SEED, help="Seeds from here on; none of them was trained on."
    ),
]
Size = Annotated[
    str | None,
    typer.Option(metavar="WxH", help="Size of the scenes' pictures.", show_default=SIZE),
]
Hours = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="Hours of pose sequences without pictures, all cameras counted.",
        show_default=f"{HOURS:g}",
    ),
]
Only = Annotated[
    Literal["engine", "sequences"] | None, typer.Option(help="One of the two parts alone.")
]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")
]
Backend = Annotated[BackendChoice, typer.Option(help="What runs the models.")]
Device = Annotated[DeviceChoice, typer.Option(help="Where they run.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads for inference.")]


def eval_world(
    *,
    detector: Detector = None,
    pose: Pose = None,
    action: Action = None,
    oracle: Oracle = None,
    scenes: Scenes = None,
    seconds: Seconds = None,
    first_seed: FirstSeed = FIRST_EVALUATION_SEED,
    size: Size = None,
    sequences_hours: Hours = None,
    only: Only = None,
    json: Json = None,
    backend: Backend = "auto",
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """All figures on unseen made scenes and poses, with what is aimed at.

    People count whose box is 60 px long or more and of whom half is seen.
    """
    from poseact_engine.cli.eval_report import check_outputs
    from poseact_engine.evaluation.walk import Where
    from poseact_engine.evaluation.world import PARTS, WorldEvalConfig

    of_engine = {"scenes": scenes, "seconds": seconds, "size": size}
    _refuse_idle(only, engine=of_engine, sequences={"sequences-hours": sequences_hours})
    files = _files(detector, pose, action, oracle or [], only)
    check_outputs([json], reads=list(files.values()))
    config = WorldEvalConfig(
        detector=files.get("detector"),
        pose=files.get("pose"),
        action=files["action"],
        parts=PARTS if only is None else (only,),
        scenes=SCENES if scenes is None else scenes,
        seconds=SECONDS if seconds is None else seconds,
        first_seed=first_seed,
        size=_size(SIZE if size is None else size),
        sequences_hours=HOURS if sequences_hours is None else sequences_hours,
        where=Where(backend=backend, device=device, threads=threads),
    )
    _measure(config, json)


def _measure(config: WorldEvalConfig, json: Path | None) -> None:
    from poseact_engine.cli.eval_report import progress
    from poseact_engine.evaluation.world import evaluate_world

    with progress("scenes, then seconds of sequences") as tell:
        report = evaluate_world(config, on_progress=tell)
    show(report)
    if json is not None:
        _write(report, config, json)


def _write(report: WorldReport, config: WorldEvalConfig, path: Path) -> None:
    from poseact_engine.bench.harness import describe_machine
    from poseact_engine.cli.eval_report import write_json
    from poseact_engine.evaluation.world_document import document

    command = ["poseact", *sys.argv[1:]]
    write_json(document(report, config, command=command, machine=describe_machine()), path)


def show(report: WorldReport) -> None:
    """The tables, what is aimed at beside what was found, and a line for what was missed."""
    from rich.console import Console
    from rich.table import Table

    from poseact_engine.evaluation.world import figures

    console = Console()
    if not console.is_terminal:
        console = Console(width=110)
    titles = {"engine": "whole engine", "sequences": "pose sequences alone"}
    for part, found in figures(report).items():
        table = Table("figure", title=titles[part], title_justify="left")
        for name in ("value", "aim", ""):
            table.add_column(name, justify="right" if name else "left")
        table.add_column("of")
        for figure in found:
            table.add_row(*_cells(figure))
        console.print(table)
        missed = [f for f in found if f.met is False]
        for figure in missed:
            console.print(f"not reached: {figure.name}", highlight=False, soft_wrap=True)


def _cells(figure: Figure) -> tuple[str, str, str, str, str]:
    aim = ""
    if figure.rule is not None:
        sign = {"at least": "≥", "at most": "≤"}[figure.rule[0]]
        aim = f"{sign} {_written(figure.rule[1], figure)}"
    verdict = {None: "", True: "reached", False: "NOT REACHED"}[figure.met]
    return figure.name, _written(figure.value, figure), aim, verdict, figure.note


def _written(value: float, figure: Figure) -> str:
    if math.isnan(value):
        return "-"
    if figure.unit == "%":
        return f"{100 * value:.1f} %"
    return f"{value:g}" if not figure.unit else f"{value:.2f} {figure.unit}"


def _refuse_idle(
    only: Part | None, *, engine: Mapping[str, object], sequences: Mapping[str, object]
) -> None:
    """ConfigError for an option of the part that is not run."""
    idle = {None: {}, "engine": sequences, "sequences": engine}[only]
    for name, value in idle.items():
        if value is not None:
            raise ConfigError(f"--{name}: expected none with --only {only}, which has no use of it")


def _files(
    detector: Path | None,
    pose: Path | None,
    action: Path | None,
    oracle: list[str],
    only: Part | None,
) -> dict[str, Path]:
    """Of the stages that run a model. ConfigError for a file that nothing would run."""
    if not set(oracle) <= {"detector", "pose"}:
        raise ConfigError(f"--oracle: expected detector or pose, got {', '.join(oracle)}")
    given = {"detector": detector, "pose": pose, "action": action}
    idle = {"detector", "pose"} if only == "sequences" else set(oracle)
    for task in sorted(idle):
        if given[task] is not None:
            why = "--only sequences" if only == "sequences" else f"--oracle {task}"
            raise ConfigError(f"--{task}: expected none with {why}, which runs no {task} model")
    if only == "sequences" and oracle:
        raise ConfigError("--oracle: expected none with --only sequences, which has no such stage")
    tasks: tuple[Literal["detector", "pose", "action"], ...] = ("detector", "pose", "action")
    found = model_files({task: given[task] for task in tasks if task not in idle})
    return {str(task): path for task, path in found.items()}


def _size(text: str) -> tuple[int, int]:
    from poseact_engine.synthetic.url import parse_size

    try:
        return parse_size(text)
    except ValueError:
        raise ConfigError(f"--size: expected WIDTHxHEIGHT, as {SIZE}, got {text!r}") from None
