# SPDX-License-Identifier: Apache-2.0
"""The last step of every export: check the graph and write it with its manifest."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import checker, shape_inference

from poseact_engine.contract import IR_VERSION
from poseact_engine.errors import ExportError, ManifestError
from poseact_engine.files import write_atomically
from poseact_engine.manifest_io import AnyManifest, attach


def write_model(model: onnx.ModelProto, manifest: AnyManifest, path: Path | str) -> AnyManifest:
    """Writes one model file with its manifest, checksum computed anew; all of it or nothing.

    As :func:`pack`; returns the manifest as written.
    """
    data, written = pack(model, manifest, Path(path))
    write_file(data, Path(path))
    return written


def pack(model: onnx.ModelProto, manifest: AnyManifest, path: Path) -> tuple[bytes, AnyManifest]:
    """The bytes of a model file for ``path``, and its manifest with the checksum computed anew.

    ``model`` must keep the contract of the manifest's task (opset 19); ``manifest.sha256`` is not
    read. Raises ExportError.
    """
    finished = onnx.ModelProto()
    finished.CopyFrom(model)
    finished.ir_version = IR_VERSION
    finished.producer_name = "poseact_engine"
    finished.ClearField("producer_version")
    try:
        written = attach(finished, manifest)
    except ManifestError as error:
        raise ExportError(
            f"{path}: the exported graph does not keep its contract: {error}"
        ) from error
    _check(finished, path)
    return finished.SerializeToString(deterministic=True), written


def _check(model: onnx.ModelProto, path: Path) -> None:
    try:
        checker.check_model(model, full_check=True)
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        raise ExportError(f"{path}: the exported graph is not valid ONNX: {error}") from error


def check_output(output: Path, source: Path) -> None:
    """Raises ExportError unless a model file may be made at ``output``: it replaces what is there.

    ``source``, the file that is exported, is never replaced.
    """
    if output.exists() and not output.is_file():
        raise ExportError(f"{output}: expected a file name, got a folder, device or pipe")
    if output.resolve() == source.resolve():
        raise ExportError(f"{output}: is the file to be exported; choose another name for --output")
    if not output.parent.is_dir():  # said before a long calibration or build
        raise ExportError(f"{output}: expected a folder to write it in, got none")


def write_file(data: bytes, path: Path) -> None:
    """Readers see the old file or the new one, never a part of it."""
    try:
        write_atomically(data, path)
    except OSError as error:
        raise ExportError(f"{path}: cannot write the model: {error.strerror}") from error
