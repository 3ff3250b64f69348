# SPDX-License-Identifier: Apache-2.0
"""The command line's manners: help, errors, exit codes. Whole runs are in tests/integration."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from poseact_engine.cli.report import Report
from poseact_engine.cli.stop import stop_on_signals

ROOT = Path(__file__).parents[2]
NO_MODELS = ("--detector", "d.onnx", "--pose", "p.onnx", "--action", "a.onnx")


def poseact(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "NO_COLOR": "1"}
    env.pop("FORCE_COLOR", None)
    return subprocess.run(
        [sys.executable, "-m", "poseact_engine.cli.main", *arguments],
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd,
        timeout=60,
        check=False,
    )


def test_version() -> None:
    done = poseact("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("poseact ")


def test_help_names_every_command_and_loads_none_of_them() -> None:
    code = (
        "import sys\n"
        "from poseact_engine.cli.main import app\n"
        "app(['--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'torch', 'poseact_engine._core'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    commands = "run models export train eval synth extract convert reproduce demo doctor"
    for command in commands.split():
        assert f" {command} " in done.stdout


def test_help_of_run_fits_80_columns_and_names_every_option() -> None:
    done = poseact("run", "--help")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "Usage: poseact run [OPTIONS]" in done.stdout
    assert "SOURCE" in done.stdout
    for option in (
        *("--detector", "--pose", "--action", "--out", "--events", "--video", "--overwrite"),
        *("--every", "--detect-every", "--max-frames", "--det-score", "--track-score"),
        *("--pose-nms", "--backend", "--device", "--threads"),
    ):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", *NO_MODELS), "Missing argument"),
        (("run", "a.mp4", "--bogus", "1"), "No such option: --bogus"),
        (("run", "a.mp4", *NO_MODELS, "--every", "0"), "'--every'"),
        (("run", "a.mp4", *NO_MODELS, "--max-frames", "x"), "'--max-frames'"),
        (("run", "a.mp4", *NO_MODELS, "--pose-nms", "soft"), "'--pose-nms'"),
        (("nonsense",), "No such command 'nonsense'"),
    ],
)
def test_wrong_usage_is_explained_and_exits_2(arguments: tuple[str, ...], message: str) -> None:
    done = poseact(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "x/r.jsonl"), "expected an existing folder"),
        (("--out", "r.jsonl", "--events", "r.jsonl"), "output files: expected different ones"),
        (("--out", "r.jsonl", "--events", "./r.jsonl"), "output files: expected different ones"),
        (("--out", "-", "--events", "-"), "output files: expected different ones"),
        (("--out", "old.jsonl"), "old.jsonl exists; choose another name"),
        (("--video", "v.mkv"), "ends in .mp4"),
        (("--out", "a.mp4", "--overwrite"), "is a source and would be overwritten"),
        ((), "d.onnx: expected an ONNX file, cannot read it: No such file"),
    ],
)
def test_errors_of_a_user_are_one_line_and_exit_2(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    (tmp_path / "old.jsonl").write_text("mine")
    done = poseact("run", "a.mp4", *NO_MODELS, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("poseact: error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["old.jsonl"]
    assert (tmp_path / "old.jsonl").read_text() == "mine"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_the_first_signal_stops_and_the_second_has_its_old_meaning(
    number: signal.Signals, code: int
) -> None:
    stopped: list[int] = []
    old: list[int] = []
    before = signal.signal(number, lambda *_: old.append(1))
    try:
        with stop_on_signals(lambda: stopped.append(1)) as stop:
            assert stop.code is None
            os.kill(os.getpid(), number)
            assert (stop.code, stopped, old) == (code, [1], [])
            os.kill(os.getpid(), number)
            assert (stopped, old) == ([1], [1])
        os.kill(os.getpid(), number)
        assert (stopped, old) == ([1], [1, 1])
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("level", [logging.NOTSET, logging.DEBUG])
def test_a_report_leaves_logging_as_it_was(level: int) -> None:
    logger = logging.getLogger("poseact_engine")
    before, handlers = logger.level, list(logger.handlers)
    try:
        logger.setLevel(level)
        with Report():
            assert logger.level == logging.WARNING
        assert (logger.level, logger.handlers) == (level, handlers)
    finally:
        logger.setLevel(before)
