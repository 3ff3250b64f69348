# SPDX-License-Identifier: Apache-2.0
"""Which true falls were reported, how soon, and which incidents were false."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.rig import LABEL_NAMES
from poseact_engine.synthetic.truth import FallTruth
from poseact_engine.training.metrics import share
from poseact_engine.training.paper import FALLING, LYING
from poseact_engine.types import ACTIONS

EARLY_S, LATE_S = 0.2, 1.5
"""A fall may be reported this long before its start and after its end."""
BACK_S = 0.5
"""An incident is right if its action was true at some time in so many seconds before it: windows
look back 0.27 s, and some of them have to agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """What one person did."""

    times_s: NDArray[np.float64]
    """float64 ``[T]``, increasing, 1 or more."""
    labels: NDArray[np.int8]
    """int8 ``[T]``: index into ACTIONS, UNKNOWN, HARMLESS or NO_FALL."""

    def at(self, time_s: float) -> int:
        """The label of the nearest time."""
        return int(self.labels[int(np.abs(self.times_s - time_s).argmin())])

    def had(self, label: int, start_s: float, end_s: float) -> bool:
        inside = (self.times_s >= start_s) & (self.times_s <= end_s)
        return bool((self.labels[inside] == label).any())


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An incident that was reported: its first message."""

    person: int | None
    """Whose track it was; None: nobody's."""
    action: str
    time_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FallOutcome:
    """What became of a true fall."""

    scene: str
    fall: FallTruth
    falling_s: float | None
    """Time of the first ``falling_down`` of that person in time; None: it was missed."""
    lying_s: float | None
    """The same of ``lying_down``."""

    @property
    def delay_s(self) -> float | None:
        """From the true start to the ``falling_down``; below 0 where it came early."""
        return None if self.falling_s is None else self.falling_s - self.fall.start_s


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseIncident:
    """An incident that nothing true belongs to."""

    scene: str
    action: str
    time_s: float
    person: int | None
    during: str
    """The person's true action then, ``unknown``, ``harmless``, ``no_fall``, or ``nobody``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentScores:
    """Of one scene or of many."""

    falls: tuple[FallOutcome, ...] = ()
    false: tuple[FalseIncident, ...] = ()
    told: int = 0
    """Incidents reported."""
    named_right: int = 0
    """Those that are not false."""
    hours: float = 0.0
    """Hours of scenes."""

    @property
    def fall_recall(self) -> float:
        """Share of falls with a ``falling_down``; NaN without falls."""
        return share(sum(f.falling_s is not None for f in self.falls), len(self.falls))

    @property
    def fall_recall_any(self) -> float:
        """Share of falls with a ``falling_down`` or ``lying_down``."""
        some = sum(f.falling_s is not None or f.lying_s is not None for f in self.falls)
        return share(some, len(self.falls))

    @property
    def delays_s(self) -> NDArray[np.float64]:
        return np.array([f.delay_s for f in self.falls if f.delay_s is not None], np.float64)

    @property
    def median_delay_s(self) -> float:
        return float(np.median(self.delays_s)) if len(self.delays_s) else np.nan

    @property
    def accuracy(self) -> float:
        """Share of incidents that are right."""
        return share(self.named_right, self.told)

    def false_per_hour(self, *actions: str) -> float:
        """Of these actions; NaN of no time at all."""
        return share(sum(f.action in actions for f in self.false), self.hours)

    def false_during(self, action: str) -> dict[str, int]:
        """False incidents of an action by what the person truly did."""
        found: dict[str, int] = {}
        for incident in self.false:
            if incident.action == action:
                found[incident.during] = found.get(incident.during, 0) + 1
        return dict(sorted(found.items()))


def score_incidents(
    scene: str,
    told: Sequence[Told],
    falls: Sequence[FallTruth],
    people: Mapping[int, Activity],
    *,
    seconds: float,
) -> IncidentScores:
    """Of one scene that lasts ``seconds``.

    A fall is reported by the first ``falling_down`` of its person from EARLY_S before its start to
    LATE_S after its end. An incident is right if it reports a fall (``lying_down`` may, too), or if
    its person did what it says within BACK_S before; all others are false.
    """
    false = tuple(
        FalseIncident(
            scene=scene,
            action=t.action,
            time_s=t.time_s,
            person=t.person,
            during=_during(t, people),
        )
        for t in told
        if not _is_right(t, falls, people)
    )
    return IncidentScores(
        falls=tuple(
            FallOutcome(
                scene=scene,
                fall=fall,
                falling_s=_first(told, fall, FALLING),
                lying_s=_first(told, fall, LYING),
            )
            for fall in falls
        ),
        false=false,
        told=len(told),
        named_right=len(told) - len(false),
        hours=seconds / 3600,
    )


def join_incidents(parts: Iterable[IncidentScores]) -> IncidentScores:
    """Of all scenes together."""
    parts = list(parts)
    return IncidentScores(
        falls=tuple(f for p in parts for f in p.falls),
        false=tuple(f for p in parts for f in p.false),
        told=sum(p.told for p in parts),
        named_right=sum(p.named_right for p in parts),
        hours=sum(p.hours for p in parts),
    )


def _reports(told: Told, fall: FallTruth) -> bool:
    in_time = fall.start_s - EARLY_S <= told.time_s <= fall.end_s + LATE_S
    return in_time and told.person == fall.id


def _first(told: Sequence[Told], fall: FallTruth, action: int) -> float | None:
    times = [t.time_s for t in told if t.action == ACTIONS[action] and _reports(t, fall)]
    return min(times, default=None)


def _is_right(told: Told, falls: Sequence[FallTruth], people: Mapping[int, Activity]) -> bool:
    is_fall = told.action in (ACTIONS[FALLING], ACTIONS[LYING])
    if is_fall and any(_reports(told, fall) for fall in falls):
        return True
    person = None if told.person is None else people.get(told.person)
    if person is None or told.action not in ACTIONS:
        return False
    label = ACTIONS.index(told.action)
    return person.had(label, told.time_s - BACK_S, told.time_s)


def _during(told: Told, people: Mapping[int, Activity]) -> str:
    person = None if told.person is None else people.get(told.person)
    return "nobody" if person is None else LABEL_NAMES[person.at(told.time_s)]
