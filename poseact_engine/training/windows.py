# SPDX-License-Identifier: Apache-2.0
"""Cuts pose sequences into labelled windows, with the very ring buffers that the engine runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import Windows
from poseact_engine.training.keypoints import HARMLESS, NO_FALL, UNKNOWN, PoseSequence
from poseact_engine.training.paper import ABNORMAL, FALLING, JOINTS, LENGTH, RATE

TICKS_PER_S = 90_000
MAX_GAP_S = 0.4
"""As the engine's WindowConfig: longer gaps are not interpolated."""
SAME_TIME_S = 1e-4
"""Times closer than this are one: ticks are rounded to 1/90000 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSet:
    """Windows of many sequences, in the order of the sequences, then of time."""

    poses_px: NDArray[np.float32]
    """float32 ``[W, T, K, 3]``, oldest pose first."""
    labels: NDArray[np.int64]
    """int64 ``[W]``: index into CLASSES, UNKNOWN, HARMLESS or NO_FALL (see ``label_windows``)."""
    sequence: NDArray[np.int64]
    """int64 ``[W]``: index into ``names``."""
    end_s: NDArray[np.float64]
    """float64 ``[W]``: time of the last pose in its sequence."""
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> WindowSet:
        """The windows at ``rows``, with the same names."""
        return WindowSet(
            poses_px=self.poses_px[rows],
            labels=self.labels[rows],
            sequence=self.sequence[rows],
            end_s=self.end_s[rows],
            names=self.names,
        )

    def labelled(self) -> WindowSet:
        """The windows of an action."""
        return self.select(self.labels >= 0)

    def known(self) -> WindowSet:
        """The windows of an action, and those of which is known what they are not."""
        return self.select(self.labels != UNKNOWN)

    def labels_by_name(self) -> dict[str, set[int]]:
        """Name of a sequence to the labels that its windows have."""
        found: dict[str, set[int]] = {name: set() for name in self.names}
        pairs = np.unique(np.stack([self.sequence, self.labels]), axis=1)
        for index, label in pairs.T.tolist():
            found[self.names[index]].add(label)
        return found

    def of(self, names: Sequence[str]) -> WindowSet:
        """The windows of the sequences with these names."""
        return self.select(np.isin(np.array(self.names, dtype=np.str_)[self.sequence], names))

    def sources(self) -> NDArray[np.str_]:
        """``[W]``: the data set of each window."""
        by_name = np.array([name.split("/", 1)[0] for name in self.names], dtype=np.str_)
        return by_name[self.sequence]


def balance(windows: WindowSet, *, no_fall: float = 1.0) -> NDArray[np.float64]:
    """The chance of each window to be drawn: classes weigh the same, and within a class its
    sources, so that neither the commonest class nor the largest data set wins. Harmless windows
    weigh as much as a class, those of no fall ``no_fall`` times as much. Sums to 1."""
    sources = windows.sources()
    weights = np.zeros(len(windows))
    for label in np.unique(windows.labels):
        share = no_fall if label == NO_FALL else 1.0
        of_class = windows.labels == label
        found = np.unique(sources[of_class])
        for source in found:
            rows = of_class & (sources == source)
            weights[rows] = share / (len(found) * rows.sum())
    weights /= weights.sum()
    return weights


def cut_windows(
    sequences: Sequence[PoseSequence],
    *,
    thin_s: tuple[float, float] | None = None,
    seed: int = 0,
    every: int = 1,
) -> WindowSet:
    """Every window of every sequence, one per grid step (decision 8's rule, run by the engine's
    own code). Frames without a person are pushed as the engine does it: not at all.

    ``thin_s`` drops frames at random, so that those that stay are this many seconds apart: what a
    slower camera would have seen. Labels are of the whole sequence all the same. Of each
    sequence's windows only one in ``every`` is kept, the first among them: neighbours are much
    alike, and many hours of them do not fit into memory.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for sequence in sequences:
        rows = np.flatnonzero((sequence.keypoints_px[..., 2] > 0).any(axis=1))
        if thin_s is not None:
            rows = _thin(rows, sequence.times_s, thin_s, rng)
        poses, labels, end_s = _cut_one(sequence, rows)
        # Copies: a view would keep the whole sequence's windows.
        parts.append((poses[::every].copy(), labels[::every].copy(), end_s[::every].copy()))
    return _join(sequences, parts)


def join_windows(parts: Sequence[WindowSet]) -> WindowSet:
    """All windows of all parts, in order; a name may come twice."""
    offsets = np.cumsum([0, *(len(p.names) for p in parts)])
    return WindowSet(
        poses_px=np.concatenate([p.poses_px for p in parts]),
        labels=np.concatenate([p.labels for p in parts]),
        sequence=np.concatenate([p.sequence + o for p, o in zip(parts, offsets, strict=False)]),
        end_s=np.concatenate([p.end_s for p in parts]),
        names=tuple(name for p in parts for name in p.names),
    )


def label_windows(
    start_s: NDArray[np.float64], end_s: NDArray[np.float64], sequence: PoseSequence
) -> NDArray[np.int64]:
    """A window's label is that of its last pose: of the frame nearest to ``end_s`` (the earlier
    of two as near). Its frames are those between its start and its end, and the frames before and
    after between which its first and last pose were interpolated. Where any of these is NO_FALL, so
    is the window. It is UNKNOWN where any of them is, where there is a fall beside the NO_FALL, and
    where the last is HARMLESS and any of them is of an abnormal class.
    """
    times, labels = sequence.times_s, sequence.labels.astype(np.int64)
    first = np.searchsorted(times, start_s + SAME_TIME_S, side="right") - 1
    last = np.searchsorted(times, end_s - SAME_TIME_S, side="left")
    first, last = np.clip(first, 0, None), np.clip(last, None, len(times) - 1)
    before = np.clip(np.searchsorted(times, end_s + SAME_TIME_S, side="right") - 1, 0, None)
    later_is_nearer = (times[last] - end_s) < (end_s - times[before]) - SAME_TIME_S
    label = np.where(later_is_nearer, labels[last], labels[before])
    is_unclear = _any_between(labels == UNKNOWN, first, last)
    is_unclear |= (label == HARMLESS) & _any_between(np.isin(labels, ABNORMAL), first, last)
    is_no_fall = _any_between(labels == NO_FALL, first, last)
    is_unclear |= is_no_fall & _any_between(labels == FALLING, first, last)
    label = np.where(is_no_fall, NO_FALL, label)
    return np.where(is_unclear, UNKNOWN, label)


def _any_between(
    of: NDArray[np.bool_], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether any of ``of[first : last + 1]`` is true, for each pair."""
    before = np.concatenate([[0], np.cumsum(of)])
    found: NDArray[np.bool_] = before[last + 1] > before[first]
    return found


def _cut_one(
    sequence: PoseSequence, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]:
    ring = Windows(length=LENGTH, rate=RATE, joints=JOINTS, stride=1, max_gap_s=MAX_GAP_S)
    count = len(rows)
    poses, _, end_s = ring.push(
        np.ascontiguousarray(sequence.keypoints_px[rows]),
        np.ones(count, dtype=np.int64),
        stream=np.zeros(count, dtype=np.int32),
        pts=np.rint(sequence.times_s[rows] * TICKS_PER_S).astype(np.int64),
        time_base=np.tile(np.array([[1, TICKS_PER_S]], dtype=np.int32), (count, 1)),
    )
    start_s = end_s - (LENGTH - 1) * RATE[1] / RATE[0]
    return poses, label_windows(start_s, end_s, sequence), end_s


def _thin(
    rows: NDArray[np.int64],
    times_s: NDArray[np.float64],
    between_s: tuple[float, float],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    kept: list[int] = []
    due_s = -np.inf
    for row in rows:
        if times_s[row] >= due_s - SAME_TIME_S:
            kept.append(int(row))
            due_s = times_s[row] + rng.uniform(*between_s)
    return np.array(kept, dtype=np.int64)


def _join(
    sequences: Sequence[PoseSequence],
    parts: Iterable[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float64]]],
) -> WindowSet:
    parts = list(parts)
    empty = np.zeros((0, LENGTH, JOINTS, 3), dtype=np.float32)
    return WindowSet(
        poses_px=np.concatenate([empty, *(p[0] for p in parts)]),
        labels=np.concatenate([np.zeros(0, dtype=np.int64), *(p[1] for p in parts)]),
        sequence=np.repeat(np.arange(len(parts)), [len(p[1]) for p in parts]).astype(np.int64),
        end_s=np.concatenate([np.zeros(0), *(p[2] for p in parts)]),
        names=tuple(s.name for s in sequences),
    )
