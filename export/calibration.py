# SPDX-License-Identifier: Apache-2.0
"""The range of every tensor over calibration inputs, in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from export.verify import open_session
from poseact_engine.errors import ExportError

Method = Literal["minmax", "percentile", "mse"]
METHODS: tuple[Method, ...] = ("percentile", "mse", "minmax")
Ranges = dict[str, tuple[float, float]]

BINS = 2048
"""Cells of a histogram on each side of 0."""
PERCENTILE = 99.99
_LEAST_REACH = 2.0**-20
_SHRINK = np.linspace(1.0, 0.3, 36)
_PART = 2
"""Inputs of one run: all tensors of a run are in memory at once."""


class Histogram:
    """Values of one tensor, as counts over [-reach, reach); the reach, a power of two, doubles when
    it must, which merges pairs of cells. So one look at each value is enough."""

    def __init__(self) -> None:
        self.low = np.inf
        self.high = -np.inf
        self.reach = _LEAST_REACH
        self.counts: NDArray[np.int64] = np.zeros(2 * BINS, np.int64)

    def add(self, values: NDArray[np.float32]) -> None:
        """Raises ValueError for values that are not finite."""
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("values that are not finite")
        self.low, self.high = min(self.low, low), max(self.high, high)
        while max(-low, high) >= self.reach:
            self._double()
        cells = (values.ravel() * np.float32(BINS / self.reach) + np.float32(BINS)).astype(np.int32)
        np.clip(cells, 0, 2 * BINS - 1, out=cells)
        self.counts += np.bincount(cells, minlength=2 * BINS)

    def _double(self) -> None:
        pairs = self.counts.reshape(-1, 2).sum(axis=1)
        self.counts = np.zeros_like(self.counts)
        self.counts[BINS // 2 : BINS // 2 + BINS] = pairs
        self.reach *= 2

    def range(self, method: Method, *, symmetric: bool) -> tuple[float, float]:
        """Least and largest value that int8 has to hold; 0 lies between them."""
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        if method == "minmax" or not self.counts.any():
            return (low, high) if low <= high else (0.0, 0.0)
        if method == "percentile":
            return self._percentile(low, high)
        return self._least_error(low, high, symmetric=symmetric)

    def _edges(self) -> NDArray[np.float64]:
        return np.linspace(-self.reach, self.reach, 2 * BINS + 1)

    def _percentile(self, low: float, high: float) -> tuple[float, float]:
        share = np.cumsum(self.counts) / self.counts.sum()
        edges, tail = self._edges(), 1 - PERCENTILE / 100
        first = edges[int(np.searchsorted(share, tail, side="right"))]
        last = edges[int(np.searchsorted(share, 1 - tail)) + 1]
        return max(low, min(float(first), 0.0)), min(high, max(float(last), 0.0))

    def _least_error(self, low: float, high: float, *, symmetric: bool) -> tuple[float, float]:
        """The range with the least mean squared error of 8-bit values, among shrunken ones."""
        used = np.flatnonzero(self.counts)
        edges, counts = self._edges(), self.counts[used]
        middles = (edges[used] + edges[used + 1]) / 2
        best, least = (low, high), np.inf
        for shrink in _SHRINK:
            a, b = low * shrink, high * shrink
            step = max(-a, b) / 127 if symmetric else (b - a) / 255
            if step <= 0:
                break
            bottom, top = (-128 * step, 127 * step) if symmetric else (a, b)
            beyond = middles - np.clip(middles, bottom, top)
            # Inside, rounding errs evenly over a step; cells may be as wide as one.
            error = float(np.sum(counts * (beyond**2 + (beyond == 0) * step**2 / 12)))
            if error < least:
                best, least = (a, b), error
        return best


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What calibration saw: values and shape (without the batch) of every tensor."""

    histograms: dict[str, Histogram]
    shapes: dict[str, tuple[int, ...]]

    def ranges(self, method: Method, *, symmetric: bool) -> Ranges:
        return {n: h.range(method, symmetric=symmetric) for n, h in self.histograms.items()}


def with_outputs(model: onnx.ModelProto, tensors: Sequence[str]) -> onnx.ModelProto:
    """A copy that gives these tensors instead of its outputs."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    del opened.graph.output[:]
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    return opened


def collect(model: onnx.ModelProto, tensors: Sequence[str], batch: NDArray[Any]) -> Statistics:
    """Runs the model over the inputs and keeps a histogram of each tensor.

    Raises ExportError where there are no inputs, or a tensor is not finite.
    """
    if not len(batch):
        raise ExportError("calibration: expected one input or more, got none")
    histograms = {name: Histogram() for name in tensors}
    shapes: dict[str, tuple[int, ...]] = {}
    session = open_session(with_outputs(model, tensors))
    source = model.graph.input[0].name
    for start in range(0, len(batch), _PART):
        values = session.run(list(tensors), {source: batch[start : start + _PART]})
        for name, value in zip(tensors, values, strict=True):
            shapes[name] = value.shape[1:]
            try:
                histograms[name].add(value)
            except ValueError as error:
                raise ExportError(
                    f"calibration: expected finite numbers in {name!r}, got {error}"
                ) from error
    return Statistics(histograms=histograms, shapes=shapes)
