# SPDX-License-Identifier: Apache-2.0
"""The incident stage against a state machine per track, written without arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseact_engine.config import IncidentConfig
from poseact_engine.errors import ConfigError, ShapeError
from poseact_engine.incidents import Incidents
from poseact_engine.types import Event
from tests.incident_runs import CLASSES, RATE, Seen, run_step, steady, step_of

LEVELS = np.array([0, 0.3, 0.4, 0.5, 0.6, 0.7, 1], np.float32)  # thresholds are met exactly


def exact(seconds: float) -> Fraction:
    return Fraction(str(seconds))


@dataclass
class Model:
    """One action of one track, in fractions of a second."""

    config: IncidentConfig
    enter: float
    leave: float
    windows: list[tuple[Fraction, float]] = field(default_factory=list)
    box_scores: list[Fraction] = field(default_factory=list)
    below: Fraction | None = None
    start: Fraction | None = None  # of the open incident
    said: Fraction = Fraction(0)
    best: float = 0

    def take(self, now: Fraction, p: float, box_score: float) -> str | None:
        self.windows.append((now, p))
        self.box_scores.append(Fraction(str(box_score)))
        self.below = None if p >= self.leave else now if self.below is None else self.below
        if self.start is not None:
            self.best = max(self.best, p)
            if self.below is not None and now - self.below >= exact(self.config.end_s):
                return "end"
            if now - self.said >= exact(self.config.update_s):
                self.said = now
                return "update"
            return None
        counted = [w for w in self.windows[-self.config.n :] if w[1] >= self.enter]
        scores = self.box_scores[-self.config.n :]
        if len(counted) < self.config.k or mean(scores) < exact(self.config.min_score):
            return None
        self.start, self.said = counted[0][0], now
        self.best = max(p for _, p in counted)
        return "new"


class Reference:
    """Events of a run, one window at a time."""

    def __init__(self, config: IncidentConfig) -> None:
        self.config = config
        self.models: dict[tuple[int, int], dict[str, Model]] = {}
        self.last: dict[tuple[int, int], Seen] = {}
        self.numbers: dict[tuple[int, int], dict[str, int]] = {}
        self.count: dict[tuple[int, int], int] = {}

    def take(self, seen: Seen) -> list[Event]:
        key = (seen.stream, seen.track)
        if seen.step is None:
            return self.end_track(key)
        events = []
        if key in self.last and seen.step < (self.last[key].step or 0):
            events += self.end_track(key)
        self.last[key] = seen
        models = self.models.setdefault(
            key,
            {
                action: Model(self.config, *np.array(pair, np.float32).tolist())
                for action, pair in self.config.actions.items()
            },
        )
        for action, model in models.items():
            p = float(seen.p[CLASSES.index(action)])
            kind = model.take(Fraction(seen.step, RATE), p, seen.box_score)
            if kind is not None:
                events.append(self.event(kind, key, action))
        return events

    def end_track(self, key: tuple[int, int]) -> list[Event]:
        opened = [a for a, m in self.models.get(key, {}).items() if m.start is not None]
        events = [self.event("end", key, action) for action in opened]
        self.models.pop(key, None)
        return events

    def event(self, kind: str, key: tuple[int, int], action: str) -> Event:
        model, seen = self.models[key][action], self.last[key]
        if kind == "new":
            self.count[key] = self.count.get(key, 0) + 1
            self.numbers.setdefault(key, {})[action] = self.count[key]
        assert model.start is not None
        assert seen.step is not None
        event = Event(
            kind=kind,  # type: ignore[arg-type]  # one of the three
            incident=f"{key[0]}-{key[1]}-{self.numbers[key][action]}",
            stream=key[0],
            track=key[1],
            action=action,
            start_s=float(model.start),
            time_s=seen.step / RATE,
            score=model.best,
            box_px=seen.box_px,
        )
        if kind == "end":
            self.models[key][action] = Model(
                model.config, model.enter, model.leave, box_scores=model.box_scores
            )
        return event


@st.composite
def runs(draw: st.DrawFn) -> list[Seen]:
    """Windows of up to six tracks, in phases that stay above or below; tracks end, clocks jump."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    queues = []
    for n in range(draw(st.integers(1, 6))):
        step, items, mean = 30 * n, [], 0
        stride = int(rng.integers(1, 4))
        for _ in range(draw(st.integers(0, 120))):
            if rng.random() < 0.06:
                mean = int(rng.integers(len(LEVELS)))
            jump = rng.random()
            step += stride + (40 if jump < 0.01 else 0) - (50 if jump > 0.99 else 0)
            level = np.clip(mean + rng.integers(-1, 2, len(CLASSES)), 0, len(LEVELS) - 1)
            box_score = float(rng.choice((0.1, 0.3, 0.9), p=(0.1, 0.2, 0.7)))
            items.append(Seen(n % 2, 1 + n // 2, step, tuple(LEVELS[level].tolist()), box_score))
        if rng.random() < 0.6:
            items.append(Seen(n % 2, 1 + n // 2, None))
        queues.append(items)
    order = rng.permutation(np.repeat(np.arange(len(queues)), [len(q) for q in queues]))
    iterators = [iter(q) for q in queues]
    return [next(iterators[n]) for n in order]


CONFIGS = st.builds(
    IncidentConfig,
    actions=st.sampled_from(
        [
            {"falling_down": (0.6, 0.4), "lying_down": (0.7, 0.3)},
            {"lying_down": (0.5, 0.0)},
            {"lying_down": (0.6, 0.5), "falling_down": (0.6, 0.5), "walking": (1.0, 0.3)},
        ]
    ),
    k=st.integers(1, 4),
    n=st.integers(4, 8),
    min_score=st.sampled_from([0.0, 0.3, 0.9]),
    update_s=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    end_s=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
)


@settings(max_examples=120, deadline=None)
@given(run=runs(), config=CONFIGS)
def test_events_equal_a_state_machine_per_track(run: list[Seen], config: IncidentConfig) -> None:
    reference, stage = Reference(config), Incidents(config, CLASSES)
    for seen in run:
        assert run_step(stage, [seen]) == reference.take(seen)
    alive = sorted(reference.models)
    expected = [event for key in alive for event in reference.end_track(key)]
    assert stage.close() == expected
    assert len(stage) == 0
    assert stage.close() == []


@settings(max_examples=60, deadline=None)
@given(run=runs(), config=CONFIGS, cuts=st.lists(st.integers(0, 500), max_size=8))
def test_batching_changes_nothing(run: list[Seen], config: IncidentConfig, cuts: list[int]) -> None:
    """Steps are cut after each end of a track, as a step says what ended after its windows."""
    single, batched = Incidents(config, CLASSES), Incidents(config, CLASSES)
    expected = [event for seen in run for event in run_step(single, [seen])]
    ends = [i + 1 for i, seen in enumerate(run) if seen.step is None]
    edges = sorted({0, len(run), *ends, *(c for c in cuts if c < len(run))})
    got = [event for a, b in pairwise(edges) for event in run_step(batched, run[a:b])]
    assert got == expected
    assert batched.close() == single.close()


def test_life_of_an_incident() -> None:
    """5 of 8 windows at 30 per second; an update each second; the end a second after the last."""
    stage = Incidents(IncidentConfig(k=5, n=8), CLASSES)
    run = steady("falling_down", 0.95, range(66)) + steady("falling_down", 0.1, range(66, 120))
    events = run_step(stage, run)
    assert [e.kind for e in events] == ["new", "update", "update", "update", "end"]
    assert [round(e.time_s * RATE) for e in events] == [4, 34, 64, 94, 96]
    assert {e.incident for e in events} == {"0-1-1"}
    assert {e.start_s for e in events} == {0.0}
    assert [e.score for e in events] == pytest.approx([0.95] * 5)
    assert events[0].box_px == (4, 0, 1, 1)


def test_falling_then_lying_are_two_incidents() -> None:
    stage = Incidents(IncidentConfig(), CLASSES)
    run = steady("falling_down", 0.9, range(10)) + steady("lying_down", 0.9, range(10, 60))
    kinds = [(e.kind, e.action, e.incident) for e in run_step(stage, run) if e.kind != "update"]
    assert kinds == [
        ("new", "falling_down", "0-1-1"),
        ("new", "lying_down", "0-1-2"),
        ("end", "falling_down", "0-1-1"),
    ]


def test_a_row_of_weak_boxes_opens_no_incident_and_ends_none() -> None:
    """0.3 is met exactly; one weak box among better ones hinders nothing, and an open incident goes
    on with weak ones."""
    run = steady("falling_down", 0.95, range(20))
    weak, met = ([replace(seen, box_score=s) for seen in run] for s in (0.299, 0.3))
    config = IncidentConfig(k=5, n=8, min_score=0.3, update_s=60.0)
    assert run_step(Incidents(config, CLASSES), weak) == []
    stage = Incidents(config, CLASSES)
    late = [replace(seen, box_score=0.1) for seen in steady("falling_down", 0.95, range(20, 90))]
    assert [(e.kind, round(e.time_s * RATE)) for e in run_step(stage, met + late)] == [("new", 4)]
    dip = [replace(seen, box_score=0.1 if seen.step == 4 else 0.5) for seen in run]
    events = run_step(Incidents(config, CLASSES), dip)
    assert [(e.kind, round(e.time_s * RATE)) for e in events] == [("new", 4)]


def test_quiet_windows_say_nothing() -> None:
    assert run_step(Incidents(IncidentConfig(), CLASSES), steady("walking", 1.0, range(90))) == []


def test_end_of_a_stream_ends_its_incidents_alone() -> None:
    stage = Incidents(IncidentConfig(), CLASSES)
    for stream in (0, 1):
        run_step(stage, steady("lying_down", 0.9, range(8), stream=stream))
    assert [(e.kind, e.stream) for e in stage.close(1)] == [("end", 1)]
    assert len(stage) == 1
    assert [(e.kind, e.stream) for e in stage.close()] == [("end", 0)]


def test_ten_thousand_tracks_leave_nothing() -> None:
    stage = Incidents(IncidentConfig(k=5, n=8), CLASSES)
    for first in range(1, 10_001, 100):
        run = []
        for track in range(first, first + 100):
            run += steady("lying_down", 0.9, range(6), track=track)
            run.append(Seen(0, track, None))
        events = run_step(stage, run)
        assert [e.kind for e in events] == ["new"] * 100 + ["end"] * 100
        assert {e.incident for e in events} == {f"0-{first + n}-1" for n in range(100)}
    assert len(stage) == 0
    assert len(stage._state.ids) <= 256  # rows follow the most tracks held at one time


def test_unknown_action_names_what_exists() -> None:
    with pytest.raises(ConfigError, match=r"\(walking, falling_down, lying_down\), got flying"):
        Incidents(IncidentConfig(actions={"flying": (0.6, 0.4)}), CLASSES)


def test_wrong_probabilities_are_refused() -> None:
    windows, _, tracks = step_of(steady("walking", 1.0, range(2)))
    with pytest.raises(ShapeError, match=r"probabilities \[W, C\] = \[2, 3\], got \[2, 2\]"):
        Incidents(IncidentConfig(), CLASSES)(windows, np.zeros((2, 2), np.float32), tracks)
