# SPDX-License-Identifier: Apache-2.0
"""Where commands print their tables."""

from __future__ import annotations

import os

from rich.console import Console

WIDTH = 120
"""Columns where the output is no terminal and COLUMNS does not tell."""


def report_console() -> Console:
    """For names and tables: what looks like markup in them is printed as it is."""
    console = Console(markup=False)
    wide = console.is_terminal or "COLUMNS" in os.environ
    return console if wide else Console(markup=False, width=WIDTH)
