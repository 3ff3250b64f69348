# SPDX-License-Identifier: Apache-2.0
"""`python -m export`, also `poseact export`: weights to model files with a manifest.

Nothing is guessed: every option that the file itself cannot answer is required, and an error lists
all that are missing at once.
"""

from __future__ import annotations

import sys

import typer

from export.cli_foreign import commands as foreign
from export.cli_official import commands as official
from export.engine import command as engine_command
from export.verify_command import commands as verify
from poseact_engine.errors import ParityError, PoseActError

app = typer.Typer(
    name="export",
    help="Turn weights into ONNX model files that carry their manifest.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.registered_commands += official.registered_commands
app.registered_commands += foreign.registered_commands
app.command("engine")(engine_command)
app.registered_commands += verify.registered_commands


def main() -> None:
    """Errors are one line and exit code 2; 3 where a model is past a bound of the parity gate."""
    try:
        app(prog_name="python -m export")
    except PoseActError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(3 if isinstance(error, ParityError) else 2)
