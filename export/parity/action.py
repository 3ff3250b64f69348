# SPDX-License-Identifier: Apache-2.0
"""Whether two action models name the same action, and how far their probabilities are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TIE = 0.01
"""The reference is torn between two actions whose probabilities differ by no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionComparison:
    """Metrics, and per window what the plots need."""

    metrics: dict[str, float]
    classes: tuple[str, ...]
    drift: NDArray[np.float64]
    """``[W]``: largest difference of a probability."""
    confusion: NDArray[np.int64]
    """``[C, C]``: windows by the action the reference names (rows) and the new model (columns)."""


def compare_actions(
    reference: NDArray[np.float32], new: NDArray[np.float32], *, classes: tuple[str, ...]
) -> ActionComparison:
    """``reference``, ``new``: probabilities float32 [W, C] of the same windows."""
    whole = np.isfinite(reference).all(axis=1) & np.isfinite(new).all(axis=1)
    a, b = reference[whole].astype(np.float64), new[whole].astype(np.float64)
    named, named_new = a.argmax(axis=1), b.argmax(axis=1)
    rows = np.arange(len(a))
    torn = (named != named_new) & (a[rows, named] - a[rows, named_new] <= TIE)
    drift = np.abs(a - b).max(axis=1, initial=0.0)
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (named, named_new), 1)
    judged = ~torn
    nothing = float("nan")
    metrics = {
        "compared": float(len(a)),
        "agreement": float((named == named_new)[judged].mean()) if judged.any() else nothing,
        "ties": float(torn.mean()) if len(a) else nothing,
    }
    for name, at in (("drift_median", 50), ("drift_p99", 99), ("drift_max", 100)):
        metrics[name] = float(np.percentile(drift, at)) if len(a) else nothing
    return ActionComparison(metrics=metrics, classes=classes, drift=drift, confusion=confusion)
