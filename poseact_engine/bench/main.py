# SPDX-License-Identifier: Apache-2.0
"""The ``poseact-bench`` command: one subcommand a benchmark.

Benchmark modules import what they compare with (OpenCV, ...) inside their functions, through
``harness.need``, so that each command works with only its own packages there.
"""

from __future__ import annotations

import sys

import typer

from poseact_engine.bench import crop, decode, models, pipeline, pose_nms, precision, track
from poseact_engine.errors import PoseActError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Measure a stage against a named baseline; both sides interleaved in one run.",
)
app.command("decode")(decode.command)
app.command("crop")(crop.command)
app.command("letterbox")(crop.letterbox_command)
app.command("models")(models.command)
app.command("pipeline")(pipeline.command)
app.command("precision")(precision.command)
app.command("track")(track.command)
app.command("pose-nms")(pose_nms.command)


def main() -> None:
    try:
        app()
    except PoseActError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None
