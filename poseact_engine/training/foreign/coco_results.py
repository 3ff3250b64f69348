# SPDX-License-Identifier: Apache-2.0
"""COCO's keypoint results (https://cocodataset.org/#format-results), which Detectron's and
Detectron2's Mask R-CNN, MMPose, HRNet's own code and others write: one JSON list of poses with
``image_id``, ``category_id`` 1 (person), ``keypoints`` (17 joints: x, y, score) and ``score``.

An image's number is the frame's, unless the annotation file that the results were made for says
what the images are called; that file knows their size, too.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from poseact_engine.errors import SourceError
from poseact_engine.training.foreign.json_file import (
    field,
    person_number,
    pose,
    read_json,
    split_frame,
)
from poseact_engine.training.foreign.poses import ClipPoses, Found, make_clip

PERSON = 1


def read_coco_results(path: Path, *, images: Path | None = None) -> list[ClipPoses]:
    """The clips of a file; without ``images`` there is one. SourceError says what is wrong."""
    content = read_json(path)
    if not isinstance(content, list):
        raise SourceError(
            f"{path}: expected COCO's keypoint results, a list of poses;"
            " an annotation file belongs to --images"
        )
    known = None if images is None else _read_images(images)
    clips: dict[str, list[Found]] = defaultdict(list)
    sizes: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for index, entry in enumerate(content):
        where = f"{path}, pose {index}"
        image = field(where, entry, "image_id", (int, str))
        if known is not None:
            if image not in known:
                raise SourceError(f"{where}: {images} has no image {image!r}")
            image, size = known[image]
        if field(where, entry, "category_id", int) != PERSON:
            raise SourceError(f"{where}: expected category 1, person, got {entry['category_id']}")
        clip, frame = split_frame(where, image)
        if known is not None:
            sizes[clip].add(size)
        joints = pose(where, field(where, entry, "keypoints", list), "coco")
        clips[clip].append((frame, joints, person_number(where, entry.get("track_id"))))
    made = []
    for name, found in sorted(clips.items()):
        clip_poses = make_clip(str(path), name or path.stem, found)
        made.append(replace(clip_poses, size=_one_size(str(images), name, sizes[name])))
    return made


def _read_images(path: Path) -> dict[int | str, tuple[str, tuple[int, int]]]:
    """Number of an image to its name and size."""
    known = {}
    for index, image in enumerate(field(str(path), read_json(path), "images", list)):
        where = f"{path}, image {index}"
        name = field(where, image, "file_name", str)
        size = tuple(field(where, image, side, int) for side in ("width", "height"))
        if not all(0 < side < 2**31 for side in size):
            raise SourceError(f"{where}: expected a width and height, got {size[0]} x {size[1]}")
        known[field(where, image, "id", (int, str))] = (name, (size[0], size[1]))
    return known


def _one_size(where: str, name: str, sizes: set[tuple[int, int]]) -> tuple[int, int] | None:
    if len(sizes) > 1:
        raise SourceError(
            f"{where}: expected images of one size in clip {name!r}, got {sorted(sizes)}"
        )
    return next(iter(sizes), None)
