# SPDX-License-Identifier: Apache-2.0
"""The precision options of the command line, shared by all exports."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poseact_engine.errors import ExportError
from poseact_engine.evaluation.inputs import DataOptions

if TYPE_CHECKING:
    from export.precision import PrecisionOptions
    from poseact_engine.manifest import Task

_PANEL = "Precision"


class PrecisionChoice(Enum):
    fp32 = "fp32"
    fp16 = "fp16"
    int8 = "int8"


class TargetChoice(Enum):
    cpu = "cpu"
    tensorrt = "tensorrt"


PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option(
        "--precision",
        help="Of the network's body; its last layers and the decoding stay fp32.",
        rich_help_panel=_PANEL,
    ),
]
TargetOption = Annotated[
    TargetChoice | None,
    typer.Option(
        "--target",
        help="What an int8 file is for. Required with int8. cpu: uint8 activations; tensorrt: "
        "symmetric int8.",
        rich_help_panel=_PANEL,
    ),
]
Calibrate = Annotated[
    list[Path] | None,
    typer.Option(
        "--calibrate",
        help="Images, folders of images and videos to take int8's ranges from, repeatable: such "
        "as the model will see, none that it is scored on. Required with int8.",
        rich_help_panel=_PANEL,
    ),
]
CalibrateDetector = Annotated[
    Path | None,
    typer.Option(
        "--calibrate-detector",
        help="Detector model file that finds the people of --calibrate; whole pictures otherwise.",
        rich_help_panel=_PANEL,
    ),
]
LeastDb = Annotated[
    float | None,
    typer.Option(
        "--least-db",
        help="Signal-to-noise ratio that int8 must reach at the network's last layers; the layers "
        "that do the most damage stay fp32 until it does. 28, unless all layers in int8 reach 20.",
        rich_help_panel=_PANEL,
    ),
]
MostKept = Annotated[
    float,
    typer.Option(
        "--most-kept", help="Largest share of layers that may stay fp32.", rich_help_panel=_PANEL
    ),
]
Keep = Annotated[
    str | None,
    typer.Option(
        "--keep",
        help="Nodes whose names this regular expression finds stay fp32 in any case.",
        rich_help_panel=_PANEL,
    ),
]
MOST_KEPT = 0.4


def precision_options(
    precision: PrecisionChoice,
    target: TargetChoice | None = None,
    calibrate: list[Path] | None = None,
    *,
    detector: Path | None = None,
    least_db: float | None = None,
    most_kept: float = MOST_KEPT,
    keep: str | None = None,
    task: Task | None = None,
) -> PrecisionOptions | None:
    """None for fp32, as which every graph is made. Raises ExportError for what does not fit."""
    # Imports much that help has no use for.
    from export.precision import PrecisionOptions, refuse_int8_action

    _check_of_int8(
        precision,
        target=target, calibrate=calibrate, calibrate_detector=detector, least_db=least_db,
        most_kept=None if most_kept == MOST_KEPT else most_kept, keep=keep,
    )  # fmt: skip
    if precision is PrecisionChoice.fp32:
        return None
    if task == "action" and precision is PrecisionChoice.int8:
        refuse_int8_action()
    data = DataOptions(data=tuple(calibrate), detector=detector) if calibrate else None
    return PrecisionOptions(
        precision=precision.value,
        target=None if target is None else target.value,
        calibration=data,
        least_db=least_db,
        most_kept=most_kept,
        keep=keep,
    )


def _check_of_int8(precision: PrecisionChoice, **given: object) -> None:
    """Raises ExportError where options that int8 alone obeys are given without it."""
    names = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    if names and precision is not PrecisionChoice.int8:
        raise ExportError(
            f"--precision: expected int8 with {', '.join(names)}, got {precision.value}"
        )
