# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from numpy.typing import NDArray

from poseact_engine.contract import TensorSpec, contract_of
from poseact_engine.errors import BackendError, ShapeError
from poseact_engine.manifest import Manifest

_WARNINGS_AND_WORSE = 3  # ONNX Runtime's severities: 2 is warning, 3 is error


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    # One thread per call; a batch is split over calls instead. Measured faster than threads inside
    # the operators for every model we know, and no thread spins while it waits.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _WARNINGS_AND_WORSE
    return options


class OnnxRuntimeModel:
    """A model in one ONNX Runtime session, whose batches are split over a small pool of threads.

    Owns session and threads; `close` ends both. Call it from one thread at a time.
    """

    def __init__(self, data: bytes, manifest: Manifest, *, threads: int) -> None:
        self._manifest = manifest
        self._contract = contract_of(manifest)
        self._names = [o.name for o in self._contract.outputs]
        self._threads = threads
        self._cpu_s = 0.0
        self._cpu_lock = threading.Lock()
        try:
            self._session: ort.InferenceSession | None = ort.InferenceSession(
                data, _options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own exceptions share no public base class
            raise BackendError(
                f"onnxruntime: cannot load the {manifest.task} model: {error}"
            ) from error
        self._pool = (
            ThreadPoolExecutor(threads, thread_name_prefix=f"ort-{manifest.task}")
            if threads > 1
            else None
        )

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def backend(self) -> str:
        return "onnxruntime/cpu"

    @property
    def cpu_s(self) -> float:
        return self._cpu_s

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The contract's outputs for a batch, in order; an empty batch gives empty outputs."""
        check_input(batch, self._contract.input, self._manifest.task)
        if len(batch) == 0:
            return tuple(np.empty((0, *o.shape), o.dtype) for o in self._contract.outputs)
        parts = min(self._threads, len(batch))
        if self._pool is None or parts == 1:
            return self._run_part(batch)
        size = math.ceil(len(batch) / parts)
        chunks = [batch[i : i + size] for i in range(0, len(batch), size)]
        results = list(self._pool.map(self._run_part, chunks))
        return tuple(np.concatenate(r) for r in zip(*results, strict=True))

    def _run_part(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        session = self._session
        if session is None:
            raise BackendError(f"onnxruntime: the {self._manifest.task} model is closed")
        before = time.thread_time()
        try:
            outputs = session.run(self._names, {self._contract.input.name: batch})
        except Exception as error:  # see __init__
            raise BackendError(
                f"onnxruntime: {self._manifest.task} model failed: {error}"
            ) from error
        with self._cpu_lock:
            self._cpu_s += time.thread_time() - before
        for got, spec in zip(outputs, self._contract.outputs, strict=True):
            _check_output(got, spec, len(batch), self._manifest.task)
        return tuple(outputs)

    def close(self) -> None:
        """Frees the session; calls that come later are a BackendError. Safe to call again."""
        if self._pool is not None:
            self._pool.shutdown()
        self._pool = None
        self._session = None


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


def _check_output(got: NDArray[Any], spec: TensorSpec, batch: int, task: str) -> None:
    if got.shape != (batch, *spec.shape) or got.dtype != spec.dtype:
        raise BackendError(
            f"onnxruntime: {task} model: expected output {spec} for a batch of {batch}, "
            f"got {got.dtype} {list(got.shape)}"
        )
