# SPDX-License-Identifier: Apache-2.0
"""Bounds of the parity gate, and the options that set them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import get_args

import pytest

from export.parity.metrics import LIMITS, METRICS, bounds_for
from export.parity.options import GateOptions, parse_bounds
from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.inputs import DataOptions
from poseact_engine.manifest import Precision, Task


def bound(name: str, limit: float) -> bool | object:
    return next(b for b in bounds_for("pose", "fp32", [(name, limit)]) if b.metric.name == name)


@pytest.mark.parametrize(
    ("name", "limit", "value", "holds"),
    [
        ("median_px", 0.05, 0.05, True),
        ("median_px", 0.05, math.nextafter(0.05, 1), False),
        ("oks_mean", 0.99, 0.99, True),
        ("oks_mean", 0.99, math.nextafter(0.99, 0), False),
        ("ap_drop", 0.0, -1.5, True),
        ("median_px", 1e9, math.nan, False),
        ("oks_mean", -1e9, math.nan, False),
        ("median_px", 1e9, math.inf, False),
    ],
)
def test_edges(name: str, limit: float, value: float, holds: bool) -> None:
    found = bound(name, limit)
    assert found.holds(value) is holds  # type: ignore[attr-defined]


@pytest.mark.parametrize("task", get_args(Task))
def test_each_precision_has_limits_no_tighter_than_the_finer(task: Task) -> None:
    known = {m.name: m for m in METRICS[task]}
    finer: dict[str, float] = {}
    for precision in get_args(Precision):
        limits = LIMITS[task][precision]
        assert set(limits) <= set(known)
        assert set(limits) >= set(finer)
        for name, limit in finer.items():
            looser = limits[name] <= limit if known[name].at_least else limits[name] >= limit
            assert looser, (precision, name)
        finer = limits


def test_given_bounds_replace_and_add() -> None:
    usual = {b.metric.name: b.limit for b in bounds_for("pose", "fp16")}
    found = {
        b.metric.name: b.limit
        for b in bounds_for("pose", "fp16", [("median_px", 7.0), ("max_px", 9.0)])
    }
    assert found == {**usual, "median_px": 7.0, "max_px": 9.0}
    assert "max_px" not in usual


def test_an_unknown_bound_names_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match=r"detector models .*matched_90.*got 'median_px'"):
        bounds_for("detector", "fp32", [("median_px", 1.0)])
    with pytest.raises(ConfigError, match="non_finite"):
        bounds_for("pose", "fp32", [("non_finite", 1.0)])
    with pytest.raises(ConfigError, match="finite number, got nan"):
        bounds_for("pose", "fp32", [("median_px", math.nan)])


def test_text_of_bounds() -> None:
    assert parse_bounds(["median_px=0.05", " oks_mean = 1e-1"]) == (
        ("median_px", 0.05),
        ("oks_mean", 0.1),
    )
    for text in ("median_px", "median_px=", "median_px=a", "median_px=nan", "=", ""):
        with pytest.raises(ConfigError, match="METRIC=NUMBER"):
            parse_bounds([text])
    with pytest.raises(ConfigError, match="median_px once, got 1 and 2"):
        parse_bounds(["median_px=1", "median_px=2"])


def test_where_a_report_may_go(tmp_path: Path) -> None:
    assert GateOptions(report=tmp_path / "r.HTML").report == tmp_path / "r.HTML"
    (tmp_path / "folder.json").mkdir()
    for name, words in (
        ("r.txt", r"\.json or \.html"),
        ("folder.json", "folder, device"),
        ("none/r.json", "folder that exists"),
    ):
        with pytest.raises(ConfigError, match=words):
            GateOptions(report=tmp_path / name)


def test_a_report_never_replaces_what_is_read(tmp_path: Path) -> None:
    truth = tmp_path / "t.json"
    for data in (
        DataOptions(data=(tmp_path,), truth=truth),
        DataOptions(data=(tmp_path, tmp_path / "other" / ".." / "t.json")),
    ):
        with pytest.raises(ConfigError, match="file to be read"):
            GateOptions(data=data, report=truth)


def test_int8_is_held_to_less_on_inputs_made_by_code() -> None:
    for task in get_args(Task):
        real = {b.metric.name: b.limit for b in bounds_for(task, "int8")}
        made = {b.metric.name: b for b in bounds_for(task, "int8", real=False)}
        assert set(made) <= set(real)
        for name, bound in made.items():
            sign = -1 if bound.metric.at_least else 1
            assert sign * bound.limit >= sign * real[name]
        assert bounds_for(task, "fp16", real=False) == bounds_for(task, "fp16")
