# SPDX-License-Identifier: Apache-2.0
"""Steps of int8 and ranges of tensors against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from export.calibration import METHODS, Histogram
from export.int8 import activation_steps, round_weight, weight_steps


def test_steps() -> None:
    steps = activation_steps(-1.0, 3.0, "cpu")
    assert float(steps.scale) == pytest.approx(4 / 255)
    assert steps.zero == np.rint(255 / 4)
    assert steps.zero.dtype == np.uint8
    steps = activation_steps(-1.0, 3.0, "tensorrt")
    assert (float(steps.scale), int(steps.zero)) == (pytest.approx(3 / 127), 0)
    assert steps.zero.dtype == np.int8
    assert activation_steps(2.0, 5.0, "cpu").zero == 0  # 0 is always a step
    assert activation_steps(0.0, 0.0, "cpu").scale > 0
    assert activation_steps(0.0, 0.0, "tensorrt").scale > 0
    weight = np.zeros((2, 1, 1, 1), np.float32)
    weight[1] = -5.0
    steps = weight_steps(weight, 0, np.zeros(2))
    assert round_weight(weight, steps).ravel().tolist() == [0, -127]
    # A bias far beyond its weights must still fit int32: the weights' steps grow for it.
    steps = weight_steps(weight, 0, np.array([1e3, 0.0]))
    assert steps.scale.tolist() == pytest.approx([1e3, 5 / 127])


def test_ranges_against_numpy() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(1, 2, 400_000), rng.uniform(100, 120, 20)]).astype(
        np.float32
    )
    values = rng.permutation(values)
    found, whole = Histogram(), Histogram()
    whole.add(values)
    for part in np.array_split(values, 37):
        found.add(part)
    # Where parts saw smaller numbers first, float32 may have put a value into the cell beside.
    assert found.counts.sum() == whole.counts.sum() == values.size
    assert np.abs(np.cumsum(found.counts - whole.counts)).max() < 1e-3 * values.size
    assert found.range("minmax", symmetric=False) == (values.min(), values.max())
    cell = found.reach / (len(found.counts) / 2)
    low, high = found.range("percentile", symmetric=False)
    assert low == pytest.approx(np.percentile(values, 0.01), abs=2 * cell)
    assert high == pytest.approx(np.percentile(values, 99.99), abs=2 * cell)
    # The least error among shrunken ranges, worked out on the values themselves.
    low, high = found.range("mse", symmetric=False)

    def error(shrink: float) -> float:
        a, b = values.min() * shrink, values.max() * shrink
        step = (b - a) / 255
        return float(
            np.mean((np.clip(np.rint((values - a) / step), 0, 255) * step + a - values) ** 2)
        )

    best = min(error(s) for s in np.linspace(1, 0.3, 36))
    assert error(high / values.max()) == pytest.approx(best, rel=0.02)


def test_odd_values() -> None:
    for values in (np.zeros((2, 3), np.float32), np.empty((0, 3), np.float32)):
        histogram = Histogram()
        histogram.add(values)
        assert [histogram.range(m, symmetric=False) for m in METHODS] == [(0.0, 0.0)] * 3
    constant = Histogram()
    constant.add(np.full(9, 7.0, np.float32))
    for method in METHODS:
        low, high = constant.range(method, symmetric=False)
        assert low == 0
        assert 6.9 <= high <= 7
    with pytest.raises(ValueError, match="not finite"):
        Histogram().add(np.array([1, np.nan], np.float32))
