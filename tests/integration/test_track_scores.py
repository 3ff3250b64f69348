# SPDX-License-Identifier: Apache-2.0
"""Scores of the tracker travel with the detector's file; who asks for others gets those."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from poseact_engine import Engine, TrackConfig
from poseact_engine.bundled import bundled_model
from poseact_engine.cli.main import app
from poseact_engine.cli.scores import track_config
from poseact_engine.manifest import DetectorManifest
from poseact_engine.manifest_io import read_manifest
from tests.commands import succeed
from tests.integration.made_world import INPUT, World
from tests.models import make_detector

SURE, MEDIUM = 0.8, 0.6
BOXES = [(10, 10, 40, 100), (80, 10, 110, 100)]


@pytest.fixture(scope="module")
def strict(world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two people, of whom its tracker takes the surer one."""
    path = tmp_path_factory.mktemp("strict") / "detector.onnx"
    scores = [SURE, MEDIUM]
    make_detector(path, BOXES, INPUT, scores=scores, track_scores=(0.2, 0.5, 0.7))
    return dataclasses.replace(world, detector=path)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((*INPUT, 3), 110, np.uint8))
    return path


def found(world: World, picture: Path, track: TrackConfig) -> list[float]:
    """Scores of the rows of the one frame."""
    with Engine(world.config(track=track)) as engine:
        (step,) = list(engine.run(picture))
    return sorted(np.round(step.tracks.scores, 3).tolist())


def test_the_detectors_scores_hold_where_nobody_asks_for_others(
    strict: World, picture: Path
) -> None:
    assert found(strict, picture, TrackConfig()) == pytest.approx([SURE])


def test_who_asks_for_others_gets_them(strict: World, picture: Path) -> None:
    asked = TrackConfig(new_score=0.5)
    assert found(strict, picture, asked) == pytest.approx([MEDIUM, SURE])


def test_no_box_that_the_tracker_may_use_is_dropped_before_it(
    world: World, picture: Path, tmp_path: Path
) -> None:
    """Scores below the usual 0.1, by the detector's file or as asked for."""
    weak = make_detector(tmp_path / "weak.onnx", BOXES[:1], INPUT, scores=[0.06])
    asked = dataclasses.replace(world, detector=weak)
    assert found(asked, picture, TrackConfig()) == []
    assert found(asked, picture, TrackConfig(new_score=0.05)) == pytest.approx([0.06])
    own = make_detector(
        tmp_path / "own.onnx", BOXES[:1], INPUT, scores=[0.06], track_scores=(0.02, 0.04, 0.05)
    )
    assert found(dataclasses.replace(world, detector=own), picture, TrackConfig()) == (
        pytest.approx([0.06])
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [SURE]),
        (["--track-score", "0.55"], [MEDIUM, SURE]),
        (["--track-score", "0.7"], [SURE]),
        (["--det-score", "0.9"], []),
    ],
)
def test_the_command_does_the_same(
    strict: World, picture: Path, tmp_path: Path, options: list[str], expected: list[float]
) -> None:
    out = tmp_path / "found.jsonl"
    succeed(app, "run", picture, *strict.options, *options, "--out", out)
    rows = [json.loads(line) for line in out.read_text().splitlines()[1:]]
    assert sorted(row["score"] for row in rows) == pytest.approx(expected, abs=1e-3)


def test_a_score_to_begin_with_leaves_those_that_go_on_alone() -> None:
    own = (0.25, 0.5, 0.7)
    assert track_config(None, 0.7).options(own) == TrackConfig().options(own)
    assert track_config(0.3, None).options(own)["low_score"] == 0.3


def test_the_bundled_detector_has_scores_of_its_own() -> None:
    """They were chosen on scenes that nothing was measured on; see ARCHITECTURE.md."""
    manifest = read_manifest(bundled_model("detector"))
    assert isinstance(manifest, DetectorManifest)
    assert manifest.track_scores == (0.25, 0.5, 0.6)
