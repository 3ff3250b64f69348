# SPDX-License-Identifier: Apache-2.0
"""Scores of a scene whose truth, and what was found in it, are written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.evaluation.world_scene import FoundFrame, SceneRecord, score_scene
from poseact_engine.synthetic.rig import HARMLESS
from poseact_engine.synthetic.truth import FallTruth, FrameTruth
from poseact_engine.types import ACTIONS, Event

FALLING, WALKING, STANDING = (ACTIONS.index(n) for n in ("falling_down", "walking", "standing"))
FRAMES, RATE = 90, 30
LENGTH_S = 8 / 30
FAR = np.array([300, 50, 330, 105], np.float32)  # 55 px high: nobody has to find them


def _box(frame: int) -> NDArray[np.float32]:
    return np.array([50 + frame, 50, 100 + frame, 170], np.float32)


def _joints(box: NDArray[np.float32]) -> NDArray[np.float32]:
    """On a diagonal of the box; the last is hidden."""
    share = np.linspace(0.1, 0.9, 17)
    x, y = box[0] + share * (box[2] - box[0]), box[1] + share * (box[3] - box[1])
    flags = np.full(17, 2.0)
    flags[16] = 1
    return np.stack([x, y, flags], axis=1).astype(np.float32)


def _truth(frame: int, action: int, *, visible: float = 1.0) -> FrameTruth:
    """Person 1 goes to the right; person 2 is far away and stands."""
    boxes = np.stack([_box(frame), FAR])
    return FrameTruth(
        index=frame,
        time_s=frame / RATE,
        ids=np.array([1, 2]),
        boxes_px=boxes,
        full_boxes_px=boxes,
        visible=np.array([visible, 1.0], np.float32),
        areas_px=np.array([3000, 600], np.float32),
        keypoints_px=np.stack([_joints(_box(frame)), _joints(FAR)]),
        actions=np.array([action, STANDING], np.int8),
    )


def _found(frame: int, *, off_px: float = 0.0, track: int = 7) -> FoundFrame:
    box = _box(frame)[None]
    keypoints = _joints(_box(frame))[None].copy()
    keypoints[..., 0] += off_px
    keypoints[..., 2] = 0.9
    return FoundFrame(
        detected_px=box,
        ids=np.array([track]),
        boxes_px=box,
        scores=np.ones(1, np.float32),
        keypoints_px=keypoints,
    )


def _record(actions: list[int]) -> SceneRecord:
    return SceneRecord(
        name="made",
        size=(640, 360),
        length_s=LENGTH_S,
        truths=[_truth(i, a) for i, a in enumerate(actions)],
        found=[_found(i) for i in range(len(actions))],
    )


def _event(time_s: float, action: str = "falling_down", track: int = 7) -> Event:
    return Event(
        kind="new",
        incident=f"0-{track}-1",
        stream=0,
        track=track,
        action=action,
        start_s=time_s,
        time_s=time_s,
        score=0.9,
    )


def test_people_who_are_small_need_not_be_found() -> None:
    scores = score_scene(_record([WALKING] * FRAMES), (), seconds=3)
    assert (scores.people, scores.detected, scores.tracked) == (90, 90, 90)
    assert (scores.mot.mota, scores.mot.idf1) == (1.0, 1.0)
    assert scores.joints.tolist() == [90] * 16 + [0]  # the hidden joint does not count
    assert scores.joints_near.tolist() == [90] * 16 + [0]


def test_people_of_whom_little_is_seen_need_not_be_found() -> None:
    record = _record([WALKING] * FRAMES)
    record.truths[40:50] = [_truth(i, WALKING, visible=0.4) for i in range(40, 50)]
    for i in range(40, 45):
        record.found[i] = FoundFrame(
            detected_px=np.zeros((0, 4), np.float32),
            ids=np.zeros(0, np.int64),
            boxes_px=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            keypoints_px=np.zeros((0, 17, 3), np.float32),
        )
    scores = score_scene(record, (), seconds=3)
    assert (scores.people, scores.detected, scores.mot.missed) == (80, 80, 0)
    assert scores.mot.false == 0


@pytest.mark.parametrize(("off_px", "near"), [(11.9, True), (12.2, False)])
def test_joints_are_near_within_a_tenth_of_the_longer_side(off_px: float, near: bool) -> None:
    record = _record([WALKING] * FRAMES)  # the box is 120 px high
    record.found = [_found(i, off_px=off_px) for i in range(FRAMES)]
    scores = score_scene(record, (), seconds=3)
    assert scores.joints_near.sum() == near * scores.joints.sum()


def test_windows_are_held_against_their_persons_action() -> None:
    """A window's label is that of its last frame; -1 anywhere in it leaves it out."""
    actions = [WALKING] * 40 + [-1] * 10 + [FALLING] * 20 + [HARMLESS] * 20
    record = _record(actions)
    said = {8: WALKING, 39: STANDING, 45: FALLING, 56: FALLING, 60: FALLING, 89: FALLING}
    for frame, action in said.items():
        record.window_frame.append(frame)
        record.window_track.append(7)
        record.window_end_s.append(frame / RATE)
        record.said.append(action)
    record.window_frame.append(20)
    record.window_track.append(99)  # on nobody
    record.window_end_s.append(20 / RATE)
    record.said.append(FALLING)
    scores = score_scene(record, (), seconds=3)
    expected = np.zeros((6, 6), int)
    expected[WALKING, WALKING] = expected[WALKING, STANDING] = 1
    expected[FALLING, FALLING] = 1  # at 60; the window at 56 still has a frame without a label
    np.testing.assert_array_equal(scores.confusion, expected)
    np.testing.assert_array_equal(scores.confusion_all, expected)
    assert scores.harmless.tolist() == [0, 1, 0, 0, 0, 0]
    assert scores.windows_of_nobody == 1


def test_incidents_belong_to_the_person_whose_track_it_is() -> None:
    record = _record([WALKING] * 30 + [FALLING] * 30 + [ACTIONS.index("lying_down")] * 30)
    record.events = [_event(1.5), _event(1.5, track=99)]
    fall = FallTruth(id=1, start_s=1.0, end_s=2.0)
    scores = score_scene(record, (fall,), seconds=3)
    assert scores.incidents.fall_recall == 1
    assert scores.incidents.median_delay_s == pytest.approx(0.5)
    assert [f.during for f in scores.incidents.false] == ["nobody"]


def test_a_track_that_lost_its_person_a_moment_ago_still_belongs_to_them() -> None:
    record = _record([FALLING] * FRAMES)
    away = np.array([[500, 200, 550, 320]], np.float32)
    for i in range(50, FRAMES):
        found = _found(i)
        record.found[i] = FoundFrame(
            detected_px=away,
            ids=found.ids,
            boxes_px=away,
            scores=found.scores,
            keypoints_px=found.keypoints_px,
        )
    record.events = [_event(55 / RATE), _event(80 / RATE)]
    scores = score_scene(record, (), seconds=3)
    assert [(f.time_s, f.during) for f in scores.incidents.false] == [(80 / RATE, "nobody")]


def test_a_scene_without_anybody_gives_nothing() -> None:
    empty = SceneRecord(name="empty", size=(64, 64), length_s=LENGTH_S)
    scores = score_scene(empty, (), seconds=3)
    assert (scores.people, scores.frames, scores.joints.sum()) == (0, 0, 0)
