# SPDX-License-Identifier: Apache-2.0
"""A scene's URL: what it means, and what is refused."""

from __future__ import annotations

import pytest

from poseact_engine.errors import SourceError
from poseact_engine.sources import expand_sources
from poseact_engine.streams import without_login
from poseact_engine.synthetic.scene import SceneConfig
from poseact_engine.synthetic.url import EXAMPLE, SceneRequest, parse_scene_url


def test_without_keys_it_is_the_default_scene() -> None:
    for url in ("synthetic://", "synthetic://?", "SYNTHETIC://"):
        assert parse_scene_url(url) == SceneRequest(config=SceneConfig(), live=False)


def test_every_key_is_a_field_of_the_config() -> None:
    url = (
        "synthetic://?people=3&seed=7&seconds=2.5&size=1280x720&fps=30000/1001"
        "&actions=walking,falling_down&live=1"
    )
    config = SceneConfig(
        people=3,
        seed=7,
        seconds=2.5,
        size=(1280, 720),
        fps=(30000, 1001),
        actions=("walking", "falling_down"),
    )
    assert parse_scene_url(url) == SceneRequest(config=config, live=True)
    assert parse_scene_url("synthetic://?fps=25").config.fps == (25, 1)
    assert not parse_scene_url("synthetic://?live=0").live


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?person=3", "the keys people, seed, seconds, size, fps, actions, live, got 'person'"),
        ("?people=two", "people to be a whole number, got 'two'"),
        ("?people=-1", "people"),
        ("?people", "people to be a whole number, got ''"),
        ("?seed=1.5", "seed to be a whole number"),
        ("?seconds=long", "seconds to be a number"),
        ("?seconds=nan", "seconds"),
        ("?seconds=-1", "seconds"),
        ("?size=640", "size to be like 1280x720, got '640'"),
        ("?size=0x0", "size"),
        ("?size=641x361", "size"),
        ("?fps=30.5", "fps to be like 30 or 30000/1001"),
        ("?fps=0", "fps"),
        ("?actions=running", "running"),
        ("?actions=", "actions"),
        ("?actions=walking,,lifting", "names with commas between"),
        ("?live=yes", "live to be 0 or 1, got 'yes'"),
        ("?seed=1&seed=2", "the key 'seed' once"),
        ("host?seed=1", "nothing but keys"),
        ("/path?seed=1", "nothing but keys"),
        ("?seed=1#top", "nothing but keys"),
    ],
)
def test_what_is_refused_names_the_url(query: str, words: str) -> None:
    url = f"synthetic://{query}"
    with pytest.raises(SourceError) as caught:
        parse_scene_url(url)
    assert str(caught.value).startswith(url)
    assert words in str(caught.value)
    with pytest.raises(SourceError):
        expand_sources([url])


def test_it_is_a_source_named_by_its_seed() -> None:
    specs = expand_sources(["synthetic://?seed=7", "synthetic://?seed=7&live=1", EXAMPLE])
    assert [spec.name for spec in specs] == ["synthetic-7", "synthetic-7-2", "synthetic-7-3"]
    assert [spec.live for spec in specs] == [False, True, True]
    assert all(spec.is_synthetic for spec in specs)
    assert not any(spec.is_synthetic for spec in expand_sources(["rtsp://synthetic/a"]))


def test_files_and_logs_show_it_as_it_was_given() -> None:
    assert without_login("synthetic://?seed=7&live=1") == "synthetic://?seed=7&live=1"
