# SPDX-License-Identifier: Apache-2.0
"""What is measured between two models of a task, and how much of it is too much.

The limits are for shares and percentiles: arg max over a flat heat map, or suppression among boxes
of equal scores, goes another way at the slightest rounding. What the reference itself decides
anew when its pictures change by one grey level (*unsteady*), and joints it hardly sees (*unsure*),
are counted, not judged; OKS and AP are over all joints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from poseact_engine.errors import ConfigError
from poseact_engine.manifest import Precision, Task


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a comparison."""

    name: str
    what: str
    at_least: bool = False
    """The larger the better; a bound on it is a lower one."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a metric must keep to."""

    metric: Metric
    limit: float

    def holds(self, value: float) -> bool:
        """Never for NaN."""
        return value >= self.limit if self.metric.at_least else value <= self.limit

    @property
    def expected(self) -> str:
        return f"at {'least' if self.metric.at_least else 'most'} {self.limit:g}"


_COMPARED = "what could be compared"
NON_FINITE = Metric("non_finite", "values of either model that are no finite numbers")
"""Must be 0; no option changes that."""

METRICS: dict[Task, tuple[Metric, ...]] = {
    "pose": (
        Metric("compared", f"{_COMPARED}: sure and steady joints that both found", at_least=True),
        Metric("median_px", "distance of a joint, crop pixels, median"),
        Metric("p99_px", "the same, 99th percentile"),
        Metric("max_px", "the same, largest"),
        Metric("share_moved", "share of joints more than 1 crop pixel away"),
        Metric("frame_median_px", "distance of a joint, frame pixels, median"),
        Metric("frame_p99_px", "the same, 99th percentile"),
        Metric("frame_max_px", "the same, largest"),
        Metric("score_p99", "score drift over the reference's largest score, 99th percentile"),
        Metric("score_max", "the same, largest"),
        Metric("found_differs", "share of joints that one found and the other did not"),
        Metric("oks_mean", "OKS of the new poses with the reference as truth, mean", at_least=True),
        Metric("oks_p1", "the same, 1st percentile", at_least=True),
        Metric("share_unsteady", "share of the reference's sure joints that are unsteady"),
        Metric("share_unsure", "share of joints with less than 0.3 of the largest score"),
        Metric("ap_reference", "COCO AP of the reference, 0 to 100", at_least=True),
        Metric("ap_new", "COCO AP of the new model, 0 to 100", at_least=True),
        Metric("ap_drop", "COCO AP lost, in points"),
    ),
    "detector": (
        Metric("compared", f"{_COMPARED}: boxes of either after suppression", at_least=True),
        Metric("matched_50", "share of them with a partner at IoU 0.5 or more", at_least=True),
        Metric("matched_90", "the same at IoU 0.9 or more", at_least=True),
        Metric("iou_median", "IoU of partners, median", at_least=True),
        Metric("iou_p1", "the same, 1st percentile", at_least=True),
        Metric("score_p99", "score drift of partners over the reference's largest score, 99th p."),
        Metric("score_max", "the same, largest"),
        Metric("only_reference", "boxes of the reference without a partner"),
        Metric("only_new", "boxes of the new model without a partner"),
        Metric("share_unsteady", "share of boxes that are unsteady"),
        Metric("min_score", "least score of the boxes that were compared"),
    ),
    "action": (
        Metric("compared", f"{_COMPARED}: windows", at_least=True),
        Metric("agreement", "share of windows with the same action named, ties aside",
               at_least=True),
        Metric("ties", "share of windows where the reference is torn between both answers"),
        Metric("drift_median", "largest probability drift of a window, median"),
        Metric("drift_p99", "the same, 99th percentile"),
        Metric("drift_max", "the same, largest"),
    ),
}  # fmt: skip

_EXACT = {"compared": 1.0}
LIMITS: dict[Task, dict[Precision, dict[str, float]]] = {
    "pose": {
        "fp32": {
            **_EXACT, "median_px": 0.01, "p99_px": 0.1, "share_moved": 0.005, "score_p99": 1e-3,
            "found_differs": 0.002, "oks_mean": 0.999, "ap_drop": 0.05,
        },
        "fp16": {
            **_EXACT, "median_px": 0.1, "p99_px": 3.0, "share_moved": 0.05, "score_p99": 0.03,
            "found_differs": 0.01, "oks_mean": 0.99, "ap_drop": 0.1,
        },
        "int8": {
            **_EXACT, "median_px": 1.0, "p99_px": 6.0, "share_moved": 0.35, "score_p99": 0.2,
            "found_differs": 0.02, "oks_mean": 0.9, "ap_drop": 1.0,
        },
    },
    "detector": {
        "fp32": {
            **_EXACT, "matched_50": 0.995, "matched_90": 0.995, "iou_median": 0.999,
            "score_p99": 1e-3,
        },
        "fp16": {
            **_EXACT, "matched_50": 0.98, "matched_90": 0.9, "iou_median": 0.99,
            "score_p99": 0.05,
        },
        "int8": {
            **_EXACT, "matched_50": 0.9, "matched_90": 0.7, "iou_median": 0.9, "score_p99": 0.3,
        },
    },
    "action": {
        "fp32": {**_EXACT, "agreement": 1.0, "drift_p99": 1e-5, "drift_max": 1e-5},
        "fp16": {**_EXACT, "agreement": 0.995, "drift_p99": 0.01, "drift_max": 0.05},
        "int8": {**_EXACT, "agreement": 0.97, "drift_p99": 0.1, "drift_max": 0.5},
    },
}  # fmt: skip
"""Used where the user gives no bound. Measured on COCO's pictures: TinyPose in fp16 moves 0.7 % of
its sure, steady joints (p99 0 px, OKS 0.998), in int8 23 % (p99 2.8 px, OKS 0.959); RTMDet-nano and
YOLOX-nano in fp16 keep all boxes, 0.7 % of YOLOX's below IoU 0.9; an LSTM in fp16 drifts by 4e-4 at
most. fp32 is equal but for rounding."""

_MADE_INT8: dict[Task, dict[str, float]] = {
    "pose": {**_EXACT, "score_p99": 0.6, "found_differs": 0.1, "oks_mean": 0.5},
    "detector": {**_EXACT, "score_p99": 0.9},
    "action": LIMITS["action"]["int8"],
}
"""On inputs made by code, int8 is far from what its ranges were taken from (TinyPose, which loses
no AP on people, has an OKS of 0.78): these find what is broken, not what is worse."""


def bounds_for(
    task: Task,
    precision: Precision,
    given: Sequence[tuple[str, float]] = (),
    *,
    real: bool = True,
) -> tuple[Bound, ...]:
    """The task's bounds at a precision, those that were given instead of the usual ones.

    ``real``: whether inputs are. Raises ConfigError: a name that is not known, a limit that is no
    number.
    """
    known = {m.name: m for m in METRICS[task]}
    made_int8 = precision == "int8" and not real
    limits = dict(_MADE_INT8[task] if made_int8 else LIMITS[task][precision])
    for name, limit in given:
        if name not in known:
            raise ConfigError(
                f"--bound: expected a metric of {task} models ({', '.join(known)}), got {name!r}"
            )
        if not math.isfinite(limit):
            raise ConfigError(f"--bound {name}: expected a finite number, got {limit}")
        limits[name] = limit
    return tuple(Bound(known[name], limit) for name, limit in limits.items())
