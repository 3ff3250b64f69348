# SPDX-License-Identifier: Apache-2.0
"""From keypoint files to a trained action model: read, leave out, split, cut, learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.files import file_sha256
from poseact_engine.training.checkpoint import ActionCheckpoint
from poseact_engine.training.keypoints import (
    PoseSequence,
    exclude_sequences,
    read_sequences,
)
from poseact_engine.training.loop import LoopConfig, OnEpoch, Trained, train
from poseact_engine.training.models.lstm import LstmConfig
from poseact_engine.training.normalise import BodyNormaliser
from poseact_engine.training.paper import CLASSES, LENGTH, RATE
from poseact_engine.training.split import Split, split_by_group
from poseact_engine.training.windows import WindowSet, cut_windows, join_windows
from poseact_engine.types import COCO_JOINTS

THIN_S = (0.10, 0.27)
"""Every sequence is cut twice, once with its frames this far apart: a slow source is otherwise told
by its straight lines, and the engine may be run on every Nth frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """All options of a training run."""

    data: tuple[Path, ...]
    exclude: tuple[str, ...] = ()
    validation: float = 0.25
    """Share of subjects or trials held out."""
    least_fall: float = 0.25
    """Falls are learnt from windows in which the body moves this far, in pose heights."""
    model: LstmConfig = field(default_factory=LstmConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if not self.least_fall >= 0:
            raise ConfigError(f"least_fall: expected 0 or more, got {self.least_fall!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Labelled windows of both sides of the split. No group is on both."""

    train: WindowSet
    validation: WindowSet
    split: Split


def prepare(config: TrainConfig) -> Prepared:
    """Read, leave out, cut and split; ConfigError where nothing is left to learn from."""
    sequences = exclude_sequences(read_sequences(config.data), config.exclude)
    windows = cut_windows(sequences).labelled()
    labels = {
        name: {int(v) for v in np.unique(windows.labels[windows.sequence == index])}
        for index, name in enumerate(windows.names)
    }
    split = split_by_group(labels, validation=config.validation, seed=config.loop.seed)
    if not split.train:
        raise ConfigError("train: expected sequences with labelled windows, found none")
    thinned = cut_windows(_named(sequences, split.train), thin_s=THIN_S, seed=config.loop.seed)
    train_windows = join_windows([windows.of(split.train), thinned.labelled()])
    return Prepared(
        train=_without_still_falls(train_windows, config.least_fall),
        validation=windows.of(split.validation),
        split=split,
    )


def movement(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the body moves within each window ``[W, T, K, 3]``, in pose heights: the median over
    the joints of the way from the mean of the first three poses to that of the last three."""
    positions = BodyNormaliser()(torch.from_numpy(windows)).unflatten(2, (-1, 2))
    way = positions[:, -3:].mean(dim=1) - positions[:, :3].mean(dim=1)
    moved: NDArray[np.float32] = way.norm(dim=-1).median(dim=1).values.numpy()
    return moved


def _without_still_falls(windows: WindowSet, least: float) -> WindowSet:
    """Labels of falls begin before the fall does: someone who still sits or stands would teach
    that sitting is falling. Only training leaves these out; held-out windows are all counted."""
    is_fall = windows.labels == CLASSES.index("falling_down")
    return windows.select(~is_fall | (movement(windows.poses_px) >= least))


def learn(config: TrainConfig, prepared: Prepared, *, on_epoch: OnEpoch | None = None) -> Trained:
    """Train on one side of the split and watch the other; it decides nothing."""
    return train(
        prepared.train,
        prepared.validation,
        model=config.model,
        loop=config.loop,
        on_epoch=on_epoch,
    )


def make_checkpoint(config: TrainConfig, prepared: Prepared, trained: Trained) -> ActionCheckpoint:
    """All that export needs, and how it came about."""
    return ActionCheckpoint(
        state=trained.model.state_dict(),
        classes=CLASSES,
        joints=COCO_JOINTS,
        length=LENGTH,
        rate=RATE,
        normalise=config.model.normalise,
        hidden=config.model.hidden,
        layers=config.model.layers,
        training=_provenance(config, prepared, trained),
    )


def _provenance(config: TrainConfig, prepared: Prepared, trained: Trained) -> dict[str, Any]:
    scores = trained.last.validation
    return {
        "data": [{"file": p.name, "sha256": file_sha256(p)} for p in config.data],
        "exclude": list(config.exclude),
        "held_out": list(prepared.split.validation),
        "trained_on": list(prepared.split.train),
        "validation": config.validation,
        "loop": asdict(config.loop),
        "dropout": config.model.dropout,
        "least_fall": config.least_fall,
        "accuracy": None if scores is None else scores.accuracy,
        "macro_accuracy": None if scores is None else scores.macro,
        "confusion": None
        if scores is None
        else {source: matrix.tolist() for source, matrix in scores.by_source.items()},
    }


def _named(sequences: Sequence[PoseSequence], names: Sequence[str]) -> list[PoseSequence]:
    wanted = set(names)
    return [s for s in sequences if s.name in wanted]
