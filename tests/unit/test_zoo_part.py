# SPDX-License-Identifier: Apache-2.0
"""The file that is being downloaded: full disks, and processes that die with it."""

from __future__ import annotations

import fcntl
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from poseact_engine.errors import SinkError
from poseact_engine.zoo.download import download
from poseact_engine.zoo.part import Part
from tests.file_server import FileServer, serve
from tests.zoo_entries import FAST, Notes, checkpoint

DATA = checkpoint()
HALF = len(DATA) // 2


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def fetch(url: str, folder: Path) -> None:
    with Part(folder / "w.pth", on_wait=lambda: None) as part:
        download(url, part, FAST, Notes(), size_bytes=None)
        part.finish()


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """The kernel refuses to write more into one file, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_is_named_and_the_part_kept(tmp_path: Path) -> None:
    with FileServer([serve(DATA)]) as server:
        with largest_file(HALF), pytest.raises(SinkError, match=r"cannot write: .*; what came so"):
            fetch(f"{server.url}/w", tmp_path)
        assert (tmp_path / "w.pth.part").read_bytes() == DATA[:HALF]
        fetch(f"{server.url}/w", tmp_path)
        assert server.ranges == [None, f"bytes={HALF}-"]
    assert (tmp_path / "w.pth").read_bytes() == DATA


def test_too_little_room_is_said_before_anything_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=100_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    words = r"0\.3 MB are to come, 0\.1 MB are free"
    with FileServer([serve(DATA)]) as server, pytest.raises(SinkError, match=words):
        fetch(f"{server.url}/w", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "w.pth.part").mkdir()
    with pytest.raises(SinkError, match=r"w\.pth\.part: cannot write: Is a directory"):
        fetch("http://127.0.0.1:9/w", tmp_path)


def test_a_process_that_was_killed_holds_nobody_up(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from poseact_engine.zoo.part import Part\n"
        "with Part(pathlib.Path(sys.argv[1]), on_wait=lambda: None) as part:\n"
        "    part.append(b'abc')\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    target = tmp_path / "made.pth"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        waited: list[float] = []
        threading.Timer(0.3, holder.kill).start()
        with Part(target, on_wait=lambda: waited.append(time.monotonic())) as part:
            assert part.size == 3
    assert len(waited) == 1


def test_who_waited_does_not_write_into_what_was_thrown_away(tmp_path: Path) -> None:
    target, waiting = tmp_path / "w.pth", threading.Event()

    def second() -> None:
        with Part(target, on_wait=waiting.set) as part:
            part.append(b"second")
            part.finish()

    thread = threading.Thread(target=second)
    with Part(target, on_wait=lambda: None) as part:
        thread.start()
        assert waiting.wait(10)
        part.append(b"first")
        part.discard()
    thread.join()
    assert target.read_bytes() == b"second"


def test_a_part_that_goes_between_opening_and_locking_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, real, gone = tmp_path / "w.pth", fcntl.flock, []

    def flock(descriptor: int, how: int) -> None:
        if not gone:  # another process finishes just now
            gone.append(descriptor)
            (tmp_path / "w.pth.part").unlink()
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with Part(target, on_wait=lambda: None) as part:
        part.append(b"mine")
        part.finish()
    assert target.read_bytes() == b"mine"
