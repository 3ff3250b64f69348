# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU."""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from collections import deque
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.backends.base import check_input, check_output
from poseact_engine.backends.signal_stack import keep_signal_stack
from poseact_engine.contract import TensorSpec, contract_of
from poseact_engine.errors import BackendError, DependencyError
from poseact_engine.manifest import Manifest, Precision, Task

# Items of one request, a fixed number: OpenVINO compiles a network of known sizes better than one
# of any batch, and need not prepare itself anew for each length that comes (nor keep what it
# prepared). One request a thread, TinyPose, two cores, ms a crop: 7.3 in requests of 1 or 4 at a
# fixed size, 8 to 9 at a dynamic one, 9.9 with both threads inside a request of 8.
# Windows are too small for a request each; the last one of a batch is filled up.
_ITEMS: dict[Task, int] = {"detector": 1, "pose": 1, "action": 8}

Results = tuple[NDArray[Any], ...]


class OpenVinoModel:
    """A model compiled for the CPU, with one request and one thread for each of ``threads``.

    Owns requests and threads; `close` ends both. Call it from one thread at a time.
    """

    def __init__(self, data: bytes, manifest: Manifest, *, threads: int) -> None:
        self._manifest = manifest
        self._contract = contract_of(manifest)
        self._items = _ITEMS[manifest.task]
        self._cpu_s = 0.0
        runtime = import_openvino()
        try:
            with keep_signal_stack():
                self._compiled = self._compile(runtime, data, threads)
            self._requests = [self._compiled.create_infer_request() for _ in range(threads)]
        except Exception as error:  # OpenVINO's own exceptions share no public base class
            raise BackendError(
                f"openvino: cannot load the {manifest.task} model: {_line(error)}"
            ) from error

    def _compile(self, runtime: ModuleType, data: bytes, threads: int) -> Any:
        core = runtime.Core()
        model = core.read_model(data)
        model.reshape([self._items, *self._contract.input.shape])
        precision = _precision(self._manifest.precision, core)
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": threads,
            "INFERENCE_NUM_THREADS": threads,
            # Pinned threads of two models, or of two processes, would share the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        return core.compile_model(model, "CPU", options)

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def backend(self) -> str:
        return "openvino/cpu"

    @property
    def cpu_s(self) -> float:
        """At most this: OpenVINO tells how long its threads were at it, not what they got of the
        CPU, so where cores are scarce what this process's other threads took may be in it."""
        return self._cpu_s

    def run(self, batch: NDArray[Any]) -> Results:
        """The contract's outputs for a batch, in order; an empty batch gives empty outputs."""
        check_input(batch, self._contract.input, self._manifest.task)
        if not self._requests:
            raise BackendError(f"openvino: the {self._manifest.task} model is closed")
        outputs = tuple(np.empty((len(batch), *o.shape), o.dtype) for o in self._contract.outputs)
        spent_s, busy_s = time.process_time(), 0.0
        running: deque[tuple[Any, slice]] = deque()
        with self._errors(running):
            for number, start in enumerate(range(0, len(batch), self._items)):
                if len(running) == len(self._requests):
                    busy_s += self._collect(running, outputs)
                part = slice(start, min(start + self._items, len(batch)))
                request = self._requests[number % len(self._requests)]
                # Into the request's own tensor: the caller's array may change or be short.
                request.get_input_tensor().data[: part.stop - start] = batch[part]
                request.start_async()
                running.append((request, part))
            while running:
                busy_s += self._collect(running, outputs)
        self._cpu_s += min(busy_s, time.process_time() - spent_s)
        return outputs

    @contextlib.contextmanager
    def _errors(self, running: deque[tuple[Any, slice]]) -> Iterator[None]:
        """OpenVINO's errors as ours, once no request is at work any more."""
        try:
            yield
        except Exception as error:  # see __init__
            for request, _ in running:
                with contextlib.suppress(Exception):  # the first one is the one that is told
                    request.wait()
            if isinstance(error, BackendError):
                raise
            raise BackendError(
                f"openvino: {self._manifest.task} model failed: {_line(error)}"
            ) from error

    def _collect(self, running: deque[tuple[Any, slice]], outputs: Results) -> float:
        """Waits for the oldest request and copies its outputs; gives the seconds it took."""
        request, part = running[0]
        request.wait()
        running.popleft()
        for output, spec in zip(outputs, self._contract.outputs, strict=True):
            self._copy(request.get_tensor(spec.name).data, spec, output[part])
        return float(request.latency) / 1e3

    def _copy(self, got: NDArray[Any], spec: TensorSpec, output: NDArray[Any]) -> None:
        check_output(f"openvino: {self._manifest.task}", got, spec, self._items)
        output[:] = got[: len(output)]

    def close(self) -> None:
        """Frees the model; calls that come later are a BackendError. Safe to call again."""
        self._requests = []
        self._compiled = None


def _precision(precision: Precision, core: Any) -> str:
    """Said always: left to itself OpenVINO computes fp32 files in bf16 on CPUs that can.

    Half precision is for files that have it and CPUs with arithmetic for it; elsewhere such a
    file's weights are widened. What an int8 file leaves unquantised is fp32.
    """
    can = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "f16" if precision == "fp16" and "FP16" in can else "f32"


def import_openvino() -> ModuleType:
    """The package, without its telemetry: importing it reports to its maker otherwise.

    It does without where that package cannot be imported. DependencyError without OpenVINO.
    """
    telemetry = "openvino_telemetry"
    hide = "openvino" not in sys.modules and telemetry not in sys.modules
    if hide:
        sys.modules[telemetry] = None  # type: ignore[assignment]  # Python's way to forbid an import
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise DependencyError(
            f"openvino cannot be imported ({error}); install with "
            "`pip install 'poseact-engine[openvino]'`"
        ) from error
    finally:
        if hide:
            del sys.modules[telemetry]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
