# SPDX-License-Identifier: Apache-2.0
"""What the CPU that runs the tests can do."""

from __future__ import annotations

import platform
from pathlib import Path


def sums_int8_exactly() -> bool:
    """Without VNNI, x86's sums of two products uint8 x int8 end at 16 bits, and so do those of
    ONNX Runtime's int8 convolutions (docs/precision.md)."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    words = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    return any(word.endswith("vnni") for word in words)
