# SPDX-License-Identifier: Apache-2.0
"""What the demo says of a run beside the truth: scenes whose answers can be read off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poseact_engine.demo.compare import SceneTruth, compare, gather_truth
from poseact_engine.demo.record import NO_ACTION, Incident, Recorder, TrackRecord
from poseact_engine.errors import SinkError
from poseact_engine.synthetic.rig import HARMLESS, UNKNOWN
from poseact_engine.synthetic.truth import FallTruth, FrameTruth
from poseact_engine.types import ACTIONS
from tests.unit.made_steps import CLASSES, grey_frame, make_event, make_run, make_step

RATE = 30
WALKING, FALLING, LYING = (ACTIONS.index(a) for a in ("walking", "falling_down", "lying_down"))


def box_of(person: int, frame: int) -> list[float]:
    """People stand 200 px apart and drift; a box is 40 x 100."""
    x = 200.0 * person + 0.5 * frame
    return [x, 50.0, x + 40.0, 150.0]


def scene(actions: dict[int, list[int]], falls: list[FallTruth] | None = None) -> SceneTruth:
    """One action a frame for each person."""
    length = len(next(iter(actions.values())))
    frames = [
        FrameTruth(
            index=i,
            time_s=i / RATE,
            ids=np.array(list(actions), np.int64),
            boxes_px=np.array([box_of(p, i) for p in actions], np.float32),
            full_boxes_px=np.array([box_of(p, i) for p in actions], np.float32),
            visible=np.ones(len(actions), np.float32),
            areas_px=np.full(len(actions), 2000, np.float32),
            keypoints_px=np.zeros((len(actions), 17, 3), np.float32),
            actions=np.array([a[i] for a in actions.values()], np.int8),
        )
        for i in range(length)
    ]
    return gather_truth(frames, falls or [])


def track(number: int, person: int, frames: range, *, shift: float = 3.0) -> TrackRecord:
    boxes = np.array([box_of(person, i) for i in frames], np.float32) + np.float32(shift)
    return TrackRecord(
        stream=0,
        id=number,
        frames=np.array(frames, np.int64),
        times_s=np.array(frames) / RATE,
        boxes_px=boxes,
        actions=np.full(len(frames), WALKING, np.int8),
    )


def incident(number: int, action: str, told_s: float, *, name: str = "") -> Incident:
    return Incident(
        name=name or f"0-{number}-{action}-{told_s}",
        stream=0,
        track=number,
        action=action,
        start_s=told_s - 0.25,
        told_s=told_s,
        end_s=told_s + 1,
        score=0.9,
        box_px=None,
    )


FALLS = [WALKING] * 60 + [FALLING] * 30 + [LYING] * 90
TRUE_FALL = FallTruth(id=2, start_s=2.0, end_s=3.0)


@pytest.mark.parametrize(
    ("told_s", "counts"),
    [(1.7, False), (1.85, True), (2.6, True), (4.4, True), (4.6, False)],
)
def test_a_fall_is_reported_from_just_before_it_to_soon_after(told_s: float, counts: bool) -> None:
    truth = scene({1: [WALKING] * 180, 2: FALLS}, [TRUE_FALL])
    told = [incident(7, "falling_down", told_s)]
    found = compare([track(7, 2, range(180))], told, truth)
    assert (found.told, found.false) == ((1, 0) if counts else (0, 1))
    assert found.falls[0].delay_s == (pytest.approx(told_s - 2.0) if counts else None)


def test_a_report_of_another_person_is_no_report_of_the_fall() -> None:
    truth = scene({1: [WALKING] * 180, 2: FALLS}, [TRUE_FALL])
    tracks = [track(5, 1, range(180)), track(7, 2, range(180))]
    found = compare(tracks, [incident(5, "falling_down", 2.5)], truth)
    assert (found.told, found.false) == (0, 1)
    assert found.people == {5: 1, 7: 2}


def test_lying_is_right_where_the_person_lay_and_is_shown_beside_a_missed_fall() -> None:
    truth = scene({1: [WALKING] * 180, 2: FALLS}, [TRUE_FALL])
    tracks = [track(5, 1, range(180)), track(7, 2, range(180))]
    told = [incident(7, "lying_down", 3.6), incident(5, "lying_down", 3.6)]
    found = compare(tracks, told, truth)
    assert [found.right[i.name] for i in told] == [True, False]
    assert (found.falls[0].falling_s, found.falls[0].lying_s) == (None, 3.6)


def test_sitting_that_is_called_lying_is_false() -> None:
    truth = scene({1: [HARMLESS] * 90 + [UNKNOWN] * 90})
    told = [incident(5, "lying_down", 2.0), incident(5, "lying_down", 5.0)]
    found = compare([track(5, 1, range(180))], told, truth)
    assert found.false == 2


@pytest.mark.parametrize(("lies_from", "later"), [(40, {"a": 40 / 30}), (75, {})])
def test_a_report_of_what_is_so_only_later_is_false_and_says_when(
    lies_from: int, later: dict[str, float]
) -> None:
    """Over at 2 s; who lies down after that did not lie while it was said."""
    truth = scene({1: [UNKNOWN] * lies_from + [LYING] * (90 - lies_from)})
    told = replace(incident(1, "lying_down", 1.0, name="a"), end_s=2.0)
    found = compare([track(1, 1, range(90))], [told], truth)
    assert not found.right["a"]
    assert found.later_s == pytest.approx(later)


def test_a_track_off_its_person_for_a_moment_is_still_theirs() -> None:
    truth = scene({2: FALLS}, [TRUE_FALL])
    mine = track(7, 2, range(180))
    mine.boxes_px[70:80] += 300  # where nobody is
    found = compare([mine], [incident(7, "falling_down", 2.5)], truth)
    assert (found.told, found.false) == (1, 0)


def test_a_track_that_left_its_person_long_ago_tells_nothing_of_them() -> None:
    """As `poseact eval world` has it: half a second, not the whole scene."""
    truth = scene({2: FALLS}, [TRUE_FALL])
    mine = track(7, 2, range(180))
    mine.boxes_px[60:90] += 300  # 0.63 s before the report; theirs else
    found = compare([mine], [incident(7, "falling_down", 2.6)], truth)
    assert (found.told, found.false) == (0, 1)


def test_of_two_tracks_on_one_person_the_better_one_has_them() -> None:
    truth = scene({2: FALLS}, [TRUE_FALL])
    tracks = [track(7, 2, range(180)), track(8, 2, range(180), shift=8)]
    told = [incident(7, "falling_down", 2.5), incident(8, "falling_down", 2.5)]
    found = compare(tracks, told, truth)
    assert found.people == {7: 2, 8: None}
    assert [found.right[one.name] for one in told] == [True, False]


def test_a_track_of_nobody_follows_nobody() -> None:
    truth = scene({1: [WALKING] * 30})
    found = compare(
        [track(9, 3, range(30))], [incident(9, "falling_down", 0.5)], truth
    )  # person 3 is not in the scene
    assert found.people == {9: None}
    assert found.false == 1


def test_a_track_follows_whom_it_followed_longest() -> None:
    truth = scene({1: [WALKING] * 30, 2: [WALKING] * 30})
    mixed = track(4, 1, range(30))
    mixed.boxes_px[:10] = track(4, 2, range(10)).boxes_px
    assert compare([mixed], [], truth).people == {4: 1}


def test_the_recorder_keeps_rows_by_track_and_one_incident_for_its_messages() -> None:
    recorder = Recorder()
    with pytest.raises(SinkError, match=r"open\(\) comes first"):
        _ = recorder.run
    recorder.open(make_run("a", "b"))
    frames = [grey_frame(0), grey_frame(0, stream=1), grey_frame(1), grey_frame(2)]
    new = make_event(kind="new", incident="0-3-1", time_s=0.03, score=0.7)
    end = make_event(kind="end", incident="0-3-1", time_s=0.06, score=0.9)
    first = make_step(frames[:2], rows=[(0, 3), (0, 4), (1, 3)], events=[new])
    second = make_step(frames[2:], rows=[(0, 3), (1, 3)], known=False, events=[end])
    recorder.write(first)
    recorder.write(second)
    recorder.close()
    assert recorder.frames == 4
    assert recorder.span_s(0) == pytest.approx((0, 2 / 30))
    third, fourth = recorder.tracks(0)
    assert (third.id, third.frames.tolist(), fourth.id) == (3, [0, 1, 2], 4)
    assert third.boxes_px.tolist() == [
        first.tracks.boxes_px[0].tolist(),
        *second.tracks.boxes_px.tolist(),
    ]
    best = int(first.actions.probabilities[0].argmax())
    assert third.actions.tolist() == [best, NO_ACTION, NO_ACTION]
    assert best < len(CLASSES)
    (one,) = recorder.incidents(0)
    assert (one.told_s, one.end_s, one.score) == pytest.approx((0.03, 0.06, 0.9))
    assert recorder.incidents(1) == []
    assert third.box_at(0.04).tolist() == second.tracks.boxes_px[0].tolist()
