# SPDX-License-Identifier: Apache-2.0
"""How well tracks follow people: MOTA (Bernardin and Stiefelhagen 2008) and IDF1 (Ristani 2016).

Both count boxes that overlap by IoU 0.5 or more. Counts of scenes add up; shares come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import assign
from poseact_engine.boxes import iou_matrix

Boxes = NDArray[np.float32]
LEAST_IOU = 0.5
_SLACK = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedFrame:
    """Who is in a frame, and who the tracker says is."""

    true_ids: NDArray[np.int64]
    """int64 ``[P]``, each once."""
    true_boxes_px: Boxes
    """float32 ``[P, 4]``: x0 y0 x1 y1."""
    counts: NDArray[np.bool_]
    """bool ``[P]``: false for people whom nobody is asked to find, nor blamed for finding."""
    ids: NDArray[np.int64]
    """int64 ``[M]``: of tracks, each once."""
    boxes_px: Boxes
    """float32 ``[M, 4]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MotCounts:
    """Of one or more scenes."""

    truths: int = 0
    """Boxes of people who count, over all frames."""
    missed: int = 0
    false: int = 0
    switches: int = 0
    """Times a person is followed by another track than before."""
    id_right: int = 0
    """Boxes whose track and person belong together over the whole scene."""
    found: int = 0
    """Boxes of tracks, those on people who do not count left out."""

    def __add__(self, other: MotCounts) -> MotCounts:
        return MotCounts(
            truths=self.truths + other.truths,
            missed=self.missed + other.missed,
            false=self.false + other.false,
            switches=self.switches + other.switches,
            id_right=self.id_right + other.id_right,
            found=self.found + other.found,
        )

    @property
    def mota(self) -> float:
        """At most 1; NaN where nobody is there."""
        wrong = self.missed + self.false + self.switches
        return 1 - wrong / self.truths if self.truths else np.nan

    @property
    def idf1(self) -> float:
        """0 to 1; NaN where nobody is there and nobody was found."""
        total = self.truths + self.found
        return 2 * self.id_right / total if total else np.nan


def pair_boxes(
    true_boxes: NDArray[np.floating], boxes: NDArray[np.floating], *, least: float = LEAST_IOU
) -> NDArray[np.int64]:
    """int64 ``[P]``: which of the boxes each true one is paired with, or -1.

    As many pairs of at least ``least`` IoU as there can be, then the greatest sum of IoU.
    """
    return _pair(iou_matrix(true_boxes, boxes), least)


def count_tracks(frames: Sequence[TrackedFrame]) -> MotCounts:
    """Of one scene, its frames in order."""
    kept = [_without_ignored(frame) for frame in frames]
    return _clear(kept) + MotCounts(id_right=_id_right(kept))


def _pair(overlap: NDArray[np.float64], least: float) -> NDArray[np.int64]:
    result = np.full(len(overlap), -1, np.int64)
    if not overlap.size:
        return result
    fits = overlap >= least - _SLACK
    # A pair is worth more than all overlaps together, so that their number comes first.
    worth = np.where(fits, min(overlap.shape) + 1 + overlap, 0)
    column = assign(-worth).astype(np.int64)
    rows = np.flatnonzero(column >= 0)
    rows = rows[fits[rows, column[rows]]]
    result[rows] = column[rows]
    return result


def _without_ignored(frame: TrackedFrame) -> TrackedFrame:
    """Leaves out people who do not count, and tracks that are on them (as MOT challenges do)."""
    pairs = pair_boxes(frame.true_boxes_px, frame.boxes_px)
    on_ignored = pairs[~frame.counts]
    kept = np.ones(len(frame.ids), np.bool_)
    kept[on_ignored[on_ignored >= 0]] = False
    return TrackedFrame(
        true_ids=frame.true_ids[frame.counts],
        true_boxes_px=frame.true_boxes_px[frame.counts],
        counts=np.ones(int(frame.counts.sum()), np.bool_),
        ids=frame.ids[kept],
        boxes_px=frame.boxes_px[kept],
    )


def _clear(frames: Sequence[TrackedFrame]) -> MotCounts:
    """Misses, false boxes and switches. A pair of the last frame stays while it overlaps."""
    last: dict[int, int] = {}  # person to the track that had it last
    before: dict[int, int] = {}  # the same, of the frame before alone
    truths = missed = false = switches = found = 0
    for frame in frames:
        overlap = iou_matrix(frame.true_boxes_px, frame.boxes_px)
        stays = np.array(
            [[before.get(p) == t for t in frame.ids.tolist()] for p in frame.true_ids.tolist()],
            np.bool_,
        ).reshape(overlap.shape)
        fits = overlap >= LEAST_IOU - _SLACK
        weight = np.where(fits, overlap + 1000.0 * stays, 0.0)
        column = assign(-weight) if weight.size else np.full(len(frame.true_ids), -1)
        before = {}
        for row, person in enumerate(frame.true_ids.tolist()):
            if column[row] < 0 or not fits[row, column[row]]:
                continue
            track = int(frame.ids[column[row]])
            switches += last.get(person, track) != track
            before[person] = last[person] = track
        truths += len(frame.true_ids)
        found += len(frame.ids)
        missed += len(frame.true_ids) - len(before)
        false += len(frame.ids) - len(before)
    return MotCounts(truths=truths, missed=missed, false=false, switches=switches, found=found)


def _id_right(frames: Sequence[TrackedFrame]) -> int:
    """Most boxes that can be right when each person belongs to one track of the whole scene."""
    people = sorted({int(p) for f in frames for p in f.true_ids})
    tracks = sorted({int(t) for f in frames for t in f.ids})
    together = np.zeros((len(people), len(tracks)))
    row, column = ({v: i for i, v in enumerate(values)} for values in (people, tracks))
    for frame in frames:
        for p, t in np.argwhere(
            iou_matrix(frame.true_boxes_px, frame.boxes_px) >= LEAST_IOU - _SLACK
        ):
            together[row[int(frame.true_ids[p])], column[int(frame.ids[t])]] += 1
    if not together.size:
        return 0
    chosen = assign(-together)
    matched = np.flatnonzero(chosen >= 0)
    return int(together[matched, chosen[matched]].sum())
