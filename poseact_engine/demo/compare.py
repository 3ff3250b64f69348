# SPDX-License-Identifier: Apache-2.0
"""What a run found beside what truly happened in the made scene it watched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.demo.record import Incident, TrackRecord
from poseact_engine.evaluation.incident_scores import (
    Activity,
    FallOutcome,
    Told,
    score_incidents,
)
from poseact_engine.synthetic.truth import FallTruth, FrameTruth

LEAST_IOU = 0.3
"""A box that overlaps nobody by this much is nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonTruth:
    """One person of a scene in the T frames that show it, in their order."""

    id: int
    frames: NDArray[np.int64]
    times_s: NDArray[np.float64]
    boxes_px: NDArray[np.float32]
    """float32 ``[T, 4]``."""
    actions: NDArray[np.int8]
    """int8 ``[T]``: index into ACTIONS, UNKNOWN or HARMLESS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneTruth:
    """All that a comparison needs of one scene."""

    people: tuple[PersonTruth, ...]
    falls: tuple[FallTruth, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One stream's run beside its truth."""

    falls: tuple[FallOutcome, ...]
    """In the order of their starts."""
    right: Mapping[str, bool]
    """Incident to whether what it says is so."""
    people: Mapping[int, int | None]
    """Track to the person it followed most of the time; None: nobody."""

    @property
    def told(self) -> int:
        """Falls that were reported."""
        return sum(fall.falling_s is not None for fall in self.falls)

    @property
    def false(self) -> int:
        """Incidents that are not so."""
        return sum(not right for right in self.right.values())


def gather_truth(frames: Iterable[FrameTruth], falls: Sequence[FallTruth]) -> SceneTruth:
    rows: dict[int, list[tuple[int, float, NDArray[np.float32], int]]] = {}
    for frame in frames:
        people = zip(frame.ids.tolist(), frame.boxes_px, frame.actions.tolist(), strict=True)
        for person, box, action in people:
            rows.setdefault(person, []).append((frame.index, frame.time_s, box, action))
    people_seen = (
        PersonTruth(
            id=person,
            frames=np.array([row[0] for row in mine], np.int64),
            times_s=np.array([row[1] for row in mine], np.float64),
            boxes_px=np.array([row[2] for row in mine], np.float32),
            actions=np.array([row[3] for row in mine], np.int8),
        )
        for person, mine in sorted(rows.items())
    )
    return SceneTruth(people=tuple(people_seen), falls=tuple(falls))


def compare(
    tracks: Sequence[TrackRecord], incidents: Sequence[Incident], truth: SceneTruth
) -> Comparison:
    """By the rules of ``poseact eval world`` (see ``evaluation/incident_scores.py``)."""
    people = {track.id: _followed(track, truth) for track in tracks}
    by_id = {track.id: track for track in tracks}
    told = {
        one.name: Told(
            person=_person_at(by_id.get(one.track), one.told_s, truth) or people.get(one.track),
            action=one.action,
            time_s=one.told_s,
        )
        for one in incidents
    }
    falls = sorted(truth.falls, key=lambda fall: fall.start_s)
    activities = {p.id: Activity(times_s=p.times_s, labels=p.actions) for p in truth.people}
    outcomes = score_incidents("", list(told.values()), falls, activities, seconds=0.0).falls
    alone = {
        name: score_incidents("", [one], falls, activities, seconds=0.0)
        for name, one in told.items()
    }
    return Comparison(
        falls=outcomes,
        right={name: not scores.false for name, scores in alone.items()},
        people=people,
    )


def _person_at(track: TrackRecord | None, time_s: float, truth: SceneTruth) -> int | None:
    if track is None:
        return None
    row = int(np.abs(track.times_s - time_s).argmin())
    return _nearest(int(track.frames[row]), track.boxes_px[row], truth)


def _nearest(frame: int, box: NDArray[np.float32], truth: SceneTruth) -> int | None:
    best, person = LEAST_IOU, None
    for one in truth.people:
        at = int(np.searchsorted(one.frames, frame))
        if at < len(one.frames) and one.frames[at] == frame:
            overlap = _iou(box, one.boxes_px[at])
            if overlap >= best:
                best, person = overlap, one.id
    return person


def _iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    total = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared
    return shared / total if total > 0 else 0.0


def _followed(track: TrackRecord, truth: SceneTruth) -> int | None:
    votes = Counter(
        _nearest(frame, box, truth)
        for frame, box in zip(track.frames.tolist(), track.boxes_px, strict=True)
    )
    return votes.most_common(1)[0][0]
