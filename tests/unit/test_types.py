# SPDX-License-Identifier: Apache-2.0
"""Step.results: one row per track and frame, in order, null before the first window."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from poseact_engine._core import Frame, FrameBatch
from poseact_engine.types import COCO_JOINTS, Actions, PoseBatch, Step, Tracks


def made_step(rows: int) -> Step:
    pixels = np.zeros((2, 2, 3), np.uint8)
    frames = [
        Frame.from_rgb(pixels, pts=10 * i, time_base=(1, 25), stream=i, index=5 + i) for i in (0, 1)
    ]
    probabilities = np.array([[np.nan, np.nan], [0.25, 0.75], [0.5, 0.5]], np.float32)[:rows]
    return Step(
        frames=FrameBatch(frames),
        tracks=Tracks(
            boxes_px=np.arange(4 * rows, dtype=np.float32).reshape(rows, 4),
            scores=np.linspace(0.5, 1, rows, dtype=np.float32),
            ids=np.arange(1, rows + 1, dtype=np.int64),
            frame=np.array([0, 1, 1], np.int32)[:rows],
            stream=np.array([0, 1, 1], np.int32)[:rows],
            observed=np.array([True, False, True])[:rows],
            ended_stream=np.empty(0, np.int32),
            ended_ids=np.empty(0, np.int64),
        ),
        poses=PoseBatch(
            keypoints_px=np.arange(rows * 17 * 3, dtype=np.float32).reshape(rows, 17, 3)
        ),
        actions=Actions(
            window_probabilities=np.empty((0, 2), np.float32), probabilities=probabilities
        ),
        classes=("walking", "falling_down"),
    )


def test_results_are_the_rows_with_their_frames() -> None:
    first, second, third = made_step(3).results()
    assert (first.stream, first.frame_index, first.pts_s, first.track) == (0, 5, 0.0, 1)
    assert (second.stream, second.frame_index, second.pts_s, second.track) == (1, 6, 0.4, 2)
    assert (first.observed, second.observed, third.observed) == (True, False, True)
    assert third.box_px == (8.0, 9.0, 10.0, 11.0)
    assert third.score == 1.0
    np.testing.assert_array_equal(second.keypoints_px, np.arange(51, 102).reshape(17, 3))


def test_action_is_null_before_the_first_window_and_the_best_after() -> None:
    first, second, third = made_step(3).results()
    assert (first.action, first.probabilities) == (None, None)
    assert second.action == "falling_down"
    np.testing.assert_array_equal(second.probabilities, [0.25, 0.75])
    assert third.action == "walking"  # a tie goes to the lower class


def test_no_rows_give_no_results() -> None:
    assert made_step(0).results() == []


def test_what_flows_between_stages_cannot_be_changed() -> None:
    step = made_step(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        step.tracks = step.tracks  # type: ignore[misc]


def test_joints_are_the_seventeen_of_coco() -> None:
    assert len(COCO_JOINTS) == len(set(COCO_JOINTS)) == 17
    assert COCO_JOINTS[0] == "nose"
    # each left joint is followed by its right one
    assert [j.replace("left", "right") for j in COCO_JOINTS[1::2]] == list(COCO_JOINTS[2::2])
