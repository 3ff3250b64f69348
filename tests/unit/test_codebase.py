# SPDX-License-Identifier: Apache-2.0
"""scripts/check_codebase.py finds what it is for, and finds nothing here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPDX = "SPDX-License-Identifier: Apache-2.0\n"


def checker() -> Any:
    path = ROOT / "scripts" / "check_codebase.py"
    spec = importlib.util.spec_from_file_location("check_codebase", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("poseact_engine/a.py", "import os\n", "SPDX licence line first"),
        ("poseact_engine/a.py", f"# {SPDX}" + "\n" * 300, "at most 300 lines, got 301"),
        ("poseact_engine/a.py", f"# {SPDX}def f():\n" + "    x = 1\n" * 40, "lines, got 41"),
        ("poseact_engine/a.py", f"# {SPDX}def f(a, b, c, d, e, f): ...\n", "at most 5 positional"),
        ("poseact_engine/a.py", f"# {SPDX}def f():\n    import torch.nn\n", "torch is imported"),
        ("csrc/core/a.h", f"// {SPDX}" + "\n" * 150, "at most 150 lines, got 151"),
        ("csrc/core/a.cpp", f"// {SPDX}#include <pybind11/numpy.h>\n", "csrc/bindings/ only"),
        ("csrc/crop/a.cpp", f'// {SPDX}#include "track/kalman.h"\n', "may not include track"),
        ("scripts/a.sh", "#!/bin/sh\necho\n", "SPDX licence line first"),
    ],
)
def test_every_rule_is_seen_to_be_broken(tmp_path: Path, name: str, text: str, what: str) -> None:
    (tmp_path / "CMakeLists.txt").write_text(f"# {SPDX}")
    made = tmp_path / name
    made.parent.mkdir(parents=True)
    made.write_text(text)
    found = list(checker().faults(tmp_path))
    assert [path for path, _, _ in found] == [made]
    assert what in found[0][2]


def test_nothing_is_broken_here() -> None:
    assert list(checker().faults(ROOT)) == []
