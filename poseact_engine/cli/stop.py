# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM end a run with whole files; a second Ctrl-C breaks it off."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class Stop:
    code: int | None = None
    """The exit code that a shell expects after the signal; None: there was none."""


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[Stop]:
    """Calls ``stop`` on the first signal; then the signals have their old meaning again."""
    asked = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, _: FrameType | None) -> None:
        asked.code = 128 + number
        restore()
        stop()

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield asked
    finally:
        restore()
