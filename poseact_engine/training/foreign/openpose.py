# SPDX-License-Identifier: Apache-2.0
"""OpenPose's ``--write_json`` (https://github.com/CMU-Perceptual-Computing-Lab/openpose), and what
others write the same way, as tf-pose-estimation's users do: a folder with a JSON file per frame.

``NAME_000000000012_keypoints.json`` holds ``people``, each with ``pose_keypoints_2d`` (before
1.0 ``pose_keypoints``): 25 joints (BODY_25) or 18 (COCO); a score of 0 is a joint not found. Where
OpenPose tracked, ``person_id`` is not -1.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import SourceError
from poseact_engine.training.foreign.json_file import (
    field,
    person_number,
    pose,
    read_json,
    split_frame,
)
from poseact_engine.training.foreign.poses import ClipPoses, make_clip

ENDING = "_keypoints"
JOINTS = ("pose_keypoints_2d", "pose_keypoints")


def read_openpose(folder: Path) -> list[ClipPoses]:
    """The clips of one folder: files whose names differ in more than the frame's number are of
    several. SourceError says what is wrong."""
    frames: dict[str, dict[int, Path]] = defaultdict(dict)
    for path in sorted(folder.glob("*.json")):
        clip, frame = split_frame(str(path), path.stem.removesuffix(ENDING))
        if frame in frames[clip]:
            raise SourceError(f"{path}: frame {frame} is in {frames[clip][frame].name}, too")
        frames[clip][frame] = path
    if not frames:
        raise SourceError(f"{folder}: expected OpenPose's JSON files, one per frame, found none")
    clips = []
    for name, paths in sorted(frames.items()):
        found = [(n, *person) for n, path in paths.items() for person in _read_frame(path)]
        clips.append(make_clip(str(folder), name or folder.name, found))
    return clips


def _read_frame(path: Path) -> list[tuple[NDArray[np.float32], int | None]]:
    found = []
    for index, person in enumerate(field(str(path), read_json(path), "people", list)):
        where = f"{path}, person {index}"
        names = [name for name in JOINTS if isinstance(person, dict) and name in person]
        if not names:
            raise SourceError(f"{where}: expected an object with {JOINTS[0]!r}")
        joints = pose(where, person[names[0]], "openpose")
        found.append((joints, person_number(where, person.get("person_id"))))
    return found
