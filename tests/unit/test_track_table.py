# SPDX-License-Identifier: Apache-2.0
"""The table of tracks against a dict; the latest actions against a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, ShapeError
from poseact_engine.track_table import LatestActions, TrackTable, grown
from poseact_engine.types import Tracks, WindowBatch

CLASSES = 3
Keys = list[tuple[int, int]]


def columns(keys: Keys) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    return np.array([s for s, _ in keys], np.int32), np.array([t for _, t in keys], np.int64)


KEYS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 12)), max_size=40)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(KEYS, KEYS, st.sampled_from([None, None, 0, 3])), max_size=12))
def test_table_equals_a_dict(steps: list[tuple[Keys, Keys, int | None]]) -> None:
    table = TrackTable()
    model: dict[tuple[int, int], int] = {}
    most = 0
    for begun, removed, stream in steps:
        slots = table.begin(*columns(begun)).tolist()
        for key, slot in zip(begun, slots, strict=True):
            assert model.setdefault(key, slot) == slot
        most = max(most, len(model))
        assert len(set(model.values())) == len(model)  # no slot is shared
        assert len(table) == len(model)
        assert all(0 <= slot < table.capacity for slot in model.values())
        freed = [model.pop(k) for k in sorted(set(removed) & set(model))]
        assert table.remove(*columns(removed)).tolist() == freed
        if stream is not None:
            inside = sorted(k for k in model if k[0] == stream)
            assert table.remove_stream(stream).tolist() == [model.pop(k) for k in inside]
    assert table.capacity <= max(16, 2 * most)


def test_ten_thousand_tracks_need_no_more_room_than_ten() -> None:
    table = TrackTable()
    for first in range(1, 10_001, 10):
        keys = [(0, first + n) for n in range(10)]
        table.begin(*columns(keys))
        table.remove(*columns(keys))
    assert table.capacity == 16
    assert len(table) == 0


def test_largest_keys_stay_apart() -> None:
    table = TrackTable()
    keys = [(0, 2**40 - 1), (1, 0), (2**23 - 1, 2**40 - 1), (2**23 - 1, 0)]
    assert len(set(table.begin(*columns(keys)).tolist())) == 4
    assert table.remove_stream(None).size == 4


@pytest.mark.parametrize("key", [(-1, 1), (0, -1), (0, 2**40), (2**23, 1)])
def test_keys_out_of_range_are_refused(key: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="expected ids from 0"):
        TrackTable().begin(*columns([key]))


def test_grown_keeps_and_fills() -> None:
    small = np.ones((2, 3), np.float32)
    assert grown(small, 2, 0) is small
    large = grown(small, 4, np.nan)
    assert large.dtype == np.float32
    assert np.array_equal(large, [[1] * 3] * 2 + [[np.nan] * 3] * 2, equal_nan=True)


Step = tuple[Tracks, WindowBatch, NDArray[np.float32]]


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    """Steps of several frames of several streams; a row completes none, one or two windows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = []
    alive = {(s, t) for s in range(2) for t in range(1, 4)}
    for _ in range(draw(st.integers(1, 6))):
        rows = []
        for frame in range(draw(st.integers(0, 4))):
            stream = int(rng.integers(2))
            rows += [(frame, s, t) for s, t in sorted(alive) if s == stream and rng.random() < 0.8]
        ended = [key for key in sorted(alive) if rng.random() < 0.1]
        alive -= set(ended)
        alive |= {(s, t + 10) for s, t in ended}
        made.append(made_step(rng, rows, ended))
    return made


def made_step(rng: np.random.Generator, rows: list[tuple[int, int, int]], ended: Keys) -> Step:
    stream, ids = columns([(s, t) for _, s, t in rows])
    ended_stream, ended_ids = columns(ended)
    tracks = Tracks(
        boxes_px=np.zeros((len(rows), 4), np.float32),
        scores=np.ones(len(rows), np.float32),
        ids=ids,
        frame=np.array([f for f, _, _ in rows], np.int32),
        stream=stream,
        observed=np.ones(len(rows), bool),
        ended_stream=ended_stream,
        ended_ids=ended_ids,
    )
    row = np.repeat(np.arange(len(rows)), rng.integers(0, 3, len(rows))).astype(np.int32)
    windows = WindowBatch(
        poses_px=np.zeros((len(row), 9, 17, 3), np.float32),
        row=row,
        stream=stream[row],
        ids=ids[row],
        end_s=np.zeros(len(row)),
    )
    return tracks, windows, rng.random((len(row), CLASSES), dtype=np.float32)


@settings(max_examples=150, deadline=None)
@given(steps())
def test_latest_actions_equal_a_loop(made: list[Step]) -> None:
    latest = LatestActions(CLASSES)
    known: dict[tuple[int, int], NDArray[np.float32]] = {}
    for tracks, windows, probabilities in made:
        expected = []
        for m, key in enumerate(zip(tracks.stream.tolist(), tracks.ids.tolist(), strict=True)):
            for w in np.flatnonzero(windows.row == m):
                known[key] = probabilities[w]
            expected.append(known.get(key, np.full(CLASSES, np.nan, np.float32)))
        got = latest(windows, probabilities, tracks)
        assert got.dtype == np.float32
        assert got.shape == (len(tracks.ids), CLASSES)
        np.testing.assert_array_equal(got, np.array(expected).reshape(-1, CLASSES))
        for key in zip(tracks.ended_stream.tolist(), tracks.ended_ids.tolist(), strict=True):
            known.pop(key, None)


def test_a_reused_slot_knows_nothing_of_its_last_track() -> None:
    latest = LatestActions(CLASSES)
    rng = np.random.default_rng(0)
    for track in range(1, 50):
        tracks, windows, _ = made_step(rng, [(0, 0, track), (1, 0, track)], [(0, track)])
        row = np.array([1], np.int32)
        windows = WindowBatch(
            poses_px=windows.poses_px[:0],
            row=row,
            stream=tracks.stream[row],
            ids=tracks.ids[row],
            end_s=np.zeros(1),
        )
        got = latest(windows, np.full((1, CLASSES), track, np.float32), tracks)
        assert np.isnan(got[0]).all()
        assert (got[1] == track).all()
    assert len(latest) == 0


def test_end_stream_forgets_its_tracks_alone() -> None:
    latest = LatestActions(CLASSES)
    tracks, windows, p = made_step(np.random.default_rng(1), [(0, 0, 1), (1, 1, 1)], [])
    latest(windows, p, tracks)
    latest.end_stream(0)
    assert len(latest) == 1


def test_wrong_probabilities_are_refused() -> None:
    tracks, windows, _ = made_step(np.random.default_rng(1), [(0, 0, 1)], [])
    with pytest.raises(ShapeError, match=r"window_probabilities \[W, C\]"):
        LatestActions(CLASSES)(windows, np.zeros((len(windows.row), 2), np.float32), tracks)
