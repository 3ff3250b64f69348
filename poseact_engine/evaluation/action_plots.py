# SPDX-License-Identifier: Apache-2.0
"""Pictures of an action model's scores (matplotlib), as PNG files and for TensorBoard."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from poseact_engine.errors import DependencyError, SinkError
from poseact_engine.evaluation.action_scores import BINS, ActionScores, by_class

_INSTALL = "install with `pip install 'poseact-engine[eval]'`"
_DPI = 120
_DARK = 0.6
"""Share of a row from which white text reads better than black."""


def check_packages(*, tensorboard: bool) -> None:
    """Raises DependencyError, before the work, for packages that plots (and TensorBoard) need."""
    _import_figure()
    if tensorboard:
        _import_tensorboard()


def plots(scores: ActionScores) -> dict[str, bytes]:
    """Name to PNG: ``confusion``, ``classes``, ``calibration``. DependencyError: no matplotlib."""
    drawings: dict[str, Callable[[Any, ActionScores], None]] = {
        "confusion": _draw_confusion,
        "classes": _draw_classes,
        "calibration": _draw_calibration,
    }
    return {name: _png(draw, scores) for name, draw in drawings.items()}


def write_plots(pictures: dict[str, bytes], folder: Path) -> list[Path]:
    """``NAME.png`` of each in a folder, which is made if it is not there."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in pictures.items():
            path = folder / f"{name}.png"
            path.write_bytes(data)
            paths.append(path)
    except OSError as error:
        raise SinkError(f"{folder}: cannot be written to: {error.strerror}") from error
    return paths


def write_tensorboard(scores: ActionScores, pictures: dict[str, bytes], folder: Path) -> None:
    """Scalars and pictures of step 0 as a TensorBoard event file in ``folder``."""
    summary_pb2, Event, EventFileWriter = _import_tensorboard()
    values = [
        summary_pb2.Summary.Value(tag=f"eval/{tag}", simple_value=value)
        for tag, value in _scalars(scores).items()
        if np.isfinite(value)
    ]
    for name, data in pictures.items():
        image = summary_pb2.Summary.Image(
            encoded_image_string=data,
            width=int.from_bytes(data[16:20], "big"),  # PNG's first chunk begins with its size
            height=int.from_bytes(data[20:24], "big"),
            colorspace=4,
        )
        values.append(summary_pb2.Summary.Value(tag=f"eval/{name}", image=image))
    try:
        writer = EventFileWriter(str(folder))
        writer.add_event(Event(step=0, summary=summary_pb2.Summary(value=values)))
        writer.close()
    except OSError as error:
        raise SinkError(f"{folder}: cannot be written to: {error.strerror}") from error


def _import_figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyError(f"matplotlib cannot be imported ({error}); {_INSTALL}") from error
    return Figure


def _import_tensorboard() -> tuple[Any, Any, Any]:
    try:
        from tensorboard.compat.proto import summary_pb2  # type: ignore[import-untyped]
        from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
        from tensorboard.summary.writer.event_file_writer import (  # type: ignore[import-untyped]
            EventFileWriter,
        )
    except ImportError as error:
        raise DependencyError(f"tensorboard cannot be imported ({error}); {_INSTALL}") from error
    return summary_pb2, Event, EventFileWriter


def _scalars(scores: ActionScores) -> dict[str, float]:
    per_class = {
        f"{column}/{name}": float(values[c])
        for column, values in by_class(scores).items()
        for c, name in enumerate(scores.classes)
    }
    return {
        "accuracy": scores.counts.accuracy,
        "mean_of_classes": scores.counts.macro,
        "loss": scores.loss,
        "calibration_error": scores.calibration.error,
        **per_class,
    }


def _png(draw: Callable[[Any, ActionScores], None], scores: ActionScores) -> bytes:
    # A figure of its own: pyplot would keep it, and choose a window system.
    figure = _import_figure()(figsize=(6.4, 5.2), layout="constrained")
    draw(figure.add_subplot(), scores)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI)
    return file.getvalue()


def _words(scores: ActionScores) -> list[str]:
    return [name.replace("_", " ") for name in scores.classes]


def _draw_confusion(axes: Any, scores: ActionScores) -> None:
    matrix = scores.counts.confusion
    total = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares = matrix / total
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), part in np.ndenumerate(shares):
        if matrix[row, column]:
            text = f"{100 * part:.0f} %\n{matrix[row, column]}"
            color = "white" if part > _DARK else "black"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    names = _words(scores)
    axes.set_xticks(range(len(names)), names, rotation=35, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="said", ylabel="truth")
    axes.set_title(
        f"{scores.windows} windows, accuracy {100 * scores.counts.accuracy:.1f} %,"
        f" mean of classes {100 * scores.counts.macro:.1f} %",
        fontsize=10,
    )


def _draw_classes(axes: Any, scores: ActionScores) -> None:
    columns = by_class(scores)
    width = 0.8 / len(columns)
    places = np.arange(len(scores.classes))
    for number, (name, values) in enumerate(columns.items()):
        at = places + (number - (len(columns) - 1) / 2) * width
        bars = axes.bar(at, np.nan_to_num(values), width, label=name)
        texts = ["-" if np.isnan(v) else f"{100 * v:.0f}" for v in values]
        axes.bar_label(bars, texts, fontsize=7, padding=1)
    names = [f"{n}\n({s})" for n, s in zip(_words(scores), scores.support, strict=True)]
    axes.set_xticks(places, names, rotation=35, ha="right")
    axes.set(ylim=(0, 1.12), ylabel="share")
    axes.set_title("per class (windows that truly are of it)", fontsize=10)
    axes.legend(loc="upper center", ncols=len(columns), fontsize=8, frameon=False)


def _draw_calibration(axes: Any, scores: ActionScores) -> None:
    found = scores.calibration
    there = found.count > 0
    middles = (np.arange(BINS) + 0.5) / BINS
    axes.bar(
        middles,
        found.count / found.count.sum(),
        0.9 / BINS,
        color="lightgrey",
        label="share of windows",
    )
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1, label="as sure as right")
    axes.plot(found.confidence[there], found.accuracy[there], "o-", label="the model")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="probability of the named class")
    axes.set(ylabel="share that is right")
    axes.set_title(f"calibration, expected error {found.error:.3f}", fontsize=10)
    axes.legend(loc="upper left", fontsize=8, frameon=False)
