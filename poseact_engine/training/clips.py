# SPDX-License-Identifier: Apache-2.0
"""Videos sorted in a folder per class: which there are, what they show, and what belongs together.

A folder's name is one of the six actions, in usual spellings (``Falling``, ``fall down``), or
``other`` or ``none`` for what is none of them; others are given a meaning by ``class_map``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from poseact_engine.config_checks import check
from poseact_engine.errors import ConfigError
from poseact_engine.training.clip_names import ClipNames, label_named, parse_label
from poseact_engine.training.keypoints import HARMLESS, UNKNOWN
from poseact_engine.training.paper import CLASSES

VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".ts", ".mpg", ".mpeg", ".wmv", ".flv"}
)
Other = Literal["unknown", "harmless"]

SKIP = "skip"
"""Meaning of a folder that is left out."""
PART = ".part"
"""Ending of the folder, beside a keypoint file, in which an extraction keeps what it has done."""
_OTHERS = frozenset({"other", "others", "none"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One video and what is known of it without looking."""

    path: Path
    name: str
    """Below the folder, without its ending: ``falling_down/C01_P07``."""
    label: int
    """Index into CLASSES, UNKNOWN, HARMLESS or NO_FALL."""
    clip: str
    """The take: the same for all its cameras."""
    camera: str | None
    subject: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipsConfig:
    """Where the videos are and how folders and names are read."""

    folder: Path
    class_map: Mapping[str, str] = field(default_factory=dict)
    """Folder to a name that ``label_named`` knows, or SKIP."""
    other: Other = "unknown"
    """What ``other`` and ``none`` mean."""
    pattern: str | None = None
    """Reads clip, camera and subject from ``Clip.name``, see ``ClipNames``."""
    dataset: str | None = None
    """Stands before names, clips and subjects; None: the folder's name."""

    def __post_init__(self) -> None:
        check(self.other in get_args(Other), "other", "unknown or harmless", self.other)
        for folder, meaning in self.class_map.items():
            if meaning != SKIP:
                label_named(meaning, option=f"--class-map {folder!r}")
        ClipNames(self.pattern)
        # It is a part of keys in keypoint files, which are text.
        check(self.prefix.isprintable(), "--dataset", "a printable name", self.prefix)

    @property
    def prefix(self) -> str:
        return self.dataset or self.folder.resolve().name or "clips"


def find_clips(config: ClipsConfig) -> list[Clip]:
    """All videos below the class folders, by name. Raises ConfigError."""
    if not config.folder.is_dir():
        raise ConfigError(f"{config.folder}: expected a folder with one folder per class")
    folders = sorted(p for p in config.folder.iterdir() if _may_be_class(p))
    unused = sorted(set(config.class_map) - {p.name for p in folders})
    if unused:
        raise ConfigError(f"--class-map {unused[0]}=...: {config.folder} has no such folder")
    labels = {folder: _label(folder.name, config) for folder in folders}
    names = ClipNames(config.pattern)
    clips = [
        _clip(path, label, names, config)
        for folder, label in labels.items()
        if label is not None
        for path in _videos(folder)
    ]
    _check_names(clips)
    if not clips:
        raise ConfigError(
            f"{config.folder}: expected videos in folders named {', '.join(CLASSES)}, found none"
        )
    return clips


def _may_be_class(path: Path) -> bool:
    return path.is_dir() and path.name[0] != "." and not path.name.endswith(f".npz{PART}")


def _check_names(clips: list[Clip]) -> None:
    """Names are keys of keypoint files: text, and each there once."""
    seen: dict[str, Path] = {}
    for clip in clips:
        if not clip.name.isprintable():  # among others, names that are not UTF-8
            raise ConfigError(f"{str(clip.path)!r}: expected a printable name; rename the video")
        if clip.name in seen:
            raise ConfigError(
                f"{clip.path}: expected a name of its own, {seen[clip.name].name} has the same; "
                "rename one of them"
            )
        seen[clip.name] = clip.path


def _videos(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEOS and path.is_file() and path.name[0] != "."
    )


def _label(folder: str, config: ClipsConfig) -> int | None:
    """None: leave it out."""
    meaning = config.class_map.get(folder)
    if meaning == SKIP:
        return None
    if meaning is not None:
        return label_named(meaning, option=f"--class-map {folder!r}")
    if re.sub(r"[^a-z]", "", folder.lower()) in _OTHERS:
        return {"unknown": UNKNOWN, "harmless": HARMLESS}[config.other]
    label = parse_label(folder)
    if label is None:
        raise ConfigError(
            f"{config.folder / folder}: expected a folder named {', '.join(CLASSES)} (or other), "
            f"got {folder!r}; say what it holds: --class-map {folder!r}=CLASS, or =skip"
        )
    return label


def _clip(path: Path, label: int, names: ClipNames, config: ClipsConfig) -> Clip:
    name = path.relative_to(config.folder).with_suffix("").as_posix()
    clip, camera, subject = names.parse(name)
    return Clip(
        path=path,
        name=name,
        label=label,
        clip=f"{config.prefix}/{clip}",
        camera=camera,
        subject=f"{config.prefix}/{subject}" if subject else None,
    )
