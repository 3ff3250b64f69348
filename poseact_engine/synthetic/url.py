# SPDX-License-Identifier: Apache-2.0
"""A scene as a URL: ``synthetic://?people=3&seed=7&seconds=20&size=1280x720``.

Each key of :class:`SceneConfig`, and ``live=1``: paced as a camera is, where a file would wait.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.synthetic.scene import SceneConfig

EXAMPLE = "synthetic://?people=3&seed=7&seconds=20&size=1280x720&fps=30&actions=walking&live=1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneRequest:
    """What a URL asks for."""

    config: SceneConfig
    live: bool = False
    """In real time; the oldest frames are dropped when nobody takes them."""

    @property
    def name(self) -> str:
        """For people and file names."""
        return f"synthetic-{self.config.seed}"


def parse_scene_url(url: str) -> SceneRequest:
    """Raises SourceError for a key that is unknown or there twice, and for a wrong value."""
    parts = urlsplit(url)
    if parts.netloc or parts.path or parts.fragment:
        raise _wrong(url, "nothing but keys after synthetic://?")
    given: dict[str, Any] = {}
    for key, text in parse_qsl(parts.query, keep_blank_values=True):
        if key not in _KEYS:
            raise _wrong(url, f"the keys {', '.join(_KEYS)}", key)
        if key in given:
            raise _wrong(url, f"the key {key!r} once")
        expected, parse = _KEYS[key]
        try:
            given[key] = parse(text)
        except ValueError:
            raise _wrong(url, f"{key} to be {expected}", text) from None
    live = given.pop("live", False)
    try:
        return SceneRequest(config=SceneConfig(**given), live=live)
    except ConfigError as error:
        raise SourceError(f"{url}: {error}") from error


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of ``1280x720``; ValueError for anything else."""
    return _pair(text, "x")


def parse_fps(text: str) -> tuple[int, int]:
    """Numerator and denominator of ``30`` or ``30000/1001``; ValueError for anything else."""
    return _pair(text if "/" in text else f"{text}/1", "/")


def parse_actions(text: str) -> tuple[str, ...]:
    """The names between commas; ValueError where there is none, or nothing between two commas."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ValueError(text)
    return names


def _pair(text: str, between: str) -> tuple[int, int]:
    found = re.fullmatch(rf"([0-9]{{1,9}}){between}([0-9]{{1,9}})", text.strip())
    if found is None:
        raise ValueError(text)
    return int(found[1]), int(found[2])


def _parse_live(text: str) -> bool:
    return {"0": False, "1": True}[text] if text in ("0", "1") else _refuse(text)


def _refuse(text: str) -> bool:
    raise ValueError(text)


_KEYS: Mapping[str, tuple[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "people": ("a whole number", int),
        "seed": ("a whole number", int),
        "seconds": ("a number", float),
        "size": ("like 1280x720", parse_size),
        "fps": ("like 30 or 30000/1001", parse_fps),
        "actions": ("names with commas between them", parse_actions),
        "live": ("0 or 1", _parse_live),
    }
)


def _wrong(url: str, expected: str, got: str | None = None) -> SourceError:
    what = "" if got is None else f", got {got!r}"
    return SourceError(f"{url}: expected {expected}{what}; as {EXAMPLE}")
