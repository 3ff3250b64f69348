# SPDX-License-Identifier: Apache-2.0
"""The models that come with the package: ``detector.onnx``, ``pose.onnx``, ``action.onnx``.

``MODEL_CARD.md`` beside them says what they were trained on and what they are for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from poseact_engine.errors import ConfigError

BundledTask = Literal["detector", "pose", "action"]
BUNDLED_TASKS: tuple[BundledTask, ...] = ("detector", "pose", "action")


def bundled_folder() -> Path:
    return Path(__file__).parent


def bundled_path(task: BundledTask) -> Path:
    """Where the model file belongs, whether it is there or not."""
    if task not in BUNDLED_TASKS:
        raise ConfigError(f"bundled model: expected {', '.join(BUNDLED_TASKS)}, got {task!r}")
    return bundled_folder() / f"{task}.onnx"


def bundled_model(task: BundledTask) -> Path:
    """The model file; ConfigError where this installation has none."""
    path = bundled_path(task)
    if not path.is_file():
        raise ConfigError(
            f"bundled {task} model: expected the file {path}, which this installation lacks; "
            f"install the package anew, or name a model file with --{task}"
        )
    return path
