# SPDX-License-Identifier: Apache-2.0
"""The little of CUDA that the TensorRT backend needs: one device, one stream, fixed buffers."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from poseact_engine.backends.tensorrt_names import CudaRuntime
from poseact_engine.backends.tensorrt_toolkit import INSTALL
from poseact_engine.errors import BackendError, DependencyError

DEVICE = 0  # of those that CUDA_VISIBLE_DEVICES leaves


def load_cuda() -> CudaRuntime:
    """``cuda.bindings.runtime``; DependencyError without it."""
    try:
        return cast(CudaRuntime, importlib.import_module("cuda.bindings.runtime"))
    except ImportError as error:
        raise DependencyError(
            f"tensorrt: expected the package cuda-bindings, cannot import it: {error}; `{INSTALL}`"
        ) from error


class CudaDevice:
    """The first CUDA device, in its primary context, with a non-blocking stream of its own.

    Owns the stream and every buffer it gave out; `close` frees them. Not thread-safe.
    """

    def __init__(self, cuda: CudaRuntime) -> None:
        self._cuda = cuda
        self._device_pointers: list[int] = []
        self._host_pointers: list[int] = []
        self._stream: Any = None
        (count,) = self._call("cudaGetDeviceCount", self._cuda.cudaGetDeviceCount())
        if count == 0:
            raise BackendError("tensorrt: expected a CUDA device, got none")
        self._call("cudaSetDevice", cuda.cudaSetDevice(DEVICE))

    def _call(self, name: str, result: tuple[Any, ...]) -> tuple[Any, ...]:
        """What a CUDA function gave beside its error; BackendError if it failed."""
        error, *values = result
        if error == self._cuda.cudaError_t.cudaSuccess:
            return tuple(values)
        text = [self._cuda.cudaGetErrorName(error)[1], self._cuda.cudaGetErrorString(error)[1]]
        words = ", ".join(t.decode() if isinstance(t, bytes) else str(t) for t in text)
        if name == "cudaGetDeviceCount":
            raise BackendError(f"tensorrt: expected a CUDA device, got none: {words}")
        raise BackendError(f"tensorrt: {name} failed: {words}")

    @property
    def capability(self) -> str:
        """The device's compute capability, as ``sm_86``."""
        attributes = self._cuda.cudaDeviceAttr
        numbers = [
            self._call("cudaDeviceGetAttribute", self._cuda.cudaDeviceGetAttribute(a, DEVICE))[0]
            for a in (
                attributes.cudaDevAttrComputeCapabilityMajor,
                attributes.cudaDevAttrComputeCapabilityMinor,
            )
        ]
        return f"sm_{numbers[0]}{numbers[1]}"

    @property
    def stream(self) -> int:
        """The stream's handle; made when it is first asked for."""
        if self._stream is None:
            flags = self._cuda.cudaStreamNonBlocking
            result = self._cuda.cudaStreamCreateWithFlags(flags)
            (self._stream,) = self._call("cudaStreamCreateWithFlags", result)
        return int(self._stream)

    def device_buffer(self, size_bytes: int) -> int:
        """Address of new memory on the device."""
        (pointer,) = self._call("cudaMalloc", self._cuda.cudaMalloc(size_bytes))
        self._device_pointers.append(int(pointer))
        return int(pointer)

    def pinned(self, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """New page-locked host memory, which copies without a stop; gone once `close` is called."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        (pointer,) = self._call("cudaMallocHost", self._cuda.cudaMallocHost(size))
        self._host_pointers.append(int(pointer))
        memory = (ctypes.c_uint8 * size).from_address(int(pointer))
        return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)

    def to_device(self, source: NDArray[Any], target: int) -> None:
        """Queues a copy of contiguous pinned memory."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(target, source.ctypes.data, source.nbytes, kind)

    def to_host(self, source: int, target: NDArray[Any]) -> None:
        """Queues a copy into contiguous pinned memory."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(target.ctypes.data, source, target.nbytes, kind)

    def _copy(self, target: int, source: int, size_bytes: int, kind: Any) -> None:
        result = self._cuda.cudaMemcpyAsync(target, source, size_bytes, kind, self.stream)
        self._call("cudaMemcpyAsync", result)

    def wait(self) -> None:
        """Until all that was queued is done; what failed in it is said here."""
        result = self._cuda.cudaStreamSynchronize(self.stream)
        self._call("cudaStreamSynchronize", result)

    def close(self) -> None:
        """Frees everything. Errors are left alone: after a failed kernel every call fails."""
        for pointer in self._device_pointers:
            self._cuda.cudaFree(pointer)
        for pointer in self._host_pointers:
            self._cuda.cudaFreeHost(pointer)
        if self._stream is not None:
            self._cuda.cudaStreamDestroy(self._stream)
        self._device_pointers, self._host_pointers, self._stream = [], [], None
