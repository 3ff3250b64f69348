# SPDX-License-Identifier: Apache-2.0
"""Agreement of action models, by hand and against float64 NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from export.parity.action import compare_actions

CLASSES = ("a", "b", "c")


def test_by_hand() -> None:
    reference = np.array(
        [[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.45, 0.455, 0.095], [0.1, 0.1, 0.8]], np.float32
    )
    new = np.array(
        [[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.46, 0.445, 0.095], [0.1, 0.1, 0.8]], np.float32
    )
    got = compare_actions(reference, new, classes=CLASSES)
    assert got.metrics["compared"] == 4
    assert got.metrics["agreement"] == pytest.approx(2 / 3)  # the third is a tie
    assert got.metrics["ties"] == pytest.approx(1 / 4)
    assert got.metrics["drift_max"] == pytest.approx(0.3, abs=1e-6)
    assert got.metrics["drift_median"] == pytest.approx((0.1 + 0.01) / 2, abs=1e-6)
    assert got.confusion.tolist() == [[1, 0, 0], [2, 0, 0], [0, 0, 1]]


def test_percentiles_equal_numpy() -> None:
    rng = np.random.default_rng(0)
    reference, new = (rng.dirichlet([1] * 3, 500).astype(np.float32) for _ in range(2))
    got = compare_actions(reference, new, classes=CLASSES).metrics
    drift = np.abs(reference.astype(np.float64) - new).max(axis=1)
    assert got["drift_p99"] == pytest.approx(np.percentile(drift, 99))
    same = reference.argmax(axis=1) == new.argmax(axis=1)
    close = reference.max(axis=1) - reference[np.arange(500), new.argmax(axis=1)] <= 0.01
    assert got["agreement"] == pytest.approx(same.sum() / (500 - (close & ~same).sum()))


def test_numbers_that_are_none_and_no_windows() -> None:
    reference = np.full((2, 3), 1 / 3, np.float32)
    new = reference.copy()
    new[0, 0] = np.nan
    assert compare_actions(reference, new, classes=CLASSES).metrics["compared"] == 1
    empty = np.empty((0, 3), np.float32)
    got = compare_actions(empty, empty, classes=CLASSES).metrics
    assert got["compared"] == 0
    assert np.isnan(got["agreement"])
