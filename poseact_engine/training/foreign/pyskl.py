# SPDX-License-Identifier: Apache-2.0
"""Skeleton pickles of MMAction2 and PYSKL (https://github.com/kennymckormick/pyskl, tools/data).

``annotations`` is a list of clips, alone or in an object beside ``split``: ``frame_dir`` (name),
``total_frames`` T, ``img_shape`` (height, width), ``label``, ``keypoint`` ``[M, T, V, 2]`` of M
people and ``keypoint_score`` ``[M, T, V]``; V is 17 (COCO) or 18 (OpenPose).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import SourceError
from poseact_engine.training.foreign.mapping import order_of, to_coco
from poseact_engine.training.foreign.poses import ClipPoses
from poseact_engine.training.foreign.safe_pickle import Array, brief, load_pickle

FAMILY = {17: "coco", 18: "openpose"}


def read_pyskl(path: Path) -> list[ClipPoses]:
    """The clips of a pickle. SourceError: not such a file, or one that wants to run code."""
    content = load_pickle(path)
    annotations = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(annotations, list) or not annotations:
        raise SourceError(f"{path}: expected a list of 'annotations', one per clip")
    clips = []
    names = set()
    for index, entry in enumerate(annotations):
        clip = _clip(f"{path}, clip {index}", entry)
        if clip.name in names:
            raise SourceError(f"{path}: clip {clip.name!r} is in it twice")
        names.add(clip.name)
        clips.append(clip)
    return clips


def _clip(where: str, entry: Any) -> ClipPoses:
    if not isinstance(entry, dict):
        raise SourceError(f"{where}: expected a dictionary, got {type(entry).__name__}")
    name, label = entry.get("frame_dir"), entry.get("label")
    if not isinstance(name, str) or not name:
        raise SourceError(f"{where}: expected its name in 'frame_dir', got {brief(name)}")
    where = f"{where} ({name!r:.60})"
    if type(label) is not int:
        raise SourceError(f"{where}: expected a whole number in 'label', got {brief(label)}")
    keypoints = _keypoints(where, entry)
    people, frames = keypoints.shape[:2]
    if entry.get("total_frames", frames) != frames:
        raise SourceError(
            f"{where}: expected keypoints of its {brief(entry['total_frames'])} frames, got"
            f" {frames}"
        )
    return ClipPoses(
        name=name,
        frames=np.repeat(np.arange(frames), people),
        keypoints_px=keypoints.swapaxes(0, 1).reshape(-1, *keypoints.shape[2:]),
        people=np.tile(np.arange(people), frames),
        label=label,
        size=_size(where, entry.get("img_shape")),
    )


def _keypoints(where: str, entry: dict[Any, Any]) -> NDArray[np.float32]:
    """float32 ``[M, T, 17, 3]``."""
    places, scores = (_array(where, entry, name) for name in ("keypoint", "keypoint_score"))
    if places.ndim != 4 or places.shape[3] != 2 or places.shape[2] not in FAMILY:
        raise SourceError(
            f"{where}: expected 'keypoint' [people, frames, 17 or 18 joints, 2], got"
            f" {list(places.shape)}; skeletons in 3D cannot be used"
        )
    if scores.shape != places.shape[:3]:
        raise SourceError(
            f"{where}: expected 'keypoint_score' {list(places.shape[:3])}, got {list(scores.shape)}"
        )
    joints = np.concatenate([places, scores[..., None]], axis=3)
    order = order_of(where, FAMILY[places.shape[2]], places.shape[2])
    return to_coco(where, joints, order)


def _array(where: str, entry: dict[Any, Any], name: str) -> NDArray[np.float64]:
    array = entry.get(name)
    if not isinstance(array, Array):
        hint = "; Kinetics keeps its poses in other files" if "raw_file" in entry else ""
        raise SourceError(f"{where}: expected a NumPy array in {name!r}{hint}")
    return array.value.astype(np.float64)


def _size(where: str, shape: Any) -> tuple[int, int] | None:
    if shape is None:
        return None
    sides = list(shape) if isinstance(shape, tuple | list) else []
    if len(sides) != 2 or not all(type(n) is int and 0 < n < 2**31 for n in sides):
        raise SourceError(
            f"{where}: expected a height and width in 'img_shape', got {brief(shape)}"
        )
    return sides[1], sides[0]
