# SPDX-License-Identifier: Apache-2.0
"""Runs with made stages: order, ends, errors, stops, and that nothing is left behind."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from poseact_engine._core import FrameBatch
from poseact_engine.config import ActionConfig, DetectConfig, EngineConfig, PoseConfig, SourceConfig
from poseact_engine.errors import SourceError
from poseact_engine.models import ModelFacts
from poseact_engine.pipeline import Pipeline
from poseact_engine.run import Run
from poseact_engine.streams import Streams
from poseact_engine.types import COCO_JOINTS, Step
from tests.unit.made_stages import Said, make_pipeline
from tests.unit.made_steps import CLASSES, grey_frame

WAIT_S = 10.0  # only ever reached by a failure


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert set(threading.enumerate()) <= before


def make_run(streams: Streams, pipeline: Pipeline | None = None, batch_frames: int = 4) -> Run:
    config = EngineConfig(
        detect=DetectConfig(model=Path("d")),
        pose=PoseConfig(model=Path("p")),
        action=ActionConfig(model=Path("a")),
        batch_frames=batch_frames,
        batch_timeout_s=0.01,
    )
    facts = ModelFacts(files={}, classes=CLASSES, joints=COCO_JOINTS)
    return Run(streams, pipeline or make_pipeline(), config, facts)


def pushed(*counts: int) -> Streams:
    """Streams whose frames are all there already."""
    streams = Streams(SourceConfig())
    for stream, count in enumerate(counts):
        streams.add_pushed(f"s{stream}", queue_frames=max(count, 1), live=False)
        for i in range(count):
            assert streams.push(stream, grey_frame(i, stream=stream), None)
        streams.end(stream)
    return streams


def seen(steps: list[Step]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for step in steps:
        rows = zip(step.frames.stream.tolist(), step.frames.index.tolist(), strict=True)
        for stream, index in rows:
            found.setdefault(stream, []).append(index)
    return found


def test_every_frame_comes_once_and_in_order() -> None:
    steps = list(make_run(pushed(7, 3, 1)))
    assert seen(steps) == {0: list(range(7)), 1: [0, 1, 2], 2: [0]}


def test_every_stream_gets_its_last_events_and_is_forgotten() -> None:
    said = Said()
    steps = list(make_run(pushed(9, 1), make_pipeline(said)))
    kinds = [(e.kind, e.stream) for step in steps for e in step.events]
    assert sorted(kinds) == [("end", 0), ("end", 1), ("new", 0), ("new", 1)]
    assert set(said.of("end track")) == {0, 1}


def test_detection_runs_ahead_of_tracking_on_another_thread() -> None:
    looking = threading.Event()
    first_is_tracked = threading.Event()

    def on_detect(frames: FrameBatch) -> None:
        if frames.index[0] == 1:
            looking.set()
            assert first_is_tracked.wait(WAIT_S)

    def on_track(frames: FrameBatch) -> None:
        if frames.index[0] == 0:
            assert looking.wait(WAIT_S)  # the next step is being looked at meanwhile
            first_is_tracked.set()

    pipeline = make_pipeline(on_detect=on_detect, on_track=on_track)
    assert len(list(make_run(pushed(3), pipeline, batch_frames=1))) == 3


@pytest.mark.parametrize("stage", ["detect", "track"])
def test_an_error_in_a_stage_reaches_the_reader_after_the_steps_before_it(stage: str) -> None:
    def fail(frames: FrameBatch) -> None:
        if frames.index[0] >= 2:
            raise ZeroDivisionError("in a stage")

    hooks = {f"on_{stage}": fail}
    run = make_run(pushed(6), make_pipeline(**hooks), batch_frames=1)
    assert next(run).frames.index[0] == 0
    assert next(run).frames.index[0] == 1
    with pytest.raises(ZeroDivisionError, match="in a stage") as caught:
        next(run)
    assert any(entry.name == "fail" for entry in caught.traceback)
    assert run.ended
    with pytest.raises(StopIteration):
        next(run)


def test_stop_lets_the_steps_in_hand_and_the_last_events_come() -> None:
    streams = Streams(SourceConfig())
    streams.add_pushed("never ends", queue_frames=4, live=False)
    streams.push(0, grey_frame(0), None)
    run = make_run(streams)
    first = next(run)
    run.stop()
    rest = list(run)
    assert [e.kind for step in [first, *rest] for e in step.events] == ["new", "end"]
    assert not streams.push(0, grey_frame(1), 0.0)


def test_stop_wakes_a_run_that_waits_for_a_frame() -> None:
    streams = Streams(SourceConfig())
    streams.add_pushed("silent", queue_frames=4, live=False)
    run = make_run(streams)
    timer = threading.Timer(0.05, run.stop)
    timer.start()
    assert list(run) == []
    timer.join()


def test_close_wakes_a_run_that_waits_for_a_frame() -> None:
    """A camera that shows nothing keeps nobody from leaving."""
    streams = Streams(SourceConfig())
    streams.add_pushed("cam", queue_frames=4, live=True)
    streams.push(0, grey_frame(0), None)
    run = make_run(streams)
    next(run)
    closer = threading.Thread(target=run.close)
    closer.start()
    closer.join(WAIT_S)
    waits = closer.is_alive()
    streams.end(0)  # a failure must not hang
    closer.join(WAIT_S)
    assert not waits


def test_close_in_the_middle_ends_everything() -> None:
    run = make_run(pushed(50), batch_frames=1)
    next(run)
    run.close()
    run.close()
    assert run.ended
    assert list(run) == []


def test_a_run_that_nobody_holds_ends_by_itself() -> None:
    pipeline = make_pipeline()
    alive = weakref.ref(pipeline)
    run = make_run(pushed(50), pipeline, batch_frames=1)
    next(run)
    del pipeline, run
    gc.collect()
    assert alive() is None


def test_a_run_that_was_never_read_leaves_nothing() -> None:
    run = make_run(pushed(5))
    held = weakref.ref(run)
    del run
    gc.collect()
    assert held() is None


def test_frames_are_let_go_of_with_their_step() -> None:
    pipeline = make_pipeline()
    held: list[weakref.ref[object]] = []
    for step in make_run(pushed(20), pipeline, batch_frames=1):
        held.append(weakref.ref(step.poses.keypoints_px))
        del step
        # The queue may hold the next steps; none that was read.
        assert held[-1]() is None


def test_runs_at_the_same_time_do_not_touch_one_another() -> None:
    found: dict[int, dict[int, list[int]]] = {}

    def work(number: int) -> None:
        found[number] = seen(list(make_run(pushed(20, 5), batch_frames=3)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert found == {i: {0: list(range(20)), 1: list(range(5))} for i in range(4)}


def test_frames_may_be_pushed_while_the_run_goes_on() -> None:
    streams = Streams(SourceConfig())
    streams.add_pushed("cam", queue_frames=2, live=False)

    def feed() -> None:
        for i in range(30):
            assert streams.push(0, grey_frame(i), WAIT_S)
        streams.end(0)

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert seen(list(make_run(streams))) == {0: list(range(30))}
    feeder.join(WAIT_S)


def test_sources_that_cannot_be_opened() -> None:
    streams = Streams(SourceConfig())
    with pytest.raises(SourceError, match="nowhere"):
        streams.add_sources(["nowhere/a.mp4", "nowhere/b.mp4"])


def test_a_dead_camera_is_told_of_when_it_is_the_only_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    streams = Streams(SourceConfig())
    streams.add_sources(["tcp://127.0.0.1:9"])
    assert list(make_run(streams)) == []
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert str(streams.all[0].error) in caplog.text
