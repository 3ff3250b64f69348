# SPDX-License-Identifier: Apache-2.0
"""The one protocol every inference backend serves."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from poseact_engine.manifest import Manifest


@runtime_checkable
class Model(Protocol):
    """One model, loaded. Passive; may be called from one thread at a time.

    Inputs are checked against the contract of the manifest's task: a wrong shape or dtype is a
    ShapeError. The GIL is released while the backend computes.
    """

    @property
    def manifest(self) -> Manifest: ...

    @property
    def backend(self) -> str:
        """Resolved backend and device, as ``onnxruntime/cpu``."""
        ...

    @property
    def cpu_s(self) -> float:
        """CPU seconds spent inside the backend so far, over all its threads."""
        ...

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """One call over a batch: the contract's input in, its outputs in the contract's order."""
        ...

    def close(self) -> None: ...
