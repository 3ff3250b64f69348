# SPDX-License-Identifier: Apache-2.0
"""Pictures with people that are known: what detectors and pose models learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, DependencyError, SourceError
from poseact_engine.files import file_sha256
from poseact_engine.types import COCO_JOINTS

if TYPE_CHECKING:
    from poseact_engine.evaluation.coco_file import CocoFile

LEAST_SEEN = 0.15
"""Of a person's pixels, where a file says how many are seen (``visible``; made scenes do): who is
seen less is learnt from neither way."""
KEPT_BYTES = 1 << 30
"""Of decoded pictures, in each process that reads them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledPicture:
    """One picture's people, N of them."""

    path: Path
    id: int
    """In its COCO file."""
    boxes_px: NDArray[np.float32]
    """float32 ``[N, 4]``: x0 y0 x1 y1."""
    crowd: NDArray[np.bool_]
    """bool ``[N]``: not one person, or one that nobody should have to find."""
    joints_px: NDArray[np.float32]
    """float32 ``[N, 17, 3]``: x, y in pixel indices, and COCO's flag (2 seen, 1 hidden, 0 not
    known)."""
    areas_px: NDArray[np.float32]
    """float32 ``[N]``: COCO's ``area``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSet:
    """The pictures of one COCO file."""

    file: Path
    sha256: str
    pictures: tuple[LabelledPicture, ...]

    def people(self) -> int:
        return sum(int((~p.crowd).sum()) for p in self.pictures)


def from_coco(file: CocoFile, images: Path) -> PictureSet:
    """The people of a COCO file whose pictures stand in the folder ``images``.

    SourceError: pictures that are missing, joints that are not COCO's 17. Boxes without joints are
    no error: they teach detectors.
    """
    if not images.is_dir():
        raise SourceError(f"{images}: expected the folder of the pictures of {file.path}")
    order = _joint_order(file)
    rows: dict[int, list[dict[str, Any]]] = {picture.id: [] for picture in file.pictures}
    for person in file.annotations():
        rows[person["image_id"]].append(person)
    missing = [p.name for p in file.pictures if not (images / p.name).is_file()]
    if missing:
        raise SourceError(
            f"{images}: expected the pictures of {file.path}, {len(missing)} are missing, the"
            f" first is {missing[0]}"
        )
    return PictureSet(
        file=file.path,
        sha256=file_sha256(file.path),
        pictures=tuple(
            _labelled(images / p.name, p.id, rows[p.id], order, file.path) for p in file.pictures
        ),
    )


def shared_pictures(train: Sequence[PictureSet], held_out: PictureSet) -> dict[Path, Path]:
    """Those of ``held_out`` that are in ``train``, too, with their names there: the same files, or
    copies of them. SourceError where one cannot be read."""
    sizes = {p.path: _size(p.path) for p in held_out.pictures}
    possible = set(sizes.values())
    # Few are read: pictures of other sizes are others.
    known = {
        _sha256(p.path): p.path for s in train for p in s.pictures if _size(p.path) in possible
    }
    found = {path: known.get(_sha256(path)) for path in sizes} if known else {}
    return {path: other for path, other in found.items() if other is not None}


def _size(path: Path) -> int:
    with _reading(path):
        return path.stat().st_size


def _sha256(path: Path) -> str:
    with _reading(path):
        return file_sha256(path)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error


def _joint_order(file: CocoFile) -> list[int] | None:
    """Where COCO's joints are among the file's; None where it has no joints."""
    if not file.joints:
        return None
    if set(file.joints) != set(COCO_JOINTS) or len(file.joints) != len(COCO_JOINTS):
        raise SourceError(
            f"{file.path}: expected the {len(COCO_JOINTS)} joints of COCO, or none, got"
            f" {', '.join(file.joints)}"
        )
    return [file.joints.index(name) for name in COCO_JOINTS]


def _labelled(
    path: Path, id_: int, people: list[dict[str, Any]], order: list[int] | None, file: Path
) -> LabelledPicture:
    boxes = np.array([p["bbox"] for p in people], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return LabelledPicture(
        path=path,
        id=id_,
        boxes_px=boxes,
        crowd=np.array(
            [bool(p["iscrowd"]) or _seen(p, file) < LEAST_SEEN for p in people], np.bool_
        ),
        joints_px=np.stack([_joints(p, order, file) for p in people])
        if people
        else np.zeros((0, len(COCO_JOINTS), 3), np.float32),
        areas_px=np.array([p["area"] for p in people], np.float32),
    )


def _seen(person: dict[str, Any], file: Path) -> float:
    share = person.get("visible", 1.0)
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise SourceError(
            f"{file}: expected visible to be a share from 0 to 1, got {share!r:.40} of one in"
            f" picture {person['image_id']}"
        )
    return float(share)


def _joints(person: dict[str, Any], order: list[int] | None, file: Path) -> NDArray[np.float32]:
    values = person.get("keypoints") if order is not None else None
    if not values or not person.get("num_keypoints", 1):
        return np.zeros((len(COCO_JOINTS), 3), np.float32)
    if len(values) != 3 * len(COCO_JOINTS):
        raise SourceError(
            f"{file}: expected {3 * len(COCO_JOINTS)} keypoints of every person, got {len(values)}"
            f" of one in picture {person['image_id']}"
        )
    return np.array(values, np.float32).reshape(-1, 3)[order]


@dataclass(slots=True, kw_only=True)
class PictureStore:
    """Decoded pictures by number, BGR; the first that are asked for stay in memory.

    Owns at most ``kept_bytes`` of them, in each process it is sent to. Not thread-safe.
    """

    paths: Sequence[Path]
    kept_bytes: int = KEPT_BYTES
    _kept: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    _used: int = 0

    def read(self, index: int) -> NDArray[np.uint8]:
        """uint8 ``[H, W, 3]``, not to be written to; SourceError where it cannot be read."""
        found = self._kept.get(index)
        if found is None:
            found = read_picture(self.paths[index])
            if self._used + found.nbytes <= self.kept_bytes:
                self._kept[index] = found
                self._used += found.nbytes
        return found

    def __getstate__(self) -> Any:
        # What a new process is sent: where pictures are, not the pictures.
        return (list(self.paths), self.kept_bytes)

    def __setstate__(self, state: Any) -> None:
        self.paths, self.kept_bytes = state
        self._kept, self._used = {}, 0


def read_picture(path: Path) -> NDArray[np.uint8]:
    """uint8 ``[H, W, 3]``, BGR, as it is displayed."""
    cv2 = import_cv2()
    with _reading(path):
        data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise SourceError(f"{path}: expected a picture, got a file that is none or is cut off")
    return np.asarray(picture, np.uint8)


def import_cv2() -> Any:
    """The cv2 module; DependencyError says how to install it."""
    try:
        import cv2
    except ImportError as error:
        raise DependencyError(
            "training on pictures needs OpenCV, which is not installed;"
            " try: pip install 'poseact-engine[video]'"
        ) from error
    return cv2


def check_people(sets: Sequence[PictureSet], *, joints: bool) -> None:
    """ConfigError where there is nobody to learn from."""
    people = sum(s.people() for s in sets)
    if joints:
        people = sum(
            int(((p.joints_px[..., 2] > 0).any(axis=1) & ~p.crowd).sum())
            for s in sets
            for p in s.pictures
        )
    if not people:
        what = "people with joints" if joints else "people"
        names = ", ".join(str(s.file) for s in sets) or "no data at all"
        raise ConfigError(f"train: expected {what} to learn from, found none in {names}")
