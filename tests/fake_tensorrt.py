# SPDX-License-Identifier: Apache-2.0
"""TensorRT and CUDA as far as the backend uses them, in NumPy, for machines without a GPU.

Work on a stream is done when the stream is waited for, and no sooner: what reads a result before
that reads what was there before. Device memory is apart from host memory and is filled with 0xEE.
"""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Compute = Callable[[NDArray[Any]], Sequence[NDArray[Any]]]


class Status(enum.Enum):
    cudaSuccess = 0
    cudaErrorNoDevice = 100
    cudaErrorIllegalAddress = 700


class Kind(enum.Enum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class Attribute(enum.Enum):
    cudaDevAttrComputeCapabilityMajor = 75
    cudaDevAttrComputeCapabilityMinor = 76


OK = (Status.cudaSuccess,)


@dataclass
class FakeCuda:
    """``cuda.bindings.runtime``: one device of sm_86."""

    devices: int = 1
    failing: str = ""
    """Name of a function that fails from now on."""
    queue: list[Callable[[], None]] = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)
    allocated: int = 0
    streams: int = 0
    cudaError_t = Status
    cudaMemcpyKind = Kind
    cudaDeviceAttr = Attribute
    cudaStreamNonBlocking = 1

    def _fails(self, name: str) -> bool:
        return self.failing == name

    def cudaGetDeviceCount(self) -> tuple[Any, ...]:
        if self.devices == 0:
            return Status.cudaErrorNoDevice, None
        return Status.cudaSuccess, self.devices

    def cudaSetDevice(self, device: int) -> tuple[Any, ...]:
        assert device == 0
        return OK

    def cudaDeviceGetAttribute(self, attr: Attribute, device: int) -> tuple[Any, ...]:
        assert device == 0
        return Status.cudaSuccess, 8 if attr.name.endswith("Major") else 6

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        assert flags == self.cudaStreamNonBlocking
        self.streams += 1
        return Status.cudaSuccess, 7

    def cudaStreamDestroy(self, stream: int) -> tuple[Any, ...]:
        assert stream == 7
        self.streams -= 1
        return OK

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any, ...]:
        assert stream == 7
        if self._fails("cudaStreamSynchronize"):
            return (Status.cudaErrorIllegalAddress,)
        for work in self.queue:
            work()
        self.queue.clear()
        return OK

    def _allocate(self, name: str, size: int) -> tuple[Any, ...]:
        if self._fails(name):
            return Status.cudaErrorIllegalAddress, None
        block = (ctypes.c_uint8 * size)(*([0xEE] * size))
        address = ctypes.addressof(block)
        self.memory[address] = block
        self.allocated += 1
        return Status.cudaSuccess, address

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        return self._allocate("cudaMalloc", size)

    def cudaMallocHost(self, size: int) -> tuple[Any, ...]:
        return self._allocate("cudaMallocHost", size)

    def cudaFree(self, devPtr: int) -> tuple[Any, ...]:
        del self.memory[devPtr]
        return OK

    def cudaFreeHost(self, ptr: int) -> tuple[Any, ...]:
        del self.memory[ptr]
        return OK

    def cudaMemcpyAsync(
        self, dst: int, src: int, count: int, kind: Kind, stream: int
    ) -> tuple[Any, ...]:
        assert stream == 7
        device, host = (dst, src) if kind is Kind.cudaMemcpyHostToDevice else (src, dst)
        # Both ends are blocks that were given out, and long enough.
        assert all(count <= len(self.memory[address]) for address in (device, host))
        self.queue.append(lambda: ctypes.memmove(dst, src, count) and None)
        return OK

    def cudaGetErrorName(self, error: Status) -> tuple[Any, ...]:
        return Status.cudaSuccess, error.name.encode()

    def cudaGetErrorString(self, error: Status) -> tuple[Any, ...]:
        return Status.cudaSuccess, f"{error.value} in words".encode()

    def array(self, address: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        assert size <= len(self.memory[address])
        return np.frombuffer(self.memory[address], np.uint8, size).view(dtype).reshape(shape)


class TensorIOMode(enum.Enum):
    INPUT = 1
    OUTPUT = 2


class DataType(enum.Enum):
    FLOAT = 0
    UINT8 = 5


class Severity(enum.Enum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class Logger:
    Severity = Severity

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Tensor:
    name: str
    mode: TensorIOMode
    dtype: str
    shape: tuple[int, ...]


@dataclass
class FakeEngine:
    cuda: FakeCuda
    tensors: list[Tensor]
    profiles: list[tuple[int, int, int]]
    compute: Compute
    context: FakeContext | None = None
    crowded: bool = False
    """There is no memory for a context."""

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.profiles)

    def tensor(self, name: str) -> Tensor:
        return next(t for t in self.tensors if t.name == name)

    def get_tensor_name(self, index: int) -> str:
        return self.tensors[index].name

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return self.tensor(name).mode

    def get_tensor_dtype(self, name: str) -> DataType:
        return {"uint8": DataType.UINT8, "float32": DataType.FLOAT}[self.tensor(name).dtype]

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        return [(n, *self.tensor(name).shape) for n in self.profiles[profile_index]]

    def create_execution_context(self) -> FakeContext | None:
        if self.crowded:
            return None
        self.context = FakeContext(self)
        return self.context


@dataclass
class FakeContext:
    """Refuses what TensorRT refuses: a shape outside the profile, a run without all addresses."""

    engine: FakeEngine
    profile: int = 0
    shape: tuple[int, ...] | None = None
    addresses: dict[str, int] = field(default_factory=dict)
    runs: list[tuple[int, int]] = field(default_factory=list)
    """Profile and batch of each."""
    refuse: bool = False
    extra_rows: int = 0

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        assert stream_handle == 7
        self.profile, self.shape = profile_index, None
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self.engine.profiles[self.profile]
        self.shape = shape
        return least <= shape[0] <= most and shape[1:] == self.engine.tensor(name).shape

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self.addresses[name] = memory
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert self.shape is not None
        return (self.shape[0] + self.extra_rows, *self.engine.tensor(name).shape)

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert stream_handle == 7
        if self.refuse or self.shape is None or len(self.addresses) < self.engine.num_io_tensors:
            return False
        engine, addresses, count = self.engine, dict(self.addresses), self.shape[0]
        self.runs.append((self.profile, count))

        def work() -> None:
            first, *rest = engine.tensors
            source = engine.cuda.array(addresses[first.name], (count, *first.shape), first.dtype)
            for tensor, value in zip(rest, engine.compute(source), strict=True):
                shape = (count, *tensor.shape)
                engine.cuda.array(addresses[tensor.name], shape, tensor.dtype)[:] = value

        engine.cuda.queue.append(work)
        return True


@dataclass
class FakeTensorRt:
    """The module, with a runtime that gives the engine of each plan (None: it refuses)."""

    engines: dict[bytes, FakeEngine | None]
    __version__ = "10.16.1.11"
    ILogger = Logger
    TensorIOMode = TensorIOMode
    DataType = DataType

    def Runtime(self, logger: Logger) -> FakeRuntime:
        return FakeRuntime(self, logger)


@dataclass
class FakeRuntime:
    module: FakeTensorRt
    logger: Logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> FakeEngine | None:
        engine = self.module.engines[serialized_engine]
        if engine is None:
            self.logger.log(Severity.ERROR, "made by\nanother driver")
        return engine
