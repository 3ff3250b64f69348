# SPDX-License-Identifier: Apache-2.0
"""The bundled action model on real poses, of which it has seen none, by the script that measures
the card's figures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs_data
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def said(data_dir: Path) -> str:
    command = [sys.executable, "scripts/real_poses.py", "--data", str(data_dir)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    assert found is not None, said
    return float(found.group(1))


def test_three_of_four_windows_are_right(said: str) -> None:
    assert number(r"25559 windows, ([\d.]+) % right", said) > 75


def test_falls_are_found_and_daily_life_is_mostly_none(said: str) -> None:
    assert number(r"urfd/fall: (\d+) of 20 clips", said) >= 18
    assert number(r"urfd/adl: (\d+) of 30 clips", said) <= 6
