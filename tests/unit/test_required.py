# SPDX-License-Identifier: Apache-2.0
"""What POSEACT_REQUIRE names is there, whatever the other tests do about its absence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import NEEDS, required

TESTS = """
import pytest

@pytest.mark.needs_torch
def test_marked():
    import nowhere_to_be_found

def test_fixture(data_dir):
    raise AssertionError(data_dir)
"""


def test_what_is_required_is_there() -> None:
    checks = [NEEDS[name] for name in sorted(required() & NEEDS.keys())]
    assert [why for have, why in checks if not have()] == []


def _run(tmp_path: Path, require: str) -> str:
    (tmp_path / "test_made.py").write_text(TESTS)
    conftest = Path(__file__).parent.parent / "conftest.py"
    (tmp_path / "conftest.py").write_text(
        conftest.read_text().replace('_importable("torch")', '_importable("nowhere_to_be_found")')
    )
    environ = os.environ | {"POSEACT_DATA": str(tmp_path / "absent"), "POSEACT_REQUIRE": require}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environ,
        cwd=tmp_path,
        check=False,
    )
    return done.stdout


def test_absence_is_skipped_with_its_reason(tmp_path: Path) -> None:
    output = _run(tmp_path, "")
    assert "2 skipped" in output
    assert "failed" not in output


def test_absence_of_what_is_required_fails(tmp_path: Path) -> None:
    output = _run(tmp_path, "torch,data")
    assert "skipped" not in output
    assert "No module named 'nowhere_to_be_found'" in output
    assert "POSEACT_REQUIRE names data" in output
