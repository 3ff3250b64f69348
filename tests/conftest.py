# SPDX-License-Identifier: Apache-2.0
"""Skips live here alone, and ``POSEACT_REQUIRE`` forbids them.

A test that needs something a machine may lack carries a mark (``needs_torch``) or uses a fixture
(``data_dir``); it is skipped where that is absent. ``POSEACT_REQUIRE=data,ffmpeg,torch,cuda`` (any
part of it) names what must be there: it is never skipped, so its absence fails. Use marks rather
than ``pytest.importorskip``, which knows nothing of this.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cpu import sums_int8_exactly

ROOT = Path(__file__).resolve().parent.parent
BINDINGS = ROOT / "build" / "tensorrt-bindings"


def data_path() -> Path:
    return Path(os.environ.get("POSEACT_DATA") or ROOT.parent / "shared" / "data").resolve()


def _importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _have_cuda() -> bool:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    return bool(
        driver.cuInit(0) == 0
        and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
        and count.value > 0
    )


# What a machine may lack: its test, and the words for its absence.
NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "data": (lambda: data_path().is_dir(), f"no real data at {data_path()} (set POSEACT_DATA)"),
    "ffmpeg": (lambda: shutil.which("ffmpeg") is not None, "no ffmpeg command on PATH"),
    "torch": (lambda: _importable("torch"), "torch is not installed"),
    "cuda": (_have_cuda, "no CUDA device"),
    "openvino": (lambda: _importable("openvino"), "openvino is not installed"),
    "vnni": (sums_int8_exactly, "this CPU has no VNNI: sums of int8 products saturate"),
    "tensorrt": (lambda: _importable("tensorrt_rtx_bindings"), "no TensorRT for RTX"),
    "tensorrt-bindings": (
        lambda: (BINDINGS / "done").exists(),
        f"no bindings of TensorRT 10 and 11 at {BINDINGS} (scripts/tensorrt_bindings.sh)",
    ),
}
MARKS = {
    "needs_data": "data",
    "needs_ffmpeg_cli": "ffmpeg",
    "needs_torch": "torch",
    "needs_cuda": "cuda",
    "needs_openvino": "openvino",
    "needs_vnni": "vnni",
    "needs_tensorrt": "tensorrt",
    "needs_tensorrt_bindings": "tensorrt-bindings",
}


def required() -> frozenset[str]:
    """The names in ``POSEACT_REQUIRE``; those pytest does not know belong to scripts/."""
    names = os.environ.get("POSEACT_REQUIRE", "").replace(" ", "").split(",")
    return frozenset(name for name in names if name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = {name: why for name, (have, why) in NEEDS.items() if not have()}
    for item in items:
        for mark, need in MARKS.items():
            if item.get_closest_marker(mark) and need in missing and need not in required():
                item.add_marker(pytest.mark.skip(reason=missing[need]))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; see its README.md."""
    have, why = NEEDS["data"]
    if not have():
        if "data" in required():
            pytest.fail(f"POSEACT_REQUIRE names data: {why}")
        pytest.skip(why)
    return data_path()
