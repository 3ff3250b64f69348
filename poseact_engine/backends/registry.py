# SPDX-License-Identifier: Apache-2.0
"""Opens a model file on the backend that was asked for, or says why not; no silent fallback."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from poseact_engine.backends.base import Model
from poseact_engine.config import BackendChoice, DeviceChoice
from poseact_engine.errors import BackendError, DependencyError
from poseact_engine.manifest import Manifest, Task
from poseact_engine.manifest_io import load_model

_log = logging.getLogger(__name__)

Opener = Callable[[bytes, Manifest, int], Model]


@dataclass(frozen=True, slots=True)
class BackendEntry:
    """A backend of this build: what it needs, on which devices it runs, and how it is opened."""

    name: str
    module: str
    """The package that must be importable."""
    install: str
    devices: tuple[str, ...]
    open: Opener


def _open_onnxruntime(data: bytes, manifest: Manifest, threads: int) -> Model:
    try:
        from poseact_engine.backends.onnxruntime import OnnxRuntimeModel  # only when chosen
    except ImportError as error:
        raise DependencyError(
            f"onnxruntime is installed but cannot be imported: {error}"
        ) from error
    return OnnxRuntimeModel(data, manifest, threads=threads)


BACKENDS: tuple[BackendEntry, ...] = (
    BackendEntry(
        "onnxruntime",
        "onnxruntime",
        "pip install 'poseact-engine[cpu]'",
        ("cpu",),
        _open_onnxruntime,
    ),
)
"""In the order in which `auto` prefers them."""


def backend_versions() -> dict[str, str | None]:
    """Each backend of this build with the version of its package, None where that is missing."""
    return {b.name: _version(b.module) for b in BACKENDS}


def _version(module: str) -> str | None:
    if importlib.util.find_spec(module) is None:
        return None
    names = metadata.packages_distributions().get(module, [])
    return metadata.version(names[0]) if names else "unknown"


def _is_installed(entry: BackendEntry) -> bool:
    return importlib.util.find_spec(entry.module) is not None


def cpu_count() -> int:
    """CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _choose(backend: BackendChoice) -> BackendEntry:
    names = ", ".join(b.name for b in BACKENDS)
    asked = [b for b in BACKENDS if backend in ("auto", b.name)]
    if not asked:
        raise BackendError(f"backend: expected one of this build, auto or {names}, got {backend!r}")
    installed = [b for b in asked if _is_installed(b)]
    if not installed:
        lines = "; ".join(f"{b.name}: `{b.install}`" for b in asked)
        raise DependencyError(
            f"backend {backend}: expected an installed package, got none; this build knows {names}."
            f" Install with {lines}"
        )
    return installed[0]


def _device(entry: BackendEntry, device: DeviceChoice) -> str:
    if device == "auto":
        return entry.devices[0]
    if device not in entry.devices:
        raise BackendError(
            f"device: expected one that backend {entry.name} runs on in this build "
            f"({', '.join(entry.devices)}), got {device!r}"
        )
    return device


def open_model(
    path: Path | str,
    *,
    task: Task,
    backend: BackendChoice = "auto",
    device: DeviceChoice = "auto",
    threads: int | None = None,
) -> Model:
    """Opens a model file of a task; `auto` is resolved here, once, and logged.

    ``threads``: CPU threads for inference, None for as many as this process may use. Raises
    ManifestError (the file), BackendError (backend or device), DependencyError (package).
    """
    entry = _choose(backend)
    chosen = _device(entry, device)
    data, _, manifest = load_model(Path(path), task=task)
    model = entry.open(data, manifest, threads if threads is not None else cpu_count())
    _log.info(
        "%s model %s: backend %s, device %s (asked: %s, %s)",
        task, path, entry.name, chosen, backend, device,
    )  # fmt: skip
    return model
