# SPDX-License-Identifier: Apache-2.0
"""The demo's page, read with parsers: whole, escaped, with pictures that are the film's."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.demo.compare import SceneTruth
from poseact_engine.demo.page import page
from poseact_engine.demo.pictures import strips
from poseact_engine.demo.record import Incident, Recorder, TrackRecord
from poseact_engine.demo.show import Show, gather
from poseact_engine.sinks.video import VideoSink
from tests.unit.made_show import (
    NAMES,
    RATE,
    SIZE,
    film,
    grey_of,
    make_show,
)
from tests.unit.made_steps import CLASSES, make_run, make_step

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags in order; fails on one that is not closed, or closed twice."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def picture_of(attributes: dict[str, str | None]) -> NDArray[np.uint8]:
    head, data = str(attributes["src"]).split(",", 1)
    assert head == "data:image/jpeg;base64"
    found = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found, np.uint8)


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Show:
    return make_show(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def read(show: Show) -> Page:
    return Page(page(show))


def test_it_needs_nothing_from_elsewhere(show: Show, read: Page) -> None:
    assert "http" not in page(show)
    assert read.all("script") == read.all("link") == []
    files = [str(v["src"]) for v in read.all("video")] + [str(a["href"]) for a in read.all("a")]
    assert len(set(files)) == 2
    assert all(re.fullmatch(r"annotated-[\w.-]+\.mp4", name) for name in files)


def test_names_are_text_and_never_markup(read: Page) -> None:
    for name in (*NAMES, "'a<b>.onnx'"):
        assert name in read.text
    assert not {"b.onnx", "gate"} & {tag for tag, _ in read.tags}


def test_the_figures_are_those_of_the_run(read: Page) -> None:
    for figure in (
        "180frames",
        "90frames/s",
        "1 of 2falls reported",
        "2incidents, 1 of them false",
    ):
        assert figure in read.text
    assert "4people in the scene; 1 tracks" in read.text
    assert "1.07 s" in read.text  # 50/30 - 0.6: the delay
    assert "missed" in read.text
    assert "1.2.3" in read.text
    assert "not for real cameras" in read.text
    assert "they have not seen" in read.text


def test_a_scene_that_may_have_been_trained_on_is_called_so(show: Show) -> None:
    text = Page(page(replace(show, unseen=False))).text
    assert "they may have seen it" in text
    assert "they have not seen" not in text


def test_each_incident_has_its_pictures_each_with_words(read: Page) -> None:
    images = read.all("img")
    assert len(images) == 2 * 4
    assert all(image["alt"] for image in images)
    for image in images:
        height, width = picture_of(image).shape[:2]
        assert (str(width), str(height)) == (image["width"], image["height"])
    whens = [str(image["alt"]).split(":")[0] for image in images[:4]]
    assert whens == ["before", "reported", "after", "whole frame when reported"]


def test_pictures_show_the_person_at_their_times(read: Page) -> None:
    """Frames 1.5 - 1 s, 50/30 and 50/30 + 1.5 s: the ground's grey tells, the block is inside."""
    for image, frame in zip(read.all("img")[:3], (15, 50, 89), strict=True):
        picture = picture_of(image).astype(int)
        side = picture.shape[0]
        assert picture.shape[:2] == (side, side)
        yellow = (picture[..., 0] < 110) & (picture[..., 1:].min(axis=2) > 220)
        rows, columns = np.nonzero(yellow)
        # A square of 1.5 times the person's longer edge; the box's line takes some of the block.
        assert 0.8 < yellow.mean() * (1.5 * 80) ** 2 / (40 * 80) < 1.05
        assert columns.mean() / side == pytest.approx(0.5, abs=0.12)
        assert rows.mean() / side == pytest.approx(0.5, abs=0.12)
        # Levels of neighbours differ by 2; a corner has neither block nor text.
        assert np.median(picture[-8:, -8:]) == pytest.approx(grey_of(frame), abs=1.6)


def test_an_incident_at_the_picture_s_edge_is_cut_inside_it(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "v.mp4") as video:
        video.open(make_run("a"))
        for frame in list(film(0))[:30]:
            video.write(make_step([frame]))
    boxes = np.array([[-30, 200, 10, 260]] * 30, np.float32)
    track = TrackRecord(
        stream=0, id=3, frames=np.arange(30), times_s=np.arange(30) / RATE, boxes_px=boxes,
        actions=np.zeros(30, np.int8),
    )  # fmt: skip
    options: dict[str, Any] = {"stream": 0, "track": 3, "action": "falling_down", "box_px": None}
    one = Incident(name="a", start_s=0.2, told_s=0.4, end_s=0.9, score=1.0, **options)
    stray = Incident(name="b", start_s=0.2, told_s=0.4, end_s=0.9, score=1.0, **options)
    stray.track = 99  # of a track that left no row
    found = strips(tmp_path / "v.mp4", [one, stray], [track], span_s=(0.0, 29 / RATE))
    assert list(found) == ["a"]
    assert [shot.when for shot in found["a"].crops] == ["before", "reported", "after"]
    assert [shot.time_s for shot in found["a"].crops] == pytest.approx([0.0, 0.4, 29 / RATE])
    assert {shot.size for shot in found["a"].crops} == {(360, 360)}
    assert found["a"].frame.size == SIZE


def test_a_scene_without_falls_and_incidents_says_so(show: Show) -> None:
    recorder = Recorder()
    recorder.open(make_run("quiet"))
    stream = show.streams[1]
    empty = Show(
        version="1", classes=CLASSES, manifests={}, bundled=frozenset(), unseen=True, frames=0,
        elapsed_s=0.0,
        streams=gather(recorder, Path("v.mp4"), [SceneTruth(people=(), falls=())], fps=RATE),
        command="poseact demo",
    )  # fmt: skip
    text = Page(page(empty)).text
    assert "No fall to report" in text
    assert "quiet: none was reported" in text
    assert "not for real cameras" not in text  # no bundled model
    assert stream.comparison.falls[0].falling_s is None
