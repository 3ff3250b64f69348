# SPDX-License-Identifier: Apache-2.0
"""TensorRT 10.3 to 11 and TensorRT for RTX: one file runs on all, see ``tensorrt_names``."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.backends.base import ModelFile, check_input
from poseact_engine.backends.tensorrt_cache import engines
from poseact_engine.backends.tensorrt_cuda import CudaDevice, load_cuda
from poseact_engine.backends.tensorrt_names import CudaRuntime, ICudaEngine
from poseact_engine.backends.tensorrt_toolkit import TensorRtLog, Toolkit, load_toolkit
from poseact_engine.contract import TensorSpec, contract_of
from poseact_engine.engine_file import EngineFile, Profile
from poseact_engine.errors import BackendError
from poseact_engine.manifest import Manifest

_DTYPES = {"uint8": "UINT8", "float32": "FLOAT"}


class EngineRefusedError(BackendError):
    """TensorRT does not take the plan, though its fingerprint fits."""


def open_tensorrt(
    file: ModelFile, toolkit: Toolkit | None = None, cuda: CudaRuntime | None = None
) -> TensorRtModel:
    """A model file (ONNX or engine) on the first GPU; what is missing is built into the cache.

    Raises BackendError without a CUDA device, at once.
    """
    toolkit = toolkit or load_toolkit()
    device = CudaDevice(cuda or load_cuda())
    refused: EngineRefusedError | None = None
    try:
        for engine in engines(file, toolkit, device.capability):
            try:
                return TensorRtModel(engine, toolkit, device)
            except EngineRefusedError as error:
                refused = error
        raise BackendError(f"{file}: {toolkit} refuses the engine it built: {refused}")
    except BaseException:
        device.close()
        raise


class TensorRtModel:
    """One engine in one execution context; a batch goes into the smallest bucket that takes it.

    Owns engine, context and device (all buffers are made here, for the largest bucket). Call it
    from one thread at a time.
    """

    def __init__(self, engine: EngineFile, toolkit: Toolkit, device: CudaDevice) -> None:
        self._manifest = engine.manifest
        self._contract = contract_of(engine.manifest)
        self._toolkit = toolkit
        self._device = device
        self._log = TensorRtLog(toolkit)
        self._cpu_s = 0.0
        self._profile = -1
        self._runtime = toolkit.module.Runtime(self._log.native)
        loaded = self._runtime.deserialize_cuda_engine(engine.plan)
        if loaded is None:
            raise EngineRefusedError(f"{toolkit}: {self._log.take_errors()}")
        self._check_tensors(loaded)
        context = loaded.create_execution_context()
        if context is None:  # too little memory, say: another engine would not help
            raise BackendError(f"{toolkit}: no execution context: {self._log.take_errors()}")
        self._engine, self._context = loaded, context
        self._profiles = _profiles(loaded, self._contract.input.name)
        self._most = max(p[2] for p in self._profiles)
        specs = (self._contract.input, *self._contract.outputs)
        self._pinned = [device.pinned((self._most, *s.shape), s.dtype) for s in specs]
        self._addresses = [device.device_buffer(p.nbytes) for p in self._pinned]
        self._open = True

    def _check_tensors(self, engine: ICudaEngine) -> None:
        """Raises BackendError unless the engine's tensors are the contract's."""
        member = self._toolkit.member
        expected = {
            spec.name: (member("TensorIOMode", mode), member("DataType", _DTYPES[spec.dtype]))
            for mode, specs in (
                ("INPUT", (self._contract.input,)),
                ("OUTPUT", self._contract.outputs),
            )
            for spec in specs
        }
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        found = {n: (engine.get_tensor_mode(n), engine.get_tensor_dtype(n)) for n in names}
        if found != expected:
            raise BackendError(
                f"tensorrt: {self._manifest.task} engine: expected the tensors {expected}, "
                f"got {found}"
            )

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def backend(self) -> str:
        return f"{self._toolkit.flavour}/cuda"

    @property
    def cpu_s(self) -> float:
        return self._cpu_s

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The contract's outputs for a batch, in order; an empty batch gives empty outputs."""
        check_input(batch, self._contract.input, self._manifest.task)
        if not self._open:
            raise BackendError(f"tensorrt: the {self._manifest.task} model is closed")
        before = time.thread_time()
        outputs = tuple(np.empty((len(batch), *o.shape), o.dtype) for o in self._contract.outputs)
        for start in range(0, len(batch), self._most):
            part = slice(start, min(start + self._most, len(batch)))
            self._run_part(batch[part], [output[part] for output in outputs])
        self._cpu_s += time.thread_time() - before
        return outputs

    def _run_part(self, batch: NDArray[Any], outputs: list[NDArray[Any]]) -> None:
        count = len(batch)
        staged, *results = [p[:count] for p in self._pinned]
        address, *sources = self._addresses
        np.copyto(staged, batch)
        self._device.to_device(staged, address)
        self._prepare(count)
        self._require(self._context.execute_async_v3(self._device.stream), "run")
        for source, result in zip(sources, results, strict=True):
            self._device.to_host(source, result)
        self._device.wait()
        for result, output in zip(results, outputs, strict=True):
            np.copyto(output, result)

    def _prepare(self, count: int) -> None:
        """Chooses the bucket and says the shape; TensorRT's answer must be the contract's."""
        index = _bucket(self._profiles, count)
        if index != self._profile:
            changed = self._context.set_optimization_profile_async(index, self._device.stream)
            self._require(changed, f"take the batch bucket {self._profiles[index]}")
            specs = (self._contract.input, *self._contract.outputs)
            for spec, address in zip(specs, self._addresses, strict=True):
                known = self._context.set_tensor_address(spec.name, address)
                self._require(known, f"take memory for {spec.name}")
            self._profile = index
        spec = self._contract.input
        shaped = self._context.set_input_shape(spec.name, (count, *spec.shape))
        self._require(shaped, f"take a batch of {count}")
        for output in self._contract.outputs:
            self._check_shape(output, count)

    def _check_shape(self, spec: TensorSpec, count: int) -> None:
        got = tuple(self._context.get_tensor_shape(spec.name))
        if got != (count, *spec.shape):
            raise BackendError(
                f"tensorrt: {self._manifest.task} model: expected output {spec} for a batch of "
                f"{count}, got {list(got)}"
            )

    def _require(self, ok: bool, what: str) -> None:
        if not ok:
            raise BackendError(
                f"tensorrt: {self._manifest.task} model cannot {what}: {self._log.take_errors()}"
            )

    def close(self) -> None:
        """Frees engine and memory; calls that come later are a BackendError. Safe to call again."""
        if not self._open:
            return
        self._open = False
        del self._context, self._engine, self._runtime  # in this order: each needs the next
        self._pinned, self._addresses = [], []
        self._device.close()


def _profiles(engine: ICudaEngine, name: str) -> list[Profile]:
    """The engine's batch buckets, by index."""
    shapes = [
        engine.get_tensor_profile_shape(name, i) for i in range(engine.num_optimization_profiles)
    ]
    return [(s[0][0], s[1][0], s[2][0]) for s in shapes]


def _bucket(profiles: list[Profile], count: int) -> int:
    """Index of the smallest bucket that takes a batch."""
    able = [(most, i) for i, (least, _, most) in enumerate(profiles) if least <= count <= most]
    if not able:
        raise BackendError(f"tensorrt: expected a batch bucket for {count}, got {profiles}")
    return min(able)[1]
