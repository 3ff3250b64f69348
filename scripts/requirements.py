# SPDX-License-Identifier: Apache-2.0
"""Prints what pyproject.toml asks for, one requirement a line: build, run and the named extras."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

pyproject = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
project = pyproject["project"]
wanted = [*pyproject["build-system"]["requires"], *project["dependencies"]]
extras = project["optional-dependencies"]
for extra in sys.argv[1:]:
    if extra not in extras:
        sys.exit(f"extra: expected one of {', '.join(extras)}, got {extra!r}")
    wanted += extras[extra]
print("\n".join(wanted))
