# SPDX-License-Identifier: Apache-2.0
"""Keypoints that other estimators found, as labelled sequences of one person each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from poseact_engine.config_checks import check, check_seconds
from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.training.clip_names import ClipNames, parse_label
from poseact_engine.training.foreign.alphapose import read_alphapose
from poseact_engine.training.foreign.coco_results import read_coco_results
from poseact_engine.training.foreign.openpose import read_openpose
from poseact_engine.training.foreign.poses import ClipPoses, boxes_of, split_people
from poseact_engine.training.foreign.pyskl import read_pyskl
from poseact_engine.training.keypoints import PoseSequence
from poseact_engine.training.paper import CLASSES

Format = Literal["alphapose", "openpose", "coco", "pyskl"]
Who = Literal["main", "all"]
ENDINGS: dict[str, tuple[str, ...]] = {
    "alphapose": (".json",),
    "coco": (".json",),
    "pyskl": (".pkl", ".pickle"),
}
"""What is read below a folder. OpenPose's files are read a folder at a time."""

FRAMES = "sep-json"
"""AlphaPose's folder of single frames."""
LARGEST_SHARE = 2.0
"""Nobody's joints are all within so few pixels of the frame's corner; people who leave the frame
have joints at shares above 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertConfig:
    """What is read, and what its files do not tell."""

    format: Format
    paths: tuple[Path, ...]
    fps: Fraction
    """Frames per second of the videos that the frames' numbers count."""
    size: tuple[int, int] | None = None
    """Width and height of the frames, where the files do not tell them."""
    label: int | None = None
    """Of all clips. None: ``label_map`` or the folders' names tell."""
    label_map: Mapping[int, int] | None = None
    """The files' own numbers of classes to labels; clips of other classes are left out."""
    names: ClipNames = field(default_factory=ClipNames)
    people: Who = "main"
    """``main``: one person a clip, who is seen in most frames, and largest among those."""
    min_seconds: float = 0.5
    """People who are seen for less are left out."""
    min_score: float = 0.0
    """Poses whose joints score less in the mean are left out."""
    images: Path | None = None
    """COCO annotations which name the images of results."""
    normalised: bool = False
    """Coordinates are shares of the frame's width and height, 0 to 1."""
    dataset: str | None = None
    """Stands before names, clips and subjects; None: the folder's name, or that of the folder
    around it for one that is named as a class."""

    def __post_init__(self) -> None:
        check(self.format in get_args(Format), "format", ", ".join(get_args(Format)), self.format)
        check(self.people in get_args(Who), "--people", "main or all", self.people)
        check(0 < self.fps <= 1000, "--fps", "above 0, 1000 at most", self.fps)
        check_seconds("convert", min_seconds=self.min_seconds)
        check(0 <= self.min_score < 1e6, "--min-score", "0 or more", self.min_score)
        check(self.label is None or self.label_map is None, "--label", "none with a map", "both")
        if self.size is not None:
            check(min(self.size) > 0, "--size", "1x1 or more", self.size)
        if self.images is not None and self.format != "coco":
            raise ConfigError(f"--images: expected with coco, got with {self.format}")


@dataclass(slots=True)
class Converted:
    """The sequences, and what was left out."""

    sequences: list[PoseSequence] = field(default_factory=list)
    clips: int = 0
    other_classes: int = 0
    """Clips whose class the map does not have."""
    empty: list[str] = field(default_factory=list)
    """Clips in which nobody was seen for long enough."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A clip, and where it stands."""

    where: str
    name: str
    """With the data set and the folders below PATH."""
    dataset: str
    folders: tuple[str, ...]
    """Nearest first; no further out than PATH itself."""
    poses: ClipPoses


def convert(config: ConvertConfig, *, on_clip: Callable[[int], None] = lambda _: None) -> Converted:
    """All sequences of all paths; ``on_clip`` hears how many clips are done.

    Raises SourceError (a file), ConfigError (a label, a size or a name is missing, nothing left).
    """
    done = Converted()
    places: dict[str, str] = {}
    for found in _find(config):
        if places.setdefault(found.name, found.where) != found.where:
            raise ConfigError(
                f"{found.where}: is called {found.name!r} as one of {places[found.name]}; convert "
                "them one after the other, each with a --dataset of its own"
            )
        done.clips += 1
        _add(done, found, config)
        on_clip(done.clips)
    if not done.sequences:
        raise ConfigError(
            f"convert: expected people seen for {config.min_seconds:g} s in one of {done.clips}"
            f" clips, found none ({done.other_classes} of classes that --label-map does not have)"
        )
    return done


def _find(config: ConvertConfig) -> Iterator[_Found]:
    for path in config.paths:
        root, dataset, begin = _place(path, config)
        for file in _files(config.format, path):
            inside = file.relative_to(root)
            # A folder of OpenPose's frames is the clip, where its files do not name another.
            above = (*begin, *(inside.parts if file.is_dir() else inside.parts[:-1]))
            for poses in _read(config, file):
                parts = (*above, poses.name) if above[-1:] != (poses.name,) else above
                name = "/".join((dataset, *parts))
                if not name.isprintable():  # keys of keypoint files are text
                    where = str(file).encode(errors="backslashreplace").decode()
                    raise SourceError(f"{where}: expected a printable name, got {name!r:.80}")
                yield _Found(
                    where=str(file),
                    name=name,
                    dataset=dataset,
                    folders=(*reversed(above), root.resolve().name),
                    poses=poses,
                )


def _place(path: Path, config: ConvertConfig) -> tuple[Path, str, tuple[str, ...]]:
    """The folder that is searched, the data set, and what stands before all names below it.

    A folder that is named as a class is a part of the data set around it, whose subjects and
    takes may be in its other classes, too.
    """
    root = path if path.is_dir() else path.parent
    named = root.resolve()
    is_class = parse_label(named.name) is not None
    around = named.parent.name if is_class else named.name
    return root, config.dataset or around or "clips", (named.name,) * is_class


def _files(kind: Format, path: Path) -> list[Path]:
    """What is read one at a time: files, or OpenPose's folders."""
    if kind == "openpose":
        if not path.is_dir():
            raise SourceError(f"{path}: expected a folder of OpenPose's JSON files, one per frame")
        found = {file.parent for file in path.rglob("*.json")}
    elif path.is_dir():
        found = {file for ending in ENDINGS[kind] for file in path.rglob(f"*{ending}")}
        if kind == "alphapose":  # writes each frame, too, beside the whole
            found = {file for file in found if file.parent.name != FRAMES or file.parent == path}
    else:
        found = {path}
    if not found:
        ending = ENDINGS.get(kind, (".json",))[0]
        raise SourceError(f"{path}: expected {kind}'s files (*{ending}) below it, found none")
    return sorted(found)


def _read(config: ConvertConfig, path: Path) -> list[ClipPoses]:
    match config.format:
        case "alphapose":
            return read_alphapose(path)
        case "openpose":
            return read_openpose(path)
        case "coco":
            return read_coco_results(path, images=config.images)
        case "pyskl":
            return read_pyskl(path)


def _add(done: Converted, found: _Found, config: ConvertConfig) -> None:
    label = _label(found, config)
    if label is None:
        done.other_classes += 1
        return
    size = found.poses.size or config.size
    if size is None:
        raise ConfigError(f"{found.where}: does not tell the size of its frames; give --size WxH")
    poses = _filtered(found, size, config)
    people = _chosen(_people(found, poses, config), poses, config)
    if not people:
        done.empty.append(found.name)
    origin = config.names.parse(found.name.removeprefix(f"{found.dataset}/"))
    for number, rows in enumerate(people):
        frames = poses.frames[rows] - found.poses.frames[0]
        done.sequences.append(
            PoseSequence(
                name=found.name if config.people == "main" else f"{found.name}_p{number + 1}",
                keypoints_px=poses.keypoints_px[rows],
                labels=np.full(len(rows), label, dtype=np.int8),
                times_s=frames * config.fps.denominator / config.fps.numerator,
                size=size,
                clip=f"{found.dataset}/{origin.clip}" if origin.clip else None,
                camera=origin.camera,
                subject=f"{found.dataset}/{origin.subject}" if origin.subject else None,
            )
        )


def _people(found: _Found, poses: ClipPoses, config: ConvertConfig) -> list[NDArray[np.int64]]:
    return split_people(f"{found.where}, {poses.name!r}", poses, float(config.fps))


def _label(found: _Found, config: ConvertConfig) -> int | None:
    """None: leave the clip out."""
    if config.label is not None:
        return config.label
    if config.label_map is not None:
        if found.poses.label is None:
            raise ConfigError(
                f"{found.where}: has no numbers of classes for --label-map; give --label CLASS, or"
                " sort its files in a folder per class"
            )
        return config.label_map.get(found.poses.label)
    if found.poses.label is not None:
        raise ConfigError(
            f"{found.where}: numbers its classes in its own way; give --label-map FILE"
        )
    told = [label for label in map(parse_label, found.folders) if label is not None]
    if not told:
        raise ConfigError(
            f"{found.where}: expected it in a folder named {', '.join(CLASSES)}, got"
            f" {found.folders[0]!r}; or give --label CLASS"
        )
    return told[0]


def _filtered(found: _Found, size: tuple[int, int], config: ConvertConfig) -> ClipPoses:
    """With coordinates in pixels, and without the poses that score too little."""
    poses = found.poses
    keypoints = poses.keypoints_px
    seen = keypoints[..., 2] > 0
    looks_normalised = seen.any() and np.abs(keypoints[seen][:, :2]).max() <= LARGEST_SHARE
    if config.normalised:
        if seen.any() and not looks_normalised:
            raise ConfigError(
                f"{found.where}: expected shares of the frame's width and height for --normalised,"
                f" got coordinates of up to {np.abs(keypoints[seen][:, :2]).max():g}; they are"
                " pixels: leave it out"
            )
        keypoints = keypoints * np.array([*size, 1], dtype=np.float32)
    elif looks_normalised:
        raise ConfigError(
            f"{found.where}: expected coordinates in pixels, got none above"
            f" {LARGEST_SHARE:g}; if they are shares of the frame's width and height, give"
            " --normalised"
        )
    kept = keypoints[..., 2].mean(axis=1) >= config.min_score
    return ClipPoses(
        name=poses.name,
        frames=poses.frames[kept],
        keypoints_px=keypoints[kept],
        people=None if poses.people is None else poses.people[kept],
    )


def _chosen(
    people: list[NDArray[np.int64]], poses: ClipPoses, config: ConvertConfig
) -> list[NDArray[np.int64]]:
    """Those who are seen for long enough, first the one who is seen most."""
    least = float(config.min_seconds * config.fps)
    boxes = boxes_of(poses.keypoints_px)
    heights = boxes[:, 3] - boxes[:, 1]
    long = [p for p in people if poses.frames[p[-1]] - poses.frames[p[0]] + 1 >= least]
    long.sort(key=lambda p: (len(p), float(np.median(heights[p]))), reverse=True)
    return long[:1] if config.people == "main" else long
