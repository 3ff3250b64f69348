# SPDX-License-Identifier: Apache-2.0
"""How far a TensorRT build has come, and the means to end it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from poseact_engine.backends.tensorrt_toolkit import Toolkit

Report = Callable[[float, str], None]
"""Called during a build with the share done, 0 to 1, and what TensorRT calls its step."""

_DEEPEST = 16  # of nested phases; a name may come back as its own parent


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


@dataclass(slots=True)
class Progress:
    """The share of a build that is done, from TensorRT's nested phases; called from its threads."""

    report: Report | None
    stop: threading.Event
    _phases: dict[str, _Phase] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _share: float = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        with self._lock:
            self._phases[name] = _Phase(parent, max(steps, 1))
            self._tell(name)

    def step(self, name: str, step: int) -> bool:
        """False once the build is to end."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = step + 1
            self._tell(name)
        return not self.stop.is_set()

    def finish(self, name: str) -> None:
        with self._lock:
            self._phases.pop(name, None)

    def _tell(self, name: str) -> None:
        if self.report is None:
            return
        share, at = 0.0, self._phases.get(name)
        for _ in range(_DEEPEST):
            if at is None:
                break
            share = min((at.done + share) / at.steps, 1.0)
            at = self._phases.get(at.parent) if at.parent else None
        self._share = max(self._share, share)  # phases are not told in order
        self.report(self._share, name)


def native_monitor(toolkit: Toolkit, progress: Progress) -> Any:
    base: Any = toolkit.module.IProgressMonitor

    class NativeMonitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return NativeMonitor()
