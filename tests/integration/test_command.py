# SPDX-License-Identifier: Apache-2.0
"""`poseact run` as a user runs it: files, pipes, a terminal, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import pytest

from tests.integration.made_world import World, write_scene

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "poseact_engine.cli.main", "run"]
WAIT_S = 60.0
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "100"}

NUMBER = (int, float)
RESULT_KEYS: dict[str, Any] = {
    "stream": int,
    "frame": int,
    "pts_s": NUMBER,
    "track": int,
    "observed": bool,
    "box": list,
    "score": NUMBER,
    "keypoints": list,
    "action": (str, type(None)),
    "probabilities": (list, type(None)),
}
EVENT_KEYS: dict[str, Any] = {
    "kind": str,
    "incident": str,
    "stream": int,
    "track": int,
    "action": str,
    "start_s": NUMBER,
    "time_s": NUMBER,
    "score": NUMBER,
    "box": (list, type(None)),
}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=ENV, timeout=WAIT_S, check=False
    )


def check_schema(text: str, schema: str, keys: dict[str, Any]) -> list[dict[str, Any]]:
    """Every line as docs/results-schema.md says."""
    assert text.endswith("\n")
    header, *lines = map(json.loads, text.splitlines())
    assert (header["schema"], header["version"]) == (schema, 1)
    assert set(header["models"]) == {"detector", "pose", "action"}
    assert len(header["joints"]) == 17
    for line in lines:
        assert list(line) == list(keys)
        for key, kind in keys.items():
            assert isinstance(line[key], kind), (key, line)
    return lines


def test_all_files_at_once(world: World, clip: Path, tmp_path: Path) -> None:
    out, events, video = (tmp_path / n for n in ("r.jsonl", "e.jsonl", "v.mp4"))
    outputs = ("--out", out, "--events", events, "--video", video)
    done = run(clip, *world.options, *outputs)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    lines = check_schema(out.read_text(), "poseact.results", RESULT_KEYS)
    assert len(lines) == 2 * 40
    assert all(len(line["keypoints"]) == 17 for line in lines)
    check_schema(events.read_text(), "poseact.events", EVENT_KEYS)
    with av.open(str(video)) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert times == pytest.approx([i / 30 for i in range(40)], abs=1e-4)
    # A pipe gets plain lines: no bar, no escape codes.
    assert "\x1b" not in done.stderr
    assert "40 frames in" in done.stderr
    assert f"wrote {out}, {events}, {video}" in done.stderr.replace("\n", " ")


def test_results_may_go_to_standard_output_alone(world: World, clip: Path) -> None:
    done = run(clip, *world.options, "--out", "-", "--max-frames", "5")
    assert len(check_schema(done.stdout, "poseact.results", RESULT_KEYS)) == 2 * 5


def test_a_reader_that_goes_away_is_no_traceback(world: World, clip: Path) -> None:
    command = " ".join(map(str, [*COMMAND, clip, *world.options, "--out", "-"]))
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -n 1 > /dev/null; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env=ENV,
        timeout=WAIT_S,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.strip() in {"0", "2"}  # 0: all of it fitted into the pipe


def test_several_sources_one_of_them_dead(world: World, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    done = run(clip, tmp_path / "gone.mp4", clip, *world.options, "--out", out)
    assert done.returncode == 1
    assert done.stderr.count("gone.mp4") >= 1
    assert "Traceback" not in done.stderr
    lines = check_schema(out.read_text(), "poseact.results", RESULT_KEYS)
    assert {line["stream"] for line in lines} == {0, 2}
    assert len(lines) == 2 * 2 * 40


def test_only_dead_sources_leave_no_file(world: World, tmp_path: Path) -> None:
    done = run(tmp_path / "gone.mp4", *world.options, "--out", tmp_path / "r.jsonl")
    assert done.returncode == 2
    assert done.stderr.startswith("poseact: error: ")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_output_spares_the_others(world: World, clip: Path, tmp_path: Path) -> None:
    """Only the opened run knows what a pattern reads."""
    out, events = tmp_path / "r.jsonl", tmp_path / "b.mp4"
    out.write_text("mine")
    for name in ("a.mp4", events.name):
        (tmp_path / name).write_bytes(clip.read_bytes())
    outputs = ("--out", out, "--events", events, "--overwrite")
    done = run(tmp_path / "*.mp4", *world.options, *outputs)
    assert done.returncode == 2
    assert "is a source and would be overwritten" in done.stderr
    assert out.read_text() == "mine"
    assert events.read_bytes() == clip.read_bytes()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_a_signal_leaves_whole_files(
    world: World, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    clip = write_scene(tmp_path / "long.mp4", 1500)
    out, events, video = (tmp_path / n for n in ("r.jsonl", "e.jsonl", "v.mp4"))
    outputs = ("--out", out, "--events", events, "--video", video)
    process = subprocess.Popen(
        [*COMMAND, str(clip), *world.options, *map(str, outputs)],
        stderr=subprocess.PIPE,
        text=True,
        env=ENV,
    )
    deadline = time.monotonic() + WAIT_S
    while not (out.exists() and out.read_text().count("\n") > 20):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    lines = check_schema(out.read_text(), "poseact.results", RESULT_KEYS)
    check_schema(events.read_text(), "poseact.events", EVENT_KEYS)
    frames = max(line["frame"] for line in lines) + 1
    assert 10 <= frames < 1500
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == frames


def test_a_terminal_gets_a_progress_bar(world: World, clip: Path) -> None:
    main, side = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, str(clip), *world.options],
        stdout=side,
        stderr=side,
        env={**ENV, "TERM": "xterm"},
    )
    os.close(side)
    text = b""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        ready, _, _ = select.select([main], [], [], 1.0)
        try:
            more = os.read(main, 65536) if ready else b""
        except OSError:  # Linux says EIO when the other side has gone
            break
        text += more
        if not more and process.poll() is not None:
            break
    os.close(main)
    assert process.wait(WAIT_S) == 0
    assert b"40/40" in text
    assert b"frames" in text
    assert b"/s" in text
