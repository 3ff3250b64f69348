# SPDX-License-Identifier: Apache-2.0
"""Keeps a thread's stack for signal handlers while a library that replaces it is started."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """``stack_t`` of Linux, see sigaltstack(2)."""

    _fields_ = (
        ("ss_sp", ctypes.c_void_p),
        ("ss_flags", ctypes.c_int),
        ("ss_size", ctypes.c_size_t),
    )


@contextmanager
def keep_signal_stack() -> Iterator[None]:
    """Gives the calling thread its alternate signal stack back, or none where it had none.

    Each instance of OpenVINO's CPU plugin (2026.4) sets one of its own when it is made and, when it
    is freed, sets the one before: that of an instance which may be gone, and nothing at all if
    another thread frees it. The next signal then is a segmentation fault, Ctrl-C for one, as
    Python's handlers run on that stack. It leaves a stack alone that is not its own.
    """
    if sys.platform != "linux":
        yield
        return
    libc, before = ctypes.CDLL(None), _Stack()
    known = libc.sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            libc.sigaltstack(ctypes.byref(before), None)
