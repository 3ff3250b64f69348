# SPDX-License-Identifier: Apache-2.0
"""The parity gate's options of the command line, shared by all exports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from export.parity.options import GateOptions, parse_bounds
from poseact_engine.evaluation.inputs import DataOptions

_PANEL = "Comparison with the original"

Data = Annotated[
    list[Path] | None,
    typer.Option(
        "--data",
        help="Images, folders of images and videos (action models: keypoint files .npz) to compare "
        "on; repeatable. Inputs made by code otherwise.",
        rich_help_panel=_PANEL,
    ),
]
Truth = Annotated[
    Path | None,
    typer.Option(
        "--truth",
        help="COCO JSON with the people of the --data images: their boxes are cut out, and COCO "
        "AP is compared, too.",
        rich_help_panel=_PANEL,
    ),
]
Detector = Annotated[
    Path | None,
    typer.Option(
        "--detector",
        help="Detector model file that finds the people of --data; without it and --truth whole "
        "pictures are the boxes.",
        rich_help_panel=_PANEL,
    ),
]
BoundOption = Annotated[
    list[str] | None,
    typer.Option(
        "--bound",
        help="METRIC=NUMBER, as median_px=0.05, instead of the usual bound; repeatable.",
        rich_help_panel=_PANEL,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report",
        help="Report to write, .json or .html (with plots), whether the bounds were met or not.",
        rich_help_panel=_PANEL,
    ),
]


def gate_options(
    data: list[Path] | None = None,
    bound: list[str] | None = None,
    report: Path | None = None,
    *,
    truth: Path | None = None,
    detector: Path | None = None,
) -> GateOptions:
    """Raises ConfigError for what cannot be right."""
    return GateOptions(
        data=DataOptions(data=tuple(data or ()), truth=truth, detector=detector),
        bounds=parse_bounds(bound or ()),
        report=report,
    )
