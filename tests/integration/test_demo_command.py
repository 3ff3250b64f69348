# SPDX-License-Identifier: Apache-2.0
"""`poseact demo` as a user runs it, with made models that see a lying person in one place."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from poseact_engine.cli.demo import FPS, PEOPLE, SECONDS, SEED, SIZE
from poseact_engine.demo.folder import MARK
from poseact_engine.synthetic import FIRST_EVALUATION_SEED
from poseact_engine.synthetic.scene import Scene
from poseact_engine.synthetic.url import parse_scene_url
from poseact_engine.types import ACTIONS
from tests.models import STANDING, make_action, make_detector, make_pose

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "poseact_engine.cli.main", "demo"]
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "100"}
# What `make demo` does not install must not be asked for.
NOT_INSTALLED = ["torch", "scipy", "matplotlib", "pycocotools", "tensorboard", "openvino"]
BARE = (
    f"import sys\nsys.modules.update(dict.fromkeys({NOT_INSTALLED}))\n"
    "from poseact_engine.cli.main import main\nmain()"
)
SMALL = ["--seconds", "1.5", "--size", "160x96", "--people", "1", "--seed", "5"]
WAIT_S = 60.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The detector's 64 x 64 input holds a 160 x 96 picture at its top, scaled by 0.4."""
    folder = tmp_path_factory.mktemp("models")
    detector = make_detector(folder / "d.onnx", [(20, 10, 40, 30)])
    pose = make_pose(folder / "p.onnx", STANDING[:, ::-1].copy(), size=(64, 64))
    action = make_action(folder / "a.onnx")
    return ["--detector", str(detector), "--pose", str(pose), "--action", str(action)]


def demo(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BARE, "demo", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=ENV, cwd=cwd, timeout=WAIT_S, check=False
    )


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_it_writes_everything_and_says_where(models: list[str], tmp_path: Path) -> None:
    done = demo(*SMALL, *models, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    out = tmp_path / "demo_out"
    made = {path.name for path in out.iterdir()}
    assert made == {"annotated.mp4", "results.jsonl", "events.jsonl", "index.html", MARK}
    assert frames_of(out / "annotated.mp4") == 45
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()[1:]]
    told = [event for event in events if event["kind"] == "new"]
    assert [event["action"] for event in told] == ["lying_down"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("<img ") == 4
    assert "poseact demo --seed 5 --streams 1 --people 1 --seconds 1.5 --size 160x96" in page
    assert "lying down: began at" in done.stderr  # as it comes
    assert re.search(r"truth: \d of \d falls reported; \d of 1 incidents false", done.stderr)
    assert done.stderr.endswith("look at demo_out/index.html\n")


def test_again_it_replaces_its_own_files_alone(models: list[str], tmp_path: Path) -> None:
    out = tmp_path / "mine"
    first = demo(*SMALL, *models, "-o", "mine", "--streams", "2", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    films = {path.name for path in out.glob("*.mp4")}
    assert films == {"annotated-synthetic-5.mp4", "annotated-synthetic-6.mp4"}
    page = (out / "index.html").read_text(encoding="utf-8")
    assert all(f'src="{name}"' in page for name in films)
    (out / "notes.txt").write_text("mine")
    again = demo(*SMALL, *models, "-o", "mine", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert {path.name for path in out.glob("*.mp4")} == {"annotated.mp4"}
    assert (out / "notes.txt").read_text() == "mine"


def test_a_folder_of_somebody_else_s_is_left_alone(models: list[str], tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "index.html").write_text("mine")
    done = demo(*SMALL, *models, "-o", "photos", cwd=tmp_path)
    assert done.returncode == 2
    assert "photos: holds files that are not of a demo" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (out / "index.html").read_text() == "mine"
    assert len(list(out.iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "100"], "--size: expected one like 1280x720, got '100'"),
        (["--size", "160x96&people=9"], "--size: expected one like 1280x720"),
        (["--seconds", "1e9"], "scene.seconds: expected more than 0, at most 3600, got 1000000000"),
        (["-o", 300 * "a"], "cannot be the demo's folder: File name too long"),
        (["--seconds", "-1"], "seconds"),
        (["--people", "21"], "'--people'"),
        (["-o", "no/where"], "expected an existing folder around it"),
        (["--detector", "gone.onnx"], "gone.onnx"),
    ],
)
def test_wrong_options_are_said_and_make_nothing(
    arguments: list[str], message: str, models: list[str], tmp_path: Path
) -> None:
    done = demo(*SMALL, *models, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*/index.html"))


def test_a_wrong_model_costs_the_last_demo_nothing(models: list[str], tmp_path: Path) -> None:
    assert demo(*SMALL, *models, cwd=tmp_path).returncode == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "demo_out").iterdir()}
    (tmp_path / "garbage.onnx").write_text("none")
    for path in (tmp_path / "garbage.onnx", Path(models[1])):  # no model, and a detector
        done = demo(*SMALL, *models, "--action", str(path), cwd=tmp_path)
        assert done.returncode == 2
        assert path.name in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert {p.name: p.read_bytes() for p in (tmp_path / "demo_out").iterdir()} == before


def test_ctrl_c_leaves_whole_files_and_no_page(models: list[str], tmp_path: Path) -> None:
    options = ["--seconds", "600", "--size", "160x96", "--people", "1", *models]
    process = subprocess.Popen(
        [*COMMAND, *options], stderr=subprocess.PIPE, text=True, env=ENV, cwd=tmp_path
    )
    results = tmp_path / "demo_out" / "results.jsonl"
    deadline = time.monotonic() + WAIT_S
    while not (results.exists() and results.read_text().count("\n") > 5):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "no page was written" in errors
    assert not (tmp_path / "demo_out" / "index.html").exists()
    last = json.loads(results.read_text().splitlines()[-1])  # each frame has somebody
    assert last["frame"] >= 4
    assert frames_of(tmp_path / "demo_out" / "annotated.mp4") == last["frame"] + 1


def test_its_set_up_asks_for_little() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/requirements.py", "cpu", "video"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    names = {re.split(r"[^A-Za-z0-9-]", line)[0] for line in done.stdout.split()}
    assert {"onnxruntime", "av", "opencv-python-headless", "numpy", "pybind11"} <= names
    assert not names & {*NOT_INSTALLED, "pytest"}


def test_an_extra_that_is_none_is_named() -> None:
    line = [sys.executable, "scripts/requirements.py", "cpu", "vidoe"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"extra: expected one of cpu, .*, got 'vidoe'\n", done.stderr)


def test_the_scene_that_is_shown_has_what_a_visitor_should_see() -> None:
    """A fall that has time to be reported, and somebody who carries and lifts."""
    query = f"seed={SEED}&people={PEOPLE}&seconds={SECONDS:g}&size={SIZE}&fps={FPS}"
    scene = Scene(parse_scene_url(f"synthetic://?{query}").config)
    assert SEED >= FIRST_EVALUATION_SEED
    assert 1 <= len(scene.falls) <= 3
    assert all(2 <= fall.start_s <= SECONDS - 3 for fall in scene.falls)
    done = {ACTIONS[a] for take in scene.takes for a in take.actions.tolist() if a >= 0}
    assert {"carrying", "lifting", "walking", "falling_down"} <= done
