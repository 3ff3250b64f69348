# SPDX-License-Identifier: Apache-2.0
"""Which boxes two detectors share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import nms
from poseact_engine.boxes import iou_matrix

PAIR_IOU = 0.5
STEADY_IOU = 0.9
"""A box is unsteady if a grey level takes it further away than this."""
FLOOR = 0.5
"""A box finds its partner among those down to this share of the least score that is compared, so
that a pair on both sides of that score is one."""
TIE = 0.01
"""Scores that differ by no more than this share of the reference's largest one may go either way in
suppression, and at the end of a full list."""
_FEWEST, _BOXES_PER_PICTURE = 0.5, 8
"""Where the reference finds fewer a picture than the first at the score asked for, as in pictures
without people, its best are compared, as many as the second."""
_MOST = 300

Boxes = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """Boxes of a batch of pictures after suppression, best first within each."""

    boxes: Boxes
    """float32 ``[N, 4]``, x0 y0 x1 y1 in input pixels."""
    scores: NDArray[np.float32]
    picture: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorComparison:
    """Metrics, and what the plots need."""

    metrics: dict[str, float]
    iou: NDArray[np.float64]
    """``[P]`` of the partners."""
    scores: NDArray[np.float64]
    """``[P, 2]`` of the partners: reference, new."""
    reference: Detections
    new: Detections
    alone: tuple[NDArray[np.int64], NDArray[np.int64]]
    """Rows of ``reference`` and of ``new`` that should have a partner and have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorOutputs:
    """One model's outputs on the pictures and on the nudged ones."""

    outputs: tuple[Boxes, NDArray[np.float32]]
    nudged: tuple[Boxes, NDArray[np.float32]]
    nms_iou: float | None


def compare_boxes(
    reference: DetectorOutputs, new: DetectorOutputs, *, min_score: float
) -> DetectorComparison:
    """Steady boxes of either must have a partner in the other; greedy, best score first."""
    least = _least_score(reference, min_score)
    ends = [_Side(part, least) for part in (reference, new)]
    a, b = (end.found for end in ends)
    pairs, iou = match(a, b)
    keep = (a.scores[pairs[:, 0]] >= least) | (b.scores[pairs[:, 1]] >= least)
    pairs, iou = pairs[keep], iou[keep]
    lone = [end.lone(pairs[:, i]) for i, end in enumerate(ends)]
    close = TIE * (a.scores.max(initial=0.0) or 1.0)
    alone = [
        rows[end.steady(rows) & ~other.had(end.found, rows, close)]
        for end, other, rows in zip(ends, ends[::-1], lone, strict=True)
    ]
    compared = len(pairs) + len(alone[0]) + len(alone[1])
    total = len(pairs) + len(lone[0]) + len(lone[1])
    scores = np.stack([a.scores[pairs[:, 0]], b.scores[pairs[:, 1]]], axis=1).astype(np.float64)
    drift = np.abs(scores[:, 1] - scores[:, 0]) / (a.scores.max(initial=0.0) or 1.0)
    metrics = {
        "compared": float(compared),
        "matched_50": len(pairs) / compared if compared else float("nan"),
        "matched_90": float((iou >= 0.9).sum()) / compared if compared else float("nan"),
        "iou_median": _percentile(iou, 50),
        "iou_p1": _percentile(iou, 1),
        "score_p99": _percentile(drift, 99),
        "score_max": _percentile(drift, 100),
        "only_reference": float(len(alone[0])),
        "only_new": float(len(alone[1])),
        "share_unsteady": (total - compared) / total if total else float("nan"),
        "min_score": least,
    }
    return DetectorComparison(
        metrics=metrics, iou=iou, scores=scores, reference=a, new=b, alone=(alone[0], alone[1])
    )


class _Side:
    """One model's boxes. Owns them, changes nothing."""

    def __init__(self, part: DetectorOutputs, least: float) -> None:
        self._least = least
        self._outputs = whole(part.outputs)
        self.found = suppress(part.outputs, part.nms_iou, FLOOR * least)
        self._nudged = suppress(part.nudged, part.nms_iou, FLOOR * least)

    def lone(self, taken: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows at the least score or above that are not ``taken``."""
        free = self.found.scores >= self._least
        free[taken] = False
        return np.flatnonzero(free)

    def steady(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each box is there in the nudged pictures, too."""
        pairs, iou = match(self.found, self._nudged)
        partner = dict(zip(pairs[:, 0].tolist(), iou.tolist(), strict=True))
        return np.array([partner.get(row, 0.0) >= STEADY_IOU for row in rows.tolist()], np.bool_)

    def had(self, other: Detections, rows: NDArray[np.int64], close: float) -> NDArray[np.bool_]:
        """Whether boxes of the other model were among this one's candidates with about the same
        score, before suppression; or may have been, behind the last one of a full list."""
        found = np.zeros(len(rows), np.bool_)
        for i, row in enumerate(rows):
            boxes, scores = (part[other.picture[row]] for part in self._outputs)
            score = other.scores[row]
            same = iou_matrix(other.boxes[row : row + 1], boxes)[0] >= STEADY_IOU
            tied = bool((same & (np.abs(scores - score) <= close)).any())
            found[i] = tied or score <= scores[-1] + close
        return found


def suppress(
    outputs: tuple[Boxes, NDArray[np.float32]], iou: float | None, min_score: float
) -> Detections:
    """What the engine's own suppression leaves."""
    boxes, scores = whole(outputs)
    least = max(min_score, float(np.finfo(np.float32).tiny))
    kept, kept_scores, picture = nms(boxes, scores, min_score=least, iou=iou, max_boxes=_MOST)
    return Detections(boxes=kept, scores=kept_scores, picture=picture)


def whole(outputs: tuple[Boxes, NDArray[np.float32]]) -> tuple[Boxes, NDArray[np.float32]]:
    """A copy without the boxes of pictures with NaN or infinity."""
    boxes, scores = (np.array(part) for part in outputs)
    broken = ~(np.isfinite(boxes).all(axis=(1, 2)) & np.isfinite(scores).all(axis=1))
    boxes[broken], scores[broken] = 0.0, 0.0
    return boxes, scores


def _least_score(reference: DetectorOutputs, asked: float) -> float:
    """The score asked for, or less where the reference finds hardly anything at that."""
    found = np.sort(suppress(reference.outputs, reference.nms_iou, 0.0).scores)[::-1]
    pictures = len(reference.outputs[1])
    if not len(found) or (found >= asked).sum() >= _FEWEST * pictures:
        return asked
    wanted = _BOXES_PER_PICTURE * pictures
    return min(asked, float(found[min(wanted, len(found)) - 1]))


def match(a: Detections, b: Detections) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows [P, 2] of ``a`` and ``b`` and their IoU [P].

    Picture by picture: ``a``'s boxes, best first, each take the free box of ``b`` with the largest
    IoU, if that is PAIR_IOU or more.
    """
    pairs: list[tuple[int, int]] = []
    found: list[float] = []
    for picture in np.intersect1d(a.picture, b.picture):
        mine, other = np.flatnonzero(a.picture == picture), np.flatnonzero(b.picture == picture)
        table = iou_matrix(a.boxes[mine], b.boxes[other])
        for i in np.argsort(-a.scores[mine], kind="stable"):
            best = int(table[i].argmax())
            if table[i, best] >= PAIR_IOU:
                pairs.append((int(mine[i]), int(other[best])))
                found.append(float(table[i, best]))
                table[:, best] = -1.0
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(found)


def _percentile(values: NDArray[np.float64], at: float) -> float:
    return float(np.percentile(values, at)) if values.size else float("nan")
