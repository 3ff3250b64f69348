# SPDX-License-Identifier: Apache-2.0
"""Which layers stay in floating point: those that damage the network's last layers the most.

Damage is noise power over signal power at the network's last layers (mean over these), on inputs
that calibration did not see; -10 log10 of it is the signal-to-noise ratio in dB. It has no ties and
no thresholds, unlike joints and boxes. If all layers in int8 do not reach the wanted ratio, groups
of layers are measured alone, the worst group is split and measured again, and so on; then the
fewest of the worst layers that are enough are kept. Counts bound the work, not clocks: the same
inputs give the same file.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.calibration import METHODS, Method, Ranges, Statistics, with_outputs
from export.int8 import quantise
from export.int8_plan import Int8Target, Planner
from export.verify import open_session
from poseact_engine.errors import ExportError

_log = logging.getLogger(__name__)

_FIRST_GROUPS = 12
_SPLIT = 4
_MEASUREMENTS = (32, 128)
"""Fewest and most measurements of groups; large networks, which take long, get fewer."""
_MEASURED_WEIGHTS = 2**28
"""Weights of all networks that are measured, together."""
_RANKED_INPUTS = 8
_PART = 4
"""Inputs of one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How much damage is allowed, and what it may cost to stay below it."""

    enough_db: float
    """Signal-to-noise ratio with all layers in int8 that needs no search."""
    least_db: float
    """The ratio that a search is for."""
    most_kept: float
    """Largest share of layers that may stay in floating point."""
    method: Method | None
    """How ranges are chosen; None: whichever does the least damage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the search chose, and what came of it."""

    kept: tuple[str, ...]
    """Layers left in floating point, in the graph's order."""
    method: Method
    db: float
    all_db: float
    """With every layer in int8."""
    model: onnx.ModelProto


def decibels(damage: float) -> float:
    return 99.0 if damage < 1e-9 else -10 * math.log10(damage)


@dataclass(slots=True)
class Search:
    """One search on one graph; ``held_out`` are inputs of the contract."""

    model: onnx.ModelProto
    planner: Planner
    statistics: Statistics
    target: Int8Target
    ends: tuple[str, ...]
    held_out: NDArray[Any]
    _reference: list[NDArray[np.float64]] = field(init=False)
    _ranges: dict[Method, Ranges] = field(init=False)

    def __post_init__(self) -> None:
        symmetric = self.target == "tensorrt"
        self._ranges = {m: self.statistics.ranges(m, symmetric=symmetric) for m in METHODS}
        floors = self.planner.floors()
        for ranges in self._ranges.values():
            for name in ranges.keys() & floors.keys():
                ranges[name] = (max(ranges[name][0], floors[name]), ranges[name][1])
        self._reference = self._run(self.model)

    def run(self, options: SearchOptions, always: frozenset[str]) -> Found:
        """The best file within the options; ``always`` are nodes kept in any case."""
        methods = METHODS if options.method is None else (options.method,)
        everything = self._best(methods, always)
        layers = [n for n in self.planner.layers if n not in always]
        most = int(options.most_kept * len(self.planner.layers))
        if everything.db >= options.enough_db or not layers or not most:
            return everything
        ranked = self._rank(layers, always, everything.method)[:most]
        return self._fewest(ranked, always, methods, options.least_db, everything)

    def _fewest(
        self,
        ranked: list[str],
        always: frozenset[str],
        methods: Sequence[Method],
        least_db: float,
        everything: Found,
    ) -> Found:
        """The shortest head of ``ranked`` that is enough, by bisection; all of it if none is."""
        low, high = 0, len(ranked)
        best = self._best(methods, always.union(ranked), everything.db)
        if best.db < least_db:
            return best if best.db > everything.db else everything
        while high - low > 1:
            middle = (low + high) // 2
            found = self._best(methods, always.union(ranked[:middle]), everything.db)
            _log.info("int8: %d layers kept: %.1f dB", middle, found.db)
            if found.db >= least_db:
                high, best = middle, found
            else:
                low = middle
        return best

    def _best(
        self, methods: Sequence[Method], kept: frozenset[str], all_db: float | None = None
    ) -> Found:
        """The method that does the least damage; the first of equals."""
        plan = self.planner.plan(kept)
        best: Found | None = None
        for method in methods:
            model = quantise(self.model, plan, self._ranges[method], self.target)
            db = decibels(self._damage(model))
            if best is None or db > best.db:
                layers = tuple(n for n in self.planner.layers if n in kept)
                best = Found(
                    kept=layers, method=method, db=db, all_db=db if all_db is None else all_db,
                    model=model,
                )  # fmt: skip
        if best is None:
            raise ExportError("int8: expected one method of calibration or more, got none")
        return best

    def _rank(self, layers: list[str], always: frozenset[str], method: Method) -> list[str]:
        """Layers by the damage they do alone, worst first; those of a group share its damage."""

        def measure(group: list[str]) -> tuple[float, list[str]]:
            kept = always.union(self.planner.layers).difference(group)
            model = quantise(self.model, self.planner.plan(kept), self._ranges[method], self.target)
            return self._damage(model, _RANKED_INPUTS), group

        weights = sum(math.prod(t.dims) for t in self.model.graph.initializer)
        budget = int(np.clip(_MEASURED_WEIGHTS / weights, *_MEASUREMENTS))
        groups = [measure(g) for g in parts(layers, _FIRST_GROUPS)]
        return split_worst(groups, measure, budget - len(groups))

    def _run(self, model: onnx.ModelProto, most: int | None = None) -> list[NDArray[np.float64]]:
        session = open_session(with_outputs(model, self.ends))
        source, inputs = model.graph.input[0].name, self.held_out[:most]
        runs = [
            session.run(list(self.ends), {source: inputs[i : i + _PART]})
            for i in range(0, len(inputs), _PART)
        ]
        return [np.concatenate(values).astype(np.float64) for values in zip(*runs, strict=True)]

    def _damage(self, model: onnx.ModelProto, most: int | None = None) -> float:
        """On all inputs held out, or the first ``most``."""
        return noise_share([r[:most] for r in self._reference], self._run(model, most))


def noise_share(
    reference: Sequence[NDArray[np.float64]], got: Sequence[NDArray[np.float64]]
) -> float:
    """Noise power over signal power, the mean over tensors."""
    shares = []
    for expected, value in zip(reference, got, strict=True):
        power = float(np.mean(expected**2))
        noise = float(np.mean((value - expected) ** 2))
        shares.append(noise / power if power > 0 else float(noise > 0))
    return sum(shares) / len(shares)


def parts(layers: list[str], count: int) -> list[list[str]]:
    """At most ``count`` contiguous groups, none empty."""
    count = min(count, len(layers))
    edges = [len(layers) * i // count for i in range(count + 1)]
    return [layers[a:b] for a, b in itertools.pairwise(edges)]


def split_worst(
    groups: list[tuple[float, list[str]]],
    measure: Callable[[list[str]], tuple[float, list[str]]],
    budget: int,
) -> list[str]:
    """Splits the group that does the most damage until ``budget`` measurements are spent; all
    layers by their group's damage per layer, worst first."""
    while True:
        several = [g for g in groups if len(g[1]) > 1]
        if not several or budget < _SPLIT:
            break
        worst = max(several, key=lambda g: g[0])
        smaller = parts(worst[1], _SPLIT)
        budget -= len(smaller)
        groups = [g for g in groups if g is not worst] + [measure(s) for s in smaller]
    groups.sort(key=lambda g: -g[0] / len(g[1]))
    return [name for _, group in groups for name in group]
