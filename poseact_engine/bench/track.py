# SPDX-License-Identifier: Apache-2.0
"""``poseact-bench track``: one update of 100 streams x 10 people, one thread.

Ours is one call of ``Tracker.update`` from Python. The baseline is the usual loop: a NumPy and
SciPy ByteTrack per stream, called once per frame (see track_baseline.py), with the same rules. Each
side does ten steps in a row before the other's turn, so that neither finds its memory swept out of
the cache by the other at every step; times are of one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from poseact_engine._core import Tracker
from poseact_engine.bench.harness import (
    JsonOption,
    Report,
    Timing,
    Work,
    describe_machine,
    need,
    rows_of,
    time_interleaved,
)
from poseact_engine.bench.track_baseline import NumpyByteTrack
from poseact_engine.config import TrackConfig
from poseact_engine.errors import PoseActError

RATE = 30
MISSES, WEAK = 0.05, 0.15
TURN = 10  # steps in a row
NOISE = 0.02  # of the side, on each edge
OURS, BASELINE = "ours", "numpy + scipy, per stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """What the detector finds in one frame of every stream."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    frame: NDArray[np.int32]
    streams: list[tuple[NDArray[np.float64], NDArray[np.float64]]]
    """The same, stream by stream, as the baseline takes it."""


def _make_moments(streams: int, people: int, count: int) -> list[_Moment]:
    """Walkers of 150 to 300 px in 1080p who turn at the picture's sides, seen with noise."""
    rng = np.random.default_rng(0)
    height = rng.uniform(150, 300, (streams, people))
    start = rng.uniform([0, 300], [1920, 800], (streams, people, 2))
    speed = height[..., None] * rng.uniform(-0.8, 0.8, (streams, people, 2)) * [1.0, 0.1]
    side = np.stack([0.4 * height, height], axis=-1)
    return [_look(rng, start + speed * (k / RATE), side) for k in range(count)]


def _look(
    rng: np.random.Generator, where: NDArray[np.float64], side: NDArray[np.float64]
) -> _Moment:
    x = np.abs((where[..., :1] + 1920) % 3840 - 1920)  # back and forth between the sides
    center = np.concatenate([x, where[..., 1:]], axis=-1)
    boxes = np.concatenate([center - side / 2, center + side / 2], axis=-1)
    boxes += rng.normal(0, NOISE, boxes.shape) * np.tile(side, 2)
    shape = boxes.shape[:2]
    weak = rng.random(shape) < WEAK
    scores = np.where(weak, rng.uniform(0.15, 0.45, shape), rng.uniform(0.6, 0.95, shape))
    seen = rng.random(shape) >= MISSES
    return _Moment(
        boxes=boxes[seen].astype(np.float32),
        scores=scores[seen].astype(np.float32),
        frame=np.nonzero(seen)[0].astype(np.int32),
        streams=[(b[s], c[s]) for b, c, s in zip(boxes, scores, seen, strict=True)],
    )


def _of_one_step(turn: Timing) -> Timing:
    return Timing(
        median_s=turn.median_s / TURN,
        low_s=turn.low_s / TURN,
        high_s=turn.high_s / TURN,
        n=turn.n,
    )


def _ours(moments: list[_Moment], streams: int, config: TrackConfig, rows: dict[str, int]) -> Work:
    tracker = Tracker(**config.options())
    stream = np.arange(streams, dtype=np.int32)
    time_base = np.tile(np.array([[1, RATE]], np.int32), (streams, 1))
    detected = np.ones(streams, np.bool_)

    def turn_of_steps(turn: int) -> None:
        for i in range(turn * TURN, (turn + 1) * TURN):
            m = moments[i]
            found = tracker.update(
                m.boxes,
                m.scores,
                m.frame,
                stream=stream,
                pts=np.full(streams, i, np.int64),
                time_base=time_base,
                detected=detected,
            )
            rows[OURS] += len(found[2])

    return turn_of_steps


def _loop(moments: list[_Moment], streams: int, config: TrackConfig, rows: dict[str, int]) -> Work:
    solve = need("scipy.optimize", "scipy").linear_sum_assignment
    trackers = [NumpyByteTrack(config, solve) for _ in range(streams)]

    def turn_of_steps(turn: int) -> None:
        for i in range(turn * TURN, (turn + 1) * TURN):
            for one, (boxes, scores) in zip(trackers, moments[i].streams, strict=True):
                rows[BASELINE] += len(one.update(boxes, scores, i / RATE)[1])

    return turn_of_steps


def _measure(streams: int, people: int, repeats: int) -> Report:
    warmup = 2 * RATE // TURN  # all tracks exist and have been lost and found
    moments = _make_moments(streams, people, (warmup + repeats) * TURN)
    config = TrackConfig()
    rows = {OURS: 0, BASELINE: 0}
    sides = {
        OURS: _ours(moments, streams, config, rows),
        BASELINE: _loop(moments, streams, config, rows),
    }
    turns = time_interleaved(sides, repeats=repeats, warmup=warmup)
    timings = {name: _of_one_step(timing) for name, timing in turns.items()}
    if abs(rows[OURS] - rows[BASELINE]) > 0.02 * rows[OURS]:
        raise PoseActError(f"bench track: expected both sides to report the same, got rows {rows}")
    case = f"{streams} streams x {people} people"
    return Report(
        benchmark="track",
        rows=rows_of(case, timings, ours=OURS, left_out="detection"),
        summary={
            "ratio": timings[BASELINE].median_s / timings[OURS].median_s,
            "ms_per_call": timings[OURS].median_s * 1e3,
            "streams": streams,
            "people": people,
            "rows_reported": rows,
        },
        machine=describe_machine(["numpy", "scipy"]),
    )


def command(
    streams: Annotated[int, typer.Option("--streams", min=1, help="Streams of a call.")] = 100,
    people: Annotated[int, typer.Option("--people", min=1, help="People in each.")] = 10,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, help="Timed turns of ten steps.")
    ] = 30,
    json: JsonOption = None,
) -> None:
    """Trackers of 100 streams, 10 people each, moved on by one call."""
    _measure(streams, people, repeats).show(json)
