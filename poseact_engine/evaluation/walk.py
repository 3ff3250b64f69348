# SPDX-License-Identifier: Apache-2.0
"""The pictures of a truth file, a batch at a time, in the order of their ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseact_engine.backends.base import Model
from poseact_engine.backends.registry import open_model
from poseact_engine.config import BackendChoice, DeviceChoice
from poseact_engine.config_checks import check_count
from poseact_engine.errors import BackendError, SourceError
from poseact_engine.evaluation.coco_file import CocoFile, PictureEntry
from poseact_engine.evaluation.frames import batches, read_pictures
from poseact_engine.manifest import Task
from poseact_engine.types import FrameBatch

FRAMES = 8
"""Pictures held at a time."""

OnProgress = Callable[[int, int], None]
"""Gets how many are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What models run on."""

    backend: BackendChoice = "auto"
    device: DeviceChoice = "auto"
    threads: int | None = None
    """CPU threads for inference; None: as many as this process may use."""

    def __post_init__(self) -> None:
        if self.threads is not None:
            check_count("where", threads=self.threads)

    def open(self, path: Path, task: Task) -> Model:
        return open_model(
            path, task=task, backend=self.backend, device=self.device, threads=self.threads
        )


def truth_batches(
    file: CocoFile, folder: Path, *, on_progress: OnProgress | None = None
) -> Iterator[tuple[list[PictureEntry], FrameBatch]]:
    """Every picture of the file once. Raises SourceError for pictures that are missing (before any
    is read), cannot be read, or have another size than the file says."""
    paths = _paths(file, folder)
    done = 0
    for part in batches(read_pictures(paths, per_video=1), FRAMES):
        entries = list(file.pictures[done : done + len(part)])
        for entry, picture in zip(entries, part, strict=True):
            if entry.size is not None and picture.frame.size != entry.size:
                raise SourceError(
                    f"{folder / entry.name}: expected {entry.size} px, as {file.path} has it, got "
                    f"{picture.frame.size}; its truth would lie elsewhere"
                )
        yield entries, FrameBatch([picture.frame for picture in part])
        done += len(part)
        if on_progress is not None:
            on_progress(done, len(paths))


def check_finite(model: Model, values: NDArray[np.float32]) -> None:
    """Raises BackendError for answers that cannot be scored."""
    if not np.isfinite(values).all():
        raise BackendError(
            f"{model.backend}: expected finite numbers from the {model.manifest.task} model, got "
            f"{int((~np.isfinite(values)).sum())} of {values.size} that are not; export it again"
        )


def _paths(file: CocoFile, folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise SourceError(f"{folder}: expected the folder of the pictures of {file.path}")
    paths = [folder / picture.name for picture in file.pictures]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise SourceError(
            f"{folder}: expected the {len(paths)} pictures of {file.path}, {len(missing)} of them "
            f"are missing, {missing[0]} first"
        )
    return paths
