# SPDX-License-Identifier: Apache-2.0
"""Plots of a comparison as PNG (matplotlib, without its global state)."""

from __future__ import annotations

import importlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.parity.action import ActionComparison
from export.parity.compare import Verdict
from export.parity.detector import DetectorComparison
from export.parity.pictures import worst_boxes, worst_crops
from export.parity.pose import MOVED_PX, PoseComparison
from poseact_engine.errors import DependencyError

_BLUE, _RED, _GREY = "#2f6fb0", "#c8453a", "#8c959f"
_LEAST_PX = 1e-4
"""Smaller distances stand at this end of the logarithmic axis."""


@dataclass(frozen=True, slots=True)
class Plot:
    title: str
    png: bytes


def require_plots() -> None:
    """Raises DependencyError without matplotlib or OpenCV."""
    for module in ("matplotlib", "cv2"):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise DependencyError(
                f"HTML reports need matplotlib and OpenCV, {module} cannot be imported ({error}); "
                "install with `pip install 'poseact-engine[eval]'`, or ask for a .json report"
            ) from error


def plots_of(verdict: Verdict) -> list[Plot]:
    """The task's plots. Raises DependencyError."""
    require_plots()
    comparison = verdict.comparison
    if isinstance(comparison, PoseComparison):
        return _pose_plots(comparison, verdict.inputs.batch)
    if isinstance(comparison, DetectorComparison):
        return _detector_plots(comparison, verdict.inputs.batch)
    return _action_plots(comparison)


class _Figure:
    """One matplotlib figure with one axis. Owns both."""

    def __init__(self, width: float = 8.0, height: float = 3.6) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self._figure = Figure(figsize=(width, height), layout="constrained")
        self._canvas = FigureCanvasAgg(self._figure)
        self.axis: Any = self._figure.add_subplot()
        self.axis.spines[["top", "right"]].set_visible(False)

    def beside(self) -> Any:
        """A second axis over the same x."""
        axis = self.axis.twinx()
        axis.spines["top"].set_visible(False)
        return axis

    def png(self) -> bytes:
        data = io.BytesIO()
        self._figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
        return data.getvalue()


# ---------------------------------------------------------------- pose


def _pose_plots(comparison: PoseComparison, crops: NDArray[np.uint8]) -> list[Plot]:
    far = comparison.distance_px[comparison.judged]
    plots = [
        Plot("Distance of steady joints, crop pixels; line: share of joints at most so far", png)
        for png in [_distances(far)]
    ]
    plots.append(Plot("Distance by joint: median (bar) and 99th percentile (mark)", _by_joint(
        comparison)))  # fmt: skip
    finite = np.isfinite(comparison.reference[..., 2]) & np.isfinite(comparison.new[..., 2])
    pairs = np.stack([comparison.reference[..., 2], comparison.new[..., 2]], axis=-1)[finite]
    plots.append(Plot("Scores of joints", _scatter(pairs)))
    picture = worst_crops(comparison, crops)
    if picture is not None:
        plots.append(
            Plot("Crops with the furthest joints: reference green, new model red", picture)
        )
    return plots


def _distances(far: NDArray[np.float64]) -> bytes:
    figure = _Figure()
    shown = np.maximum(far, _LEAST_PX)
    last = max(float(shown.max(initial=0.0)), 10.0)
    edges = np.geomspace(_LEAST_PX, last * 1.01, 49)
    figure.axis.hist(shown, bins=edges, color=_BLUE)
    figure.axis.set(xscale="log", xlabel="pixels of the crop", ylabel="joints")
    figure.axis.axvline(MOVED_PX, color=_GREY, linestyle=":")
    line = figure.beside()
    if len(shown):
        line.plot(np.sort(shown), np.arange(1, len(shown) + 1) / len(shown), color=_RED)
    line.set(ylim=(0, 1.02), ylabel="share")
    return figure.png()


def _by_joint(comparison: PoseComparison) -> bytes:
    values = [
        comparison.distance_px[:, k][comparison.judged[:, k]] for k in range(len(comparison.joints))
    ]
    figure = _Figure(height=max(2.5, 0.26 * len(values) + 1))
    places = np.arange(len(values))
    median, p99 = (
        [float(np.percentile(v, at)) if v.size else 0.0 for v in values] for at in (50, 99)
    )
    figure.axis.barh(places, median, color=_BLUE)
    figure.axis.plot(p99, places, "|", color=_RED, markersize=10, markeredgewidth=2)
    figure.axis.set(yticks=places, yticklabels=comparison.joints, xlabel="pixels of the crop")
    figure.axis.set_xlim(left=0)
    figure.axis.invert_yaxis()
    return figure.png()


def _scatter(pairs: NDArray[Any]) -> bytes:
    """``pairs``: [P, 2] of reference and new."""
    figure = _Figure(width=4.6, height=4.2)
    low, high = float(pairs.min(initial=0.0)), float(pairs.max(initial=0.0)) or 1.0
    figure.axis.plot([low, high], [low, high], color=_GREY, linewidth=1)
    figure.axis.scatter(pairs[:, 0], pairs[:, 1], s=6, alpha=0.4, color=_BLUE, linewidths=0)
    figure.axis.set(xlabel="reference", ylabel="new model", aspect="equal")
    return figure.png()


# ---------------------------------------------------------------- detector


def _detector_plots(comparison: DetectorComparison, images: NDArray[np.uint8]) -> list[Plot]:
    figure = _Figure()
    figure.axis.hist(comparison.iou, bins=np.linspace(0.5, 1.0, 51).tolist(), color=_BLUE)
    figure.axis.set(xlabel="IoU of partners", ylabel="boxes", xlim=(0.5, 1.0))
    plots = [
        Plot("IoU of boxes with a partner", figure.png()),
        Plot("Scores of partners", _scatter(comparison.scores)),
    ]
    picture = worst_boxes(comparison, images)
    if picture is not None:
        title = "Pictures with boxes that have no partner: reference green, new model red"
        plots.append(Plot(title, picture))
    return plots


# ---------------------------------------------------------------- action


def _action_plots(comparison: ActionComparison) -> list[Plot]:
    figure = _Figure()
    figure.axis.hist(comparison.drift, bins=50, color=_BLUE)
    figure.axis.set(xlabel="largest difference of a probability", ylabel="windows", yscale="symlog")
    return [
        Plot("Actions named: reference by row, new model by column", _confusion(comparison)),
        Plot("Probability drift by window", figure.png()),
    ]


def _confusion(comparison: ActionComparison) -> bytes:
    count = len(comparison.classes)
    side = max(3.5, 0.7 * count + 1.5)
    figure = _Figure(width=side + 1, height=side)
    figure.axis.imshow(np.log1p(comparison.confusion), cmap="Blues")
    places, names = np.arange(count), comparison.classes
    figure.axis.set(
        xticks=places, yticks=places, xticklabels=names, yticklabels=names,
        xlabel="new model", ylabel="reference",
    )  # fmt: skip
    figure.axis.tick_params(axis="x", rotation=35)
    largest = float(np.log1p(comparison.confusion.max(initial=0)))
    for row, column in np.argwhere(comparison.confusion > 0):
        value = int(comparison.confusion[row, column])
        dark = np.log1p(value) > 0.6 * largest
        figure.axis.text(
            column, row, value, ha="center", va="center", color="white" if dark else "black"
        )
    return figure.png()
