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

from poseact_engine.backends.base import check_input, check_output
from poseact_engine.contract import contract_of
from poseact_engine.errors import BackendError
from poseact_engine.manifest import Manifest, Task

_ERRORS_ONLY = 3  # of ONNX Runtime's severities; what goes wrong is raised as well

# Fewest and most items of one call into ONNX Runtime. Small calls stay in the cache and keep every
# thread busy: a picture in a batch of 8 and of 32 took 5.4 and 8.8 ms (RTMDet-nano, TinyPose; two
# cores) in calls of 4 by two threads, 6.6 and 16.2 ms with two threads inside operators. Windows
# of poses are so small that only many of them are worth a thread of their own.
_ITEMS_PER_CALL: dict[Task, tuple[int, int]] = {
    "detector": (1, 4),
    "pose": (1, 4),
    "action": (32, 128),
}


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    # One thread per call: a batch is split over calls instead, see above.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _ERRORS_ONLY
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
        chunks = split(batch, *_ITEMS_PER_CALL[self._manifest.task], threads=self._threads)
        work = map if self._pool is None or len(chunks) == 1 else self._pool.map
        results = list(work(self._run_part, chunks))
        if len(results) == 1:
            return results[0]
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
            check_output(f"onnxruntime: {self._manifest.task}", got, spec, len(batch))
        return tuple(outputs)

    def close(self) -> None:
        """Frees the session; calls that come later are a BackendError. Safe to call again."""
        if self._pool is not None:
            self._pool.shutdown()
        self._pool = None
        self._session = None


def split(batch: NDArray[Any], least: int, most: int, *, threads: int) -> list[NDArray[Any]]:
    """Views of a batch, alike in length: at most ``most`` items each, and work for every thread
    where that leaves each at least ``least``."""
    calls = max(math.ceil(len(batch) / most), min(threads, len(batch) // least), 1)
    if calls > threads:  # whole rounds, so that no thread is alone in the last one
        calls = min(len(batch), math.ceil(calls / threads) * threads)
    return np.array_split(batch, calls)
