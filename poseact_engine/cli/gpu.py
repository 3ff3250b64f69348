# SPDX-License-Identifier: Apache-2.0
"""What the NVIDIA driver says of itself and its GPUs, asked through libcuda alone."""

from __future__ import annotations

import ctypes
from typing import Any

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


def gpu_report() -> dict[str, Any]:
    """``driver`` (the newest CUDA it serves, None without one), ``devices``, ``error``."""
    report: dict[str, Any] = {"driver_cuda": None, "devices": [], "error": None}
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return report
    status = cuda.cuInit(0)
    if status:
        report["error"] = f"libcuda is here, but cuInit says error {status}"
        return report
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceGetCount(ctypes.byref(count))
    report["driver_cuda"] = f"{version.value // 1000}.{version.value % 1000 // 10}"
    report["devices"] = [_device(cuda, index) for index in range(count.value)]
    return report


def _device(cuda: ctypes.CDLL, index: int) -> dict[str, Any]:
    device = ctypes.c_int(0)
    cuda.cuDeviceGet(ctypes.byref(device), index)
    name = ctypes.create_string_buffer(256)
    memory = ctypes.c_size_t(0)
    major, minor = ctypes.c_int(0), ctypes.c_int(0)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    return {
        "name": name.value.decode(errors="replace"),
        "memory_bytes": memory.value,
        "compute_capability": f"{major.value}.{minor.value}",
    }
