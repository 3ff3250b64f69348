# SPDX-License-Identifier: Apache-2.0
"""Curves for TensorBoard, where they are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from poseact_engine.errors import DependencyError, SinkError


class Board:
    """Writes scalars into ``folder``; None: writes nothing. Owns the file. One thread.

    DependencyError without the package, SinkError where the folder cannot be made.
    """

    def __init__(self, folder: Path | None) -> None:
        self._writer: Any = None if folder is None else _open(folder)

    def write(self, values: Mapping[str, float], step: int) -> None:
        """``values`` by name, as ``train/loss``; those that are NaN are left out."""
        if self._writer is None:
            return
        for name, value in values.items():
            if not math.isnan(value):
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _open(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise DependencyError(
            "--tensorboard needs the package tensorboard, which is not installed;"
            " try: pip install 'poseact-engine[eval]'"
        ) from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{folder}: cannot be made a folder: {error.strerror}") from error
    return SummaryWriter(str(folder))
