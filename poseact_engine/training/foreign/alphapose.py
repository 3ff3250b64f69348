# SPDX-License-Identifier: Apache-2.0
"""AlphaPose's results (https://github.com/MVIG-SJTU/AlphaPose): one JSON file a video.

Its own format is a list of poses: ``image_id`` (``12.jpg`` of a video), ``keypoints`` (COCO's 17
joints, or Halpe's 26 or 136, which begin with them) and, where it tracked, ``idx``. With ``--format
cmu`` or ``open`` it is an object, image to ``bodies`` or ``people``, with OpenPose's 18 joints.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from poseact_engine.errors import SourceError
from poseact_engine.training.foreign.json_file import (
    field,
    person_number,
    pose,
    read_json,
    split_frame,
)
from poseact_engine.training.foreign.poses import ClipPoses, Found, make_clip

LISTS = {"bodies": "joints", "people": "pose_keypoints_2d"}
"""Of the formats ``cmu`` and ``open``: where the poses stand, and where a pose's numbers."""


def read_alphapose(path: Path) -> list[ClipPoses]:
    """The clips of a file: images whose names differ in more than the frame's number are of
    several. SourceError says what is wrong with it."""
    content = read_json(path)
    clips: dict[str, list[Found]] = defaultdict(list)
    if isinstance(content, list):
        for index, entry in enumerate(content):
            where = f"{path}, pose {index}"
            clip, frame = split_frame(where, field(where, entry, "image_id", (str, int)))
            joints = pose(where, field(where, entry, "keypoints", list), "coco")
            clips[clip].append((frame, joints, person_number(where, entry.get("idx"))))
    elif isinstance(content, dict) and not LISTS.keys() & content.keys():
        for image, entry in content.items():
            clip, frame = split_frame(str(path), image)
            clips[clip] += _people(f"{path}, {image!r:.80}", entry, frame)
    else:
        raise SourceError(
            f"{path}: expected AlphaPose's results of a whole video (alphapose-results.json);"
            " a file per frame is read by `poseact convert openpose FOLDER`"
        )
    return [make_clip(str(path), name or path.stem, found) for name, found in sorted(clips.items())]


def _people(where: str, entry: Any, frame: int) -> list[Found]:
    names = [name for name in LISTS if isinstance(entry, dict) and name in entry]
    if len(names) != 1:
        raise SourceError(f"{where}: expected an object with 'bodies' or 'people'")
    people = field(where, entry, names[0], list)
    return [
        (frame, pose(where, field(where, person, LISTS[names[0]], list), "openpose"), None)
        for person in people
    ]
