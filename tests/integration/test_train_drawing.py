# SPDX-License-Identifier: Apache-2.0
"""`poseact train` on made scenes: what was asked for is done, and processes that draw end well."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest

from poseact_engine.errors import ConfigError, PoseActError, SourceError
from tests.commands import succeed
from tests.poses import write_sequences

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.cli.train import train_app
    from poseact_engine.training.made_pictures import MadeConfig, made_pictures
    from poseact_engine.training.network_checkpoint import read_info
    from tests.official_networks import one_thread

    one_thread = pytest.fixture(autouse=True, scope="module")(one_thread)

TINY = ["--seconds", "1", "--pictures", "2", "--picture-size", "128x96", "--epochs", "1"]
RUN = [*TINY, "--batch-size", "2", "--threads", "1"]
DETECTOR = ["detector", "--size", "64x96", "--width", "0.125", *RUN]
POSE = ["pose", "--size", "64x64", "--width", "4", "--stem", "8", "--modules", "1,1,1", *RUN]


def train(*words: str | Path) -> None:
    succeed(train_app, *words)


def learnt(path: Path) -> dict[str, Any]:
    """How a model came about, as its checkpoint says."""
    info = read_info(path)
    assert info is not None
    return dict(info.training)


def test_a_detector_learns_from_the_crowds_and_sizes_that_were_asked_for(tmp_path: Path) -> None:
    made = ["--synthetic", "1", "--people", "3", "--synthetic-validation", "1"]
    train(*DETECTOR, *made, "--zoom", "1.25", "-o", tmp_path / "d.pt")
    training = learnt(tmp_path / "d.pt")
    assert training["augment"]["scale"] == pytest.approx((0.8, 1.25))
    assert training["made"]["people"] == 3
    assert training["made_held_out"]["people"] is None  # held-out scenes are as they are measured


def test_a_pose_network_learns_from_halves_and_covers_that_were_asked_for(tmp_path: Path) -> None:
    words = ["--synthetic", "1", "--people", "2", "--half-body", "0.125", "--cover", "0.75"]
    train(*POSE, *words, "-o", tmp_path / "p.pt")
    training = learnt(tmp_path / "p.pt")
    assert training["augment"]["half_body"] == 0.125
    assert training["augment"]["cover"] == 0.75
    assert training["made"]["people"] == 2


def test_an_action_network_learns_with_the_shares_that_were_asked_for(tmp_path: Path) -> None:
    write_sequences(tmp_path / "a.npz", takes=3, seconds=0.8)
    words = ["action", str(tmp_path / "a.npz"), "--epochs", "1", "--epoch-windows", "64"]
    train(
        *words, "--hidden", "8", "--layers", "1", "--threads", "1", "--swing-arm", "0.125",
        "--no-fall-share", "0.25", "-o", tmp_path / "a.pt",
    )  # fmt: skip
    loop = torch.load(tmp_path / "a.pt", weights_only=True)["training"]["loop"]
    assert loop["no_fall_share"] == 0.25
    assert loop["augment"]["swing_arm"] == 0.125


OPTIONS = {
    "--people": "--synthetic",
    "--first-seed": "--synthetic",
    "--validation-seed": "--synthetic-validation",
    "--seconds": "--synthetic or --synthetic-validation",
    "--pictures": "--synthetic or --synthetic-validation",
    "--picture-size": "--synthetic or --synthetic-validation",
    "--cache": "--synthetic or --synthetic-validation",
}


@pytest.mark.parametrize("kind", ["detector", "pose"])
@pytest.mark.parametrize(("option", "needs"), OPTIONS.items())
def test_made_scenes_alone_have_options(kind: str, option: str, needs: str) -> None:
    value = "64x64" if option == "--picture-size" else "2"
    with pytest.raises(ConfigError, match=f"{option}: expected {needs} with it, got none"):
        train(kind, "--data", "a.json", "--images", "a", option, value, "-o", "x.pt")


def test_what_held_out_scenes_do_not_have_is_refused_of_them() -> None:
    held_out = ["--synthetic-validation", "1", "--seconds", "2", "-o", "x.pt"]
    with pytest.raises(ConfigError, match="--people: expected --synthetic with it"):
        train("pose", "--data", "a.json", "--images", "a", "--people", "2", *held_out)
    with pytest.raises(SourceError, match=r"a\.json"):  # all else is asked of them rightly
        train("pose", "--data", "a.json", "--images", "a", *held_out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pictures", "481"], "--pictures: expected at most 480 of 2 s, got 481"),
        (["--first-seed", "999999"], "--first-seed: expected seeds below 1000000"),
        (
            ["--synthetic-validation", "2", "--validation-seed", "999999"],
            "--validation-seed: expected seeds below 1000000.*999999 to 1000000",
        ),
    ],
)
def test_errors_of_made_scenes_name_the_option(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        train("detector", "--synthetic", "2", "--seconds", "2", *words, "-o", "x.pt")


def test_a_drawing_process_that_dies_ends_the_drawing(tmp_path: Path) -> None:
    config = MadeConfig(scenes=30, seconds=1, pictures=2, size=(128, 96))
    seen: list[int] = []

    def kill_one(done: int) -> None:
        processes = active_children()
        seen.append(len(processes))
        if done == 1:
            assert processes[0].pid is not None
            os.kill(processes[0].pid, signal.SIGKILL)

    with pytest.raises(PoseActError, match="one of 2 drawing processes died"):
        made_pictures(config, tmp_path, workers=2, on_scene=kill_one)
    assert seen[0] == 2
    assert not list(tmp_path.iterdir())
    assert not active_children()


def drawing(folder: Path, workers: int) -> subprocess.Popen[str]:
    """A command that draws, leader of a group of its own, after its first picture."""
    words = [*DETECTOR, "--synthetic", "500", "--workers", str(workers), "-o", "d.pt"]
    process = subprocess.Popen(
        [sys.executable, "-m", "poseact_engine.cli.main", "train", *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
        start_new_session=True, preexec_fn=heed_ctrl_c,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not list(folder.rglob("*.jpg")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    return process


def wait_until_all_ended(group: int) -> None:
    until = time.monotonic() + 20
    while alive := running_in(group):  # Python's own helper process ends a little later
        assert time.monotonic() < until, alive
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("send", "number", "code"),
    [
        (os.killpg, signal.SIGINT, 130),  # as a terminal does
        (os.killpg, signal.SIGTERM, 143),  # as service managers do
        (os.kill, signal.SIGTERM, 143),
    ],
)
def test_signals_end_the_drawing_and_all_that_draws(
    tmp_path: Path,
    workers: int,
    send: Callable[[int, int], None],
    number: signal.Signals,
    code: int,
) -> None:
    process = drawing(tmp_path, workers)
    send(process.pid, number)
    said = process.communicate(timeout=60)[0]
    assert (process.returncode, said) == (code, "")
    assert not list(tmp_path.rglob("*.*"))
    wait_until_all_ended(process.pid)


def test_processes_that_draw_end_when_the_command_is_killed(tmp_path: Path) -> None:
    process = drawing(tmp_path, 2)
    assert len(running_in(process.pid)) >= 3
    process.kill()
    process.wait()
    wait_until_all_ended(process.pid)
    process.communicate()


def test_the_folder_of_a_killed_command_is_removed_and_that_of_a_running_one_kept(
    tmp_path: Path,
) -> None:
    config = MadeConfig(scenes=1, seconds=1, pictures=1, size=(128, 96))
    cache = tmp_path / "made-scenes"
    process = drawing(tmp_path, 0)
    (unfinished,) = cache.iterdir()
    made_pictures(config, cache)
    assert process.poll() is None
    assert unfinished.is_dir()
    process.kill()
    process.communicate()
    assert unfinished.is_dir()
    made = made_pictures(replace(config, first_seed=1), cache)
    assert not unfinished.exists()
    assert made.truth.is_file()
    assert not list(cache.glob(".*"))


def test_a_run_that_was_faster_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pictures may be in use already."""
    config = MadeConfig(scenes=1, seconds=1, pictures=1, size=(128, 96))
    first = made_pictures(config, tmp_path)
    before = first.truth.stat().st_ino
    asked = iter([False, True])
    monkeypatch.setattr(Path, "is_file", lambda _: next(asked))
    assert made_pictures(config, tmp_path) == first
    assert first.truth.stat().st_ino == before
    assert [p.name for p in tmp_path.iterdir()] == [first.truth.parent.name]


def running_in(group: int) -> list[str]:
    """The processes of a group; those that ended and that nobody asked for do not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = path.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state != "Z":
                found.append((path.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # ended meanwhile
    return found


def heed_ctrl_c() -> None:
    """A job in the background is started with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
