# SPDX-License-Identifier: Apache-2.0
"""Made scenes as streams of a run: order, waiting, dropping, faults, stops, nothing left behind."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from poseact_engine import scene_reader
from poseact_engine._core import Mux
from poseact_engine.config import SourceConfig
from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.run import Run
from poseact_engine.scene_reader import SceneReader
from poseact_engine.sources import open_source
from poseact_engine.streams import Streams
from poseact_engine.synthetic import scene
from poseact_engine.synthetic.motion import make_take
from poseact_engine.synthetic.scene import Scene, SceneConfig
from poseact_engine.synthetic.truth import SceneFrame
from tests.concurrency.test_engine import make_run, seen
from tests.unit.made_stages import make_pipeline
from tests.unit.test_scene_files import truth

WAIT_S = 10.0  # only ever reached by a failure
FRAMES = 12
URL = "synthetic://?seconds=1.2&fps=10&size=96x64"  # FRAMES of them


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    gc.collect()
    deadline_s = time.monotonic() + WAIT_S  # a reader that was let go of ends soon, not at once
    while set(threading.enumerate()) - before and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], None]:
    """Scenes of grey pictures, made in no time; the test may say what happens at each frame."""
    hooks: list[Callable[[int], None]] = []

    class MadeScene:
        def __init__(self, config: SceneConfig, *, on_person: Callable[[], None]) -> None:
            self._config = config
            on_person()

        def frames(self, every: int) -> Iterator[SceneFrame]:
            width, height = self._config.size
            for i in range(0, FRAMES, every):
                for hook in hooks:
                    hook(i)
                yield SceneFrame(
                    picture=np.full((height, width, 3), 10 * i, np.uint8), truth=truth(i)
                )

    monkeypatch.setattr(scene_reader, "Scene", MadeScene)
    return hooks.append


def run_of(*urls: str, batch_frames: int = 4, **config: Any) -> Run:
    streams = Streams(SourceConfig(**config))
    streams.add_sources(urls)
    return make_run(streams, batch_frames=batch_frames)


def test_several_scenes_and_pushed_frames_in_one_run() -> None:
    run = run_of(URL, f"{URL}&seed=3", URL)
    assert seen(list(run)) == {stream: list(range(FRAMES)) for stream in range(3)}
    assert [s.name for s in run.streams.all] == ["synthetic-0", "synthetic-3", "synthetic-0-2"]
    assert [s.error for s in run.streams.all] == [None] * 3
    assert [info.rate for info in run.info.streams] == [10.0] * 3
    assert [info.uri for info in run.info.streams] == [URL, f"{URL}&seed=3", URL]


def test_every_and_max_frames_count_as_with_files() -> None:
    run = run_of(URL, every=3, max_frames=2)
    steps = list(run)
    assert seen(steps) == {0: [0, 3]}
    (stream,) = run.streams.all
    assert run.info.streams[0].rate == pytest.approx(10 / 3)
    expected = {"frames": 4, "delivered": 2, "skipped": 2, "dropped": 0, "truncated": 0}
    assert {key: stream.counts[key] for key in expected} == expected
    pts_s = np.concatenate([step.frames.pts_s for step in steps])
    np.testing.assert_allclose(pts_s, [0.0, 0.3], atol=1e-12)


def test_info_is_known_before_the_first_frame() -> None:
    reader = open_source("synthetic://?seconds=2&fps=30000/1001&size=96x64&live=1")
    expected = {"size": (96, 64), "fps": (30000, 1001), "frames": 59, "codec": "synthetic"}
    assert {key: reader.info[key] for key in expected} == expected
    assert reader.info["duration_s"] == pytest.approx(59 * 1001 / 30000)
    assert reader.info["live"]


def test_a_file_waits_when_nobody_takes_frames(made: Any) -> None:
    rendered: list[int] = []
    made(rendered.append)
    mux = Mux()
    reader = SceneReader(URL, SourceConfig(queue_frames=2))
    index = reader.attach(mux)
    reader.start()
    deadline_s = time.monotonic() + WAIT_S
    while mux.counts(index)["delivered"] < 2 and time.monotonic() < deadline_s:
        time.sleep(0.005)
    time.sleep(0.05)
    assert len(rendered) == 3  # two in the queue, one in hand
    found = []
    while (batch := mux.next_batch(1, 0.0)) is not None:
        found += batch.index.tolist()
    assert found == list(range(FRAMES))
    assert reader.counts["dropped"] == 0
    reader.stop()


def test_live_keeps_to_time_and_drops_the_oldest() -> None:
    mux = Mux()
    reader = SceneReader(f"{URL.replace('fps=10', 'fps=100')}&live=1", SourceConfig(queue_frames=2))
    index = reader.attach(mux)
    began_s = time.monotonic()
    reader.start()
    while not reader.ended and time.monotonic() < began_s + WAIT_S:
        time.sleep(0.005)
    took_s = time.monotonic() - began_s
    assert took_s >= (FRAMES - 1) / 100
    batch = mux.next_batch(8, 0.0)
    assert batch is not None
    assert batch.index.tolist() == [FRAMES - 2, FRAMES - 1]
    assert mux.counts(index)["dropped"] == FRAMES - 2
    reader.stop()


def test_a_fault_in_one_scene_ends_that_stream_alone(made: Any) -> None:
    count = threading.Semaphore(1)

    def fail(index: int) -> None:
        if index == 3 and count.acquire(blocking=False):
            raise ZeroDivisionError("in the renderer")

    made(fail)
    run = run_of(URL, URL)
    found = seen(list(run))
    errors = [s.error for s in run.streams.all]
    (broken,) = [i for i, error in enumerate(errors) if error is not None]
    assert found[broken] == [0, 1, 2]
    assert found[1 - broken] == list(range(FRAMES))
    assert f"{URL}: " in str(errors[broken])
    assert "ZeroDivisionError: in the renderer" in str(errors[broken])


def test_a_wrong_url_is_one_stream_that_could_not_be_opened() -> None:
    streams = Streams(SourceConfig())
    streams.add_sources([URL, "synthetic://?people=none"])
    errors = [s.error for s in streams.all]
    assert errors[0] is None
    assert "people to be a whole number" in str(errors[1])
    assert seen(list(make_run(streams))) == {0: list(range(FRAMES))}
    with pytest.raises(SourceError, match="people"):
        Streams(SourceConfig()).add_sources(["synthetic://?people=none"])


def test_without_opencv_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(SourceError, match=r"'cv2'.*pip install 'poseact-engine\[video\]'"):
        open_source(URL)


@pytest.mark.parametrize("end", ["stop", "close"])
def test_stop_and_close_end_a_scene_that_waits(end: str) -> None:
    run = run_of(URL, URL, queue_frames=1, batch_frames=1)
    next(run)
    getattr(run, end)()
    list(run)
    run.close()
    assert run.ended


def test_a_reader_that_is_stopped_before_it_started_has_ended() -> None:
    reader = SceneReader(URL, SourceConfig())
    reader.stop()
    reader.start()
    assert reader.ended
    assert reader.next(WAIT_S) is None


def test_stop_wakes_a_live_scene_that_waits_for_its_time() -> None:
    run = run_of("synthetic://?fps=1&seconds=60&size=96x64&live=1")
    next(run)
    began_s = time.monotonic()
    run.close()
    assert time.monotonic() - began_s < 0.9


def test_stop_does_not_wait_for_all_people_of_a_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    stop = threading.Event()

    def slow(rng: np.random.Generator, **options: Any) -> Any:
        begun.append(options)
        assert stop.wait(WAIT_S)
        return make_take(rng, **options)

    monkeypatch.setattr(scene_reader, "Scene", Scene)
    monkeypatch.setattr(scene, "make_take", slow)
    reader = open_source(f"{URL}&people=20")
    reader.start()
    while not begun:
        time.sleep(0.005)
    threading.Timer(0.1, stop.set).start()
    reader.stop()
    assert len(begun) == 1
    assert (reader.error, reader.ended) == (None, True)


def test_a_run_that_nobody_holds_ends_its_scenes() -> None:
    pipeline = make_pipeline()
    alive = weakref.ref(pipeline)
    streams = Streams(SourceConfig(queue_frames=1))
    streams.add_sources([URL])
    readers = [weakref.ref(stream.reader) for stream in streams.all]
    run = make_run(streams, pipeline, batch_frames=1)
    next(run)
    del run, streams, pipeline
    gc.collect()
    assert alive() is None
    assert [reader() for reader in readers] == [None]


def test_a_run_that_was_never_read_renders_nothing(made: Any) -> None:
    rendered: list[int] = []
    made(rendered.append)
    run = run_of(URL)
    held = weakref.ref(run)
    del run
    gc.collect()
    assert held() is None
    assert rendered == []


def test_a_reader_that_nobody_holds_ends_its_thread() -> None:
    reader = open_source(URL, SourceConfig(queue_frames=1))
    reader.start()
    assert reader.next(WAIT_S) is not None
    held = weakref.ref(reader)
    del reader
    assert held() is None  # and the fixture waits for the thread


def test_alone_it_is_read_as_any_reader() -> None:
    reader = open_source(URL, SourceConfig(every=5, queue_frames=2))
    with pytest.raises(ConfigError, match="before start"):
        reader.next()
    reader.start()
    reader.start()
    found = []
    while (frame := reader.next(WAIT_S)) is not None:
        found.append((frame.index, frame.pts, frame.time_base, frame.size))
    assert found == [(i, i, (1, 10), (96, 64)) for i in (0, 5, 10)]
    assert reader.ended
    assert reader.error is None
    assert reader.cpu_s > 0
    reader.stop()
    reader.stop()


def test_next_comes_back_when_the_time_is_over(made: Any) -> None:
    go = threading.Event()
    made(lambda _: go.wait(WAIT_S) and None)
    reader = open_source(URL)
    reader.start()
    assert reader.next(0.02) is None
    assert not reader.ended
    go.set()
    assert reader.next(WAIT_S) is not None
    reader.stop()


def test_a_reader_of_a_mux_gives_its_frames_to_nobody_else() -> None:
    mux = Mux()
    reader = SceneReader(URL, SourceConfig())
    reader.attach(mux)
    with pytest.raises(ConfigError, match="nobody reads yet"):
        reader.attach(mux)
    with pytest.raises(ConfigError, match="ask the mux"):
        reader.next(0.0)
    reader.stop()
    reader.start()  # after stop: nothing begins
    assert mux.next_batch(1, 0.0) is None
