# SPDX-License-Identifier: Apache-2.0
"""poseact-bench pose-nms: both sides keep the same poses (the command checks it) and are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poseact_engine.bench import pose_nms as bench
from poseact_engine.bench.main import app
from poseact_engine.errors import PoseActError

ARGUMENTS = ["pose-nms", "--frames", "3", "--people", "12", "--repeats", "2"]


def test_both_measures_find_doubles_and_leave_people(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    result = CliRunner().invoke(app, [*ARGUMENTS, "--json", str(path)])
    assert result.exit_code == 0, result.output
    report = json.loads(path.read_text())
    assert len(report["rows"]) == 4
    summary = report["summary"]
    assert summary["poses"] > 3 * 12
    for measure in ("oks", "parametric"):
        assert 3 * 12 <= summary[measure]["kept"] < summary["poses"]
        assert summary[measure]["ratio"] > 0


def test_a_baseline_that_keeps_others_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SIGMAS", bench.SIGMAS / 100)
    result = CliRunner().invoke(app, ARGUMENTS)
    assert isinstance(result.exception, PoseActError)
    assert "expected the same poses of both" in str(result.exception)
