# SPDX-License-Identifier: Apache-2.0
"""`poseact eval world` from the command line to its file, and with the truth in a stage's place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine.cli.eval import eval_app
from poseact_engine.errors import ConfigError, DependencyError, PoseActError, SinkError
from poseact_engine.evaluation import world_engine
from poseact_engine.evaluation.incident_scores import IncidentScores
from poseact_engine.evaluation.walk import Where
from poseact_engine.evaluation.world import (
    PARTS,
    WorldEvalConfig,
    WorldReport,
    evaluate_world,
    figures,
)
from poseact_engine.evaluation.world_engine import EngineReport, evaluate_engine
from poseact_engine.evaluation.world_sequences import SequencesReport
from poseact_engine.evaluation.world_stages import WorldModels
from poseact_engine.synthetic.noise import PoseNoise
from poseact_engine.synthetic.scene import SceneConfig
from tests.models import make_action, make_bright_detector, make_pose

WHERE = Where(backend="onnxruntime", device="cpu", threads=1)
SCENES = [
    SceneConfig(people=people, seconds=0.6, seed=1_000_000 + seed)
    for seed, people in enumerate((2, 1, 2, 1, 1))
]
PERFECT = PoseNoise(strength=0, picky=0, least_seen=0)
SHORT = (
    *("--scenes", "1", "--seconds", "0.6", "--sequences-hours", "0.01"),
    *("--oracle", "detector", "--oracle", "pose", "--threads", "1"),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "detector": make_bright_detector(folder / "detector.onnx", (96, 160)),
        "pose": make_pose(folder / "pose.onnx", size=(64, 48)),
        "action": make_action(folder / "action.onnx"),
    }


@pytest.fixture(scope="module")
def ideal(models: dict[str, Path]) -> EngineReport:
    """The truth in the place of detector and pose model."""
    files = WorldModels(detector=None, pose=None, action=models["action"])
    return evaluate_engine(SCENES, files, WHERE, noise=PERFECT)


def _run(*line: str | Path) -> Any:
    return CliRunner().invoke(eval_app, ["world", *map(str, line)])


def test_the_truth_in_every_stages_place_is_perfect(ideal: EngineReport) -> None:
    """Boxes, tracks and joints; five scenes of which at most four are under way at a time."""
    assert [s.name for s in ideal.scenes] == [f"seed {c.seed}" for c in SCENES]
    assert all(s.frames == 18 for s in ideal.scenes)
    people = sum(s.people for s in ideal.scenes)
    assert people > 50
    assert sum(s.detected for s in ideal.scenes) == people
    assert sum(s.mot.missed + s.mot.switches for s in ideal.scenes) == 0
    near, joints = (
        sum(getattr(s, n).sum() for s in ideal.scenes) for n in ("joints_near", "joints")
    )
    assert near == joints > 200
    assert ideal.ap == pytest.approx(1.0)
    windows = sum(int(s.confusion_all.sum() + s.harmless.sum()) for s in ideal.scenes)
    # A track's first window ends with its ninth pose: at most 10 of 18 frames of 7 people.
    assert 20 < windows <= 7 * 10


def test_scenes_do_not_depend_on_their_neighbours(
    models: dict[str, Path], ideal: EngineReport
) -> None:
    files = WorldModels(detector=None, pose=None, action=models["action"])
    alone = evaluate_engine(SCENES[2:3], files, WHERE, noise=PERFECT)
    ours, theirs = alone.scenes[0], ideal.scenes[2]
    assert (ours.name, ours.mot, ours.incidents) == (theirs.name, theirs.mot, theirs.incidents)
    np.testing.assert_array_equal(ours.confusion, theirs.confusion)
    np.testing.assert_array_equal(ours.joints_near, theirs.joints_near)


def test_an_estimators_noise_costs_what_it_costs(
    models: dict[str, Path], ideal: EngineReport
) -> None:
    files = WorldModels(detector=None, pose=None, action=models["action"])
    noisy = evaluate_engine(SCENES[:2], files, WHERE, noise=PoseNoise())
    near, posed = (
        sum(getattr(s, n).sum() for s in noisy.scenes) for n in ("joints_near", "joints_posed")
    )
    assert 0.6 < near / posed < 0.97
    assert noisy.ap < ideal.ap


def test_models_that_find_nobody_are_told_so(models: dict[str, Path]) -> None:
    """The made detector takes red and green blocks for people, of which scenes have few."""
    files = WorldModels(detector=models["detector"], pose=models["pose"], action=models["action"])
    report = evaluate_engine(SCENES[:1], files, WHERE, noise=PERFECT)
    (scene,) = report.scenes
    assert scene.people > 10
    assert scene.detected < 0.2 * scene.people
    assert set(report.sha256) == {"detector", "pose", "action"}


def test_the_command_prints_and_writes_all(models: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "world.json"
    result = _run(*SHORT, "--action", models["action"], "--json", target)
    assert result.exit_code == 0, result.exception
    for name in ("detector recall", "PCK@0.1", "IDF1", "window accuracy", "false falls an hour"):
        assert name in result.output
    assert "≥ 98.0 %" in result.output
    assert "NOT REACHED" in result.output  # the made action model knows no falls
    found = json.loads(target.read_text())
    assert found["models"]["detector"] == found["models"]["pose"] == "truth"
    assert found["models"]["action"]["file"] == "action.onnx"
    assert found["figures"]["engine"]["detector recall, IoU 0.5"] == {
        "value": 1.0, "aim": {"at least": 0.98}, "met": True,
        "note": f"of {found['engine']['scenes'][0]['people']}",
    }  # fmt: skip
    assert found["figures"]["engine"]["IDF1"]["value"] == 1.0
    assert found["figures"]["sequences"]["false falls an hour"]["aim"] == {"at most": 1.0}
    assert len(found["engine"]["scenes"]) == 1
    assert found["sequences"]["hours"] >= 0.01
    assert np.sum(found["sequences"]["confusion"]) > 100
    assert {"cpu", "cores"} <= set(found["machine"])


def test_one_part_runs_alone(models: dict[str, Path]) -> None:
    for part in PARTS:
        report = evaluate_world(
            WorldEvalConfig(
                action=models["action"],
                parts=(part,),
                scenes=1,
                seconds=0.5,
                size=(128, 96),
                sequences_hours=0.001,
                where=WHERE,
            )
        )
        assert list(figures(report)) == [part]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("--size", "640"), "--size: expected WIDTHxHEIGHT"),
        (("--size", "641x360"), "scene.size"),
        (("--oracle", "action"), "--oracle: expected detector or pose, got action"),
        (("--oracle", "pose", "--pose", "x.onnx"), "--pose: expected none with --oracle pose"),
        (("--only", "sequences", "--pose", "x.onnx"), "--pose: expected none with --only seq"),
        (("--only", "sequences", "--oracle", "pose"), "--oracle: expected none with --only seq"),
        (("--only", "sequences", "--scenes", "3"), "--scenes: expected none with --only sequences"),
        (("--only", "engine", "--sequences-hours", "1"), "--sequences-hours: expected none with"),
    ],
)
def test_slips_of_the_pen_are_told(
    models: dict[str, Path], line: tuple[str, ...], says: str
) -> None:
    both = () if "--only" in line or "--oracle" in line else ("--oracle", "detector")
    rest = () if "--pose" in line or "sequences" in line else ("--oracle", "pose")
    result = _run(*line, *both, *rest, "--action", models["action"])
    assert isinstance(result.exception, PoseActError)
    assert says in str(result.exception)


def test_without_pycocotools_no_scene_is_played(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    monkeypatch.setattr(world_engine, "_render", lambda _: pytest.fail("a scene was played"))
    with pytest.raises(DependencyError, match=r"pip install 'poseact-engine\[eval\]'"):
        evaluate_engine(
            SCENES,
            WorldModels(detector=None, pose=None, action=models["action"]),
            WHERE,
            noise=PERFECT,
        )


def test_stages_that_did_not_run_are_in_no_file(models: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "w.json"
    line = ("--only", "sequences", "--sequences-hours", "0.001", "--threads", "1")
    result = _run(*line, "--action", models["action"], "--json", target)
    assert result.exit_code == 0, result.exception
    found = json.loads(target.read_text())
    assert list(found["models"]) == ["action"]
    assert found["engine"] is None


def test_falls_out_of_view_are_told_where_falls_are() -> None:
    nothing = np.zeros((6, 6), np.int64)
    report = SequencesReport(
        sequences=1, hours=1.0, confusion=nothing, harmless=nothing[0],
        incidents=IncidentScores(hours=1.0), falls_unseen=2, sha256="", backend="",
    )  # fmt: skip
    found = figures(WorldReport(engine=None, sequences=report))["sequences"]
    assert found[0].note == "of 0, 2 out of view left out"


def test_seeds_of_training_are_refused(models: dict[str, Path]) -> None:
    assert _run(*SHORT, "--action", models["action"], "--first-seed", "999999").exit_code == 2
    with pytest.raises(ConfigError, match="models are trained on those below"):
        WorldEvalConfig(action=models["action"], first_seed=999_999)


def test_a_file_that_cannot_be_written_is_told_before_the_work(
    models: dict[str, Path], tmp_path: Path
) -> None:
    result = _run(*SHORT, "--action", models["action"], "--json", tmp_path / "no" / "w.json")
    assert isinstance(result.exception, SinkError)
    result = _run(*SHORT, "--action", models["action"], "--json", models["action"])
    assert isinstance(result.exception, SinkError)


def test_help_is_quick_and_needs_nothing_heavy() -> None:
    code = (
        "import sys; from poseact_engine.cli import eval_world; "
        "print([m for m in ('cv2', 'torch', 'onnxruntime', 'pycocotools') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
