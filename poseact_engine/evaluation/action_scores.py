# SPDX-License-Identifier: Apache-2.0
"""What follows from a classifier's probabilities and the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ShapeError
from poseact_engine.training.metrics import Scores, score, share

BINS = 10
LEAST = 1e-12
"""Smaller probabilities count as this in the loss: a certain mistake is not infinitely bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How often the named class is right, by how probable it was said to be (Guo et al. 2017).

    Bin i of B holds windows whose largest probability is in (i / B, (i + 1) / B].
    """

    count: NDArray[np.int64]
    """int64 ``[B]``."""
    confidence: NDArray[np.float64]
    """float64 ``[B]``: mean largest probability; NaN in empty bins, here and below."""
    accuracy: NDArray[np.float64]
    """float64 ``[B]``."""

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of the two, weighted by count."""
        apart = np.abs(self.confidence - self.accuracy)[self.count > 0]
        return float(np.sum(apart * self.count[self.count > 0]) / self.count.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionScores:
    """Of W windows of an action. Per class, float64 ``[C]``; NaN where it is nothing out of
    nothing. Windows of which is known only what they are not count in ``counts`` alone."""

    classes: tuple[str, ...]
    counts: Scores
    """Confusion matrices per source: rows are the truth, columns what was said."""
    loss: float
    """Mean cross-entropy, natural logarithm."""
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    calibration: Calibration

    @property
    def windows(self) -> int:
        return int(self.counts.confusion.sum())

    @property
    def support(self) -> NDArray[np.int64]:
        """int64 ``[C]``: windows that truly are of the class."""
        support: NDArray[np.int64] = self.counts.confusion.sum(axis=1)
        return support

    def as_json(self) -> dict[str, Any]:
        """Plain data; NaN as None."""
        columns = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {
            "windows": self.windows,
            "accuracy": _plain(self.counts.accuracy),
            "mean_of_classes": _plain(self.counts.macro),
            "loss": _plain(self.loss),
            "calibration_error": _plain(self.calibration.error),
            "harmless": {
                "windows": self.counts.harmless,
                "said_abnormal": _plain(self.counts.false_alarm),
            },
            "no_fall": {
                "windows": self.counts.no_fall,
                "said_falling": _plain(self.counts.false_fall),
            },
            "classes": {
                name: {
                    **{key: _plain(column[c]) for key, column in columns.items()},
                    "support": int(self.support[c]),
                }
                for c, name in enumerate(self.classes)
            },
            "confusion": self.counts.confusion.tolist(),
            "sources": {
                name: {
                    "windows": int(matrix.sum()),
                    "accuracy": _plain(share(int(np.trace(matrix)), int(matrix.sum()))),
                    "confusion": matrix.tolist(),
                }
                for name, matrix in self.counts.by_source.items()
            },
        }


def score_actions(
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    sources: NDArray[np.str_],
    *,
    classes: tuple[str, ...],
) -> ActionScores:
    """Of truth [W] (classes, HARMLESS, NO_FALL), probabilities [W, C] and sources [W]; one or more
    are of a class.

    The first of equally probable classes is the one named.
    """
    of_action = truth >= 0
    if probabilities.shape != (len(truth), len(classes)) or not of_action.any():
        raise ShapeError(
            f"score_actions: expected probabilities [W, {len(classes)}] of W >= 1 windows, got "
            f"{list(probabilities.shape)} and {int(of_action.sum())} labels"
        )
    chances = probabilities.astype(np.float64)
    counts = score(truth, chances.argmax(axis=1), sources, classes=len(classes))
    truth, chances = truth[of_action], chances[of_action]
    right, stated, true = (
        np.diag(counts.confusion),
        counts.confusion.sum(axis=0),
        counts.confusion.sum(axis=1),
    )
    of_truth = np.maximum(chances[np.arange(len(truth)), truth], LEAST)
    return ActionScores(
        classes=classes,
        counts=counts,
        loss=float(-np.log(of_truth).mean()),
        precision=_ratio(right, stated),
        recall=_ratio(right, true),
        f1=_ratio(2 * right, stated + true),
        calibration=_calibrate(chances.max(axis=1), chances.argmax(axis=1) == truth),
    )


def _calibrate(largest: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    bins = np.clip(np.ceil(largest * BINS).astype(np.int64) - 1, 0, BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    return Calibration(
        count=count,
        confidence=_ratio(np.bincount(bins, weights=largest, minlength=BINS), count),
        accuracy=_ratio(np.bincount(bins, weights=right, minlength=BINS), count),
    )


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """NaN for nothing out of nothing."""
    found = np.full(len(whole), np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def _plain(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def by_class(scores: ActionScores) -> Mapping[str, NDArray[np.float64]]:
    """The columns of a table, by their names."""
    return {"precision": scores.precision, "recall": scores.recall, "F1": scores.f1}
