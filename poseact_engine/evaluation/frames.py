# SPDX-License-Identifier: Apache-2.0
"""Pictures for measurements: frames of images, folders of images and videos, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from poseact_engine.config import SourceConfig
from poseact_engine.errors import SourceError
from poseact_engine.sources import open_source
from poseact_engine.types import Frame

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
_READ_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One frame and where it comes from."""

    name: str
    """File name; of a video's frames ``name#index``."""
    frame: Frame


def list_files(paths: Sequence[Path]) -> list[Path]:
    """Files as named; of a folder, its images, sorted. SourceError for what is not there."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGES)
            if not inside:
                raise SourceError(f"{path}: expected a folder with images, found none in it")
            found += inside
        else:
            found.append(path)
    return found


def read_pictures(paths: Sequence[Path], *, per_video: int) -> Iterator[Picture]:
    """Every image, and about ``per_video`` frames of each video, evenly spread over it.

    One file is open at a time, and no more frames are held than the caller keeps. Raises
    SourceError for a file that cannot be opened or read.
    """
    for path in list_files(paths):
        yield from _read(path, per_video)


def _read(path: Path, most: int) -> Iterator[Picture]:
    is_image = path.suffix.lower() in IMAGES
    if is_image and _is_cut_off(path):
        raise SourceError(f"{path}: expected a whole JPEG, got one without its end; fetch it again")
    total = 1 if is_image else open_source(path).info.get("frames") or most
    every = max(1, total // most)
    reader = open_source(path, SourceConfig(every=every, max_frames=most))
    reader.start()
    try:
        count = 0
        while True:
            frame = reader.next(_READ_TIMEOUT_S)
            if frame is None:
                break
            yield Picture(name=path.name if is_image else f"{path.name}#{frame.index}", frame=frame)
            count += 1
        if reader.error or not count:
            raise SourceError(f"{path}: {reader.error or 'expected pictures, got none'}")
    finally:
        reader.stop()


def _is_cut_off(path: Path) -> bool:
    """Whether a file is only the beginning of a JPEG. FFmpeg's decoder makes up the rest without a
    word, and what is measured on it is wrong without a word; its other decoders refuse."""
    try:
        data = path.read_bytes()
    except OSError:
        return False  # whoever opens it says why
    if not data.startswith(b"\xff\xd8\xff"):
        return False
    at = 2
    # Over the segments in front of the picture: a thumbnail in one of them has an end of its own.
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] not in (b"\xda", b"\xd9"):
        is_filling = data[at + 1 : at + 2] == b"\xff"
        at += 1 if is_filling else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return b"\xff\xd9" not in data[at:]


def batches(items: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    """Lists of ``size``, the last one shorter."""
    part: list[Picture] = []
    for item in items:
        part.append(item)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
