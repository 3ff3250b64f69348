# SPDX-License-Identifier: Apache-2.0
"""Steps made by hand, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poseact_engine._core import Frame, FrameBatch
from poseact_engine.sinks.base import RunInfo, StreamInfo
from poseact_engine.types import COCO_JOINTS, Actions, Event, PoseBatch, Step, Tracks

CLASSES = ("carrying", "falling_down", "walking", "lifting", "standing", "lying_down")
SIZE = (96, 64)  # width, height of a frame


def grey_frame(
    index: int,
    *,
    pts: int | None = None,
    time_base: tuple[int, int] = (1, 30),
    stream: int = 0,
    size: tuple[int, int] = SIZE,
    level: int = 90,
) -> Frame:
    picture = np.full((size[1], size[0], 3), level, np.uint8)
    return Frame.from_rgb(
        picture,
        pts=index if pts is None else pts,
        time_base=time_base,
        stream=stream,
        index=index,
    )


def make_step(
    frames: Sequence[Frame],
    *,
    rows: Sequence[tuple[int, int]] = (),
    known: bool = True,
    events: Sequence[Event] = (),
    seed: int = 0,
) -> Step:
    """A step with one row per (frame, track) of ``rows``, filled with random numbers."""
    random = np.random.default_rng(seed)
    count = len(rows)
    batch = FrameBatch(list(frames))
    frame = np.array([f for f, _ in rows], np.int32)
    corner = random.random((count, 2)) * 20
    probabilities = random.dirichlet(np.ones(len(CLASSES)), count).astype(np.float32)
    if not known:
        probabilities[:] = np.nan
    return Step(
        frames=batch,
        tracks=Tracks(
            boxes_px=np.hstack([corner, corner + 30]).astype(np.float32),
            scores=random.random(count).astype(np.float32),
            ids=np.array([t for _, t in rows], np.int64),
            frame=frame,
            stream=batch.stream[frame],
            observed=random.random(count) < 0.5,
            ended_stream=np.zeros(0, np.int32),
            ended_ids=np.zeros(0, np.int64),
        ),
        poses=PoseBatch(
            keypoints_px=(random.random((count, len(COCO_JOINTS), 3)) * (50, 50, 1)).astype(
                np.float32
            )
        ),
        actions=Actions(
            window_probabilities=np.zeros((0, len(CLASSES)), np.float32),
            probabilities=probabilities.reshape(count, len(CLASSES)),
        ),
        classes=CLASSES,
        events=list(events),
    )


def make_run(*names: str, rate: float | None = 30.0) -> RunInfo:
    return RunInfo(
        engine_version="1.2.3",
        models={"detector": {"file": "det.onnx", "sha256": "ab"}},
        classes=CLASSES,
        joints=COCO_JOINTS,
        streams=tuple(
            StreamInfo(index=i, name=name, uri=f"{name}.mp4", rate=rate)
            for i, name in enumerate(names)
        ),
    )


def make_event(**changes: object) -> Event:
    values: dict[str, object] = {
        "kind": "new",
        "incident": "0-3-1",
        "stream": 0,
        "track": 3,
        "action": "falling_down",
        "start_s": 1.1,
        "time_s": 1.3000000001,
        "score": 0.87654,
        "box_px": (1.0, 2.0, 30.126, 40.0),
    }
    return Event(**{**values, **changes})  # type: ignore[arg-type]
