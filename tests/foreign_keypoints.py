# SPDX-License-Identifier: Apache-2.0
"""Poses as other estimators write them, from the descriptions of their formats."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.training.foreign.convert import ConvertConfig, Converted, convert

COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
# OpenPose's documentation, doc/02_output.md and the older doc/output.md, in its own words.
OPENPOSE_18 = (
    "Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "RHip",
    "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar",
)  # fmt: skip
OPENPOSE_25 = (
    "Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "MidHip",
    "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar",
    "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel",
)  # fmt: skip
ELSEWHERE = (987.0, 654.0, 0.5)
"""Where the joints are that COCO does not have: seen, and nowhere near the body."""


def coco_name(part: str) -> str:
    """``RShoulder`` is ``right_shoulder``."""
    side = {"R": "right_", "L": "left_"}.get(part[0], "")
    return side + part[1:].lower() if side else part.lower()


def openpose_numbers(pose: NDArray[Any], parts: Sequence[str]) -> list[float]:
    """``x, y, score`` of each of OpenPose's parts."""
    joints = dict(zip(COCO, pose.tolist(), strict=True))
    return [v for part in parts for v in joints.get(coco_name(part), ELSEWHERE)]


def write_openpose(
    folder: Path,
    people: Sequence[Sequence[NDArray[Any]]],
    parts: Sequence[str] = OPENPOSE_25,
    *,
    key: str = "pose_keypoints_2d",
    name: str = "clip_{:012}_keypoints.json",
    first: int = 0,
) -> None:
    """``people[frame]`` are the poses ``[17, 3]`` of a frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame, poses in enumerate(people):
        listed = [{"person_id": [-1], key: openpose_numbers(p, parts)} for p in poses]
        content = {"version": 1.3, "people": listed}
        (folder / name.format(first + frame)).write_text(json.dumps(content))


def alphapose_entries(
    people: Sequence[Sequence[NDArray[Any]]], *, joints: int = 17, ids: bool = False
) -> list[dict[str, Any]]:
    extra = list(ELSEWHERE) * (joints - 17)
    return [
        {
            "image_id": f"{frame}.jpg",
            "category_id": 1,
            "keypoints": [*pose.astype(float).ravel().tolist(), *extra],
            "score": 2.9,
            "box": [1.0, 2.0, 3.0, 4.0],
            **({"idx": number + 1} if ids else {}),
        }
        for frame, poses in enumerate(people)
        for number, pose in enumerate(poses)
    ]


def pyskl_content(
    poses: NDArray[np.float32], *, name: str = "S001C002P003R001A043", label: int = 42
) -> dict[str, Any]:
    """``poses`` are ``[M, T, 17, 3]``."""
    entry = {
        "frame_dir": name,
        "label": label,
        "img_shape": (480, 640),
        "original_shape": (480, 640),
        "total_frames": poses.shape[1],
        "keypoint": poses[..., :2].astype(np.float16),
        "keypoint_score": poses[..., 2].astype(np.float16),
    }
    return {"split": {"xsub_train": [name], "xsub_val": []}, "annotations": [entry]}


def write_pickle(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def coco_results(poses: Any, ids: Any) -> list[dict[str, Any]]:
    return [
        {"image_id": i, "category_id": 1, "keypoints": p.ravel().tolist(), "score": 0.9}
        for i, p in zip(ids, poses.astype(float), strict=True)
    ]


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def converted(kind: Any, *paths: Path, **options: Any) -> Converted:
    asked: dict[str, Any] = {"fps": Fraction(30), "size": (640, 480), "label": 2} | options
    return convert(ConvertConfig(format=kind, paths=paths, **asked))
