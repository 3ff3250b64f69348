# SPDX-License-Identifier: Apache-2.0
"""The one protocol every inference backend serves, and what a backend is opened with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from poseact_engine.contract import TensorSpec
from poseact_engine.errors import BackendError, ShapeError
from poseact_engine.manifest import Manifest


@runtime_checkable
class Model(Protocol):
    """One model, loaded. Passive; may be called from one thread at a time.

    Inputs are checked against the contract of the manifest's task: a wrong shape or dtype is a
    ShapeError. The GIL is released while the backend computes.
    """

    @property
    def manifest(self) -> Manifest: ...

    @property
    def backend(self) -> str:
        """Resolved backend and device, as ``onnxruntime/cpu``."""
        ...

    @property
    def cpu_s(self) -> float:
        """CPU seconds spent inside the backend so far, over all its threads."""
        ...

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """One call over a batch: the contract's input in, its outputs in the contract's order."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model file that was read and checked."""

    path: Path | None
    """None for a model that was never a file."""
    data: bytes
    """The ONNX file's bytes; of TensorRT also an engine file's."""
    manifest: Manifest

    def __str__(self) -> str:
        return f"{self.manifest.task} model {self.path or '(in memory)'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOptions:
    """What was asked for, resolved."""

    device: str
    """``cpu`` or ``cuda``."""
    threads: int
    """CPU threads for inference."""


Opener = Callable[[ModelFile, OpenOptions], Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendEntry:
    """A backend of this build: what it needs, on which devices it runs, and how it is opened."""

    name: str
    modules: tuple[str, ...]
    """Packages of which one must be importable, the preferred one first."""
    install: str
    devices: tuple[str, ...]
    open: Opener


def check_input(batch: NDArray[Any], spec: TensorSpec, task: str) -> None:
    """Raises ShapeError unless the batch is C-contiguous, of the contract's dtype and shape."""
    ok = (
        isinstance(batch, np.ndarray)
        and batch.dtype == spec.dtype
        and batch.ndim == 1 + len(spec.shape)
        and batch.shape[1:] == spec.shape
        and batch.flags.c_contiguous
    )
    if not ok:
        got = type(batch).__name__
        if isinstance(batch, np.ndarray):
            order = "" if batch.flags.c_contiguous else ", not contiguous"
            got = f"{batch.dtype} {list(batch.shape)}{order}"
        raise ShapeError(f"{task} model: expected {spec}, C-contiguous, got {got}")


def check_output(who: str, got: NDArray[Any], spec: TensorSpec, batch: int) -> None:
    """Raises BackendError unless an output has the contract's dtype and shape."""
    if got.shape != (batch, *spec.shape) or got.dtype != spec.dtype:
        raise BackendError(
            f"{who} model: expected output {spec} for a batch of {batch}, "
            f"got {got.dtype} {list(got.shape)}"
        )
