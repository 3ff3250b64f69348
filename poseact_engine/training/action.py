# SPDX-License-Identifier: Apache-2.0
"""From keypoint files to a trained action model: read, leave out, split, cut, learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.files import file_sha256
from poseact_engine.training.checkpoint import ActionCheckpoint, load_checkpoint
from poseact_engine.training.keypoints import (
    PoseSequence,
    exclude_sequences,
    read_sequences,
)
from poseact_engine.training.loop import LoopConfig, OnEpoch, Run, Trained, train
from poseact_engine.training.models.lstm import LstmConfig
from poseact_engine.training.normalise import BodyNormaliser
from poseact_engine.training.paper import CLASSES, LENGTH, RATE
from poseact_engine.training.split import Split, groups_of, split_by_group
from poseact_engine.training.windows import WindowSet, cut_windows, join_windows
from poseact_engine.types import COCO_JOINTS

SplitRule = Literal["group", "random"]
THIN_S = (0.10, 0.27)
"""Every sequence is cut twice, once with its frames this far apart: a slow source is otherwise told
by its straight lines, and the engine may be run on every Nth frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """All options of a training run."""

    data: tuple[Path, ...]
    exclude: tuple[str, ...] = ()
    validation: float = 0.25
    """Share of subjects or trials held out; of the windows where the split is random."""
    validation_data: tuple[Path, ...] = ()
    """Keypoint files to hold out; ``data`` is then learnt from as a whole."""
    split: SplitRule = "group"
    """``random`` holds out windows, as the paper does: their neighbours are learnt from."""
    every: int = 1
    """Of each sequence, only one in so many windows is used."""
    least_fall: float = 0.25
    """Falls are learnt from windows in which the body moves this far, in pose heights."""
    init: Path | None = None
    """Checkpoint whose weights training begins with."""
    model: LstmConfig = field(default_factory=LstmConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        if not self.least_fall >= 0:
            raise ConfigError(f"least_fall: expected 0 or more, got {self.least_fall!r}")
        if self.split not in ("group", "random"):
            raise ConfigError(f"split: expected group or random, got {self.split!r}")
        if self.split == "random" and self.validation_data:
            raise ConfigError("split: expected group beside validation data, got random")
        if isinstance(self.every, bool) or not isinstance(self.every, int) or self.every < 1:
            raise ConfigError(f"every: expected a whole number, 1 or more, got {self.every!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Known windows of both sides of the split. No group is on both, unless the
    split is random."""

    train: WindowSet
    validation: WindowSet
    split: Split
    sha256: Mapping[Path, str]
    """Of the files when they were read: they may change, or go, while a run goes on."""


def prepare(config: TrainConfig) -> Prepared:
    """Read, leave out, cut and split; ConfigError where nothing is left to learn from."""
    sequences = exclude_sequences(read_sequences(config.data), config.exclude)
    if config.split == "random":
        return _split_windows(config, sequences)
    given = read_sequences(config.validation_data)
    _check_apart(sequences, given)
    split = split_by_group(
        {s.name: cut_windows([s]).known().labels_by_name()[s.name] for s in sequences},
        validation=0 if given else config.validation,
        seed=config.loop.seed,
        groups=groups_of(sequences),
    )
    held_out = given or _named(sequences, split.validation)
    validation = cut_windows(held_out, every=config.every).known()
    return Prepared(
        train=training_windows(config, _named(sequences, split.train)),
        validation=validation,
        split=Split(train=split.train, validation=_names(validation)),
        sha256=_hashes(config),
    )


def training_windows(config: TrainConfig, sequences: Sequence[PoseSequence]) -> WindowSet:
    """What is learnt of ``sequences``: their windows, once as they are and once thinned, less the
    falls in which nobody moves. ConfigError where there is none."""
    thinned = cut_windows(sequences, thin_s=THIN_S, seed=config.loop.seed, every=config.every)
    whole = cut_windows(sequences, every=config.every)
    return _learnable(config, join_windows([whole.known(), thinned.known()]))


def _split_windows(config: TrainConfig, sequences: Sequence[PoseSequence]) -> Prepared:
    """Hold out windows at random. There are no thinned copies: they would hold the very windows
    that are held out."""
    windows = cut_windows(sequences, every=config.every).known()
    order = np.random.default_rng(config.loop.seed).permutation(len(windows))
    held = np.sort(order[: round(config.validation * len(windows))])
    kept = np.sort(order[len(held) :])
    parts = windows.select(kept), windows.select(held)
    return Prepared(
        train=_learnable(config, parts[0]),
        validation=parts[1],
        split=Split(train=_names(parts[0]), validation=_names(parts[1])),
        sha256=_hashes(config),
    )


def _hashes(config: TrainConfig) -> dict[Path, str]:
    return {path: file_sha256(path) for path in (*config.data, *config.validation_data)}


def _names(windows: WindowSet) -> tuple[str, ...]:
    """The sequences that the windows are of, in their order."""
    return tuple(windows.names[i] for i in np.unique(windows.sequence))


def _check_apart(data: Sequence[PoseSequence], given: Sequence[PoseSequence]) -> None:
    """ConfigError where somebody or some take is on both sides."""
    names = {s.name for s in data}
    group = groups_of([*data, *given])
    learnt = {group[name] for name in names}
    shared = sorted(s.name for s in given if s.name in names or group[s.name] in learnt)
    if shared:
        raise ConfigError(
            f"--validation-data: {len(shared)} of {len(given)} sequences are of a subject or clip"
            f" that is learnt from, too: {', '.join(shared[:3])}; leave its sequences out with"
            " --exclude"
        )


def _learnable(config: TrainConfig, windows: WindowSet) -> WindowSet:
    if not len(windows.labelled()):
        raise ConfigError("train: expected sequences with labelled windows, found none")
    learnable = _without_still_falls(windows, config.least_fall)
    if not len(learnable.labelled()):
        raise ConfigError(
            "train: expected windows to learn from, got falls alone in which nobody moves as far as"
            f" least_fall {config.least_fall:g}"
        )
    return learnable


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
    falls = np.flatnonzero(windows.labels == CLASSES.index("falling_down"))
    is_used = np.ones(len(windows), dtype=np.bool_)
    is_used[falls] = movement(windows.poses_px[falls]) >= least
    return windows.select(is_used)


def learn(
    config: TrainConfig,
    prepared: Prepared,
    *,
    on_epoch: OnEpoch | None = None,
    run: Run | None = None,
) -> Trained:
    """Train on one side of the split and watch the other; it decides nothing without patience.

    Raises ConfigError where ``init`` is a network of another shape, SourceError where it or the
    state to go on from cannot be read.
    """
    weights = None
    if config.init is not None:
        first = load_checkpoint(config.init)
        asked = (config.model.hidden, config.model.layers, config.model.normalise)
        if (first.hidden, first.layers, first.normalise) != asked or first.classes != CLASSES:
            raise ConfigError(
                f"--init {config.init}: expected a network of hidden, layers, normalise {asked},"
                f" got {(first.hidden, first.layers, first.normalise)} of {len(first.classes)}"
                " classes"
            )
        weights = first.state
    if run is not None:
        run = replace(run, options=_asked(config, prepared))
    return train(
        prepared.train,
        prepared.validation,
        model=config.model,
        loop=config.loop,
        on_epoch=on_epoch,
        weights=weights,
        run=run,
    )


def learnt_before(config: TrainConfig, prepared: Prepared) -> list[str]:
    """The held-out sequences that ``init`` says it was trained on."""
    if config.init is None:
        return []
    learnt = set(load_checkpoint(config.init).training.get("trained_on", ()))
    return [name for name in prepared.split.validation if name in learnt]


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


def _asked(config: TrainConfig, prepared: Prepared) -> dict[str, Any]:
    """All that the outcome depends on, as plain data."""
    files = {"data": config.data, "validation_data": config.validation_data}
    return {
        **{
            name: [{"file": p.name, "sha256": prepared.sha256[p]} for p in paths]
            for name, paths in files.items()
        },
        "init": None if config.init is None else file_sha256(config.init),
        "exclude": list(config.exclude),
        "validation": config.validation,
        "split": config.split,
        "every": config.every,
        "least_fall": config.least_fall,
        "model": asdict(config.model),
        "loop": asdict(config.loop),
    }


def _provenance(config: TrainConfig, prepared: Prepared, trained: Trained) -> dict[str, Any]:
    scores = trained.last.validation
    asked = _asked(config, prepared)
    return {
        **{name: value for name, value in asked.items() if name != "model"},
        "held_out": list(prepared.split.validation),
        "trained_on": list(prepared.split.train),
        "dropout": config.model.dropout,
        "epoch": trained.last.number,
        "accuracy": None if scores is None else scores.accuracy,
        "macro_accuracy": None if scores is None else scores.macro,
        "harmless_named_abnormal": scores.false_alarm if scores and scores.harmless else None,
        "no_fall_named_falling": scores.false_fall if scores and scores.no_fall else None,
        "confusion": None
        if scores is None
        else {source: matrix.tolist() for source, matrix in scores.by_source.items()},
    }


def _named(sequences: Sequence[PoseSequence], names: Sequence[str]) -> list[PoseSequence]:
    wanted = set(names)
    return [s for s in sequences if s.name in wanted]
