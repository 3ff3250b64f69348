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
from poseact_engine.evaluation.mot_metrics import pair_boxes
from poseact_engine.evaluation.owners import Owners
from poseact_engine.synthetic.truth import FallTruth, FrameTruth
from poseact_engine.types import ACTIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonTruth:
    """One person of a scene in the T frames that show it, in their order."""

    id: int
    frames: NDArray[np.int64]
    times_s: NDArray[np.float64]
    boxes_px: NDArray[np.float32]
    """float32 ``[T, 4]``."""
    actions: NDArray[np.int8]
    """int8 ``[T]``: index into ACTIONS, UNKNOWN, HARMLESS or NO_FALL."""


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
    later_s: Mapping[str, float]
    """Of those that are not so when they are reported: when it becomes so, before they are over."""
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
    """By the rules of ``poseact eval world``: whose a track is (``evaluation/owners.py``), which
    falls it reported and which incidents are right (``evaluation/incident_scores.py``)."""
    owners, people = _follow(tracks, truth)
    by_id = {track.id: track for track in tracks}
    told = {
        one.name: Told(
            person=_owner(owners, by_id.get(one.track), one.told_s),
            action=one.action,
            time_s=one.told_s,
        )
        for one in incidents
    }
    falls = sorted(truth.falls, key=lambda fall: fall.start_s)
    activities = {p.id: Activity(times_s=p.times_s, labels=p.actions) for p in truth.people}
    right = {
        name: not score_incidents("", [one], falls, activities, seconds=0.0).false
        for name, one in told.items()
    }
    later = {
        one.name: _became_true(activities, told[one.name], one.end_s)
        for one in incidents
        if not right[one.name]
    }
    outcomes = score_incidents("", list(told.values()), falls, activities, seconds=0.0).falls
    return Comparison(
        falls=outcomes,
        right=right,
        later_s={name: time_s for name, time_s in later.items() if time_s is not None},
        people=people,
    )


def _became_true(activities: Mapping[int, Activity], told: Told, end_s: float) -> float | None:
    """The first time after it was told, no later than ``end_s``, at which it is so."""
    activity = None if told.person is None else activities.get(told.person)
    if activity is None or told.action not in ACTIONS:
        return None
    times = activity.times_s
    after = (times > told.time_s) & (times <= end_s)
    found = np.flatnonzero(after & (activity.labels == ACTIONS.index(told.action)))
    return float(times[found[0]]) if len(found) else None


def _owner(owners: Owners, track: TrackRecord | None, time_s: float) -> int | None:
    if track is None:
        return None
    return owners.at(track.id, float(track.times_s[np.abs(track.times_s - time_s).argmin()]))


def _follow(
    tracks: Sequence[TrackRecord], truth: SceneTruth
) -> tuple[Owners, dict[int, int | None]]:
    """Whose each track was at any time, and whom it followed most of the time."""
    true: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}
    for one in truth.people:
        for frame, box in zip(one.frames.tolist(), one.boxes_px, strict=True):
            true.setdefault(frame, []).append((one.id, box))
    found: dict[int, list[tuple[int, float, NDArray[np.float32]]]] = {}
    for track in tracks:
        rows = zip(track.frames.tolist(), track.times_s.tolist(), track.boxes_px, strict=True)
        for frame, time_s, box in rows:
            found.setdefault(frame, []).append((track.id, time_s, box))
    owners = Owners()
    votes: dict[int, Counter[int | None]] = {track.id: Counter() for track in tracks}
    for frame, boxes in sorted(found.items()):
        person_of = _pairs(true.get(frame, []), [box for *_, box in boxes])
        for place, (track_id, time_s, _) in enumerate(boxes):
            person = person_of.get(place)
            votes[track_id][person] += 1
            if person is not None:
                owners.add(track_id, time_s, person)
    return owners, {track: count.most_common(1)[0][0] for track, count in votes.items()}


def _pairs(
    people: Sequence[tuple[int, NDArray[np.float32]]], boxes: Sequence[NDArray[np.float32]]
) -> dict[int, int]:
    """Place of a track's box to the person it is on, in one frame."""
    if not people:
        return {}
    pairs = pair_boxes(np.stack([box for _, box in people]), np.stack(boxes))
    return {int(at): person for (person, _), at in zip(people, pairs, strict=True) if at >= 0}
