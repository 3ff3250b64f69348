# SPDX-License-Identifier: Apache-2.0
"""COCO annotation files (JSON): read and checked once, so that nothing fails on them later."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import SourceError

PERSON = "person"
_MOST = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureEntry:
    """A picture that a truth file knows."""

    id: int
    name: str
    """File name."""
    size: tuple[int, int] | None
    """Width and height in pixels, where the file says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoFile:
    """What a COCO file says of people."""

    path: Path
    content: dict[str, Any]
    """The whole file."""
    pictures: tuple[PictureEntry, ...]
    """By id."""
    person: int
    """Id of the category named ``person``."""
    joints: tuple[str, ...]
    """Names of the person's joints in the file's order; empty where it has none."""

    def annotations(self) -> list[dict[str, Any]]:
        """People and crowds, in the file's order."""
        return [a for a in self.content["annotations"] if a["category_id"] == self.person]

    def boxes(self) -> dict[int, NDArray[np.float32]]:
        """Picture id to float32 [N, 4] (x0 y0 x1 y1 px) of people with joints, crowds left out."""
        found: dict[int, list[list[float]]] = {p.id: [] for p in self.pictures}
        for person in self.annotations():
            if person.get("num_keypoints", 0) > 0 and not person["iscrowd"]:
                x, y, w, h = person["bbox"]
                found[person["image_id"]].append([x, y, x + w, y + h])
        return {i: np.asarray(rows, np.float32).reshape(-1, 4) for i, rows in found.items()}


def read_coco(path: Path) -> CocoFile:
    """Reads a COCO file; SourceError says what is wrong with it, and where."""
    content = _load(path)
    try:
        pictures = _pictures(content["images"])
        person = _person(content["categories"])
        _check_annotations(content["annotations"], {p.id for p in pictures}, person["id"])
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from error
    return CocoFile(
        path=path,
        content=content,
        pictures=pictures,
        person=person["id"],
        joints=tuple(person.get("keypoints", ())),
    )


def true_boxes(path: Path) -> dict[str, NDArray[np.float32]]:
    """File name to float32 [N, 4] (x0 y0 x1 y1 px) of the people with joints, crowds left out."""
    file = read_coco(path)
    boxes = file.boxes()
    return {picture.name: boxes[picture.id] for picture in file.pictures}


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: expected COCO JSON, got what is not JSON: {error}") from error
    parts = ("images", "annotations", "categories")
    ok = isinstance(content, dict) and all(
        isinstance(content.get(part), list) and all(isinstance(v, dict) for v in content[part])
        for part in parts
    )
    if not ok:
        raise SourceError(f"{path}: expected COCO JSON with the lists {', '.join(parts)}")
    return dict(content)


def _require(
    values: dict[str, Any], where: str, key: str, expected: str, fits: Callable[[Any], bool]
) -> None:
    if key not in values:
        raise SourceError(f"{where}: expected the key {key!r} ({expected}), it is missing")
    if not fits(values[key]):
        raise SourceError(f"{where}: expected {key!r} to be {expected}, got {values[key]!r:.80}")


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    # Bounded: JSON knows whole numbers of any length, which no float holds. NaN is not within.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_name, value))


def _is_box(value: Any) -> bool:
    ok = isinstance(value, list) and len(value) == 4 and all(map(_is_number, value))
    return ok and min(value[2:]) >= 0


def _is_area(value: Any) -> bool:
    return _is_number(value) and value >= 0


def is_joints(value: Any) -> bool:
    """Whether a value read from JSON is a list of x, y, v a joint."""
    return isinstance(value, list) and len(value) % 3 == 0 and all(map(_is_number, value))


def _pictures(images: list[dict[str, Any]]) -> tuple[PictureEntry, ...]:
    if not images:
        raise SourceError("expected pictures, got none")
    for row, image in enumerate(images):
        _require(image, f"images[{row}]", "id", "a whole number", _is_id)
        _require(image, f"images[{row}]", "file_name", "a name", _is_name)
    for key in ("id", "file_name"):
        seen: set[Any] = set()
        for image in images:
            if image[key] in seen:
                raise SourceError(f"images: {key} {image[key]!r} is there twice")
            seen.add(image[key])
    entries = [
        PictureEntry(id=image["id"], name=image["file_name"], size=_size(image)) for image in images
    ]
    return tuple(sorted(entries, key=lambda entry: entry.id))


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    sides = [image.get(key) for key in ("width", "height")]
    if not all(map(_is_number, sides)):
        return None
    width, height = (int(side) for side in sides if side is not None)
    return width, height


def _person(categories: list[dict[str, Any]]) -> dict[str, Any]:
    found = [c for c in categories if c.get("name") == PERSON]
    if len(found) != 1:
        names = ", ".join(str(c.get("name")) for c in categories) or "none"
        raise SourceError(f"expected one category named {PERSON!r}, got the categories {names}")
    where = f"category {PERSON!r}"
    _require(found[0], where, "id", "a whole number", _is_id)
    if "keypoints" in found[0]:
        _require(found[0], where, "keypoints", "a list of names", _is_names)
    return found[0]


def _check_annotations(annotations: list[dict[str, Any]], ids: set[int], person: int) -> None:
    def is_picture(value: Any) -> bool:
        return _is_id(value) and value in ids

    for row, annotation in enumerate(annotations):
        where = f"annotations[{row}]"
        _require(annotation, where, "image_id", "one of the pictures' ids", is_picture)
        _require(annotation, where, "category_id", "a whole number", _is_id)
        if annotation["category_id"] == person:
            _require(annotation, where, "bbox", "four numbers, x y width height", _is_box)
            _require(annotation, where, "area", "a number, 0 or more", _is_area)
            _require(annotation, where, "iscrowd", "0 or 1", lambda v: v in (0, 1))
            if "num_keypoints" in annotation:
                _require(annotation, where, "num_keypoints", "a whole number", _is_id)
            if annotation.get("num_keypoints", 0):
                _require(annotation, where, "keypoints", "numbers, x y v a joint", is_joints)
