# SPDX-License-Identifier: Apache-2.0
"""The demo's timeline, read back as XML: times to scale, words that can be read."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from poseact_engine.demo.record import TrackRecord
from poseact_engine.demo.show import Show
from poseact_engine.demo.timeline import COLOURS, spans, timeline
from poseact_engine.types import ACTIONS
from tests.unit.made_show import RATE, make_show


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Show:
    return make_show(tmp_path_factory.mktemp("demo"))


def test_the_timeline_draws_times_to_scale(show: Show) -> None:
    stream = show.streams[0]
    svg = ET.fromstring(timeline(stream, show.classes, title="a <title> & more"))
    assert svg.get("aria-label") == "a <title> & more"
    rects = [r for r in svg.iter("rect") if r.get("height") == "5"]
    tips = [str(r.findtext("title")) for r in rects]
    assert tips[:3] == [
        "standing, 0.0 to 1.0 s", "harmless, 1.1 to 1.5 s", "standing, 1.5 to 3.0 s"
    ]  # fmt: skip
    widths = [float(str(r.get("width"))) for r in rects[:3]]
    assert np.array(widths) / sum(widths) == pytest.approx(np.array([30, 12, 45]) / 87, abs=0.01)
    texts = [t.text for t in svg.iter("text")]
    assert {"track 3", "person 1", "not followed", "person 2", "0 s", "3 s"} <= set(texts)
    marks = [p for p in svg.iter("path") if p.get("class") == "mark"]
    assert [p.findtext("title") for p in marks] == [
        "reported falling down at 1.67 s", "reported lying down at 2.67 s"
    ]  # fmt: skip


def test_every_action_has_a_colour_and_no_two_the_same() -> None:
    assert set(COLOURS) == set(ACTIONS)
    assert len(set(COLOURS.values())) == len(COLOURS)


def contrast(one: str, other: str) -> float:
    """Of two colours ``#rrggbb``, by WCAG 2.2."""

    def luminance(colour: str) -> float:
        shares = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_words_on_bars_can_be_read(show: Show) -> None:
    """WCAG's AA asks for 4.5 to 1."""
    frames = np.arange(90 * len(ACTIONS))
    track = TrackRecord(
        stream=0, id=3, frames=frames, times_s=frames / RATE,
        boxes_px=np.zeros((len(frames), 4), np.float32),
        actions=(frames // 90).astype(np.int8),
    )  # fmt: skip
    stream = replace(show.streams[0], tracks=[track], incidents=[], span_s=(0.0, len(frames) / 30))
    svg = ET.fromstring(timeline(stream, ACTIONS, title="all"))
    fills = {str(r.findtext("title")).split(",")[0]: str(r.get("fill")) for r in svg.iter("rect")}
    inks = {"on-dark": "#ffffff", "on-light": "#1b1f24"}
    labels = {str(t.text): inks[k] for t in svg.iter("text") if (k := t.get("class", "")) in inks}
    assert set(labels) == {action.replace("_", " ") for action in ACTIONS}
    for words, ink in labels.items():
        assert contrast(ink, fills[words]) >= 4.5, words


def test_spans_break_at_gaps_and_skip_what_is_no_action() -> None:
    times = np.array([0, 1, 2, 5, 6, 7]) / RATE
    found = spans(times, np.array([0, 0, 1, 1, -1, 1], np.int8), ("a", "b"), step_s=1 / RATE)
    seen = [(s.name, round(s.start_s * RATE), round(s.end_s * RATE)) for s in found]
    assert seen == [("a", 0, 2), ("b", 2, 3), ("b", 5, 6), ("b", 7, 8)]
