# SPDX-License-Identifier: Apache-2.0
"""How a manifest is stored in a model file, and how it is read back: every key, no default.

It is one JSON object under ``poseact.manifest`` in the file's metadata, so that it can be read
through ``onnx`` (``metadata_props``) and through ONNX Runtime (``custom_metadata_map``) alike.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import onnx
from google.protobuf.message import (  # type: ignore[import-untyped]
    DecodeError as ProtobufError,
)
from onnx import numpy_helper

from poseact_engine.contract import check_contract
from poseact_engine.errors import ManifestError
from poseact_engine.manifest import MANIFEST_OF, Manifest, Task

KEY = "poseact.manifest"
SCHEMA = 3

AnyManifest = TypeVar("AnyManifest", bound=Manifest)

_COMMANDS = {
    "detector": "python -m export detector --onnx FILE --layout yolox|rtmdet ... -o det.onnx",
    "pose": "python -m export pose --onnx FILE --layout heatmap|simcc ... -o pose.onnx",
    "action": "python -m export action --weights MODEL.pt ... -o action.onnx",
}


def export_command(task: str | None) -> str:
    """The command that makes a model file of this task, for error messages."""
    return _COMMANDS.get(task or "", "python -m export detector|pose|action")


# ---------------------------------------------------------------- values


def _fits(kind: Any, value: object) -> bool:
    """Whether a JSON value is what the field's annotation says; a bool is no number."""
    origin = get_origin(kind)
    if origin is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(k, value) for k in get_args(kind))
    if origin is tuple:
        parts = get_args(kind)
        if not isinstance(value, list):
            return False
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
        return len(kinds) == len(value) and all(map(_fits, kinds, value))
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _named(kind: Any) -> str:
    return str(kind).replace("typing.", "") if get_origin(kind) else kind.__name__


def to_json(manifest: Manifest) -> str:
    """One JSON object with sorted keys; the same manifest gives the same text."""
    values = {"schema": SCHEMA, **dataclasses.asdict(manifest)}
    return json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _parse(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ManifestError(
            f"manifest: expected a JSON object, got text that is not JSON: {error}"
        ) from error
    if not isinstance(values, dict):
        raise ManifestError(f"manifest: expected a JSON object, got {type(values).__name__}")
    schema = values.pop("schema", None)
    if schema != SCHEMA or isinstance(schema, bool):
        raise ManifestError(
            f"manifest.schema: expected {SCHEMA}, got {schema!r}; export the model again"
        )
    return values


def from_json(text: str) -> Manifest:
    """Raises ManifestError on a key that is missing, unknown, of another type, or out of range."""
    values = _parse(text)
    task = values.get("task")
    if not isinstance(task, str) or task not in MANIFEST_OF:
        raise ManifestError(
            f"manifest.task: expected one of {', '.join(MANIFEST_OF)}, got {task!r}"
        )
    kind = MANIFEST_OF[task]
    hints = get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]
    missing, unknown = sorted(set(names) - set(values)), sorted(set(values) - set(names))
    if missing or unknown:
        raise ManifestError(
            f"manifest of a {task}: missing keys {missing}, unknown keys {unknown}; "
            f"expected exactly {sorted(names)}"
        )
    for name in names:
        if not _fits(hints[name], values[name]):
            raise ManifestError(
                f"manifest.{name}: expected {_named(hints[name])}, got {values[name]!r}"
            )
    return kind(**{n: _plain(hints[n], values[n]) for n in names})


def _plain(kind: Any, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return float(value) if kind in (float, float | None) and value is not None else value


# ---------------------------------------------------------------- checksum


def initialiser_sha256(model: onnx.ModelProto) -> str:
    """Hexadecimal SHA-256 over the initialisers sorted by name: name, dtype, shape, bytes.

    One initialiser at a time is turned into bytes (little-endian), so that both ways in which ONNX
    may store a tensor give the same sum and a large model is never copied as a whole.
    """
    digest = hashlib.sha256()
    for tensor in sorted(model.graph.initializer, key=lambda t: t.name):
        kind = onnx.TensorProto.DataType.Name(tensor.data_type)
        head = f"{tensor.name}\0{kind}\0{','.join(map(str, tensor.dims))}\0"
        digest.update(head.encode())
        digest.update(numpy_helper.to_array(tensor).tobytes())
    return digest.hexdigest()


def _refuse_external(model: onnx.ModelProto) -> None:
    outside = [
        t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL
    ]
    if outside:
        raise ManifestError(
            f"model: expected one file with all weights inside, got {len(outside)} tensors stored "
            f"outside ({outside[0]!r}, ...); save it as one file first"
        )


# ---------------------------------------------------------------- files


def attach(model: onnx.ModelProto, manifest: AnyManifest) -> AnyManifest:
    """Writes the manifest with a fresh checksum into the model (in place); returns it.

    Raises ManifestError if the graph does not fit it.
    """
    _refuse_external(model)
    written = dataclasses.replace(manifest, sha256=initialiser_sha256(model))
    check_contract(model, written)
    kept = [p for p in model.metadata_props if p.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=KEY, value=to_json(written))
    return written


def from_metadata(metadata: Mapping[str, str], *, task: Task | None = None) -> Manifest:
    """The manifest in a file's metadata, as ``onnx`` or ONNX Runtime give it."""
    if KEY not in metadata:
        raise ManifestError(
            f"model: expected a manifest in the file's metadata ({KEY!r}), got none; "
            f"`{export_command(task)}` adds one"
        )
    manifest = from_json(metadata[KEY])
    if task is not None and manifest.task != task:
        raise ManifestError(
            f"model: expected a model of task {task}, got one of task {manifest.task}; "
            f"`{export_command(task)}` makes one"
        )
    return manifest


def load_proto(path: Path) -> tuple[bytes, onnx.ModelProto]:
    """The file's bytes and what they mean; ManifestError if it is not there or not ONNX."""
    if path.is_dir():
        raise ManifestError(f"{path}: expected an ONNX file, got a directory")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ManifestError(
            f"{path}: expected an ONNX file, cannot read it: {error.strerror}"
        ) from error
    try:
        model = onnx.load_model_from_string(data)
    except (ProtobufError, ValueError) as error:
        raise ManifestError(
            f"{path}: expected an ONNX file, got {len(data)} bytes that are not"
        ) from error
    if not model.graph.node:
        raise ManifestError(f"{path}: expected an ONNX file, got {len(data)} bytes without a graph")
    return data, model


def load_model(path: Path, *, task: Task | None = None) -> tuple[bytes, onnx.ModelProto, Manifest]:
    """Bytes, graph and manifest of a model file that is whole and keeps its task's contract.

    Raises ManifestError, which names the file, what is wrong and what to do about it.
    """
    data, model = load_proto(path)
    try:
        _refuse_external(model)
        manifest = from_metadata({p.key: p.value for p in model.metadata_props}, task=task)
        check_contract(model, manifest)
        found = initialiser_sha256(model)
        if found != manifest.sha256:
            raise ManifestError(
                f"manifest.sha256: expected {manifest.sha256}, got {found} from the weights: they "
                "were changed after the export; run "
                f"`{export_command(manifest.task)}` on the original again"
            )
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from error
    return data, model, manifest


def read_manifest(path: Path, *, task: Task | None = None) -> Manifest:
    """The manifest of a model file, after every check of :func:`load_model`."""
    return load_model(Path(path), task=task)[2]
