# SPDX-License-Identifier: Apache-2.0
"""What the engine found in one made scene, against what is true of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poseact_engine.evaluation.incident_scores import (
    Activity,
    IncidentScores,
    Told,
    score_incidents,
)
from poseact_engine.evaluation.mot_metrics import MotCounts, TrackedFrame, count_tracks, pair_boxes
from poseact_engine.evaluation.owners import Owners
from poseact_engine.evaluation.pck import count_near
from poseact_engine.synthetic.noise import SEEN
from poseact_engine.synthetic.truth import FallTruth, FrameTruth
from poseact_engine.training.keypoints import HARMLESS, PoseSequence
from poseact_engine.training.windows import label_windows
from poseact_engine.types import ACTIONS, Event

LEAST_SIDE_PX = 60
"""People whose box has a longer side of this (it is the height of all but those who lie) and of
whom LEAST_VISIBLE is in the picture with nothing before it are to be found; the rest may be."""
LEAST_VISIBLE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFrame:
    """What was found in one frame: N boxes of the detector, M tracks with their poses."""

    detected_px: NDArray[np.float32]
    """float32 ``[N, 4]``."""
    ids: NDArray[np.int64]
    """int64 ``[M]``."""
    boxes_px: NDArray[np.float32]
    """float32 ``[M, 4]``."""
    scores: NDArray[np.float32]
    """float32 ``[M]``."""
    keypoints_px: NDArray[np.float32]
    """float32 ``[M, 17, 3]``."""


@dataclass(slots=True, kw_only=True)
class SceneRecord:
    """Everything found in a scene so far, frame by frame, beside its truth."""

    name: str
    size: tuple[int, int]
    """Width and height of the pictures."""
    length_s: float
    """From the first pose of a window to its last."""
    truths: list[FrameTruth] = field(default_factory=list)
    found: list[FoundFrame] = field(default_factory=list)
    window_frame: list[int] = field(default_factory=list)
    """Index of the frame that completed each window."""
    window_track: list[int] = field(default_factory=list)
    window_end_s: list[float] = field(default_factory=list)
    said: list[int] = field(default_factory=list)
    """Index into ACTIONS of each window's most probable class."""
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneScores:
    """Counts of one scene; those of several add up (see ``world_report``)."""

    name: str
    frames: int
    people: int
    """Boxes of people who are to be found, over all frames."""
    detected: int
    """Of them, those that a box of the detector overlaps by IoU 0.5."""
    tracked: int
    """Those that a track's box does."""
    joints: NDArray[np.int64]
    """int64 ``[17]``: joints in view of people who are to be found."""
    joints_posed: NDArray[np.int64]
    """int64 ``[17]``: those of them on people who have a track."""
    joints_near: NDArray[np.int64]
    """int64 ``[17]``: found within 0.1 of the box."""
    mot: MotCounts
    confusion: NDArray[np.int64]
    """int64 ``[C, C]``, rows the truth: windows of people who are to be found."""
    confusion_all: NDArray[np.int64]
    """The same of all people."""
    harmless: NDArray[np.int64]
    """int64 ``[C]``: what was said of windows of harmless actions."""
    windows_of_nobody: int
    incidents: IncidentScores


def score_scene(record: SceneRecord, falls: Sequence[FallTruth], *, seconds: float) -> SceneScores:
    """Raises nothing; a scene without people gives zeros."""
    wanted = [is_wanted(truth) for truth in record.truths]
    pairs = [_pairs(t, f.boxes_px) for t, f in zip(record.truths, record.found, strict=True)]
    detected = sum(
        int((_pairs(t, f.detected_px)[w] >= 0).sum())
        for t, f, w in zip(record.truths, record.found, wanted, strict=True)
    )
    joints, posed, near = _joints(record, wanted, pairs)
    owners = _owners(record, pairs)
    activities = _activities(record.truths)
    confusion, confusion_all, harmless, nobody = _windows(record, wanted, owners, activities)
    return SceneScores(
        name=record.name,
        frames=len(record.truths),
        people=sum(int(w.sum()) for w in wanted),
        detected=detected,
        tracked=sum(int((p[w] >= 0).sum()) for p, w in zip(pairs, wanted, strict=True)),
        joints=joints,
        joints_posed=posed,
        joints_near=near,
        mot=count_tracks(_tracked(record, wanted)),
        confusion=confusion,
        confusion_all=confusion_all,
        harmless=harmless,
        windows_of_nobody=nobody,
        incidents=score_incidents(
            record.name, _told(record, owners), falls, activities, seconds=seconds
        ),
    )


def is_wanted(truth: FrameTruth) -> NDArray[np.bool_]:
    """bool ``[P]``: who is to be found."""
    sides = truth.boxes_px[:, 2:] - truth.boxes_px[:, :2]
    wanted: NDArray[np.bool_] = (sides.max(axis=1, initial=0.0) >= LEAST_SIDE_PX) & (
        truth.visible >= LEAST_VISIBLE
    )
    return wanted


def _pairs(truth: FrameTruth, boxes_px: NDArray[np.float32]) -> NDArray[np.int64]:
    return pair_boxes(truth.boxes_px, boxes_px)


def _joints(
    record: SceneRecord, wanted: list[NDArray[np.bool_]], pairs: list[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """int64 ``[17]``: joints in view, those on people with a track, and those found near enough."""
    total, posed, near = np.zeros((3, 17), np.int64)
    for truth, found, want, pair in zip(record.truths, record.found, wanted, pairs, strict=True):
        seen = truth.keypoints_px[..., 2] == SEEN
        total += seen[want].sum(axis=0)
        rows = np.flatnonzero(want & (pair >= 0))
        hits, there = count_near(
            truth.keypoints_px[rows],
            found.keypoints_px[pair[rows]],
            truth.boxes_px[rows],
            seen[rows],
        )
        near += hits
        posed += there
    return total, posed, near


def _tracked(record: SceneRecord, wanted: list[NDArray[np.bool_]]) -> list[TrackedFrame]:
    return [
        TrackedFrame(
            true_ids=truth.ids,
            true_boxes_px=truth.boxes_px,
            counts=want,
            ids=found.ids,
            boxes_px=found.boxes_px,
        )
        for truth, found, want in zip(record.truths, record.found, wanted, strict=True)
    ]


def _owners(record: SceneRecord, pairs: list[NDArray[np.int64]]) -> Owners:
    owners = Owners()
    for truth, found, pair in zip(record.truths, record.found, pairs, strict=True):
        for p in np.flatnonzero(pair >= 0):
            owners.add(int(found.ids[pair[p]]), truth.time_s, int(truth.ids[p]))
    return owners


def _activities(truths: Sequence[FrameTruth]) -> dict[int, Activity]:
    seen: dict[int, list[tuple[float, int]]] = {}
    for truth in truths:
        for person, action in zip(truth.ids.tolist(), truth.actions.tolist(), strict=True):
            seen.setdefault(person, []).append((truth.time_s, action))
    return {
        person: Activity(
            times_s=np.array([t for t, _ in rows]), labels=np.array([a for _, a in rows], np.int8)
        )
        for person, rows in seen.items()
    }


def _windows(
    record: SceneRecord,
    wanted: list[NDArray[np.bool_]],
    owners: Owners,
    activities: Mapping[int, Activity],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """Confusion of people to be found, of all, what harmless windows were called, and of nobody."""
    count = len(ACTIONS)
    confusion, confusion_all = np.zeros((2, count, count), np.int64)
    harmless, nobody = np.zeros(count, np.int64), 0
    by_person: dict[int, list[int]] = {}
    for row, (frame, track) in enumerate(
        zip(record.window_frame, record.window_track, strict=True)
    ):
        person = owners.at(track, record.truths[frame].time_s)
        if person is None:
            nobody += 1
        else:
            by_person.setdefault(person, []).append(row)
    ends, said = np.array(record.window_end_s), np.array(record.said, np.int64)
    for person, rows in by_person.items():
        true = label_windows(
            ends[rows] - record.length_s, ends[rows], _as_sequence(activities[person])
        )
        to_find = np.array(
            [_was_wanted(record, wanted, record.window_frame[r], person) for r in rows]
        )
        labelled = true >= 0
        np.add.at(confusion_all, (true[labelled], said[rows][labelled]), 1)
        labelled &= to_find
        np.add.at(confusion, (true[labelled], said[rows][labelled]), 1)
        harmless += np.bincount(said[rows][true == HARMLESS], minlength=count)
    return confusion, confusion_all, harmless, nobody


def _was_wanted(
    record: SceneRecord, wanted: list[NDArray[np.bool_]], frame: int, person: int
) -> bool:
    return bool(wanted[frame][record.truths[frame].ids == person].any())


def _as_sequence(activity: Activity) -> PoseSequence:
    """Its times and labels; no poses."""
    return PoseSequence(
        name="truth",
        keypoints_px=np.zeros((len(activity.times_s), 17, 3), np.float32),
        labels=activity.labels,
        times_s=activity.times_s,
        size=(1, 1),
    )


def _told(record: SceneRecord, owners: Owners) -> list[Told]:
    times_s = np.array([truth.time_s for truth in record.truths])
    return [
        Told(
            person=owners.at(event.track, float(times_s[np.abs(times_s - event.time_s).argmin()])),
            action=event.action,
            time_s=event.time_s,
        )
        for event in record.events
        if event.kind == "new"
    ]
