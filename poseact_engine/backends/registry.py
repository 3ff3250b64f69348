# SPDX-License-Identifier: Apache-2.0
"""Opens a model file on the backend that was asked for, or says why not; no silent fallback."""

from __future__ import annotations

import importlib.util
import logging
import os
from importlib import metadata
from pathlib import Path

from poseact_engine.backends.base import BackendEntry, Model, ModelFile, OpenOptions
from poseact_engine.config import BackendChoice, DeviceChoice
from poseact_engine.config_checks import check_count
from poseact_engine.engine_file import is_engine_file, load_engine
from poseact_engine.errors import BackendError, DependencyError
from poseact_engine.manifest import Task
from poseact_engine.manifest_io import load_model

_log = logging.getLogger(__name__)


def _open_onnxruntime(file: ModelFile, options: OpenOptions) -> Model:
    try:
        from poseact_engine.backends.onnxruntime import OnnxRuntimeModel  # only when chosen
    except ImportError as error:
        raise DependencyError(
            f"onnxruntime is installed but cannot be imported: {error}"
        ) from error
    return OnnxRuntimeModel(file.data, file.manifest, threads=options.threads)


def _open_openvino(file: ModelFile, options: OpenOptions) -> Model:
    from poseact_engine.backends.openvino import OpenVinoModel

    return OpenVinoModel(file.data, file.manifest, threads=options.threads)


def _open_tensorrt(file: ModelFile, _: OpenOptions) -> Model:
    from poseact_engine.backends.tensorrt import open_tensorrt

    return open_tensorrt(file)


BACKENDS: tuple[BackendEntry, ...] = (
    BackendEntry(
        name="onnxruntime",
        modules=("onnxruntime",),
        install="pip install 'poseact-engine[cpu]'",
        devices=("cpu",),
        open=_open_onnxruntime,
    ),
    BackendEntry(
        name="openvino",
        modules=("openvino",),
        install="pip install 'poseact-engine[openvino]'",
        devices=("cpu",),
        open=_open_openvino,
    ),
    BackendEntry(
        name="tensorrt",
        modules=("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"),
        install="pip install 'poseact-engine[tensorrt]'",
        devices=("cuda",),
        open=_open_tensorrt,
    ),
)
"""In the order in which `auto` prefers them."""


def backend_versions() -> dict[str, str | None]:
    """Each backend of this build with the version of its package, None where that is missing."""
    return {b.name: _version(b) for b in BACKENDS}


def installed_module(entry: BackendEntry) -> str | None:
    """The first of the backend's packages that can be imported."""
    return next((m for m in entry.modules if importlib.util.find_spec(m) is not None), None)


def _version(entry: BackendEntry) -> str | None:
    module = installed_module(entry)
    if module is None:
        return None
    names = metadata.packages_distributions().get(module, [])
    return metadata.version(names[0]) if names else "unknown"


def cpu_count() -> int:
    """CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _choose(backend: BackendChoice, device: DeviceChoice) -> BackendEntry:
    """The backend asked for; of ``auto``, the first that is installed and runs on the device."""
    names = ", ".join(b.name for b in BACKENDS)
    asked = [b for b in BACKENDS if backend in ("auto", b.name)]
    if not asked:
        raise BackendError(f"backend: expected one of this build, auto or {names}, got {backend!r}")
    able = [b for b in asked if device in ("auto", *b.devices)]
    if not able:
        devices = ", ".join(dict.fromkeys(d for b in asked for d in b.devices))
        raise BackendError(
            f"device: expected one that backend {backend} runs on in this build ({devices}), "
            f"got {device!r}"
        )
    installed = [b for b in able if installed_module(b) is not None]
    if not installed:
        lines = "; ".join(f"{b.name}: `{b.install}`" for b in able)
        raise DependencyError(
            f"backend {backend}: expected an installed package, got none; this build knows {names}."
            f" Install with {lines}"
        )
    return installed[0]


def _read_onnx(path: Path, task: Task) -> ModelFile:
    data, _, manifest = load_model(path, task=task)
    return ModelFile(path=path, data=data, manifest=manifest)


def _read_engine(path: Path, task: Task) -> ModelFile:
    data, engine = load_engine(path, task=task)
    return ModelFile(path=path, data=data, manifest=engine.manifest)


def open_model(
    path: Path | str,
    *,
    task: Task,
    backend: BackendChoice = "auto",
    device: DeviceChoice = "auto",
    threads: int | None = None,
) -> Model:
    """Opens a model file of a task; `auto` is resolved here, once, and logged.

    An engine file is for the TensorRT backend alone, which `auto` then means. ``threads``: CPU
    threads for inference, None for as many as this process may use. Raises ManifestError (the
    file), BackendError (backend or device), DependencyError (package), ConfigError (threads).
    """
    path = Path(path)
    is_engine = is_engine_file(path)
    if is_engine and backend == "auto":
        backend = "tensorrt"
    entry = _choose(backend, device)  # a missing package is said before a large file is read
    if is_engine and entry.name != "tensorrt":
        raise BackendError(
            f"{path}: expected an ONNX file for backend {entry.name}, got an engine file, which "
            "tensorrt alone runs"
        )
    file = _read_engine(path, task) if is_engine else _read_onnx(path, task)
    return open_file(file, backend=backend, device=device, threads=threads)


def open_file(
    file: ModelFile,
    *,
    backend: BackendChoice = "auto",
    device: DeviceChoice = "auto",
    threads: int | None = None,
) -> Model:
    """As :func:`open_model`, of a file that was read already."""
    if threads is not None:
        check_count("open_model", threads=threads)
    entry = _choose(backend, device)
    options = OpenOptions(
        device=entry.devices[0] if device == "auto" else device,
        threads=threads if threads is not None else cpu_count(),
    )
    model = entry.open(file, options)
    _log.info(
        "%s: backend %s, device %s (asked: %s, %s)",
        file, entry.name, options.device, backend, device,
    )  # fmt: skip
    return model
