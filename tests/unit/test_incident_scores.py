# SPDX-License-Identifier: Apache-2.0
"""Falls reported and missed, delays and false incidents, of cases whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from poseact_engine.evaluation.incident_scores import (
    Activity,
    IncidentScores,
    Told,
    join_incidents,
    score_incidents,
)
from poseact_engine.synthetic.rig import HARMLESS, UNKNOWN
from poseact_engine.synthetic.truth import FallTruth
from poseact_engine.types import ACTIONS

FALLING, WALKING, STANDING, LYING = (
    ACTIONS.index(name) for name in ("falling_down", "walking", "standing", "lying_down")
)
FALL = FallTruth(id=1, start_s=3.0, end_s=3.8)


def _activity(*parts: tuple[float, int]) -> Activity:
    """Ten seconds at 10 Hz; each part is a label and when it begins."""
    times = np.arange(100) / 10
    labels = np.zeros(100, np.int8)
    for start, label in parts:
        labels[times >= start - 1e-9] = label
    return Activity(times_s=times, labels=labels)


FELL = _activity((0, WALKING), (3.0, FALLING), (3.8, LYING))
SAT = _activity((0, STANDING), (2.0, UNKNOWN), (4.0, HARMLESS), (8.0, STANDING))


def _score(*told: Told, falls: tuple[FallTruth, ...] = (FALL,)) -> IncidentScores:
    return score_incidents("a", told, falls, {1: FELL, 2: SAT}, seconds=36.0)


def _falling(time_s: float, person: int | None = 1) -> Told:
    return Told(person=person, action="falling_down", time_s=time_s)


def test_a_fall_that_is_reported_has_its_delay() -> None:
    scores = _score(_falling(3.6), Told(person=1, action="lying_down", time_s=4.4))
    (outcome,) = scores.falls
    assert (outcome.falling_s, outcome.lying_s) == (3.6, 4.4)
    assert outcome.delay_s == pytest.approx(0.6)
    assert (scores.fall_recall, scores.accuracy, scores.false) == (1.0, 1.0, ())
    assert scores.median_delay_s == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("time_s", "reported"), [(2.7, False), (2.85, True), (5.2, True), (5.4, False)]
)
def test_a_report_counts_from_just_before_the_fall_to_a_while_after(
    time_s: float, reported: bool
) -> None:
    scores = _score(_falling(time_s))
    assert scores.fall_recall == float(reported)
    assert len(scores.false) == (not reported)


def test_another_persons_incident_reports_no_fall() -> None:
    scores = _score(_falling(3.6, person=2), _falling(3.6, person=None))
    assert scores.fall_recall == 0
    assert [f.during for f in scores.false] == ["unknown", "nobody"]
    assert math.isnan(scores.median_delay_s)


def test_lying_reports_a_fall_for_the_second_figure_alone() -> None:
    scores = _score(Told(person=1, action="lying_down", time_s=4.5))
    assert scores.fall_recall == 0
    assert scores.fall_recall_any == 1
    assert scores.false == ()


def test_false_incidents_are_counted_by_the_hour_and_by_what_was_done() -> None:
    scores = _score(
        _falling(5.0, person=2),  # sits
        _falling(7.0, person=2),
        _falling(1.0),  # walks
        Told(person=2, action="lying_down", time_s=9.5),
        falls=(),
    )
    assert scores.hours == pytest.approx(0.01)
    assert scores.false_per_hour("falling_down") == pytest.approx(300)
    assert scores.false_per_hour("falling_down", "lying_down") == pytest.approx(400)
    assert scores.false_during("falling_down") == {"harmless": 2, "walking": 1}
    assert scores.false_during("lying_down") == {"standing": 1}
    assert scores.accuracy == 0


def test_what_was_true_a_moment_ago_is_right() -> None:
    """A fall too near the end of a scene to have to be reported is no false one either."""
    scores = _score(_falling(4.2), falls=())
    assert scores.false == ()
    assert len(_score(_falling(4.5), falls=()).false) == 1


def test_lying_from_the_start_is_right() -> None:
    lies = {1: _activity((0, LYING))}
    told = [Told(person=1, action="lying_down", time_s=0.6)]
    assert score_incidents("a", told, (), lies, seconds=10).accuracy == 1


def test_scenes_join() -> None:
    one, two = _score(_falling(3.5)), _score(_falling(3.9), _falling(9.0, person=2))
    none = _score()
    both = join_incidents([one, two, none])
    assert both.fall_recall == pytest.approx(2 / 3)
    assert both.median_delay_s == pytest.approx(0.7)
    assert both.false_per_hour("falling_down") == pytest.approx(1 / 0.03)
    assert both.accuracy == pytest.approx(2 / 3)


def test_without_falls_and_time_there_is_no_figure() -> None:
    nothing = join_incidents([])
    assert math.isnan(nothing.fall_recall)
    assert math.isnan(nothing.false_per_hour("falling_down"))
