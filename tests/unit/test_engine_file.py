# SPDX-License-Identifier: Apache-2.0
"""The engine file: what is written comes back, and what is damaged is said."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from poseact_engine.backends.registry import open_model
from poseact_engine.cli.models import models_app
from poseact_engine.engine_file import (
    EngineFile,
    Fingerprint,
    fingerprint_from_json,
    is_engine_file,
    load_engine,
    pack,
    read_engine,
    unpack,
    write_engine,
)
from poseact_engine.errors import BackendError, ManifestError
from poseact_engine.manifest import DetectorManifest
from poseact_engine.manifest_io import read_manifest, to_json
from tests.models import make_detector

HEADER = 28 + 32
"""Magic 8, format 4, lengths 4 + 4 + 8; SHA-256."""
FINGERPRINT = Fingerprint(
    onnx_name="d.onnx",
    onnx_sha256="0" * 64,
    initialiser_sha256="f" * 64,
    flavour="tensorrt_rtx",
    version="1.7.1.116",
    capabilities=("sm_75", "sm_120"),
    profiles=((1, 1, 1), (2, 4, 16)),
    precision="fp32",
    workspace_mib=None,
)


@pytest.fixture
def engine(tmp_path: Path) -> EngineFile:
    manifest = read_manifest(make_detector(tmp_path / "d.onnx", [(1, 2, 3, 4)]))
    return EngineFile(manifest=manifest, fingerprint=FINGERPRINT, plan=bytes(range(256)))


def test_what_is_written_comes_back(engine: EngineFile, tmp_path: Path) -> None:
    path = tmp_path / "d.engine"
    path.write_bytes(b"what stood there before")
    write_engine(engine, path)
    assert read_engine(path, task="detector") == engine
    assert load_engine(path)[0] == path.read_bytes()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_command_line_prints_what_it_says_of_itself(engine: EngineFile, tmp_path: Path) -> None:
    write_engine(engine, tmp_path / "d.engine")
    done = CliRunner().invoke(models_app, ["info", str(tmp_path / "d.engine"), "--json"])
    said = json.loads(done.output)
    assert isinstance(engine.manifest, DetectorManifest)
    assert (said["task"], said["max_boxes"]) == ("detector", engine.manifest.max_boxes)
    assert said["engine"]["capabilities"] == ["sm_75", "sm_120"]
    done = CliRunner().invoke(models_app, ["info", str(tmp_path / "d.engine")])
    assert "version 1.7.1.116" in " ".join(done.output.split())


def test_the_layout_is_the_documented_one(engine: EngineFile) -> None:
    data = pack(engine)
    magic, version, manifest, fingerprint, plan = struct.unpack_from("<8sIIIQ", data)
    assert (magic, version, plan) == (b"POSEACTE", 1, 256)
    assert data[HEADER : HEADER + manifest].decode() == to_json(engine.manifest)
    text = data[HEADER + manifest : HEADER + manifest + fingerprint]
    assert json.loads(text)["profiles"] == [[1, 1, 1], [2, 4, 16]]
    assert data[-256:] == engine.plan
    assert data[28:HEADER] == hashlib.sha256(data[:28] + data[HEADER:]).digest()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(engine: EngineFile, place: int, bit: int) -> None:
    data = bytearray(pack(engine))
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(ManifestError):
        unpack(bytes(data))


@pytest.mark.parametrize("part", ["empty", "magic", "header", "manifest", "plan"])
def test_a_cut_file_is_found(engine: EngineFile, part: str) -> None:
    data = pack(engine)
    lengths = {"empty": 0, "magic": 8, "header": HEADER - 1, "manifest": HEADER + 5, "plan": -1}
    with pytest.raises(ManifestError, match=r"cut|expected an engine file"):
        unpack(data[: lengths[part]])


def test_more_than_the_file_is_found(engine: EngineFile) -> None:
    with pytest.raises(ManifestError, match=r"expected \d+ bytes, got \d+"):
        unpack(pack(engine) + b"\0")


def test_another_format_names_the_command(engine: EngineFile) -> None:
    data = pack(engine)
    with pytest.raises(ManifestError, match=r"format 1, got 2.*python -m export engine"):
        unpack(data[:8] + struct.pack("<I", 2) + data[12:])


@pytest.mark.parametrize("content", [b"ftrt\0\0\0 a bare plan", b"\x08\x09 ONNX, perhaps"])
def test_a_foreign_file_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.engine"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"x\.engine: expected an engine file.*export engine"):
        read_engine(path)


def test_no_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.engine", tmp_path):
        with pytest.raises(ManifestError, match="cannot read it"):
            read_engine(path)


def test_another_task_is_refused(engine: EngineFile, tmp_path: Path) -> None:
    write_engine(engine, tmp_path / "d.engine")
    with pytest.raises(ManifestError, match=r"task pose, got one of task detector"):
        read_engine(tmp_path / "d.engine", task="pose")


def test_an_engine_file_is_known_by_its_first_bytes_or_its_name(
    engine: EngineFile, tmp_path: Path
) -> None:
    write_engine(engine, tmp_path / "a.bin")
    (tmp_path / "b.engine").write_bytes(b"")
    assert is_engine_file(tmp_path / "a.bin")
    assert is_engine_file(tmp_path / "b.engine")
    assert is_engine_file(tmp_path / "none.engine")
    assert not is_engine_file(tmp_path / "d.onnx")
    assert not is_engine_file(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("onnx_name", "../d.onnx"),
        ("onnx_sha256", "0" * 63),
        ("onnx_sha256", "G" * 64),
        ("initialiser_sha256", ""),
        ("flavour", "tensorrt_lean"),
        ("capabilities", []),
        ("capabilities", ["86"]),
        ("capabilities", "sm_86"),
        ("profiles", []),
        ("profiles", [[1, 2]]),
        ("profiles", [[0, 1, 2]]),
        ("profiles", [[1, 4, 2]]),
        ("profiles", [[True, 1, 1]]),
        ("workspace_mib", 0),
        ("workspace_mib", 1.5),
        ("version", 10),
    ],
)
def test_a_fingerprint_is_read_strictly(field: str, value: Any) -> None:
    values = json.loads(FINGERPRINT.to_json())
    assert fingerprint_from_json(json.dumps(values)) == FINGERPRINT
    with pytest.raises(ManifestError, match=rf"fingerprint\.{field}"):
        fingerprint_from_json(json.dumps({**values, field: value}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"more": 1}', "\ufffd"])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(ManifestError, match=r"fingerprint: expected"):
        fingerprint_from_json(text)


def test_the_key_counts_all_but_the_name() -> None:
    assert dataclasses.replace(FINGERPRINT, onnx_name="other.onnx").key == FINGERPRINT.key
    others = {
        dataclasses.replace(FINGERPRINT, **{field: value}).key  # type: ignore[arg-type]
        for field, value in {
            "onnx_sha256": "1" * 64,
            "initialiser_sha256": "1" * 64,
            "flavour": "tensorrt",
            "version": "1.7.1.117",
            "capabilities": ("sm_75",),
            "profiles": ((1, 1, 1),),
            "precision": "fp16",
            "workspace_mib": 64,
        }.items()
    }
    assert len(others | {FINGERPRINT.key}) == 9


@pytest.mark.parametrize(
    "backend", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.needs_openvino)]
)
def test_an_engine_is_for_tensorrt_alone(engine: EngineFile, tmp_path: Path, backend: Any) -> None:
    write_engine(engine, tmp_path / "d.engine")
    with pytest.raises(BackendError, match=rf"backend {backend}, got an engine file"):
        open_model(tmp_path / "d.engine", task="detector", backend=backend)
    with pytest.raises(BackendError, match=r"'cpu'"):
        open_model(tmp_path / "d.engine", task="detector", device="cpu")
