# SPDX-License-Identifier: Apache-2.0
"""What was found: answers of models on test windows, per data set and split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poseact_engine.evaluation.reproduce.data import DataSet, Sides
from poseact_engine.training.metrics import Scores, score
from poseact_engine.training.paper import CLASSES

if TYPE_CHECKING:
    from poseact_engine.training.paper_loop import PaperEpoch

REPORTED_ACCURACY = 0.9563
"""The paper's, on windows of its own recordings."""
FALL = CLASSES.index("falling_down")
PAPER, HONEST = "the paper's split", "the honest split"
ADAM, RMSPROP = "LSTM, Adam (the paper's)", "LSTM, RMSProp"
FOREST, SVM, OURS = "random forest", "SVM", "LSTM, our recipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one model said of test windows."""

    model: str
    split: str
    trained_on: int
    """Windows that it learnt from."""
    truth: NDArray[np.int64]
    """int64 ``[W]``, and so ``said``."""
    said: NDArray[np.int64]
    seconds: float
    """To learn."""
    epochs: tuple[PaperEpoch, ...] = ()
    """Curves, of the paper's LSTM alone."""

    @property
    def scores(self) -> Scores:
        everywhere = np.full(len(self.truth), "all")
        return score(self.truth, self.said, everywhere, classes=len(CLASSES))

    @property
    def recalls(self) -> NDArray[np.float64]:
        """float64 ``[C]``: share of each class's windows that were named right; NaN without any."""
        matrix = self.scores.confusion
        total = matrix.sum(axis=1)
        found = np.full(len(CLASSES), np.nan)
        np.divide(np.diag(matrix), total, out=found, where=total > 0)
        return found

    @property
    def fall_recall(self) -> float:
        """Share of the windows of falls that were named so; NaN without any."""
        return float(self.recalls[FALL])


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustRow:
    """One change, and what the models said of the changed windows."""

    kind: str
    amount: str
    windows: int
    falls: int
    results: Mapping[str, tuple[float, float]]
    """Model to accuracy and recall of falls; NaN without windows, or falls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All that was found on one data set."""

    data: DataSet
    paper: Sides
    honest: Sides
    outcomes: tuple[Outcome, ...]
    robustness: tuple[RobustRow, ...]

    def of(self, model: str, split: str) -> Outcome | None:
        """None where the model was not trained on that split."""
        found = [o for o in self.outcomes if o.model == model and o.split == split]
        return found[0] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A model of one data set's honest split on the test windows of another's."""

    learnt: str
    """Name of the data set that it learnt from."""
    tested: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All data sets, each by itself and across."""

    studies: tuple[Study, ...]
    crossings: tuple[Crossing, ...]
