# SPDX-License-Identifier: Apache-2.0
"""The doctor's report against what other ways of asking say."""

from __future__ import annotations

import json
import os
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from poseact_engine import bundled
from poseact_engine.backends.base import BackendEntry
from poseact_engine.cli import doctor

KEYS = {
    "version",
    "python",
    "platform",
    "build",
    "cpu",
    "gpu",
    "backends",
    "extras",
    "bundled_models",
    "problems",
    "ok",
}


def run_doctor(*args: str) -> Any:
    app = typer.Typer()
    app.command()(doctor.doctor_command)
    return CliRunner().invoke(app, list(args))


def with_packages(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Pretends that distributions (underscore for hyphen) have these versions, None: missing."""
    real = metadata.version

    def version(name: str) -> str:
        if name.replace("-", "_") not in versions:
            return real(name)
        made = versions[name.replace("-", "_")]
        if made is None:
            raise metadata.PackageNotFoundError(name)
        return made

    monkeypatch.setattr(metadata, "version", version)


def test_json_has_stable_keys_and_says_what_the_machine_says() -> None:
    result = run_doctor("--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert set(found) == KEYS
    assert found["cpu"]["cores"] == len(os.sched_getaffinity(0))
    assert found["backends"]["onnxruntime"]["packages"]["onnxruntime"] == metadata.version(
        "onnxruntime"
    )
    assert "CPUExecutionProvider" in found["backends"]["onnxruntime"]["providers"]


def test_bundled_models_are_known_by_their_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "bundled_folder", lambda: tmp_path)
    (tmp_path / "pose.onnx").write_bytes(b"weights")
    done = subprocess.run(
        ["sha256sum", str(tmp_path / "pose.onnx")], capture_output=True, text=True, check=True
    )
    found = json.loads(run_doctor("--json").stdout)["bundled_models"]
    assert list(found) == ["detector", "pose", "action"]
    assert found["pose"]["sha256"] == done.stdout.split()[0]
    assert found["action"] == {"file": str(tmp_path / "action.onnx"), "sha256": None}
    text = run_doctor().stdout
    assert f"bundled pose: sha256 {found['pose']['sha256']}\n" in text
    assert "bundled action: missing; to install: the package anew" in text


def test_ffmpeg_versions_are_those_of_pkg_config() -> None:
    libraries = doctor.report()["build"]["ffmpeg_libraries"]
    for name, versions in libraries.items():
        done = subprocess.run(
            ["pkg-config", "--modversion", name], capture_output=True, text=True, check=True
        )
        assert versions["built"] == done.stdout.strip()


def test_cpu_features_are_those_of_the_kernel() -> None:
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split("flags", 1)[-1].split())
    kernel_names = {"avx512vbmi": "avx512vbmi", "avx512vnni": "avx512_vnni"}
    for feature, has in doctor.report()["cpu"]["features"].items():
        assert has == (kernel_names.get(feature, feature) in flags), feature


def test_two_runtimes_that_overwrite_each_other_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with_packages(monkeypatch, onnxruntime="1.0", onnxruntime_gpu="1.0")
    result = run_doctor()
    assert "overwrite each other" in result.stdout
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in result.stdout
    assert result.exit_code == 0  # one of them works


def test_without_a_backend_nothing_runs_and_the_line_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_packages(monkeypatch, onnxruntime=None, onnxruntime_gpu=None, openvino=None)
    result = run_doctor()
    assert result.exit_code == 1
    assert "pip install 'poseact-engine[cpu]'" in result.stdout


def test_an_extension_that_does_not_load_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> object:
        raise ImportError(f"libavformat.so.59: cannot open shared object file ({name})")

    monkeypatch.setattr(doctor.importlib, "import_module", fail)
    result = run_doctor("--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["ok"], found["build"]) == (1, False, None)
    assert "libavformat.so.59" in found["problems"][0]["what"]


@pytest.mark.needs_openvino
def test_any_backend_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with_packages(monkeypatch, onnxruntime=None, onnxruntime_gpu=None)
    found = doctor.report()
    assert found["ok"]
    assert not found["backends"]["onnxruntime"]["usable"]
    assert found["backends"]["openvino"]["packages"] == {"openvino": metadata.version("openvino")}


def test_a_backend_for_gpus_is_of_no_use_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = BackendEntry(
        name="gpus", modules=("numpy",), install="", devices=("cuda",), open=lambda *_: None
    )
    monkeypatch.setattr(doctor, "BACKENDS", (*doctor.BACKENDS, entry))
    for devices in ([], [{"name": "GPU", "memory_bytes": 1 << 30}]):
        gpu = {"driver_cuda": "12.8", "devices": devices, "error": None}
        monkeypatch.setattr(doctor, "gpu_report", lambda gpu=gpu: gpu)
        assert doctor.report()["backends"]["gpus"]["usable"] == bool(devices)
        text = run_doctor().stdout
        assert ("gpus on a GPU" in text) == (not devices)
        assert ("not usable here" in text) == (not devices)


def test_what_is_missing_comes_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with_packages(monkeypatch, av=None)
    extra = doctor.report()["extras"]["av"]
    assert (extra["version"], extra["install"]) == (None, "pip install 'poseact-engine[video]'")
