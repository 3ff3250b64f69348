# SPDX-License-Identifier: Apache-2.0
"""Plots of the report as PNG (matplotlib, without its global state)."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from poseact_engine.errors import DependencyError
from poseact_engine.evaluation.reproduce.results import (
    ADAM,
    HONEST,
    OURS,
    PAPER,
    REPORTED_ACCURACY,
    RMSPROP,
    Outcome,
    RobustRow,
    Study,
)
from poseact_engine.training.paper import CLASSES

_BLUE, _RED, _GREY, _GREEN = "#2f6fb0", "#c8453a", "#8c959f", "#1a7f37"
_COLOURS = {ADAM: _BLUE, RMSPROP: _RED, OURS: _GREEN}
_DARK = 0.6
"""Share of a row from which white text reads better than black."""
_COLUMNS = 3


def require_matplotlib() -> None:
    """Raises DependencyError without matplotlib."""
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise DependencyError(
            f"the report's plots need matplotlib, which cannot be imported ({error});"
            " install with `pip install 'poseact-engine[eval]'`"
        ) from error


def draw_overview(study: Study) -> bytes:
    """Accuracy of each model on the paper's split and on the honest one."""
    models = list(dict.fromkeys(o.model for o in study.outcomes))
    figure = _figure(8.6, 0.55 * len(models) + 1.4)
    axes = _plain(figure.add_subplot())
    for split, offset, colour in ((PAPER, -0.2, _GREY), (HONEST, 0.2, _BLUE)):
        found = [study.of(model, split) for model in models]
        places = np.array([i + offset for i, o in enumerate(found) if o is not None])
        values = [100 * o.scores.accuracy for o in found if o is not None]
        bars = axes.barh(places, values, 0.36, color=colour, label=split)
        axes.bar_label(bars, [f"{v:.1f}" for v in values], fontsize=8, padding=2)
    axes.axvline(100 * REPORTED_ACCURACY, color=_RED, linestyle=":", label="the paper's figure")
    axes.set_yticks(range(len(models)), models)
    axes.invert_yaxis()
    axes.set(xlim=(0, 107), xlabel="windows named right, %")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, 1.16), ncols=3, fontsize=8, frameon=False)
    return _png(figure)


def draw_curves(study: Study) -> bytes:
    """Accuracy and loss over the epochs, both optimisers, both splits."""
    figure = _figure(9.6, 6.4)
    grid = figure.subplots(2, 2, sharex=True)
    for row, split in zip(grid, (PAPER, HONEST), strict=True):
        for model in (ADAM, RMSPROP):
            outcome = study.of(model, split)
            if outcome is not None:
                _draw_curve(row, outcome, _COLOURS[model])
        row[0].set(ylim=(0, 1.02), ylabel="accuracy", title=f"accuracy, {split}")
        row[1].set(ylabel="cross-entropy", yscale="log", title=f"loss, {split}")
    grid[1][0].set(xlabel="epoch")
    grid[1][1].set(xlabel="epoch")
    grid[0][0].legend(fontsize=8, frameon=False, loc="lower right")
    return _png(figure)


def _draw_curve(row: Sequence[Any], outcome: Outcome, colour: str) -> None:
    number = [e.number for e in outcome.epochs]
    name = outcome.model.split(",")[1].split("(")[0].strip()
    lines = (
        (row[0], [e.train_accuracy for e in outcome.epochs], "training", 0.4),
        (row[0], [e.test_accuracy for e in outcome.epochs], "test", 1.0),
        (row[1], [e.train_loss for e in outcome.epochs], "training", 0.4),
        (row[1], [e.test_loss for e in outcome.epochs], "test", 1.0),
    )
    for axes, values, side, alpha in lines:
        _plain(axes).plot(
            number, values, color=colour, alpha=alpha, linewidth=1.2, label=f"{name}, {side}",
            marker="o" if len(number) == 1 else "",
        )  # fmt: skip


def draw_confusions(study: Study, split: str) -> bytes:
    """A matrix per model: rows are the truth, columns what was said."""
    outcomes = [o for o in study.outcomes if o.split == split]
    rows = -(-len(outcomes) // _COLUMNS)
    figure = _figure(10.6, 3.9 * rows)
    grid = np.atleast_1d(figure.subplots(rows, _COLUMNS, sharex=True, sharey=True)).ravel()
    for axes in grid[len(outcomes) :]:
        axes.set_axis_off()
    for axes, outcome in zip(grid, outcomes, strict=False):
        _draw_confusion(axes, outcome)
    return _png(figure)


def _draw_confusion(axes: Any, outcome: Outcome) -> None:
    matrix = outcome.scores.confusion
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), part in np.ndenumerate(shares):
        if matrix[row, column]:
            axes.text(
                column, row, f"{100 * part:.0f}", ha="center", va="center", fontsize=8,
                color="white" if part > _DARK else "black",
            )  # fmt: skip
    names = [name.replace("_", " ") for name in CLASSES]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.tick_params(labelbottom=True)
    axes.set_title(f"{outcome.model}: {100 * outcome.scores.accuracy:.1f} %", fontsize=9)


def draw_robustness(study: Study) -> bytes:
    """Accuracy and recall of falls against what is missing, noise and frame rate."""
    kinds = ("missing joints", "jitter", "frame rate")
    figure = _figure(10.6, 5.4)
    grid = figure.subplots(2, len(kinds), sharey=True)
    first = study.robustness[0]
    for column, kind in enumerate(kinds):
        rows = [r for r in study.robustness if r.kind == kind]
        if kind != "frame rate":
            rows = [first, *rows]
        for row, what in enumerate(("accuracy", "recall of falls")):
            axes = _plain(grid[row][column])
            _draw_lines(axes, rows, row)
            axes.set(ylim=(-0.02, 1.02), title=f"{what}: {kind}" if row == 0 else what)
            axes.set_ylabel("share" if column == 0 else "")
    grid[0][0].legend(fontsize=8, frameon=False, loc="lower left")
    return _png(figure)


def _draw_lines(axes: Any, rows: Sequence[RobustRow], which: int) -> None:
    labels = ["0" if r.kind == "nothing" else r.amount.split()[0] for r in rows]
    for model in rows[0].results:
        values = [r.results[model][which] for r in rows]
        axes.plot(labels, values, "o-", color=_COLOURS[model], markersize=4, label=model)


def draw_classes(study: Study) -> bytes:
    """Accuracy per class on the honest split."""
    outcomes = [o for o in study.outcomes if o.split == HONEST]
    figure = _figure(10.6, 3.8)
    axes = _plain(figure.add_subplot())
    width = 0.84 / len(outcomes)
    places = np.arange(len(CLASSES))
    shades = (_BLUE, _RED, "#c9a227", _GREY, _GREEN)
    for number, (outcome, colour) in enumerate(zip(outcomes, shades, strict=False)):
        at = places + (number - (len(outcomes) - 1) / 2) * width
        axes.bar(at, np.nan_to_num(outcome.recalls), width, color=colour, label=outcome.model)
    axes.set_xticks(places, [name.replace("_", " ") for name in CLASSES])
    axes.set(ylim=(0, 1.02), ylabel="share named right")
    axes.legend(
        fontsize=8, frameon=False, ncols=len(outcomes), loc="upper center",
        bbox_to_anchor=(0.5, 1.15),
    )  # fmt: skip
    return _png(figure)


def _figure(width: float, height: float) -> Any:
    # A figure of its own: pyplot would keep it, and choose a window system.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _plain(axes: Any) -> Any:
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _png(figure: Any) -> bytes:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()
