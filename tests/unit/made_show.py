# SPDX-License-Identifier: Apache-2.0
"""A whole run's show of a film whose pictures tell their time and place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from poseact_engine._core import Frame
from poseact_engine.demo.compare import PersonTruth, SceneTruth
from poseact_engine.demo.record import Recorder
from poseact_engine.demo.show import Show, gather
from poseact_engine.manifest_io import read_manifest
from poseact_engine.sinks.video import VideoSink
from poseact_engine.synthetic.rig import HARMLESS, UNKNOWN
from poseact_engine.synthetic.truth import FallTruth
from poseact_engine.types import ACTIONS
from tests.models import make_action, make_bright_detector, make_pose
from tests.unit.made_steps import CLASSES, make_event, make_run, make_step

RATE, LENGTH = 30, 90
SIZE = (320, 240)
LEVEL = 40
NAMES = ("<b>gate & yard</b>", 'hall "2"')


def grey_of(frame: int) -> int:
    """The picture's grey level tells the frame."""
    return LEVEL + 2 * frame


def corner(frame: int) -> tuple[int, int]:
    """Where the person's bright block is, 40 x 80."""
    return 20 + 2 * frame, 60 + frame


def film(stream: int) -> Iterator[Frame]:
    for i in range(LENGTH):
        picture = np.full((SIZE[1], SIZE[0], 3), grey_of(i), np.uint8)
        x, y = corner(i)
        picture[y : y + 80, x : x + 40] = (250, 250, 30)
        yield Frame.from_rgb(picture, pts=i, time_base=(1, RATE), stream=stream, index=i)


def truth_of(falls: tuple[FallTruth, ...]) -> SceneTruth:
    frames = np.arange(LENGTH)
    actions = np.full(LENGTH, ACTIONS.index("standing"), np.int8)
    actions[30:33], actions[33:45] = UNKNOWN, HARMLESS
    boxes = np.array(
        [[*corner(i), corner(i)[0] + 40, corner(i)[1] + 80] for i in range(LENGTH)], np.float32
    )
    me = PersonTruth(
        id=1,
        frames=frames,
        times_s=frames / RATE,
        boxes_px=boxes,
        actions=actions,
    )
    other = PersonTruth(
        id=2, frames=frames[:5], times_s=frames[:5] / RATE, boxes_px=boxes[:5] + np.float32(150),
        actions=actions[:5],
    )  # fmt: skip
    return SceneTruth(people=(me, other), falls=falls)


def make_show(folder: Path) -> Show:
    """Two streams whose names want escaping; reports of a fall and of lying in the first."""
    recorder, run = Recorder(), make_run(*NAMES)
    events = {
        50: [make_event(incident="0-3-1", start_s=1.5, time_s=50 / RATE)],
        60: [make_event(incident="0-3-1", kind="end", time_s=2.0)],
        80: [make_event(incident="0-3-2", action="lying_down", start_s=2.4, time_s=80 / RATE)],
    }
    with VideoSink(folder / "annotated.mp4") as video:
        video.open(run)
        recorder.open(run)
        for i, pair in enumerate(zip(film(0), film(1), strict=True)):
            step = make_step(pair, rows=[(0, 3)], events=events.get(i, []))
            x, y = corner(i)
            step.tracks.boxes_px[:] = (x, y, x + 40, y + 80)
            step.poses.keypoints_px[:] = 0  # nothing is drawn over the block
            recorder.write(step)
            video.write(step)
    fall = FallTruth(id=1, start_s=0.6, end_s=1.0)
    truths = [truth_of((fall,)), truth_of((FallTruth(id=1, start_s=2.0, end_s=2.5),))]
    models = {
        "detector": make_bright_detector(folder / "d.onnx"),
        "pose": make_pose(folder / "p.onnx"),
        "action": make_action(folder / "a.onnx"),
    }
    return Show(
        version="1.2.3",
        classes=CLASSES,
        manifests={task: read_manifest(path) for task, path in models.items()},
        bundled=frozenset(("detector", "pose")),
        unseen=True,
        frames=recorder.frames,
        elapsed_s=2.0,
        streams=gather(recorder, folder / "annotated.mp4", truths, fps=RATE),
        command="poseact demo --seed 3 --detector 'a<b>.onnx'",
    )
