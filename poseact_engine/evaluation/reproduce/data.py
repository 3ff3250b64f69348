# SPDX-License-Identifier: Apache-2.0
"""What the models learn from and are tested on: the paper's split, and the honest one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.synthetic import FIRST_EVALUATION_SEED
from poseact_engine.training.keypoints import PoseSequence
from poseact_engine.training.made_sequences import training_sequences
from poseact_engine.training.paper import CLASSES, LENGTH, RATE
from poseact_engine.training.split import Split, groups_of, split_by_group
from poseact_engine.training.windows import WindowSet, cut_windows

TEST_SHARE = 0.2
"""The paper's 8:2."""
SPAN_S = (LENGTH - 1) * RATE[1] / RATE[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Labelled windows to learn from and others to be tested on."""

    train: WindowSet
    test: WindowSet

    def shared(self) -> float:
        """Share of the test windows that have frames in common with a training window."""
        return float(_overlaps(self.train, self.test).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Sequences of one origin, and their labelled windows."""

    name: str
    sequences: tuple[PoseSequence, ...]
    windows: WindowSet
    split: Split
    """The honest split: no subject and no clip is on both sides."""


def make_data_set(name: str, sequences: Sequence[PoseSequence], *, seed: int) -> DataSet:
    """ConfigError where two classes and two subjects or clips are not to be had."""
    windows = cut_windows(sequences).labelled()
    classes = [CLASSES[int(v)] for v in np.unique(windows.labels)]
    if len(classes) < 2:
        got = f"only {classes[0]}" if classes else "no labelled window"
        raise ConfigError(
            f"reproduce, {name}: expected windows of two actions or more, got {got}"
            f" in {len(sequences)} sequences"
        )
    split = split_by_group(
        windows.labels_by_name(),
        validation=TEST_SHARE,
        seed=seed,
        groups=groups_of(sequences),
    )
    if not split.validation:
        raise ConfigError(
            f"reproduce, {name}: expected two subjects or clips of an action or more, so that one"
            " can be held out; got one of each"
        )
    return DataSet(name=name, sequences=tuple(sequences), windows=windows, split=split)


def synthetic_sequences(hours: float, *, seed: int) -> list[PoseSequence]:
    """Made people as an estimator sees them; each take is another person's."""
    if seed >= FIRST_EVALUATION_SEED:
        raise ConfigError(
            f"reproduce: expected a seed below {FIRST_EVALUATION_SEED}, got {seed}; those from"
            " there on are kept for measuring the bundled models"
        )
    return list(training_sequences(seed, hours=hours))


def paper_sides(data: DataSet, *, max_windows: int, seed: int) -> Sides:
    """The paper's split: windows at random, whoever and whatever clip they come from."""
    drawn = draw(data.windows, max_windows, seed)
    order = np.random.default_rng([seed, 1]).permutation(len(drawn))
    first_train = max(1, round(TEST_SHARE * len(drawn)))
    return Sides(
        train=drawn.select(np.sort(order[first_train:])),
        test=drawn.select(np.sort(order[:first_train])),
    )


def honest_sides(data: DataSet, *, max_windows: int, seed: int) -> Sides:
    """No subject and no clip on both sides; as many windows as ``paper_sides`` at most."""
    test = round(TEST_SHARE * max_windows)
    return Sides(
        train=draw(data.windows.of(data.split.train), max_windows - test, seed),
        test=draw(data.windows.of(data.split.validation), test, seed),
    )


def draw(windows: WindowSet, most: int, seed: int) -> WindowSet:
    """At most this many, drawn at random, in their order: as many of each class as there are or,
    of the commoner classes, an equal number. (Falls are short: of a plain draw hardly any is left.)
    """
    if len(windows) <= most:
        return windows
    count = np.bincount(windows.labels)
    level = max(n for n in range(most + 1) if np.minimum(count, n).sum() <= most)
    rng = np.random.default_rng(seed)
    rows = [
        rng.permutation(np.flatnonzero(windows.labels == label))[:level]
        for label in np.unique(windows.labels)
    ]
    return windows.select(np.sort(np.concatenate(rows)))


def _overlaps(train: WindowSet, test: WindowSet) -> NDArray[np.bool_]:
    """Which test windows lie less than a window's span from a training window of their sequence."""
    found = np.zeros(len(test), dtype=np.bool_)
    places = {name: index for index, name in enumerate(train.names)}
    for index in np.unique(test.sequence):
        rows = test.sequence == index
        ends = np.sort(train.end_s[train.sequence == places.get(test.names[index], -1)])
        if len(ends):
            after = np.searchsorted(ends, test.end_s[rows])
            below, above = ends[np.maximum(after - 1, 0)], ends[np.minimum(after, len(ends) - 1)]
            near = np.minimum(abs(test.end_s[rows] - below), abs(above - test.end_s[rows]))
            found[rows] = near <= SPAN_S
    return found
