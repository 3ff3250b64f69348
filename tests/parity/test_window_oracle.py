# SPDX-License-Identifier: Apache-2.0
"""The ring buffers against the model, on clocks of every kind."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poseact_engine._core import Windows
from tests.parity.window_oracle import MISSING_PTS, Observation, Window, WindowsModel

JOINTS = 5
TIME_BASES = [(1, 30), (1001, 30000), (1, 90000), (1, 12800), (1, 1000), (1, 25)]
STARTS = [0, 17, -40, 2**33 - 5, -(2**40)]  # end times are exact far beyond these


def push(windows: Windows, rows: list[Observation]) -> list[tuple[int, float, NDArray[np.float32]]]:
    poses, row, end_s = windows.push(
        np.stack([o.pose for o in rows]).astype(np.float32),
        np.array([o.track for o in rows], np.int64),
        stream=np.array([o.stream for o in rows], np.int32),
        pts=np.array([o.pts for o in rows], np.int64),
        time_base=np.array([o.time_base for o in rows], np.int32),
    )
    assert poses.dtype == np.float32
    assert row.dtype == np.int32
    assert end_s.dtype == np.float64
    return list(zip(row.tolist(), end_s.tolist(), poses, strict=True))


def assert_same(got: list[tuple[int, float, NDArray[np.float32]]], expected: list[Window]) -> None:
    assert [(row, end) for row, end, _ in got] == [(w.row, float(w.end_s)) for w in expected]
    for (_, _, poses), window in zip(got, expected, strict=True):
        np.testing.assert_allclose(poses, window.poses, atol=1e-3, rtol=0)
        np.testing.assert_array_equal(poses[..., 2], window.poses[..., 2].astype(np.float32))


def made_pose(rng: np.random.Generator) -> NDArray[np.float32]:
    pose = rng.uniform(0, 2000, (JOINTS, 3)).astype(np.float32)
    pose[:, 2] = rng.uniform(0.05, 1, JOINTS)
    pose[rng.random(JOINTS) < 0.25, 2] = 0  # not found
    if rng.random() < 0.02:
        pose[0, 0] = np.nan
    return pose


@st.composite
def clocks(draw: st.DrawFn) -> list[tuple[int, tuple[int, int]]]:
    """The pts of one track: 5 to 60 fps, jitter, gaps, repeats, steps back, jumps, no pts."""
    time_base = draw(st.sampled_from(TIME_BASES))
    ticks = time_base[1] / time_base[0]
    fps = draw(st.sampled_from([5, 7.5, 10, 12, 15, 24, 25, 29.97, 30, 50, 59.94, 60]))
    jitter = draw(st.sampled_from([0.0, 0.0, 0.3, 1.5]))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    start = draw(st.sampled_from(STARTS))
    times: list[tuple[int, tuple[int, int]]] = []
    now = 0.0
    for _ in range(draw(st.integers(1, 45))):
        fault = rng.choice(
            ["", "gap", "hole", "repeat", "back", "wrap", "jump", "missing", "clock"],
            p=[0.9, 0.02, 0.02, 0.02, 0.01, 0.0075, 0.0075, 0.005, 0.01],
        )
        now += (1 + rng.uniform(-jitter, jitter)) / fps
        now += {"gap": 0.6, "hole": 0.25, "back": -0.2}.get(str(fault), 0.0)
        pts = start + round(now * ticks)
        if fault == "repeat" and times:
            pts = times[-1][0]
        elif fault == "missing":
            pts = MISSING_PTS
        elif fault in ("wrap", "jump"):
            start += (-1 if fault == "wrap" else 1) * 2**33
            pts = start + round(now * ticks)
        elif fault == "clock":
            time_base = TIME_BASES[int(rng.integers(len(TIME_BASES)))]
            ticks = time_base[1] / time_base[0]
            pts = start + round(now * ticks)
        times.append((pts, time_base))
    return times


@st.composite
def scenes(draw: st.DrawFn) -> list[Observation]:
    """Several tracks of several streams, interleaved, each in its own order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pending = [
        [Observation(n % 2, 1 + n // 2, pts, tb, made_pose(rng)) for pts, tb in draw(clocks())]
        for n in range(draw(st.integers(1, 4)))
    ]
    order = rng.permutation(np.repeat(np.arange(len(pending)), [len(p) for p in pending]))
    queues = [iter(p) for p in pending]
    return [next(queues[n]) for n in order]


OPTIONS = st.fixed_dictionaries(
    {
        "length": st.sampled_from([9, 9, 1, 4]),
        "rate": st.sampled_from([(30, 1), (30, 1), (25, 1), (30000, 1001), (10, 1)]),
        "stride": st.sampled_from([1, 1, 2, 3, 10]),
        "max_gap_s": st.sampled_from([0.4, 0.4, 0.2, 1.0]),
    }
)


@settings(max_examples=250, deadline=None)
@given(scene=scenes(), options=OPTIONS, cuts=st.lists(st.integers(0, 180), max_size=6))
def test_windows_equal_the_model(
    scene: list[Observation], options: dict[str, object], cuts: list[int]
) -> None:
    """Every window, row, end time and count; whatever the rows are batched like."""
    model = WindowsModel(**options)  # type: ignore[arg-type]  # a drawn mapping
    expected = [w for row, o in enumerate(scene) for w in model.push(o, row)]

    whole = Windows(joints=JOINTS, **options)  # type: ignore[arg-type]  # a drawn mapping
    assert_same(push(whole, scene), expected)
    assert {k: v for k, v in whole.counts.items() if v} == dict(+model.counts)
    assert len(whole) == len(model.tracks)

    parts = Windows(joints=JOINTS, **options)  # type: ignore[arg-type]  # a drawn mapping
    edges = sorted({0, len(scene), *(c for c in cuts if c < len(scene))})
    got = []
    for first, last in pairwise(edges):
        got += [(first + row, end, p) for row, end, p in push(parts, scene[first:last])]
    assert_same(got, expected)
    assert parts.counts == whole.counts


def steady(fps: float, seconds: float, time_base: tuple[int, int], start: int) -> list[Observation]:
    rng = np.random.default_rng(int(fps * 100) + start % 1000)
    ticks = time_base[1] / time_base[0]
    return [
        Observation(0, 1, start + round(n / fps * ticks), time_base, made_pose(rng))
        for n in range(int(fps * seconds))
    ]


@pytest.mark.parametrize("time_base", TIME_BASES)
@pytest.mark.parametrize("fps", [5, 12.5, 25, 29.97, 30, 59.94])
def test_a_second_and_a_half_of_video(fps: float, time_base: tuple[int, int]) -> None:
    """The plain case at every rate and time base, far from time zero."""
    scene = steady(fps, 1.5, time_base, 2**33)
    model = WindowsModel(9, (30, 1), 1, 0.4)
    expected = [w for row, o in enumerate(scene) for w in model.push(o, row)]
    assert len(expected) >= 25
    windows = Windows(length=9, rate=(30, 1), joints=JOINTS, stride=1, max_gap_s=0.4)
    assert_same(push(windows, scene), expected)
