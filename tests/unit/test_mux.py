# SPDX-License-Identifier: Apache-2.0
"""Mux: batches over many streams, in turn, in order, without waiting for any one of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poseact_engine._core import Frame, FrameBatch, Mux, Reader
from poseact_engine.errors import ConfigError
from tests import media

pytestmark = pytest.mark.needs_ffmpeg_cli


def grey_frame(level: int, *, pts: int = 0, size: tuple[int, int] = (8, 6)) -> Frame:
    plane = np.full(size[::-1], level, np.uint8)
    return Frame.from_planes([plane], format="grey", matrix="bt601", range="full", pts=pts)


def drain(mux: Mux, max_frames: int = 8, timeout_s: float = 0.5) -> list[FrameBatch]:
    batches = []
    while (batch := mux.next_batch(max_frames, timeout_s)) is not None:
        batches.append(batch)
    return batches


def test_one_file_fills_a_batch(tmp_path: Path) -> None:
    clip = media.write_clip(tmp_path / "one.mp4", frames=20)
    mux = Mux()
    assert mux.add_reader(Reader(str(clip), queue_frames=2)) == 0
    batches = drain(mux, max_frames=8, timeout_s=10.0)
    assert [len(batch) for batch in batches] == [8, 8, 4]
    assert [int(k) for batch in batches for k in batch.index] == list(range(20))
    assert mux.ended_streams() == [0]
    assert mux.ended_streams() == []
    assert mux.next_batch(8, 0.5) is None
    assert mux.counts(0)["delivered"] == 20


def test_streams_of_all_kinds_share_batches_in_order(tmp_path: Path) -> None:
    small = media.write_clip(tmp_path / "small.mp4", frames=9, size=(64, 48))
    large = media.write_pattern(tmp_path / "large.mkv", frames=6, size=(130, 70), codec="mjpeg",
                                pix_fmt="yuvj444p")  # fmt: skip
    mux = Mux()
    for path in (small, large):
        mux.add_reader(Reader(str(path)))
    pushed = mux.add_stream(queue_frames=4)
    for pts in range(4):
        assert mux.push(pushed, grey_frame(50 + pts, pts=pts))
    mux.end_stream(pushed)
    batches = drain(mux, max_frames=5)
    seen: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for batch in batches:
        for frame in (batch[i] for i in range(len(batch))):
            seen[frame.stream].append(frame.pts)
            assert frame.size == [(64, 48), (130, 70), (8, 6)][frame.stream]
            assert frame.format == ["i420", "i444", "grey"][frame.stream]
    assert [len(pts) for pts in seen.values()] == [9, 6, 4]
    assert all(pts == sorted(pts) for pts in seen.values())
    assert sorted(mux.ended_streams()) == [0, 1, 2]


def test_ready_streams_take_turns() -> None:
    mux = Mux()
    streams = [mux.add_stream(queue_frames=8) for _ in range(3)]
    for stream in streams:
        for pts in range(6):
            mux.push(stream, grey_frame(10, pts=pts))
    batch = mux.next_batch(9, 1.0)
    assert batch is not None
    assert sorted(batch.stream.tolist()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for stream in streams:
        assert batch.pts[batch.stream == stream].tolist() == [0, 1, 2]


def test_a_reader_feeds_one_mux_only(tmp_path: Path) -> None:
    reader = Reader(str(media.write_clip(tmp_path / "one.mp4", frames=2)))
    mux = Mux()
    mux.add_reader(reader)
    with pytest.raises(ConfigError, match="feeds a mux already"):
        Mux().add_reader(reader)
    with pytest.raises(ConfigError, match="ask the mux"):
        reader.next()
    with pytest.raises(ConfigError, match="add_stream"):
        mux.push(0, grey_frame(1))
    with pytest.raises(ConfigError, match="below 1"):
        mux.counts(1)
