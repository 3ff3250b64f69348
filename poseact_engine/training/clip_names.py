# SPDX-License-Identifier: Apache-2.0
"""What the names of files tell of a clip: the take, its camera, its subject, its action."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from poseact_engine.errors import ConfigError
from poseact_engine.synthetic.rig import LABEL_NAMES, UNKNOWN
from poseact_engine.training.paper import CLASSES

GROUPS = ("clip", "camera", "subject")
_SPELLINGS: tuple[tuple[str, str], ...] = (
    ("carrying", "carry carries"),
    ("falling_down", "fall falls falling fall_down falls_down falldown"),
    ("walking", "walk walks"),
    ("lifting", "lift lifts lift_up lifting_up"),
    ("standing", "stand stands"),
    ("lying_down", "lie lies lying lie_down lay laying lay_down laying_down"),
)
CAMERA = r"[/_-]?[Cc]am(?:era)?\d+"
"""How names usually end where several cameras see one take: ``fall3_cam2``."""
LABELS: Mapping[str, int] = MappingProxyType(
    {
        **{
            spelling: CLASSES.index(name)
            for name, others in _SPELLINGS
            for spelling in (name, *others.split())
        },
        **{name: label for label, name in LABEL_NAMES.items()},
        **dict.fromkeys(("other", "others", "none"), UNKNOWN),
    }
)
"""What a label may be called, in lower case, with ``_`` for all that is no letter."""


class ClipName(NamedTuple):
    """Where a sequence comes from; None where it is not known."""

    clip: str | None
    camera: str | None
    subject: str | None


class ClipNames:
    r"""Reads clip, camera and subject from the names of files, or from their paths below a folder.

    ``pattern`` is a regular expression with one or more of the groups ``(?P<clip>...)``,
    ``(?P<camera>...)`` and ``(?P<subject>...)``; it may fit any part of a name. Without a group
    ``clip`` the clip is the name less what the camera's group fits, so that all cameras of a take
    are one clip. Without a pattern the clip is the name, less an ending that is CAMERA.

    >>> ClipNames(r"_C(?P<camera>\d+)_P(?P<subject>\d+)").parse("E02_C03_P007")
    ClipName(clip='E02_C_P007', camera='03', subject='007')
    """

    def __init__(self, pattern: str | None = None) -> None:
        """ConfigError: not a regular expression, or without or with other named groups."""
        self._pattern = None if pattern is None else _compile(pattern)

    def parse(self, stem: str) -> ClipName:
        """Of a name without its suffix; ConfigError where the pattern does not fit it."""
        if self._pattern is None:
            return _without_pattern(stem)
        match = self._pattern.search(stem)
        if match is None:
            raise ConfigError(f"--pattern {self._pattern.pattern!r} does not fit the name {stem!r}")
        found = {name: text for name, text in match.groupdict().items() if text}
        if "clip" not in self._pattern.groupindex:
            first, last = match.span("camera") if "camera" in found else (0, 0)
            found["clip"] = stem[:first] + stem[last:] or stem
        return ClipName(*(found.get(name) for name in GROUPS))


def _without_pattern(stem: str) -> ClipName:
    found = re.fullmatch(rf"(.+?)({CAMERA})", stem)
    if found is None:
        return ClipName(clip=stem, camera=None, subject=None)
    return ClipName(clip=found[1], camera=found[2].lstrip("/_-"), subject=None)


def parse_label(text: str) -> int | None:
    """The label that ``text`` is a name of (see LABELS); None where it is of none.

    >>> parse_label("02 Falling-down") == CLASSES.index("falling_down")
    True
    """
    return LABELS.get(re.sub(r"[^a-z]+", "_", text.lower()).strip("_"))


def label_named(text: str, *, option: str) -> int:
    """The label that ``text`` is a name of; ConfigError names ``option`` and the labels."""
    label = parse_label(text)
    if label is None:
        names = ", ".join(LABEL_NAMES.values())
        raise ConfigError(f"{option}: expected one of {names}, got {text!r}")
    return label


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"--pattern {pattern!r}: expected a regular expression: {error}"
        ) from error
    names = set(compiled.groupindex)
    if not names or not names <= set(GROUPS):
        raise ConfigError(
            f"--pattern {pattern!r}: expected named groups among (?P<clip>...),"
            f" (?P<camera>...) and (?P<subject>...), got {', '.join(sorted(names)) or 'none'}"
        )
    return compiled
