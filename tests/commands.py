# SPDX-License-Identifier: Apache-2.0
"""Commands of the command line, run in this process."""

from __future__ import annotations

from pathlib import Path

import typer
from typer.testing import CliRunner


def succeed(app: typer.Typer, *words: str | Path) -> str:
    """What the command said; raises what it raised, and asserts that it ended well."""
    done = CliRunner().invoke(app, [str(w) for w in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output
