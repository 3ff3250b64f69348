# SPDX-License-Identifier: Apache-2.0
"""How well an action model names the windows of keypoint files."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from poseact_engine.action import ActionStage
from poseact_engine.config import ActionConfig
from poseact_engine.errors import ConfigError, ManifestError
from poseact_engine.evaluation.action_scores import ActionScores, score_actions
from poseact_engine.evaluation.walk import OnProgress, Where, check_finite
from poseact_engine.manifest import ActionManifest, Manifest

# Reading keypoint files needs no torch; it lives with the training that they are made for.
from poseact_engine.training.keypoints import exclude_sequences, read_sequences
from poseact_engine.training.paper import CLASSES, JOINTS, LENGTH, RATE
from poseact_engine.training.split import groups_of, split_by_group
from poseact_engine.training.windows import WindowSet, cut_windows

SplitChoice = Literal["all", "held-out", "trained-on"]
_WINDOWS = 1024
"""Windows between two reports of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionEvalConfig:
    """What is measured on what."""

    data: tuple[Path, ...]
    """Keypoint files (.npz)."""
    action: Path
    split: SplitChoice = "all"
    """``held-out`` and ``trained-on``: the sides of the split that `poseact train action` makes of
    the same files with the same ``exclude``, ``validation`` and ``seed``."""
    exclude: tuple[str, ...] = ()
    validation: float = 0.25
    seed: int = 0
    where: Where = field(default_factory=Where)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionReport:
    """An action model's scores, and all that is needed to get them again."""

    scores: ActionScores
    sequences: int
    split: SplitChoice
    manifest: Manifest
    backend: str
    """Resolved, as ``onnxruntime/cpu``."""


def evaluate_action(
    config: ActionEvalConfig, *, on_progress: OnProgress | None = None
) -> ActionReport:
    """Scores over all labelled windows of a side of the split, one window per grid step; those
    of which is known only what they are not are counted apart.

    Raises SourceError (files), ConfigError (nothing labelled), ManifestError (other classes,
    joints or windows than the keypoint files have), and what opening raises.
    """
    with closing(config.where.open(config.action, "action")) as model:
        order = class_order(config.action, model.manifest)
        windows = _windows(config)
        stage = ActionStage(model, ActionConfig(model=config.action))
        said = np.empty((len(windows), len(stage.classes)), np.float32)  # [W, C]
        for start in range(0, len(windows), _WINDOWS):
            part = slice(start, start + _WINDOWS)
            said[part] = stage.classify(windows.poses_px[part])
            if on_progress is not None:
                on_progress(min(start + _WINDOWS, len(windows)), len(windows))
        check_finite(model, said)
        return ActionReport(
            scores=score_actions(
                windows.labels, said[:, order], windows.sources(), classes=CLASSES
            ),
            sequences=len(np.unique(windows.sequence)),
            split=config.split,
            manifest=model.manifest,
            backend=model.backend,
        )


def class_order(path: Path, manifest: Manifest) -> list[int]:
    """Where the keypoint files' classes are among the model's."""
    if not isinstance(manifest, ActionManifest):
        raise ManifestError(f"{path}: expected an action model, got one of task {manifest.task}")
    got = (manifest.length, manifest.rate, len(manifest.joints))
    if sorted(manifest.classes) != sorted(CLASSES) or got != (LENGTH, RATE, JOINTS):
        raise ManifestError(
            f"{path}: expected what keypoint files are labelled with, {', '.join(CLASSES)} in "
            f"windows of {LENGTH} poses at {RATE[0]}/{RATE[1]} Hz of {JOINTS} joints, got "
            f"{', '.join(manifest.classes)}, {manifest.length} at {manifest.rate[0]}/"
            f"{manifest.rate[1]} Hz of {len(manifest.joints)}"
        )
    return [manifest.classes.index(name) for name in CLASSES]


def _windows(config: ActionEvalConfig) -> WindowSet:
    sequences = exclude_sequences(read_sequences(config.data), config.exclude)
    windows = cut_windows(sequences).known()
    if config.split != "all":
        split = split_by_group(
            windows.labels_by_name(),
            validation=config.validation,
            seed=config.seed,
            groups=groups_of(sequences),
        )
        windows = windows.of(split.validation if config.split == "held-out" else split.train)
    if not len(windows.labelled()):
        files = ", ".join(path.name for path in config.data)
        raise ConfigError(
            f"eval action: expected labelled windows in {files} ({config.split}), found none"
        )
    return windows
