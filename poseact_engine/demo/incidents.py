# SPDX-License-Identifier: Apache-2.0
"""The page's part on falls and incidents: a table of what was true, a card for each report."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

from poseact_engine.demo.compare import Comparison
from poseact_engine.demo.pictures import Shot, Strip
from poseact_engine.demo.record import Incident
from poseact_engine.demo.show import StreamShow
from poseact_engine.evaluation.incident_scores import LATE_S, FallOutcome
from poseact_engine.html_page import table
from poseact_engine.synthetic.scene import REPORTED_AFTER_S


def seconds(value: float) -> str:
    return f"{value:.2f} s"


def words(name: str) -> str:
    return html.escape(name.replace("_", " "))


NOT_COUNTED = (
    "Falls that are hidden by half or more, or that end less than"
    f" {REPORTED_AFTER_S:g} s before the scene does, are not counted."
)


def fall_table(streams: Sequence[StreamShow]) -> str:
    rows = [_fall_row(s, fall) for s in streams for fall in s.comparison.falls]
    if not rows:
        return f'<p>No fall to report.</p><p class="soft">{NOT_COUNTED}</p>'
    head = ("camera", "person", "fell at", "on the ground at", "reported at", "after", "")
    return (
        f'<div class="scroll falls" tabindex="0">{table(head, rows)}</div>'
        '<p class="soft">A fall begins where balance is lost, and is reported if a fall of that '
        f"person is, no later than {LATE_S:g} s after the body came to rest. {NOT_COUNTED}</p>"
    )


def _fall_row(stream: StreamShow, outcome: FallOutcome) -> list[str]:
    fall = outcome.fall
    cells = [html.escape(stream.name), str(fall.id), seconds(fall.start_s), seconds(fall.end_s)]
    if outcome.falling_s is not None:
        delay_s = outcome.falling_s - fall.start_s
        result = '<span class="right">reported</span>'
        return [*cells, seconds(outcome.falling_s), seconds(delay_s), result]
    late = "" if outcome.lying_s is None else f", but lying at {seconds(outcome.lying_s)}"
    return [*cells, "", "", f'<span class="false">missed</span>{late}']


def incident_cards(stream: StreamShow) -> str:
    """A card for each incident, with its pictures."""
    if not stream.incidents:
        return f"<p>{html.escape(stream.name)}: none was reported.</p>"
    cards = (
        _card(stream, one, verdict=_verdict(stream.comparison, one.name))
        for one in stream.incidents
    )
    return "\n".join(cards)


def _verdict(comparison: Comparison, incident: str) -> str:
    if comparison.right[incident]:
        return '<span class="right">right: it was so</span>'
    later_s = comparison.later_s.get(incident)
    why = "it was not so" if later_s is None else f"too early, it was so from {seconds(later_s)}"
    return f'<span class="false">false: {why}</span>'


def _card(stream: StreamShow, incident: Incident, *, verdict: str) -> str:
    who = f"{words(incident.action)}, track {incident.track} of {html.escape(stream.name)}"
    strip = stream.strips.get(incident.name)
    return (
        f'<section class="incident"><h3>{who[0].upper()}{who[1:]}</h3>'
        f"<p>Reported at {seconds(incident.told_s)}, {verdict}. "
        f"Probability up to {incident.score:.0%}; over at {seconds(incident.end_s)}.</p>"
        f"{'' if strip is None else _strip(strip, who)}</section>"
    )


def _strip(strip: Strip, who: str) -> str:
    crops = "".join(_figure(shot, f"{shot.when}: {who}") for shot in strip.crops)
    frame = _figure(strip.frame, f"whole frame when reported: {who}")
    return (
        f'<div class="strip">{crops}</div>'
        f"<details><summary>the whole frame at {seconds(strip.frame.time_s)}</summary>"
        f"{frame}</details>"
    )


def _figure(shot: Shot, text: str) -> str:
    """``text`` is escaped already."""
    data = base64.b64encode(shot.jpeg).decode("ascii")
    width, height = shot.size
    return (
        f'<figure><img alt="{text}" width="{width}" height="{height}" '
        f'src="data:image/jpeg;base64,{data}">'
        f"<figcaption>{shot.when}, {seconds(shot.time_s)}</figcaption></figure>"
    )
