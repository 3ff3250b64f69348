# SPDX-License-Identifier: Apache-2.0
"""Tables of what was trained on and how well it went, for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table

from poseact_engine.training.keypoints import HARMLESS, NO_FALL
from poseact_engine.training.metrics import Scores, share
from poseact_engine.training.windows import WindowSet


def percent(value: float) -> str:
    """``83.1 %``, or a dash for NaN."""
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def count_table(train: WindowSet, validation: WindowSet, classes: Sequence[str]) -> Table:
    """Windows and sequences per class and source: training / held out."""
    sources = sorted({*np.unique(train.sources()), *np.unique(validation.sources())})
    table = Table(title="windows (sequences): training, with thinned copies | held out")
    table.add_column("class")
    for source in sources:
        table.add_column(source, justify="right")
    labels = dict(enumerate(classes))
    for label, name in ((HARMLESS, "harmless"), (NO_FALL, "no fall")):
        if any((part.labels == label).any() for part in (train, validation)):
            labels[label] = name
    for index, name in labels.items():
        cells = []
        for source in sources:
            pair = [_count(part, index, source) for part in (train, validation)]
            cells.append(" | ".join(pair) if any(p != "-" for p in pair) else "")
        table.add_row(name, *cells)
    return table


def _count(windows: WindowSet, label: int, source: str) -> str:
    rows = (windows.labels == label) & (windows.sources() == source)
    takes = {windows.names[i] for i in windows.sequence[rows]}
    return f"{int(rows.sum())} ({len(takes)})" if rows.any() else "-"


def accuracy_table(scores: Scores, classes: Sequence[str]) -> Table:
    """Share of windows named right, per class and source, with counts."""
    table = Table(title="accuracy on held-out windows (right / all)")
    table.add_column("class")
    for source in scores.by_source:
        table.add_column(source, justify="right")
    table.add_column("all", justify="right")
    matrices = [*scores.by_source.values(), scores.confusion]
    for index, name in enumerate(classes):
        table.add_row(name, *(_cell(m[index, index], m[index].sum()) for m in matrices))
    table.add_section()
    table.add_row("all", *(_cell(np.trace(m), m.sum()) for m in matrices))
    table.add_row("mean of classes", *[""] * len(scores.by_source), percent(scores.macro))
    if scores.harmless:
        table.add_row(
            "harmless, named abnormal",
            *[""] * len(scores.by_source),
            f"{percent(scores.false_alarm)} (of {scores.harmless})",
        )
    if scores.no_fall:
        table.add_row(
            "no fall, named falling",
            *[""] * len(scores.by_source),
            f"{percent(scores.false_fall)} (of {scores.no_fall})",
        )
    return table


def _cell(right: int, total: int) -> str:
    return f"{percent(share(int(right), int(total)))} ({right}/{total})" if total else ""


def confusion_table(scores: Scores, classes: Sequence[str]) -> Table:
    """Rows: the truth, and its source; columns: what was said."""
    table = Table(title="confusion on held-out windows (rows: truth, columns: said)")
    table.add_column("class")
    table.add_column("source")
    for name in classes:
        table.add_column(name, justify="right")
    for index, name in enumerate(classes):
        for source, matrix in scores.by_source.items():
            if matrix[index].any():
                table.add_row(name, source, *_numbers(matrix[index]))
    for source, said in scores.harmless_by_source.items():
        table.add_row("harmless", source, *_numbers(said))
    for source, said in scores.no_fall_by_source.items():
        table.add_row("no fall", source, *_numbers(said))
    return table


def _numbers(counts: NDArray[np.int64]) -> list[str]:
    return [str(v) if v else "·" for v in counts]


def warnings(train: WindowSet, validation: WindowSet, classes: Sequence[str]) -> list[str]:
    """What the numbers cannot tell: classes that one source alone has, or that none held out."""
    found = []
    sources, labels = train.sources(), train.labels
    several = len(np.unique(sources)) > 1
    for index, name in enumerate(classes):
        having = np.unique(sources[labels == index])
        if not len(having):
            found.append(f"{name} has no window to train on: it will hardly ever be named")
        elif several and len(having) == 1:
            found.append(
                f"{name} comes from {having[0]} alone: its accuracy may be the source's, not the"
                " action's"
            )
        if len(having) and len(validation) and not (validation.labels == index).any():
            found.append(f"{name} has no held-out window: its accuracy is unknown")
    if not len(validation):
        found.append("nothing was held out: no accuracy is known")
    return found


def caveats(*, split: str, patience: int | None, epoch: int, learnt_before: int = 0) -> list[str]:
    """How the run makes its held-out score better than it is. ``learnt_before``: held-out
    sequences that the first checkpoint was trained on."""
    found = []
    if split == "random":
        found.append(
            "windows were held out at random (--split random): their neighbours were learnt from,"
            " so the accuracy flatters; --split group holds out subjects and clips"
        )
    if patience is not None:
        found.append(
            f"the held-out score chose epoch {epoch} (--patience), so it is a little too good;"
            " measure with other data"
        )
    if learnt_before:
        found.append(
            f"{learnt_before} of the held-out sequences were learnt from by --init's checkpoint, so"
            " the accuracy flatters; hold out others (--validation-data), or the same by its --seed"
        )
    return found


def tables(
    train: WindowSet, validation: WindowSet, scores: Scores | None, classes: Sequence[str]
) -> list[RenderableType]:
    """All tables of a training run."""
    found: list[RenderableType] = [count_table(train, validation, classes)]
    if scores is not None:
        found += [accuracy_table(scores, classes), confusion_table(scores, classes)]
    return found
