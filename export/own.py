# SPDX-License-Identifier: Apache-2.0
"""What checkpoints of `poseact train detector` and `train pose` say of themselves, so that their
export needs no option."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from export.front import InputOptions
from poseact_engine.errors import ExportError

if TYPE_CHECKING:
    from poseact_engine.training.network_checkpoint import NetworkInfo, NetworkTask


def read_own(weights: Path | None, task: NetworkTask) -> NetworkInfo | None:
    """None for weights of somebody else, or none at all.

    ExportError for a checkpoint of another task, SourceError for a malformed one, DependencyError
    without torch.
    """
    if weights is None:
        return None
    from poseact_engine.training.dependency import import_torch

    import_torch()
    from poseact_engine.training.network_checkpoint import read_info

    info = read_info(weights)
    if info is not None and info.task != task:
        command = {"detector": "yolox", "pose": "hrnet"}[info.task]
        raise ExportError(
            f"{weights}: expected a checkpoint of task {task}, got one of task {info.task};"
            f" try: poseact export {command}"
        )
    return info


def own_front(info: NetworkInfo) -> InputOptions:
    """Its pixels, as the graph's front makes them."""
    return InputOptions(**dataclasses.asdict(info.input), size=None)


def refuse(weights: Path, info: NetworkInfo | None, **given: bool) -> None:
    """ExportError for options that our own checkpoints leave no room for."""
    for name, value in given.items():
        if info is not None and value:
            raise ExportError(
                f"--{name.replace('_', '-')}: expected official weights, got {weights}, which says"
                " itself how it was trained"
            )
