# SPDX-License-Identifier: Apache-2.0
"""Readers and muxes between threads: nothing blocks, leaks, or is used after its end."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine._core import Frame, Mux, Reader
from poseact_engine.errors import ConfigError, SourceError
from tests import media

pytestmark = pytest.mark.needs_ffmpeg_cli


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    return media.write_pattern(folder / "clip.mp4", frames=60, size=(320, 240))


@pytest.fixture
def silent() -> Iterator[str]:
    """A source that lets itself be opened and says nothing, like a camera that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


def grey_frame(level: int = 0) -> Frame:
    plane = np.full((6, 8), level, np.uint8)
    return Frame.from_planes([plane], format="grey", matrix="bt601", range="full")


def sums(frames: list[Frame]) -> list[int]:
    return [int(sum(p.astype(np.int64).sum() for p in f.planes)) for f in frames]


def read_all(path: Path, *, threads: int = 1) -> list[Frame]:
    reader = Reader(str(path), threads=threads)
    reader.start()
    return list(iter(reader.next, None))


def test_many_decoder_threads_equal_one(clip: Path) -> None:
    one, four = read_all(clip), read_all(clip, threads=4)
    assert [f.pts for f in one] == [f.pts for f in four]
    assert sums(one) == sums(four)


def test_many_readers_equal_one(clip: Path) -> None:
    expected = sums(read_all(clip))
    mux = Mux()
    for _ in range(6):
        mux.add_reader(Reader(str(clip), queue_frames=2))
    streams: dict[int, list[Frame]] = {i: [] for i in range(6)}
    while (batch := mux.next_batch(7, 1.0)) is not None:
        for i in range(len(batch)):
            streams[batch[i].stream].append(batch[i])
    assert all(sums(frames) == expected for frames in streams.values())


def test_frames_outlive_reader_and_mux(clip: Path) -> None:
    mux = Mux()
    mux.add_reader(Reader(str(clip)))
    batch = mux.next_batch(4, 5.0)
    assert batch is not None
    frame = batch[2]
    view = frame.planes[0]
    before = view.copy()
    del batch, frame, mux
    gc.collect()
    np.testing.assert_array_equal(view, before)


def test_close_while_running(clip: Path) -> None:
    for _ in range(20):
        reader = Reader(str(clip), queue_frames=1)
        mux = Mux()
        mux.add_reader(reader)
        assert mux.next_batch(1, 1.0) is not None
        mux.close()
        assert mux.next_batch(1, 1.0) is None
        del mux
        reader.stop()
        assert reader.ended
        assert reader.error is None


def test_reader_ends_when_python_forgets_it(clip: Path) -> None:
    before = thread_count()
    reader = Reader(str(clip), queue_frames=1)
    reader.start()
    assert reader.next() is not None
    assert thread_count() == before + 1
    del reader
    gc.collect()
    assert thread_count() == before


def thread_count() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_fifty_streams_leave_nothing_behind(clip: Path) -> None:
    def cycle() -> None:
        mux = Mux()
        reader = Reader(str(clip), max_frames=20)
        mux.add_reader(reader)
        assert mux.next_batch(3, 1.0) is not None
        reader.stop()

    for _ in range(5):
        cycle()
    gc.collect()
    threads, files, memory = thread_count(), open_files(), resident_bytes()
    for _ in range(50):
        cycle()
    gc.collect()
    assert thread_count() == threads
    assert open_files() == files
    assert resident_bytes() - memory < 8 << 20


def test_stop_interrupts_a_silent_source(silent: str) -> None:
    reader = Reader(silent, live=True, open_timeout_s=60, read_timeout_s=60)
    reader.start()
    time.sleep(0.1)
    begin = time.monotonic()
    reader.stop()
    assert time.monotonic() - begin < 2
    assert reader.ended


def test_a_bad_live_source_ends_alone(clip: Path, tmp_path: Path) -> None:
    mux = Mux()
    absent = Reader(str(tmp_path / "absent.ts"), live=True)
    assert mux.add_reader(absent) == 0
    assert mux.add_reader(Reader(str(clip))) == 1
    frames = 0
    while (batch := mux.next_batch(8, 0.2)) is not None:
        frames += len(batch)
    assert frames == 60
    assert sorted(mux.ended_streams()) == [0, 1]
    assert absent.error is not None
    assert "does not exist" in absent.error


def test_live_drops_the_oldest_and_files_wait(clip: Path) -> None:
    live = Reader(str(clip), live=True, queue_frames=4)
    live.start()
    waiting = Reader(str(clip), queue_frames=4)
    waiting.start()
    while live.counts["frames"] < 60 or waiting.counts["delivered"] < 4:
        time.sleep(0.01)
    assert [frame.index for frame in iter(live.next, None)] == [56, 57, 58, 59]
    assert live.counts["dropped"] == 56
    assert [frame.index for frame in iter(waiting.next, None)] == list(range(60))
    assert waiting.counts["dropped"] == 0


def test_push_waits_wakes_and_is_refused() -> None:
    mux = Mux()
    stream = mux.add_stream(queue_frames=1)
    assert mux.push(stream, grey_frame(1))
    assert not mux.push(stream, grey_frame(2), timeout_s=0.05)
    results: list[bool] = []
    pusher = threading.Thread(target=lambda: results.append(mux.push(stream, grey_frame(3))))
    pusher.start()
    batch = mux.next_batch(2, 5.0)
    pusher.join(5)
    assert results == [True]
    assert batch is not None
    assert len(batch) == 2
    mux.end_stream(stream)
    assert not mux.push(stream, grey_frame(4))
    assert mux.next_batch(2, 1.0) is None
    live = mux.add_stream(queue_frames=2, live=True)
    for level in range(5):
        assert mux.push(live, grey_frame(level))
    mux.end_stream(live)
    batch = mux.next_batch(8, 1.0)
    assert batch is not None
    assert [int(batch[i].planes[0][0, 0]) for i in range(len(batch))] == [3, 4]
    assert mux.counts(live)["dropped"] == 3


def test_a_batch_comes_at_the_timeout_and_the_gil_is_free_meanwhile() -> None:
    mux = Mux()
    stream = mux.add_stream()

    def push_later() -> None:
        time.sleep(0.15)  # runs only if next_batch has let go of the GIL
        mux.push(stream, grey_frame())

    threading.Thread(target=push_later).start()
    begin = time.monotonic()
    batch = mux.next_batch(8, 0.1)
    took = time.monotonic() - begin
    assert batch is not None
    assert len(batch) == 1
    assert 0.2 < took < 2


def test_python_frames_let_go_of_on_other_threads() -> None:
    """Arrays of pushed frames are freed under the GIL, wherever the frame is dropped."""
    mux = Mux()
    stream = mux.add_stream(queue_frames=2, live=True)
    planes = [np.zeros((6, 8), np.uint8) for _ in range(3)]
    alive = [weakref.ref(plane) for plane in planes]

    def push(plane: NDArray[np.uint8]) -> None:
        for _ in range(200):
            frame = Frame.from_planes([plane], format="grey", matrix="bt601", range="full")
            mux.push(stream, frame)

    def push_all() -> None:
        workers = [threading.Thread(target=push, args=(plane,)) for plane in planes]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        mux.end_stream(stream)

    threading.Thread(target=push_all).start()
    while mux.next_batch(2, 0.0) is not None:
        mux.counts(stream)
    mux.close()
    planes.clear()
    gc.collect()
    assert [ref() for ref in alive] == [None, None, None]


def test_ctrl_c_ends_a_wait(silent: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
    mux = Mux()
    reader = Reader(silent, live=True)
    mux.add_reader(reader)
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        mux.next_batch(8, 1.0)
    assert time.monotonic() - begin < 3
    reader.stop()


def test_a_file_that_cannot_be_opened_starts_no_thread(tmp_path: Path) -> None:
    before = thread_count()
    with pytest.raises(SourceError):
        Reader(str(tmp_path / "absent.mp4"))
    assert thread_count() == before


def test_closing_a_mux_with_frames_of_python_holds_nobody_up() -> None:
    """Frames that are let go of take the GIL, while who asks for a new stream holds it."""
    for _ in range(20):
        mux = Mux()
        stream = mux.add_stream(queue_frames=8)
        for level in range(8):
            assert mux.push(stream, grey_frame(level))
        taker = threading.Thread(target=mux.next_batch, args=(100, 5.0), daemon=True)
        taker.start()
        threading.Thread(target=mux.close, daemon=True).start()
        with contextlib.suppress(ConfigError):  # once it is closed
            for _ in range(100_000):
                mux.add_stream()
        taker.join(10.0)
        assert not taker.is_alive()


def test_a_closed_mux_does_not_bind_a_reader(clip: Path) -> None:
    mux, reader = Mux(), Reader(str(clip))
    mux.close()
    with pytest.raises(ConfigError, match="closed one"):
        mux.add_reader(reader)
    other = Mux()
    other.add_reader(reader)
    assert other.next_batch(1, 1.0) is not None
    other.close()
