# SPDX-License-Identifier: Apache-2.0
"""The models that come with the package: found, refused where absent, told about."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from poseact_engine import bundled
from poseact_engine.cli.bundled import model_files, tell_bundled
from poseact_engine.config import EngineConfig, PoseConfig
from poseact_engine.errors import ConfigError
from poseact_engine.manifest_io import read_manifest
from tests.models import make_action, make_bright_detector, make_pose

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made models in the place of the bundled ones."""
    make_bright_detector(tmp_path / "detector.onnx")
    make_pose(tmp_path / "pose.onnx")
    make_action(tmp_path / "action.onnx")
    monkeypatch.setattr(bundled, "bundled_folder", lambda: tmp_path)
    return tmp_path


def test_they_lie_in_the_package() -> None:
    here = ROOT / "poseact_engine" / "bundled"
    assert bundled.bundled_path("pose") == here / "pose.onnx"
    with pytest.raises(ConfigError, match="expected detector, pose, action, got 'face'"):
        bundled.bundled_path("face")  # type: ignore[arg-type]


def test_the_card_says_what_they_are_not_for() -> None:
    card = (bundled.bundled_folder() / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "not for real cameras" in card.replace("\n", " ")


@pytest.mark.parametrize("name", ["world-engine", "world-sequences"])
def test_the_figures_that_are_told_are_of_these_models(name: str) -> None:
    results = ROOT / "benchmarks" / "results" / f"{name}.json"
    measured = json.loads(results.read_text(encoding="utf-8"))["models"]
    assert measured
    for task, model in measured.items():
        assert model["sha256"] == read_manifest(bundled.bundled_path(task)).sha256


def test_wheel_and_sdist_take_all_files_of_the_package() -> None:
    """scikit-build-core's rule: whole packages, but for what git ignores or a pattern excludes."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["scikit-build"]
    assert "poseact_engine" in settings["wheel"]["packages"]
    assert "exclude" not in settings["wheel"]
    assert "sdist" not in settings
    names = ["detector.onnx", "pose.onnx", "action.onnx", "MODEL_CARD.md"]
    paths = [f"poseact_engine/bundled/{name}" for name in names]
    git = ["git", "-C", str(ROOT), "check-ignore", "--no-index", *paths]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")  # 1: none of them is ignored


def test_the_config_takes_them_where_no_other_is_given(folder: Path) -> None:
    config = EngineConfig.bundled(pose=PoseConfig(model=Path("mine.onnx")), threads=2)
    assert config.detect.model == folder / "detector.onnx"
    assert config.pose.model == Path("mine.onnx")
    assert config.action.model == folder / "action.onnx"
    assert config.threads == 2
    with pytest.raises(ConfigError, match="window_length"):
        EngineConfig.bundled(window_length=9)


def test_options_of_a_stage_keep_its_bundled_model(folder: Path) -> None:
    config = EngineConfig.bundled(detect={"min_score": 0.3}, pose={"model": "mine.onnx"})
    assert config.detect.model == folder / "detector.onnx"
    assert config.detect.min_score == 0.3
    assert config.pose.model == Path("mine.onnx")
    with pytest.raises(ConfigError, match="least_score"):
        EngineConfig.bundled(detect={"least_score": 0.3})
    with pytest.raises(ConfigError, match="expected a DetectConfig"):
        EngineConfig.bundled(detect=None)


def test_one_that_is_absent_is_asked_for_only_where_it_is_needed(folder: Path) -> None:
    (folder / "pose.onnx").unlink()
    with pytest.raises(ConfigError, match=r"bundled pose model.*lacks.*--pose"):
        EngineConfig.bundled()
    mine = PoseConfig(model=Path("mine.onnx"))
    assert EngineConfig.bundled(pose=mine).pose == mine


def test_named_models_go_before_bundled_ones(folder: Path) -> None:
    mine = folder / "mine.onnx"
    files = model_files({"detector": mine, "pose": None, "action": None})
    assert files["detector"] == mine
    assert files["pose"] == folder / "pose.onnx"


@pytest.mark.parametrize(
    ("bundled_tasks", "sources", "said"),
    [
        ("", ["a.mp4"], ""),
        ("action", ["a.mp4"], "poseact: bundled models used: action\n"),
        (
            "detector pose action",
            ["synthetic://?seed=1", "Synthetic://"],
            "poseact: bundled models used: detector, pose, action\n",
        ),
        (
            "detector pose action",
            ["synthetic://?seed=1", "C:/synthetic/a.mp4"],
            "poseact: warning: bundled detector and pose used: made for demonstration and tests "
            "on synthetic scenes, not for real cameras; give --detector and --pose "
            "(`poseact models list` has some)\n",
        ),
        (
            "pose",
            ["rtsp://[no-url"],  # what is wrong with it is said when it is opened
            "poseact: warning: bundled pose used: made for demonstration and tests on synthetic "
            "scenes, not for real cameras; give --pose (`poseact models list` has some)\n",
        ),
    ],
)
def test_what_is_said_of_them_is_one_line(
    bundled_tasks: str, sources: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = Path("mine.onnx")
    given = {t: None if t in bundled_tasks.split() else mine for t in bundled.BUNDLED_TASKS}
    tell_bundled(given, sources)
    assert capsys.readouterr() == ("", said)


def test_looking_for_them_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from poseact_engine.bundled import bundled_path\n"
        "from poseact_engine.config import EngineConfig\n"
        "bundled_path('pose')\n"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'torch', 'cv2', 'poseact_engine._core'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
