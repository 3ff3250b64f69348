# SPDX-License-Identifier: Apache-2.0
"""Real data as the input arrays of a model's contract, for calibration and comparisons.

What the engine does to a frame before a network sees it is done here by the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine import geometry
from poseact_engine._core import crop
from poseact_engine.backends.registry import open_model
from poseact_engine.config import DetectConfig
from poseact_engine.detect import DetectStage
from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.coco_file import true_boxes
from poseact_engine.evaluation.frames import Picture, batches, read_pictures
from poseact_engine.evaluation.made import made_pictures, made_windows
from poseact_engine.manifest import ActionManifest, DetectorManifest, Manifest, PoseManifest
from poseact_engine.types import FrameBatch

_FRAMES = 8
"""Frames held at a time."""
MADE = {"detector": 16, "pose": 32, "action": 96}
MOST = {"detector": 64, "pose": 512, "action": 4096}
"""Inputs made by code, and most that are taken from real data, by task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataOptions:
    """Where inputs come from."""

    data: tuple[Path, ...] = ()
    """Images, folders of images and videos; for action models keypoint files (.npz)."""
    truth: Path | None = None
    """COCO JSON that says where people are in these images."""
    detector: Path | None = None
    """Detector model file that finds them instead."""
    most: int | None = None
    """Most inputs; None: MOST of the task."""
    per_video: int = 32
    """Frames taken of each video, evenly spread over it."""
    min_score: float = 0.4
    """Least score of the detector's boxes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """A model's input array and where it comes from."""

    batch: NDArray[Any]
    """As the contract has it: uint8 ``[N, 3, H, W]`` RGB, or float32 ``[W, T, K, 3]``."""
    what: str
    """For people, as "201 crops of 88 pictures, boxes of truth.json"."""
    real: bool
    """False: made by code."""
    windows: NDArray[np.float64] | None = None
    """Of pose crops, float64 ``[N, 4]``: ``source = a * d + b`` (``geometry.pose_crops``)."""
    pictures: tuple[str, ...] = ()
    """Of pose crops, the picture that each is of (``frames.Picture.name``)."""


def inputs_for(manifest: Manifest, options: DataOptions) -> Inputs:
    """Inputs for a model; made ones where ``options.data`` is empty.

    Raises SourceError (files), ConfigError (nothing found in them).
    """
    if not options.data:
        return made_inputs(manifest)
    most = options.most or MOST[manifest.task]
    if isinstance(manifest, DetectorManifest):
        return _detector_inputs(manifest, options, most)
    if isinstance(manifest, PoseManifest):
        return _pose_inputs(manifest, options, most)
    if isinstance(manifest, ActionManifest):
        return _action_inputs(manifest, options.data, most)
    raise ConfigError(f"inputs: expected a model of a known task, got {manifest.task}")


def made_inputs(manifest: Manifest, *, count: int | None = None, seed: int = 0) -> Inputs:
    """Inputs made by code."""
    number = count or MADE[manifest.task]
    if isinstance(manifest, DetectorManifest | PoseManifest):
        batch: NDArray[Any] = made_pictures(number, manifest.height, manifest.width, seed=seed)
        return Inputs(batch=batch, what=f"{number} pictures made by code", real=False)
    if isinstance(manifest, ActionManifest):
        batch = made_windows(manifest.length, len(manifest.joints), count=number, seed=seed)
        return Inputs(batch=batch, what=f"{number} windows made by code", real=False)
    raise ConfigError(f"inputs: expected a model of a known task, got {manifest.task}")


def _detector_inputs(m: DetectorManifest, options: DataOptions, most: int) -> Inputs:
    parts: list[NDArray[np.uint8]] = []
    count = 0
    for part in batches(read_pictures(options.data, per_video=options.per_video), _FRAMES):
        frames = FrameBatch([p.frame for p in part[: most - count]])
        windows = geometry.letterbox(
            frames.size, height=m.height, width=m.width, placement=m.placement
        )
        rows = np.arange(len(frames), dtype=np.int32)
        parts.append(crop(frames, rows, windows, height=m.height, width=m.width, border=m.border))
        count += len(frames)
        if count >= most:
            break
    return Inputs(batch=np.concatenate(parts), what=f"{count} pictures", real=True)


class _Boxes:
    """Where people are in pictures: the truth's word, a detector's, or the whole picture."""

    def __init__(self, options: DataOptions) -> None:
        if options.truth is not None and options.detector is not None:
            raise ConfigError("inputs: expected boxes from a truth file or a detector, got both")
        self._truth = None if options.truth is None else true_boxes(options.truth)
        self._stage = None
        self.what = "whole pictures as boxes"
        if options.truth is not None:
            self.what = f"boxes of {options.truth.name}"
        if options.detector is not None:
            config = DetectConfig(model=options.detector, min_score=options.min_score)
            self._stage = DetectStage(open_model(options.detector, task="detector"), config)
            self.what = f"boxes by {options.detector.name}"

    def __call__(
        self, part: Sequence[Picture], frames: FrameBatch
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Boxes float32 [N, 4] and the frame of each."""
        if self._stage is not None:
            people = self._stage(frames)
            return people.boxes_px, people.frame
        rows = [self._of(picture) for picture in part]
        frame = np.repeat(np.arange(len(rows)), [len(r) for r in rows]).astype(np.int32)
        return np.concatenate([np.empty((0, 4), np.float32), *rows]), frame

    def _of(self, picture: Picture) -> NDArray[np.float32]:
        if self._truth is not None:
            return self._truth.get(picture.name, np.empty((0, 4), np.float32))
        width, height = picture.frame.size
        return np.array([[0, 0, width, height]], np.float32)


def _pose_inputs(m: PoseManifest, options: DataOptions, most: int) -> Inputs:
    find = _Boxes(options)
    crops = [np.empty((0, 3, m.height, m.width), np.uint8)]
    windows = [np.empty((0, 4))]
    names: list[str] = []
    pictures = count = 0
    for part in batches(read_pictures(options.data, per_video=options.per_video), _FRAMES):
        frames = FrameBatch([p.frame for p in part])
        boxes, frame = find(part, frames)
        boxes, frame = boxes[: most - count], frame[: most - count]
        pictures, count = pictures + len(part), count + len(boxes)
        rows = geometry.pose_crops(
            boxes, height=m.height, width=m.width, expansion=m.expansion, geometry=m.geometry
        )
        crops.append(crop(frames, frame, rows, height=m.height, width=m.width, border=m.border))
        windows.append(rows)
        names += [part[row].name for row in frame]
        if count >= most:
            break
    if not count:
        raise ConfigError(
            f"inputs: expected people in {pictures} pictures ({find.what}), found none"
        )
    return Inputs(
        batch=np.concatenate(crops),
        what=f"{count} crops of {pictures} pictures, {find.what}",
        real=True,
        windows=np.concatenate(windows),
        pictures=tuple(names),
    )


def _action_inputs(m: ActionManifest, paths: Sequence[Path], most: int) -> Inputs:
    # Reading keypoint files needs no torch; it lives with the training that they are made for.
    from poseact_engine.training.keypoints import read_sequences
    from poseact_engine.training.windows import cut_windows

    windows = cut_windows(read_sequences(paths)).poses_px
    if not len(windows) or windows.shape[1:] != (m.length, len(m.joints), 3):
        raise ConfigError(
            f"inputs: expected windows [W, {m.length}, {len(m.joints)}, 3] in the keypoint files, "
            f"got {list(windows.shape)}"
        )
    rows = np.unique(np.linspace(0, len(windows) - 1, min(most, len(windows))).astype(np.int64))
    return Inputs(batch=windows[rows], what=f"{len(rows)} windows of keypoint files", real=True)
