# SPDX-License-Identifier: Apache-2.0
"""The models of a command that may leave them out, and what is said of the bundled ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from poseact_engine.bundled import BundledTask, bundled_model

BUNDLED = "the bundled one"
"""What help shows as the default of --detector, --pose and --action."""


def model_files(given: Mapping[BundledTask, Path | None]) -> dict[BundledTask, Path]:
    """Those given, the bundled ones for the rest; ConfigError where there is none."""
    return {task: path or bundled_model(task) for task, path in given.items()}


def tell_bundled(given: Mapping[BundledTask, Path | None], sources: Sequence[str]) -> None:
    """One line on standard error if a bundled model is used: a warning if it will be of no use."""
    bundled = [task for task, path in given.items() if path is None]
    if not bundled:
        return
    made_for_scenes = [task for task in bundled if task != "action"]
    if made_for_scenes and not all(s.lower().startswith("synthetic://") for s in sources):
        options = " and ".join(f"--{task}" for task in made_for_scenes)
        typer.echo(
            f"poseact: warning: bundled {' and '.join(made_for_scenes)} used: made for "
            f"demonstration and tests on synthetic scenes, not for real cameras; give {options} "
            "(`poseact models list` has some)",
            err=True,
        )
    else:
        typer.echo(f"poseact: bundled models used: {', '.join(bundled)}", err=True)
