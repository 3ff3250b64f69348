# SPDX-License-Identifier: Apache-2.0
"""Counts of what a classifier said: confusion matrices per source and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Confusion matrices, one per source."""

    by_source: Mapping[str, NDArray[np.int64]]
    """Source to int64 ``[C, C]``: rows are the truth, columns what was said."""

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


def share(part: int, whole: int) -> float:
    """``part / whole``; NaN for nothing out of nothing."""
    return part / whole if whole else float("nan")


def score(
    truth: NDArray[np.int64], said: NDArray[np.int64], sources: NDArray[np.str_], *, classes: int
) -> Scores:
    """Count truth against answer, per source; all three are ``[W]``."""
    by_source = {}
    for source in np.unique(sources) if len(sources) else np.array(["none"]):
        rows = sources == source
        cells = truth[rows] * classes + said[rows]
        counts = np.bincount(cells, minlength=classes * classes).astype(np.int64)
        by_source[str(source)] = counts.reshape(classes, classes)
    return Scores(by_source=by_source)
