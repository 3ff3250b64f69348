# SPDX-License-Identifier: Apache-2.0
"""Runs that name no model take the bundled ones; here made models stand in their place."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from poseact_engine import Engine, EngineConfig, bundled
from poseact_engine.cli.run import run_command
from tests.integration.made_world import World


@pytest.fixture(autouse=True)
def folder(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for task in bundled.BUNDLED_TASKS:
        model: Path = getattr(world, task)
        (tmp_path / f"{task}.onnx").write_bytes(model.read_bytes())
    monkeypatch.setattr(bundled, "bundled_folder", lambda: tmp_path)
    return tmp_path


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(run_command)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_a_film_is_run_with_a_warning(clip: Path) -> None:
    done = run(clip, "--max-frames", "3")
    assert done.exit_code == 0, done.output
    first, *_ = done.stderr.splitlines()
    assert first.startswith("poseact: warning: bundled detector and pose used")
    assert "3 frames in" in done.stderr


def test_a_made_scene_is_run_without_one() -> None:
    done = run("synthetic://?people=1&seconds=0.2&size=160x96&seed=1")
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("poseact: bundled models used: detector, pose, action\n")
    assert "warning" not in done.stderr


def test_named_models_are_not_talked_about(world: World, clip: Path) -> None:
    done = run(clip, "--max-frames", "3", *world.options)
    assert done.exit_code == 0, done.output
    assert "bundled" not in done.stderr


def test_an_engine_of_them_runs(clip: Path) -> None:
    with Engine(EngineConfig.bundled()) as engine:
        steps = list(engine.run(clip))
    assert sum(len(step.frames) for step in steps) == 40
    assert {result.track for step in steps for result in step.results()} == {1, 2}
