# SPDX-License-Identifier: Apache-2.0
"""The sentence of the stages, with stages that only say what they were asked."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import numpy as np

from poseact_engine._core import FrameBatch
from tests.unit.made_stages import Said, make_pipeline
from tests.unit.made_steps import CLASSES, grey_frame


def test_a_step_carries_what_every_stage_found() -> None:
    frames = FrameBatch([grey_frame(4), grey_frame(0, stream=1)])
    step = make_pipeline().step(frames)
    assert step.frames is frames
    assert step.classes == CLASSES
    assert [(r.stream, r.frame_index, r.action) for r in step.results()] == [
        (0, 4, "falling_down"),
        (1, 0, "falling_down"),
    ]
    assert [(e.kind, e.stream) for e in step.events] == [("new", 0), ("new", 1)]


def test_detect_and_follow_are_a_step() -> None:
    frames = FrameBatch([grey_frame(0), grey_frame(1)])
    whole, parts = make_pipeline(), make_pipeline()
    one, two = whole.step(frames), parts.follow(frames, parts.detect(frames))
    assert np.array_equal(one.tracks.boxes_px, two.tracks.boxes_px)
    assert np.array_equal(one.poses.keypoints_px, two.poses.keypoints_px)
    assert one.events == two.events


def test_a_stream_that_ends_is_forgotten_by_every_stage_and_its_incidents_end() -> None:
    said = Said()
    pipeline = make_pipeline(said)
    pipeline.step(FrameBatch([grey_frame(0), grey_frame(0, stream=1)]))
    events = pipeline.end_streams([1])
    assert [(e.kind, e.stream) for e in events] == [("end", 1)]
    for stage in ("detect", "track", "window", "action", "incidents"):
        assert said.of(f"end {stage}") == [1]


def test_python_makes_a_handful_of_calls_per_step_however_many_frames() -> None:
    def calls(count: int) -> int:
        pipeline = make_pipeline()
        frames = FrameBatch([grey_frame(i) for i in range(count)])
        made = 0

        def profile(frame: FrameType, event: str, _: Any) -> None:
            nonlocal made
            made += event == "call" and frame.f_code.co_filename.endswith("pipeline.py")

        sys.setprofile(profile)
        try:
            pipeline.step(frames)
        finally:
            sys.setprofile(None)
        return made

    assert calls(1) == calls(32) <= 10
