# SPDX-License-Identifier: Apache-2.0
"""The benchmark's baseline does the same work as the engine, and its report adds up."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine import Engine
from poseact_engine.bench import pipeline
from poseact_engine.bench.made_clips import make_scene
from poseact_engine.bench.main import app
from poseact_engine.bench.plain_loop import PlainLoop, suppress
from poseact_engine.errors import ConfigError, SinkError
from tests.integration.made_world import World, scene


def test_the_plain_loop_finds_the_same_people_and_joints(world: World, clip: Path) -> None:
    loop = PlainLoop(world.detector, world.pose, world.action, threads=1)
    assert loop.run(clip, 1000) == (40, 80)
    picture = next(scene(1))
    boxes, scores = loop.detect(picture)
    assert scores.tolist() == pytest.approx([0.9, 0.9])
    with Engine(world.config()) as engine:
        step = next(engine.run(clip))
    rows = [r for r in step.results() if r.frame_index == 0]
    for row in rows:
        box = min(boxes, key=lambda b: float(np.abs(b - row.box_px).max()))
        assert np.abs(box - row.box_px).max() <= 3
        joints = loop.find_pose(picture, np.array(row.box_px))
        assert np.abs(joints - row.keypoints_px).max() < 0.02


def test_suppression_drops_what_overlaps_a_better_box() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [0, 5, 10, 15]], float)
    assert suppress(boxes, 0.5) == [0, 2, 3]
    assert suppress(boxes, None) == [0, 1, 2, 3]


def test_the_report_has_a_ratio_and_an_overhead(tmp_path: Path, clip: Path) -> None:
    report = tmp_path / "r.json"
    options = ["--frames", "8", "--repeats", "1", "--threads", "1", "--json", str(report)]
    done = CliRunner().invoke(app, ["pipeline", str(clip), *options])
    assert done.exit_code == 0, done.output
    found = json.loads(report.read_text())
    summary = found["summary"]
    assert found["benchmark"] == "pipeline"
    assert found["rows"][0]["variant"] == "ours"
    assert summary["poses"] == {"ours": 40, "loop": 40}
    assert summary["ratio"] > 0
    assert 0 < summary["overhead"] < 1
    spent = summary["cpu_ms_per_frame"]
    assert spent["backends"] + spent["decoders"] < spent["process"]


def test_streams_are_the_same_work_for_both_sides(tmp_path: Path, clip: Path) -> None:
    report = tmp_path / "r.json"
    options = ["--frames", "2", "--repeats", "1", "--threads", "1", "--json", str(report)]
    done = CliRunner().invoke(app, ["pipeline", str(clip), "--streams", "3", *options])
    assert done.exit_code == 0, done.output
    found = json.loads(report.read_text())
    assert (found["summary"]["frames"], found["summary"]["streams"]) == (6, 3)
    assert found["summary"]["poses"] == {"ours": 30, "loop": 30}  # five made people
    assert "3 streams of" in found["rows"][0]["case"]


def test_a_made_scene_has_its_people_and_its_length(tmp_path: Path) -> None:
    clip = make_scene(tmp_path / "scene.mp4", people=2, seed=3, frames=2)
    with av.open(str(clip)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 2
    assert (frames[0].width, frames[0].height) == (1920, 1080)


def test_a_report_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "measure", lambda *_, **__: pytest.fail("it was measured"))
    done = CliRunner().invoke(app, ["pipeline", str(clip), "--json", str(tmp_path / "no" / "r")])
    assert isinstance(done.exception, SinkError)


def test_a_clip_and_made_people_are_one_too_many(clip: Path, world: World) -> None:
    done = CliRunner().invoke(app, ["pipeline", str(clip), "--people", "2", *world.options])
    assert isinstance(done.exception, ConfigError)
    assert "expected a clip or --people" in str(done.exception)
