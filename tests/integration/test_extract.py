# SPDX-License-Identifier: Apache-2.0
"""`poseact extract` with made models: whose poses, of which class, broken videos, going on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine.cli.extract import extract_app
from poseact_engine.errors import ConfigError, PoseActError, SinkError, SourceError
from poseact_engine.training.extract import Extractor
from poseact_engine.training.keypoints import PoseSequence, read_sequences
from poseact_engine.training.paper import CLASSES
from tests.integration.made_world import World, write_scene

FRAMES = 24
RED_WIDTH, RED_LEFT = 60, 20  # see made_world.scene
GREEN = (220.0, 280.0, 40.0, 200.0)  # x0, x1, y0, y1: it stands, and is the larger one


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    for name in ("falling down", "walk"):
        (folder / name).mkdir(parents=True)
    write_scene(folder / "falling down" / "C1_E1.mp4", FRAMES)
    write_scene(folder / "walk" / "C2_E1.mp4", FRAMES)
    return folder


def extract(world: World, data: Path, output: Path, *options: str) -> Any:
    models = ["--detector", str(world.detector), "--pose", str(world.pose)]
    line = [str(data), "-o", str(output), *models, "--threads", "1", *options]
    return CliRunner().invoke(extract_app, line)


def good(*arguments: Any) -> dict[str, PoseSequence]:
    done = extract(*arguments)
    assert done.exit_code == 0, done.output
    return {sequence.name: sequence for sequence in read_sequences([arguments[2]])}


def middle(sequence: PoseSequence, frame: int) -> tuple[float, float]:
    joints = sequence.keypoints_px[frame, :, :2]
    return float(joints[:, 0].mean()), float(joints[:, 1].mean())


def test_the_main_person_of_each_video_with_its_folders_class(
    world: World, data: Path, tmp_path: Path
) -> None:
    found = good(world, data, tmp_path / "k.npz")
    assert sorted(found) == ["site/falling down/C1_E1_p1", "site/walk/C2_E1_p1"]
    for name, sequence in found.items():
        action = "falling_down" if "falling" in name else "walking"
        assert set(sequence.labels.tolist()) == {CLASSES.index(action)}
        assert sequence.clip == name.removesuffix("_p1")
        np.testing.assert_allclose(sequence.times_s, np.arange(FRAMES) / 30, atol=1e-9)
        assert sequence.size == (320, 256)
        x, _ = middle(sequence, -1)
        assert GREEN[0] < x < GREEN[1]
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


def test_everybody_and_every_second_frame(world: World, data: Path, tmp_path: Path) -> None:
    pattern = r"(?P<camera>C\d)_(?P<clip>E\d)"
    options = ("--people", "all", "--every", "2", "--pattern", pattern, "--dataset", "x")
    found = good(world, data, tmp_path / "k.npz", *options)
    walk = [s for name, s in found.items() if name.startswith("x/walk")]
    assert len(found) == 4
    assert {s.clip for s in found.values()} == {"x/E1"}
    assert {s.camera for s in walk} == {"C2"}
    for sequence in walk:
        np.testing.assert_allclose(sequence.times_s, np.arange(0, FRAMES, 2) / 30, atol=1e-9)
    red = min(walk, key=lambda s: middle(s, 0))
    # The made pose network sees the joints at the same places of each crop, so they walk with the
    # block: a pixel a frame, two a frame taken.
    steps = np.diff(red.keypoints_px[:, :, 0].astype(np.float64), axis=0)
    assert abs(float(steps.mean()) - 2) < 0.3


def test_people_seen_for_less_are_left_out(world: World, data: Path, tmp_path: Path) -> None:
    write_scene(data / "walk" / "leaves.mp4", FRAMES, red_leaves_at=8)
    found = good(world, data, tmp_path / "k.npz", "--people", "all", "--min-seconds", "0.5")
    assert sum(name.startswith("site/walk/leaves") for name in found) == 1
    with pytest.raises(SourceError, match="found nobody in 3; a lower"):
        raise extract(world, data, tmp_path / "n.npz", "--min-seconds", "9").exception
    assert good(world, data, tmp_path / "n.npz", "--min-seconds", "0.7")  # as it was told to try
    part = tmp_path / "n.npz.part"
    part.mkdir()
    (part / "options.json").write_text("[]")
    with pytest.raises(ConfigError, match="was begun with other options"):
        raise extract(world, data, tmp_path / "n.npz", "--overwrite").exception


def test_a_broken_video_is_listed_and_read_again_when_it_is_mended(
    world: World, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, broken = tmp_path / "k.npz", data / "walk" / "broken.mp4"
    whole = (data / "walk" / "C2_E1.mp4").read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    done = extract(world, data, output)
    assert done.exit_code == 1
    assert "1 of 3 videos could not be read" in done.output
    assert "broken.mp4" in done.output
    assert len(read_sequences([output])) == 2
    write_scene(broken, FRAMES)
    read = _watch_reads(monkeypatch)
    found = good(world, data, output, "--overwrite")
    assert read == ["walk/broken"]
    assert sorted(found) == [
        f"site/{n}_p1" for n in ("falling down/C1_E1", "walk/C2_E1", "walk/broken")
    ]
    assert not output.with_name("k.npz.part").exists()


@pytest.mark.needs_ffmpeg_cli
def test_a_video_that_ends_too_early_is_broken(world: World, data: Path, tmp_path: Path) -> None:
    """Its index is in front, so it can be opened; half of the frames are missing."""
    film = data / "walk" / "C2_E1.mp4"
    cut = data / "walk" / "cut.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", film, "-c", "copy", "-movflags", "+faststart", cut],
        check=True,
    )
    content = cut.read_bytes()
    cut.write_bytes(content[: len(content) * 3 // 4])
    done = extract(world, data, tmp_path / "k.npz")
    assert done.exit_code == 1
    assert "cut.mp4: ends before its container says so" in done.output


def test_after_ctrl_c_the_same_command_goes_on(
    world: World, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "k.npz"
    with monkeypatch.context() as patch:
        read = Extractor.read

        def interrupted(self: Extractor, path: Path, name: str) -> Any:
            if name.startswith("walk"):
                signal.raise_signal(signal.SIGINT)
            return read(self, path, name)

        patch.setattr(Extractor, "read", interrupted)
        done = extract(world, data, output)
    assert done.exit_code == 130
    assert "goes on" in done.output
    assert not output.exists()
    with pytest.raises(ConfigError, match=r"other options \(people 'main', now 'all'\)"):
        raise extract(world, data, output, "--people", "all").exception
    names = _watch_reads(monkeypatch)
    # The class is put on at the end, so it may change without reading a video again.
    found = good(world, data, output, "--class-map", "falling down=lying_down")
    assert names == ["walk/C2_E1"]
    labels = found["site/falling down/C1_E1_p1"].labels
    assert set(labels.tolist()) == {CLASSES.index("lying_down")}


def _watch_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the videos that are read from now on."""
    read, names = Extractor.read, []

    def watched(self: Extractor, path: Path, name: str) -> Any:
        names.append(name)
        return read(self, path, name)

    monkeypatch.setattr(Extractor, "read", watched)
    return names


def test_an_output_beside_the_classes_is_none_of_them(world: World, data: Path) -> None:
    output = data / "k.npz"
    (data / "walk" / "broken.mp4").write_bytes(b"no video")
    assert extract(world, data, output).exit_code == 1
    assert (data / "k.npz.part").is_dir()
    assert extract(world, data, output, "--overwrite").exit_code == 1


def test_a_video_that_changed_is_read_again(world: World, data: Path, tmp_path: Path) -> None:
    (data / "walk" / "broken.mp4").write_bytes(b"no video")
    output = tmp_path / "k.npz"
    assert extract(world, data, output).exit_code == 1
    write_scene(data / "walk" / "C2_E1.mp4", FRAMES + 6)
    assert extract(world, data, output, "--overwrite").exit_code == 1
    lengths = {s.name: len(s.labels) for s in read_sequences([output])}
    assert lengths == {"site/falling down/C1_E1_p1": FRAMES, "site/walk/C2_E1_p1": FRAMES + 6}


@pytest.fixture
def refused(world: World, data: Path, tmp_path: Path) -> Iterator[Any]:
    def call(*options: str, output: str = "k.npz") -> PoseActError:
        error = extract(world, data, tmp_path / output, *options).exception
        assert isinstance(error, PoseActError)
        return error

    yield call
    assert not (tmp_path / "k.npz.part").exists()


def test_wrong_options_are_said_before_anything_is_made(refused: Any, tmp_path: Path) -> None:
    assert "FOLDER=CLASS" in str(refused("--class-map", "walk"))
    assert "NAME.npz" in str(refused("--overwrite", output="site/walk/C2_E1.mp4"))
    assert "expected an existing folder" in str(refused(output="no/k.npz"))
    (tmp_path / "k.npz").write_bytes(b"old")
    error = refused()
    assert isinstance(error, SinkError)
    assert "--overwrite" in str(error)
    assert (tmp_path / "k.npz").read_bytes() == b"old"
