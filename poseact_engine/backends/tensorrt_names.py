# SPDX-License-Identifier: Apache-2.0
"""All that the backend touches of TensorRT and CUDA: the table that tests hold against both.

Each class here has the name, and of its methods those, of a class of TensorRT's Python module. What
is not written here cannot be used: the backend's objects have these types, and mypy says so. What
changed from 10.3 to 11 and TensorRT for RTX (weak typing's flags, calibrators, bindings by index)
is not here. Enum members are named in ENUMS and fetched by name, since their values moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Shape = tuple[int, ...]


class IHostMemory(Protocol):
    """Memory of TensorRT's own, read as a buffer."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


class ITensor(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> Sequence[int]: ...


class INetworkDefinition(Protocol):
    @property
    def num_inputs(self) -> int: ...
    def get_input(self, index: int) -> ITensor: ...


class ParserError(Protocol):
    def desc(self) -> str: ...
    def node_name(self) -> str: ...
    def node_operator(self) -> str: ...


class OnnxParser(Protocol):
    @property
    def num_errors(self) -> int: ...
    def parse(self, model: bytes) -> bool: ...
    def get_error(self, index: int) -> ParserError: ...


class IOptimizationProfile(Protocol):
    def set_shape(self, input: str, min: Shape, opt: Shape, max: Shape) -> None: ...


class ITimingCache(Protocol):
    def serialize(self) -> IHostMemory: ...


class IBuilderConfig(Protocol):
    progress_monitor: object

    def clear_flag(self, flag: object) -> None: ...
    def set_memory_pool_limit(self, pool: object, pool_size: int) -> None: ...
    def add_optimization_profile(self, profile: IOptimizationProfile) -> int: ...
    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None: ...
    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool: ...
    def get_timing_cache(self) -> ITimingCache: ...


class Builder(Protocol):
    def create_network(self, flags: int) -> INetworkDefinition: ...
    def create_builder_config(self) -> IBuilderConfig: ...
    def create_optimization_profile(self) -> IOptimizationProfile: ...
    def build_serialized_network(
        self, network: INetworkDefinition, config: IBuilderConfig
    ) -> IHostMemory | None: ...


class IExecutionContext(Protocol):
    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool: ...
    def set_input_shape(self, name: str, shape: Shape) -> bool: ...
    def set_tensor_address(self, name: str, memory: int) -> bool: ...
    def get_tensor_shape(self, name: str) -> Sequence[int]: ...
    def execute_async_v3(self, stream_handle: int) -> bool: ...


class ICudaEngine(Protocol):
    @property
    def num_io_tensors(self) -> int: ...
    @property
    def num_optimization_profiles(self) -> int: ...
    def get_tensor_name(self, index: int) -> str: ...
    def get_tensor_mode(self, name: str) -> object: ...
    def get_tensor_dtype(self, name: str) -> object: ...
    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Sequence[int]]: ...
    def create_execution_context(self) -> IExecutionContext | None: ...


class Runtime(Protocol):
    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None: ...


# ---------------------------------------------------------------- TensorRT for RTX alone


class RtxBuilderConfig(IBuilderConfig, Protocol):
    """``IBuilderConfig`` of TensorRT for RTX, which builds for GPUs that are not there."""

    num_compute_capabilities: int

    def set_compute_capability(self, compute_capability: object, index: int) -> bool: ...


# ---------------------------------------------------------------- the modules


class TensorRt(Protocol):
    """The module. ``ILogger`` and ``IProgressMonitor`` are base classes of the backend's own."""

    __version__: str
    ILogger: Any
    IProgressMonitor: Any

    def Builder(self, logger: object) -> Builder: ...
    def OnnxParser(self, network: INetworkDefinition, logger: object) -> OnnxParser: ...
    def Runtime(self, logger: object) -> Runtime: ...


class CudaRuntime(Protocol):
    """``cuda.bindings.runtime``: every function gives a tuple, the error first."""

    cudaError_t: Any
    cudaMemcpyKind: Any
    cudaDeviceAttr: Any
    cudaStreamNonBlocking: int

    def cudaGetDeviceCount(self) -> tuple[Any, ...]: ...
    def cudaSetDevice(self, device: int) -> tuple[Any, ...]: ...
    def cudaDeviceGetAttribute(self, attr: Any, device: int) -> tuple[Any, ...]: ...
    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]: ...
    def cudaStreamSynchronize(self, stream: Any) -> tuple[Any, ...]: ...
    def cudaStreamDestroy(self, stream: Any) -> tuple[Any, ...]: ...
    def cudaMalloc(self, size: int) -> tuple[Any, ...]: ...
    def cudaFree(self, devPtr: Any) -> tuple[Any, ...]: ...
    def cudaMallocHost(self, size: int) -> tuple[Any, ...]: ...
    def cudaFreeHost(self, ptr: Any) -> tuple[Any, ...]: ...
    def cudaMemcpyAsync(
        self, dst: Any, src: Any, count: int, kind: Any, stream: Any
    ) -> tuple[Any, ...]: ...
    def cudaGetErrorName(self, error: Any) -> tuple[Any, ...]: ...
    def cudaGetErrorString(self, error: Any) -> tuple[Any, ...]: ...


CLASSES: tuple[type, ...] = (
    IHostMemory, ITensor, INetworkDefinition, ParserError, OnnxParser, IOptimizationProfile,
    ITimingCache, IBuilderConfig, Builder, IExecutionContext, ICudaEngine, Runtime,
)  # fmt: skip
"""Of every flavour, under these names."""

RTX_CLASSES: dict[str, type] = {"IBuilderConfig": RtxBuilderConfig}
"""Of TensorRT for RTX alone."""

CONSTRUCTORS: dict[str, tuple[str, ...]] = {
    "Builder": ("logger",),
    "OnnxParser": ("network", "logger"),
    "Runtime": ("logger",),
}
CALLBACKS: dict[str, dict[str, tuple[str, ...]]] = {
    "ILogger": {"log": ("severity", "msg")},
    "IProgressMonitor": {
        "phase_start": ("phase_name", "parent_phase", "num_steps"),
        "step_complete": ("phase_name", "step"),
        "phase_finish": ("phase_name",),
    },
}
"""Methods that the backend's own classes override, with their parameters."""

ENUMS: dict[str, tuple[str, ...]] = {
    "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",),
    "BuilderFlag": ("TF32",),
    "MemoryPoolType": ("WORKSPACE",),
    "TensorIOMode": ("INPUT", "OUTPUT"),
    "DataType": ("UINT8", "FLOAT"),
}
SEVERITIES = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
"""Members of ``ILogger.Severity``, gravest first."""

CUDA_MEMBERS: dict[str, tuple[str, ...]] = {
    "cudaError_t": ("cudaSuccess",),
    "cudaMemcpyKind": ("cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"),
    "cudaDeviceAttr": (
        "cudaDevAttrComputeCapabilityMajor",
        "cudaDevAttrComputeCapabilityMinor",
    ),
}
