# SPDX-License-Identifier: Apache-2.0
"""What is built for a machine: said, once, and kept. Real builds for a GPU that is not there."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from poseact_engine.backends import tensorrt_cache
from poseact_engine.backends.base import ModelFile
from poseact_engine.backends.tensorrt_build import Recipe
from poseact_engine.backends.tensorrt_cache import cache_folder, engines
from poseact_engine.backends.tensorrt_toolkit import Toolkit
from poseact_engine.engine_file import EngineFile, pack, read_engine, write_engine
from poseact_engine.errors import BackendError
from tests.conftest import ROOT
from tests.engines import GPU, first, read_onnx
from tests.models import make_detector

pytestmark = pytest.mark.needs_tensorrt


def test_built_once_and_said(
    onnx: ModelFile, toolkit: Toolkit, cache: Path, builds: list[Recipe], caplog: Any
) -> None:
    engine = first(onnx, toolkit)
    assert "building an engine with TensorRT for RTX" in caplog.text
    assert [p.suffix for p in sorted(cache.iterdir())] == [".engine", ".lock"]
    assert first(onnx, toolkit) == engine
    assert len(builds) == 1
    assert engine.fingerprint.capabilities == (GPU,)
    assert engine.fingerprint.profiles == ((1, 4, 16),)


def test_a_copy_of_the_file_uses_the_same_engine(
    onnx: ModelFile, toolkit: Toolkit, cache: Path, builds: list[Recipe], tmp_path: Path
) -> None:
    first(onnx, toolkit)
    (tmp_path / "copy.onnx").write_bytes(onnx.data)
    first(read_onnx(tmp_path / "copy.onnx"), toolkit)
    first(dataclasses.replace(onnx, path=None), toolkit)
    assert len(builds) == 1
    assert cache.is_dir()


def test_another_gpu_or_file_is_another_engine(
    onnx: ModelFile, toolkit: Toolkit, cache: Path, builds: list[Recipe], tmp_path: Path
) -> None:
    first(onnx, toolkit)
    first(onnx, toolkit, "sm_120")
    first(read_onnx(make_detector(tmp_path / "e.onnx", [(0, 0, 2, 2)])), toolkit)
    assert len(builds) == 3
    assert len(list(cache.glob("*.engine"))) == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty", "another"])
def test_a_damaged_entry_is_said_and_built_anew(
    damage: str, onnx: ModelFile, toolkit: Toolkit, cache: Path, builds: list[Recipe], caplog: Any
) -> None:
    engine = first(onnx, toolkit)
    (entry,) = cache.glob("*.engine")
    data = entry.read_bytes()
    other = dataclasses.replace(engine.fingerprint, profiles=((1, 1, 1),))
    entry.write_bytes(
        {
            "cut": data[:-1],
            "flipped": data[:500] + bytes([data[500] ^ 1]) + data[501:],
            "foreign": b"something else",
            "empty": b"",
            "another": pack(dataclasses.replace(engine, fingerprint=other)),
        }[damage]
    )
    caplog.clear()
    anew = first(onnx, toolkit)
    assert anew.fingerprint == engine.fingerprint
    assert len(builds) == 2
    assert "it is built anew" in caplog.text
    assert read_engine(entry) == anew


def test_a_cache_that_cannot_be_written(
    onnx: ModelFile, toolkit: Toolkit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, builds: Any
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("POSEACT_CACHE", str(tmp_path / "file"))
    with pytest.raises(BackendError, match=r"engine cache: .*can be written.*\$POSEACT_CACHE"):
        first(onnx, toolkit)
    assert builds == []


def test_a_full_disk_is_said(
    onnx: ModelFile, toolkit: Toolkit, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x.engine")

    monkeypatch.setattr(tensorrt_cache, "write_engine", full)
    with pytest.raises(BackendError, match=r"x\.engine: No space left"):
        first(onnx, toolkit)
    assert list(cache.glob("*.engine")) == []


def test_an_engine_that_tensorrt_refuses_is_built_anew_once(
    onnx: ModelFile, toolkit: Toolkit, cache: Path, builds: list[Recipe], caplog: Any
) -> None:
    assert len(list(engines(onnx, toolkit, GPU))) == 1  # it was built just now: no second try
    assert len(builds) == 1
    assert len(list(engines(onnx, toolkit, GPU))) == 2
    assert "refused the engine in the cache" in caplog.text
    assert len(builds) == 2
    assert len(list(cache.glob("*.engine"))) == 1


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("POSEACT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == tmp_path / ".cache" / "poseact_engine"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "poseact_engine"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "poseact_engine"
    monkeypatch.setenv("POSEACT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


# ---------------------------------------------------------------- several at once


def test_who_comes_second_waits_and_takes_the_first_ones_engine(
    onnx: ModelFile, toolkit: Toolkit, cache: Path, builds: list[Recipe], caplog: Any
) -> None:
    engine = first(onnx, toolkit)
    (entry,) = cache.glob("*.engine")
    entry.unlink()
    found: list[EngineFile] = []
    with entry.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process is building
        second = threading.Thread(target=lambda: found.append(first(onnx, toolkit)))
        second.start()
        second.join(timeout=0.5)
        assert second.is_alive()
        write_engine(engine, entry)
    second.join(timeout=30)
    assert found == [engine]
    assert len(builds) == 1  # the one at the top
    assert "waiting for the process that builds it" in caplog.text


def test_two_processes_build_once(onnx: ModelFile, toolkit: Toolkit, cache: Path) -> None:
    code = (
        "import logging, sys\n"
        "from pathlib import Path\n"
        "from poseact_engine.backends.base import ModelFile\n"
        "from poseact_engine.backends.tensorrt_cache import engines\n"
        "from poseact_engine.backends.tensorrt_toolkit import load_toolkit\n"
        "from poseact_engine.manifest_io import load_model\n"
        "logging.basicConfig(stream=sys.stderr, level=logging.WARNING)\n"
        "data, _, manifest = load_model(Path(sys.argv[1]))\n"
        "file = ModelFile(path=None, data=data, manifest=manifest)\n"
        "toolkit = load_toolkit()\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        f"print(next(engines(file, toolkit, '{GPU}')).fingerprint.key)\n"
    )
    program = [sys.executable, "-c", code, str(onnx.path)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    both = [
        subprocess.Popen(program, cwd=ROOT, env=os.environ, text=True, **pipes) for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:  # neither has begun before both can
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in both]
    assert answers[0][0] == answers[1][0] != ""
    assert sum(errors.count("building an engine") for _, errors in answers) == 1
    assert len(list(cache.glob("*.engine"))) == 1
    assert toolkit.version
