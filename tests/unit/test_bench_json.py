# SPDX-License-Identifier: Apache-2.0
"""A report that cannot be written is refused before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from poseact_engine.bench import crop, decode, models, pipeline, pose_nms, precision, track
from poseact_engine.bench.main import app
from poseact_engine.errors import SinkError

WORK = {
    "decode": (decode, "run"),
    "crop": (crop, "_run"),
    "letterbox": (crop, "_run"),
    "models": (models, "measure"),
    "pipeline": (pipeline, "measure"),
    "pose-nms": (pose_nms, "_measure"),
    "precision": (precision, "make_files"),
    "track": (track, "_measure"),
}
"""What each command does after its options were read."""


def test_every_command_is_looked_at() -> None:
    assert sorted(WORK) == sorted(str(c.name) for c in app.registered_commands)


@pytest.mark.parametrize("name", WORK)
def test_it_is_refused_first(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_args: object, **_options: object) -> None:
        raise AssertionError("it went to work")

    module, function = WORK[name]
    monkeypatch.setattr(module, function, work)
    done = CliRunner().invoke(app, [name, "--json", str(tmp_path / "none" / "report.json")])
    assert isinstance(done.exception, SinkError), done.exception
    assert "none" in str(done.exception)
