# SPDX-License-Identifier: Apache-2.0
"""Counts of what a classifier said: confusion matrices per source and what follows from them.

Windows that are HARMLESS or NO_FALL have no class that would be right: they are counted apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poseact_engine.training.keypoints import HARMLESS, NO_FALL
from poseact_engine.training.paper import ABNORMAL, FALLING


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Confusion matrices, one per source."""

    by_source: Mapping[str, NDArray[np.int64]]
    """Source to int64 ``[C, C]``: rows are the truth, columns what was said."""
    harmless_by_source: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """Source to int64 ``[C]``: what its harmless windows were said to be; sources that have any."""
    no_fall_by_source: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """The same of windows that are NO_FALL."""

    @property
    def confusion(self) -> NDArray[np.int64]:
        """int64 ``[C, C]`` over all sources."""
        total: NDArray[np.int64] = np.stack(list(self.by_source.values())).sum(axis=0)
        return total

    @property
    def accuracy(self) -> float:
        """Share of windows that were named right; NaN without windows."""
        return share(int(np.trace(self.confusion)), int(self.confusion.sum()))

    @property
    def macro(self) -> float:
        """Mean accuracy of the classes that have windows; NaN without windows."""
        total = self.confusion.sum(axis=1)
        right = np.diag(self.confusion)[total > 0]
        return float(np.mean(right / total[total > 0])) if (total > 0).any() else float("nan")

    @property
    def harmless(self) -> int:
        """Windows that are harmless."""
        return _count(self.harmless_by_source)

    @property
    def false_alarm(self) -> float:
        """Share of the harmless windows that were said to be abnormal; NaN without any."""
        return share(_count(self.harmless_by_source, ABNORMAL), self.harmless)

    @property
    def no_fall(self) -> int:
        """Windows that are NO_FALL."""
        return _count(self.no_fall_by_source)

    @property
    def false_fall(self) -> float:
        """Share of the NO_FALL windows that were said to be a fall; NaN without any."""
        return share(_count(self.no_fall_by_source, (FALLING,)), self.no_fall)


def _count(
    said_by_source: Mapping[str, NDArray[np.int64]], classes: Sequence[int] | None = None
) -> int:
    """Windows that were said to be of ``classes`` (None: of any), over all sources."""
    columns = slice(None) if classes is None else list(classes)
    return sum(int(said[columns].sum()) for said in said_by_source.values())


def share(part: float, whole: float) -> float:
    """``part / whole``; NaN for nothing out of nothing."""
    return part / whole if whole else float("nan")


def score(
    truth: NDArray[np.int64], said: NDArray[np.int64], sources: NDArray[np.str_], *, classes: int
) -> Scores:
    """Count truth (classes, HARMLESS, NO_FALL) against answer, per source; all three ``[W]``."""
    by_source: dict[str, NDArray[np.int64]] = {}
    others: dict[int, dict[str, NDArray[np.int64]]] = {HARMLESS: {}, NO_FALL: {}}
    for source in np.unique(sources) if len(sources) else np.array(["none"]):
        rows = (sources == source) & (truth >= 0)
        cells = truth[rows] * classes + said[rows]
        counts = np.bincount(cells, minlength=classes * classes).astype(np.int64)
        by_source[str(source)] = counts.reshape(classes, classes)
        for label, counted in others.items():
            rows = (sources == source) & (truth == label)
            if rows.any():
                counted[str(source)] = np.bincount(said[rows], minlength=classes).astype(np.int64)
    return Scores(
        by_source=by_source,
        harmless_by_source=others[HARMLESS],
        no_fall_by_source=others[NO_FALL],
    )
