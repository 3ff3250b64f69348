# SPDX-License-Identifier: Apache-2.0
"""The engine file: a TensorRT plan with its manifest and the fingerprint of how it was made.

::

    magic, 8 bytes | format u32 | bytes of manifest u32, fingerprint u32, plan u64 (little-endian)
    sha256 of all other bytes of the file, 32
    manifest JSON | fingerprint JSON | plan
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poseact_engine.errors import ManifestError
from poseact_engine.files import write_atomically
from poseact_engine.manifest import Manifest, Task
from poseact_engine.manifest_io import export_command, from_json, to_json

MAGIC = b"POSEACTE"
FORMAT = 1
_HEAD = struct.Struct("<8sIIIQ")
_DIGEST_BYTES = 32
_START = _HEAD.size + _DIGEST_BYTES
COMMAND = "python -m export engine MODEL.onnx -o MODEL.engine"

Profile = tuple[int, int, int]
"""Fewest, typical and most items of one batch bucket."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CAPABILITY = re.compile(r"sm_[0-9]+")


def _fault(field: str, expected: str, got: object) -> ManifestError:
    return ManifestError(f"fingerprint.{field}: expected {expected}, got {got!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """All that an engine depends on. Checks its values when it is made."""

    onnx_name: str
    """The ONNX file's name; it is looked for beside the engine file. Empty: it was never a file."""
    onnx_sha256: str
    """Of the ONNX file's bytes."""
    initialiser_sha256: str
    """The manifest's ``sha256``."""
    flavour: str
    """``tensorrt`` or ``tensorrt_rtx``."""
    version: str
    """TensorRT's own, as ``10.16.1.11``. A plan runs on no other."""
    capabilities: tuple[str, ...]
    """GPUs it was built for, as ``sm_86``."""
    profiles: tuple[Profile, ...]
    precision: str
    workspace_mib: int | None
    """The builder's limit; None for TensorRT's own."""

    def __post_init__(self) -> None:
        if Path(self.onnx_name).name != self.onnx_name:
            raise _fault("onnx_name", "a file name without a folder", self.onnx_name)
        for field in ("onnx_sha256", "initialiser_sha256"):
            if not _SHA256.fullmatch(getattr(self, field)):
                raise _fault(field, "64 hexadecimal digits", getattr(self, field))
        if self.flavour not in ("tensorrt", "tensorrt_rtx"):
            raise _fault("flavour", "tensorrt or tensorrt_rtx", self.flavour)
        if not self.capabilities or not all(map(_CAPABILITY.fullmatch, self.capabilities)):
            raise _fault("capabilities", "GPUs as sm_86, one or more", self.capabilities)
        if not self.profiles or not all(1 <= a <= b <= c for a, b, c in self.profiles):
            raise _fault("profiles", "1 <= min <= opt <= max, one or more", self.profiles)
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise _fault("workspace_mib", "1 or more, or null", self.workspace_mib)

    def to_json(self) -> str:
        """One JSON object with sorted keys; the same fingerprint gives the same text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @property
    def key(self) -> str:
        """The name an engine has in the cache: the file's name and place do not count."""
        anonymous = dataclasses.replace(self, onnx_name="")
        return hashlib.sha256(anonymous.to_json().encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFile:
    """An engine file's content."""

    manifest: Manifest
    fingerprint: Fingerprint
    plan: bytes


def onnx_sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ---------------------------------------------------------------- fingerprint from JSON


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_profile(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_int, value))


_KINDS: dict[str, Any] = {
    "onnx_name": _is_text,
    "onnx_sha256": _is_text,
    "initialiser_sha256": _is_text,
    "flavour": _is_text,
    "version": _is_text,
    "capabilities": lambda v: isinstance(v, list) and all(map(_is_text, v)),
    "profiles": lambda v: isinstance(v, list) and all(map(_is_profile, v)),
    "precision": _is_text,
    "workspace_mib": lambda v: v is None or _is_int(v),
}


def fingerprint_from_json(text: str) -> Fingerprint:
    """Raises ManifestError on a key that is missing, unknown, of another type, or out of range."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ManifestError(f"fingerprint: expected JSON, got other text: {error}") from error
    if not isinstance(values, dict) or set(values) != set(_KINDS):
        got = sorted(values) if isinstance(values, dict) else type(values).__name__
        raise ManifestError(f"fingerprint: expected the keys {sorted(_KINDS)}, got {got}")
    for field, fits in _KINDS.items():
        if not fits(values[field]):
            raise _fault(field, "another type", values[field])
    values["capabilities"] = tuple(values["capabilities"])
    values["profiles"] = tuple(tuple(p) for p in values["profiles"])
    return Fingerprint(**values)


# ---------------------------------------------------------------- files


def is_engine_file(path: Path) -> bool:
    """Whether a file says it is an engine, by its first bytes or its name."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC or path.suffix == ".engine"
    except OSError:
        return path.suffix == ".engine"  # the reader says what is wrong with it


def pack(engine: EngineFile) -> bytes:
    """The file's bytes."""
    manifest, fingerprint = to_json(engine.manifest).encode(), engine.fingerprint.to_json().encode()
    head = _HEAD.pack(MAGIC, FORMAT, len(manifest), len(fingerprint), len(engine.plan))
    digest = hashlib.sha256(head)
    for part in (manifest, fingerprint, engine.plan):
        digest.update(part)
    return b"".join((head, digest.digest(), manifest, fingerprint, engine.plan))


def unpack(data: bytes) -> EngineFile:
    """What an engine file's bytes hold; ManifestError says how they are not one, or damaged."""
    if not data.startswith(MAGIC):
        raise ManifestError(
            f"expected an engine file, got {len(data)} bytes that are not (a bare TensorRT plan "
            f"has no manifest); `{COMMAND}` makes one"
        )
    if len(data) < _START:
        raise ManifestError(
            f"expected a header of {_START} bytes, got {len(data)}: the file is cut"
        )
    _, version, *lengths = _HEAD.unpack_from(data)
    if version != FORMAT:
        raise ManifestError(
            f"expected an engine file of format {FORMAT}, got {version}; make it again: `{COMMAND}`"
        )
    if len(data) != _START + sum(lengths):
        raise ManifestError(
            f"expected {_START + sum(lengths)} bytes, got {len(data)}: the file was cut or "
            f"damaged; make it again: `{COMMAND}`"
        )
    digest = hashlib.sha256(memoryview(data)[: _HEAD.size])
    digest.update(memoryview(data)[_START:])
    if digest.digest() != data[_HEAD.size : _START]:
        raise ManifestError(
            "expected the bytes that were written, got others (sha256 differs): the file is "
            f"damaged; make it again: `{COMMAND}`"
        )
    plan = _START + lengths[0] + lengths[1]
    texts = data[_START : _START + lengths[0]], data[_START + lengths[0] : plan]
    manifest, fingerprint = (text.decode(errors="replace") for text in texts)
    return EngineFile(
        manifest=from_json(manifest),
        fingerprint=fingerprint_from_json(fingerprint),
        plan=data[plan:],
    )


def load_engine(path: Path, *, task: Task | None = None) -> tuple[bytes, EngineFile]:
    """Bytes and content of an engine file that is whole and of the task.

    Raises ManifestError, which names the file, what is wrong and what to do about it.
    """
    try:
        data = path.read_bytes()
        engine = unpack(data)
    except OSError as error:
        raise ManifestError(
            f"{path}: expected an engine file, cannot read it: {error.strerror}"
        ) from error
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error
    if task is not None and engine.manifest.task != task:
        raise ManifestError(
            f"{path}: expected a model of task {task}, got one of task {engine.manifest.task}; "
            f"`{export_command(task)}` makes one"
        )
    return data, engine


def read_engine(path: Path, *, task: Task | None = None) -> EngineFile:
    """The content of an engine file, after every check of :func:`load_engine`."""
    return load_engine(path, task=task)[1]


def write_engine(engine: EngineFile, path: Path) -> None:
    """Readers see the old file or the new one, never a part of it. Raises OSError."""
    write_atomically(pack(engine), path)
