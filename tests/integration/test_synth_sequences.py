# SPDX-License-Identifier: Apache-2.0
"""`poseact synth --sequences`: a keypoint file that can be trained on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine.cli.synth import synth_app
from poseact_engine.errors import ConfigError, SinkError
from poseact_engine.synthetic.noise import PoseNoise
from poseact_engine.synthetic.sequences import SequencesConfig, pose_sequences
from poseact_engine.training import made_sequences
from poseact_engine.training.keypoints import PoseSequence, read_sequences


def synth(*line: str | Path) -> Any:
    return CliRunner().invoke(synth_app, [*map(str, line)])


def test_the_file_holds_hours_of_sequences(tmp_path: Path) -> None:
    target = tmp_path / "made.npz"
    result = synth("--sequences", "0.01", "--first-seed", "3", "-o", target)
    assert result.exit_code == 0, result.exception
    found = read_sequences([target])
    assert sum(s.times_s[-1] for s in found) >= 36
    expected = {s.name: s for s in pose_sequences(3, hours=0.01)}
    assert {s.name for s in found} == set(expected)
    np.testing.assert_array_equal(found[0].keypoints_px, expected[found[0].name].keypoints_px)


def test_without_noise_the_joints_are_the_true_ones(tmp_path: Path) -> None:
    target = tmp_path / "made.npz"
    assert synth("--sequences", "0.005", "--noise", "0", "-o", target).exit_code == 0
    truth = SequencesConfig(noise=PoseNoise(strength=0))
    expected = {s.name: s for s in pose_sequences(0, hours=0.005, config=truth)}
    for found in read_sequences([target]):
        np.testing.assert_array_equal(found.keypoints_px, expected[found.name].keypoints_px)


def test_noise_is_for_sequences_alone(tmp_path: Path) -> None:
    result = synth("--noise", "0.5", "-o", tmp_path / "scenes")
    assert isinstance(result.exception, ConfigError)
    assert "--noise: expected --sequences" in str(result.exception)
    assert not (tmp_path / "scenes").exists()


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "made.npz"
    target.write_bytes(b"mine")
    result = synth("--sequences", "0.001", "-o", target)
    assert isinstance(result.exception, SinkError)
    assert target.read_bytes() == b"mine"
    assert synth("--sequences", "0.001", "-o", target, "--overwrite").exit_code == 0
    assert read_sequences([target])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("-o", "folder"), "expected a keypoint file, NAME.npz"),
        (("-o", "a.npz", "--people", "3"), "expected no options of scenes, got --people"),
        (("-o", "a.npz", "--no-videos"), "got --videos"),
        (("-o", "a.npz", "--first-seed", "1000000"), "are for measuring"),
    ],
)
def test_wrong_options_are_told_and_leave_nothing(
    line: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = synth("--sequences", "0.001", *line)
    assert isinstance(result.exception, ConfigError)
    assert says in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_keeps_what_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_sequences.training_sequences

    def interrupted(seed: int, **options: Any) -> Any:
        for number, sequence in enumerate(made(seed, **options)):
            if number == 1:
                signal.raise_signal(signal.SIGINT)
            yield sequence

    monkeypatch.setattr(made_sequences, "training_sequences", interrupted)
    target = tmp_path / "made.npz"
    result = synth("--sequences", "5", "-o", target)
    assert result.exit_code == 128 + signal.SIGINT
    found: list[PoseSequence] = read_sequences([target])
    assert len(found) == 2
