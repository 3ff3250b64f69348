# SPDX-License-Identifier: Apache-2.0
"""Who did what when, as a drawing: a bar a track, the truth as a thin line beneath it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine.demo.compare import PersonTruth
from poseact_engine.demo.record import Incident, TrackRecord
from poseact_engine.demo.show import StreamShow
from poseact_engine.synthetic.rig import HARMLESS
from poseact_engine.types import ACTIONS

# On white; falls and lying stand out in colour and in lightness, for colour-blind people too.
COLOURS: Mapping[str, str] = {
    "standing": "#c3cbd4",
    "walking": "#7fb2e5",
    "carrying": "#2f7f76",
    "lifting": "#e3b341",
    "falling_down": "#c8102e",
    "lying_down": "#6f2c91",
}
OTHER = "#8a94a0"
HARMLESS_COLOUR = "#efe4cf"
WIDTH, LEFT, RIGHT, TOP = 960, 118, 22, 26
ROW, BAR, LINE = 44, 16, 5
LABEL_PX = 7.0
"""Width of a letter of 12 px, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time in which one thing was so."""

    start_s: float
    end_s: float
    name: str


def spans(
    times_s: NDArray[np.float64],
    values: NDArray[np.int8],
    names: Sequence[str],
    *,
    step_s: float,
) -> list[Span]:
    """Runs of equal values, each an index into ``names`` or HARMLESS; others leave a gap.

    A row lasts ``step_s``; rows further apart than that are no run.
    """
    found: list[Span] = []
    for time_s, value in zip(times_s.tolist(), values.tolist(), strict=True):
        if not 0 <= value < len(names) and value != HARMLESS:
            continue
        name = "harmless" if value == HARMLESS else names[value]
        last = found[-1] if found else None
        if last is not None and last.name == name and time_s <= last.end_s + 0.5 * step_s:
            found[-1] = Span(start_s=last.start_s, end_s=time_s + step_s, name=name)
        else:
            found.append(Span(start_s=time_s, end_s=time_s + step_s, name=name))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Seconds of a stream to pixels of the drawing."""

    start_s: float
    end_s: float

    def x(self, time_s: float) -> float:
        length_s = max(self.end_s - self.start_s, 1e-6)
        share = min(max((time_s - self.start_s) / length_s, 0.0), 1.0)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def ticks_s(self) -> Iterator[float]:
        """At most about a dozen whole steps."""
        length_s = self.end_s - self.start_s
        step = next((s for s in (1, 2, 5, 10, 30, 60, 300, 600) if length_s / s <= 13), 3600)
        tick = int(np.ceil(self.start_s / step)) * step
        while tick <= self.end_s:
            yield float(tick)
            tick += step


def timeline(stream: StreamShow, classes: Sequence[str], *, title: str) -> str:
    """An SVG element. People whom no track followed have a row of their own, with truth alone."""
    people = {person.id: person for person in stream.truth.people}
    followed = stream.comparison.people
    missed = sorted(set(people) - set(followed.values()))
    height = TOP + ROW * (len(stream.tracks) + len(missed)) + 8
    axis = Axis(start_s=stream.span_s[0], end_s=stream.span_s[1] + stream.step_s)
    rows: list[str] = []
    for track in stream.tracks:
        person = people.get(followed.get(track.id) or 0)  # ids are from 1
        y = TOP + ROW * len(rows)
        who = f"person {person.id}" if person else "nobody"
        bar = _track_bar(track, classes, axis, y, stream.step_s)
        truth = _truth_line(person, axis, y, stream.step_s) if person else ""
        marks = (_mark(one, axis, y) for one in stream.incidents if one.track == track.id)
        rows.append("".join([_label(f"track {track.id}", who, y), bar, truth, *marks]))
    for lost in missed:
        y = TOP + ROW * len(rows)
        truth = _truth_line(people[lost], axis, y, stream.step_s)
        rows.append(_label("not followed", f"person {lost}", y) + truth)
    name = html.escape(title, quote=True)
    body = "\n".join([*_grid(axis, height), *rows])
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" class="timeline" '
        f'aria-label="{name}"><title>{name}</title>\n{body}\n</svg>'
    )


def _grid(axis: Axis, height: int) -> Iterator[str]:
    for tick in axis.ticks_s():
        x = axis.x(tick)
        yield f'<path class="grid" d="M{x:.1f} {TOP - 6}V{height - 4}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{TOP - 11}">{tick:g} s</text>'


def _label(name: str, who: str, y: int) -> str:
    return (
        f'<text class="name" x="0" y="{y + 13}">{html.escape(name)}</text>'
        f'<text class="who" x="0" y="{y + 28}">{html.escape(who)}</text>'
    )


def _track_bar(
    track: TrackRecord, classes: Sequence[str], axis: Axis, y: int, step_s: float
) -> str:
    first, last = axis.x(float(track.times_s[0])), axis.x(float(track.times_s[-1]) + step_s)
    ground = _rect((first, last), y, BAR, "#f4f6f8", f"track {track.id}")
    found = spans(track.times_s, track.actions, classes, step_s=step_s)
    return ground + "".join(_bars(found, axis, y, BAR))


def _truth_line(person: PersonTruth, axis: Axis, y: int, step_s: float) -> str:
    found = spans(person.times_s, person.actions, ACTIONS, step_s=step_s)
    return "".join(_bars(found, axis, y + BAR + 4, LINE))


def _bars(found: Iterable[Span], axis: Axis, y: int, height: int) -> Iterator[str]:
    for span in found:
        x0, x1 = axis.x(span.start_s), axis.x(span.end_s)
        words = span.name.replace("_", " ")
        colour = HARMLESS_COLOUR if span.name == "harmless" else COLOURS.get(span.name, OTHER)
        tip = f"{words}, {span.start_s:.1f} to {span.end_s:.1f} s"
        yield _rect((x0, x1), y, height, colour, tip)
        if height == BAR and x1 - x0 > LABEL_PX * len(words) + 8:
            dark = span.name in ("falling_down", "lying_down", "carrying")
            kind = "on-dark" if dark else "on-light"
            yield f'<text class="{kind}" x="{x0 + 5:.1f}" y="{y + 12}">{html.escape(words)}</text>'


def _rect(ends: tuple[float, float], y: int, height: int, colour: str, tip: str) -> str:
    x0, x1 = ends
    return (
        f'<rect x="{x0:.1f}" y="{y}" width="{max(x1 - x0, 0.5):.1f}" height="{height}" '
        f'fill="{colour}"><title>{html.escape(tip)}</title></rect>'
    )


def _mark(incident: Incident, axis: Axis, y: int) -> str:
    """A pointer above the bar at the moment of the report."""
    x = axis.x(incident.told_s)
    tip = f"reported {incident.action.replace('_', ' ')} at {incident.told_s:.2f} s"
    return (
        f'<path class="mark" d="M{x:.1f} {y}l-5 -9h10z"><title>{html.escape(tip)}</title></path>'
        f'<path class="mark-line" d="M{x:.1f} {y}v{BAR + 4 + LINE}"/>'
    )
