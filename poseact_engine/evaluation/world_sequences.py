# SPDX-License-Identifier: Apache-2.0
"""The action model and the incidents on hours of made pose sequences, no picture in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseact_engine.action import ActionStage
from poseact_engine.config import ActionConfig, IncidentConfig
from poseact_engine.evaluation.action_eval import class_order
from poseact_engine.evaluation.incident_scores import (
    Activity,
    IncidentScores,
    Told,
    join_incidents,
    score_incidents,
)
from poseact_engine.evaluation.walk import OnProgress, Where, check_finite
from poseact_engine.incidents import Incidents
from poseact_engine.synthetic.noise import PoseNoise
from poseact_engine.synthetic.rig import HARMLESS
from poseact_engine.synthetic.sequences import MadeSequence, SequencesConfig, pose_sequences
from poseact_engine.synthetic.truth import FallTruth
from poseact_engine.training.made_sequences import as_pose_sequence
from poseact_engine.training.windows import WindowSet, cut_windows
from poseact_engine.types import ACTIONS, Event, Tracks, WindowBatch

TOGETHER = 64
"""Sequences whose windows are in memory at a time."""
AFTER_S = 1.0
"""A fall can be reported if its person was found in half of the frames from its start to so long
after its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencesReport:
    """What came of the sequences."""

    sequences: int
    hours: float
    confusion: NDArray[np.int64]
    """int64 ``[C, C]`` of windows, rows the truth."""
    harmless: NDArray[np.int64]
    """int64 ``[C]``: what was said of windows of harmless actions."""
    incidents: IncidentScores
    falls_unseen: int
    """Falls out of the picture, of which nobody can tell; they are in no other figure."""
    sha256: str
    backend: str


@dataclass(slots=True)
class _Counts:
    confusion: NDArray[np.int64]
    harmless: NDArray[np.int64]
    unseen: int = 0


def evaluate_sequences(
    action: Path,
    where: Where,
    *,
    seed: int,
    hours: float,
    noise: PoseNoise,
    on_progress: OnProgress | None = None,
) -> SequencesReport:
    """One person, one camera each; as many as last ``hours``. Raises what opening raises."""
    classes = len(ACTIONS)
    counts = _Counts(np.zeros((classes, classes), np.int64), np.zeros(classes, np.int64))
    scores: list[IncidentScores] = []
    made = pose_sequences(seed, hours=hours, config=SequencesConfig(noise=noise))
    with closing(where.open(action, "action")) as model:
        order = class_order(action, model.manifest)
        stage = ActionStage(model, ActionConfig(model=action))
        while part := list(islice(made, TOGETHER)):
            windows = cut_windows([as_pose_sequence(s) for s in part])
            found = stage.classify(windows.poses_px)
            check_finite(model, found)
            _count(counts, windows, found[:, order].argmax(axis=1))
            told = incidents_told(len(part), windows, found, stage.classes)
            scores += [_score(counts, s, t) for s, t in zip(part, told, strict=True)]
            if on_progress is not None:
                done_s = 3600 * sum(s.hours for s in scores)
                on_progress(min(round(done_s), round(3600 * hours)), round(3600 * hours))
        incidents = join_incidents(scores)
        return SequencesReport(
            sequences=len(scores),
            hours=incidents.hours,
            confusion=counts.confusion,
            harmless=counts.harmless,
            incidents=incidents,
            falls_unseen=counts.unseen,
            sha256=model.manifest.sha256,
            backend=model.backend,
        )


def _count(counts: _Counts, windows: WindowSet, said: NDArray[np.int64]) -> None:
    known = windows.labels >= 0
    np.add.at(counts.confusion, (windows.labels[known], said[known]), 1)
    counts.harmless += np.bincount(said[windows.labels == HARMLESS], minlength=len(ACTIONS))


def incidents_told(
    sequences: int, windows: WindowSet, found: NDArray[np.float32], classes: tuple[str, ...]
) -> list[list[Told]]:
    """Incidents of each sequence, by the stage that the engine runs; a sequence is a stream."""
    stage = Incidents(IncidentConfig(), classes)
    count = len(windows)
    stream = windows.sequence.astype(np.int32)
    batch = WindowBatch(
        poses_px=windows.poses_px,
        row=np.arange(count, dtype=np.int32),
        stream=stream,
        ids=np.ones(count, np.int64),
        end_s=windows.end_s,
    )
    tracks = Tracks(
        boxes_px=np.zeros((count, 4), np.float32),
        scores=np.ones(count, np.float32),
        ids=np.ones(count, np.int64),
        frame=np.arange(count, dtype=np.int32),
        stream=stream,
        observed=np.ones(count, np.bool_),
        ended_stream=np.zeros(0, np.int32),
        ended_ids=np.zeros(0, np.int64),
    )
    told: list[list[Told]] = [[] for _ in range(sequences)]
    for event in _new(stage(batch, found, tracks)):
        told[event.stream].append(Told(person=1, action=event.action, time_s=event.time_s))
    return told


def _new(events: Sequence[Event]) -> Iterator[Event]:
    return (event for event in events if event.kind == "new")


def _score(counts: _Counts, sequence: MadeSequence, told: Sequence[Told]) -> IncidentScores:
    falls = [fall for fall in sequence.falls if _is_seen(sequence, fall)]
    unseen = [fall for fall in sequence.falls if fall not in falls]
    counts.unseen += len(unseen)
    return score_incidents(
        sequence.name,
        told,
        falls,
        {1: Activity(times_s=sequence.times_s, labels=sequence.labels)},
        seconds=sequence.seconds,
    )


def _is_seen(sequence: MadeSequence, fall: FallTruth) -> bool:
    times = sequence.times_s
    during = (times >= fall.start_s) & (times <= fall.end_s + AFTER_S)
    found = (sequence.keypoints_px[during, :, 2] > 0).any(axis=1)
    return bool(found.size) and float(found.mean()) >= 0.5
