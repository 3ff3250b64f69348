# SPDX-License-Identifier: Apache-2.0
"""How well a pose model does on pictures with truth, through the stages that the engine runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseact_engine.config import DetectConfig, PoseConfig, PoseNms
from poseact_engine.detect import DetectStage
from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.evaluation.coco import (
    PoseEvaluation,
    PoseScores,
    ResultRow,
    mean_joint_scores,
)
from poseact_engine.evaluation.coco_file import PictureEntry
from poseact_engine.evaluation.walk import OnProgress, Where, check_finite, truth_batches
from poseact_engine.manifest import Manifest
from poseact_engine.pose import PoseStage
from poseact_engine.types import FrameBatch, Tracks

_FindBoxes = Callable[[list[PictureEntry], FrameBatch], Tracks]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseEvalConfig:
    """What is measured on what."""

    truth: Path
    """COCO JSON with joints."""
    images: Path
    """Folder of its pictures."""
    pose: Path
    detector: Path | None = None
    """None: the true boxes."""
    min_score: float = 0.2
    """Least score of the detector's boxes."""
    nms: PoseNms = "none"
    """As ``PoseConfig.nms``, between the poses of a picture."""
    where: Where = field(default_factory=Where)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseReport:
    """A pose model's scores, and all that is needed to get them again."""

    scores: PoseScores
    results: list[ResultRow]
    """COCO's results format, by picture."""
    pictures: int
    boxes: int
    """Looked into: of them came the results."""
    boxes_of: str
    """``truth``, or the detector's file name."""
    nms: PoseNms
    manifest: Manifest
    backend: str
    """Resolved, as ``onnxruntime/cpu``."""


def evaluate_pose(config: PoseEvalConfig, *, on_progress: OnProgress | None = None) -> PoseReport:
    """COCO's AP of a pose model, in true boxes or a detector's.

    A person scores box score x mean joint score (true boxes: 1 x it). Raises SourceError (truth,
    pictures), ManifestError (other joints), and what opening models raises.
    """
    evaluation = PoseEvaluation(config.truth)
    with ExitStack() as opened:
        model = config.where.open(config.pose, "pose")
        opened.callback(model.close)
        stage = PoseStage(model, PoseConfig(model=config.pose, nms=config.nms))
        evaluation.joint_order(stage.joints)  # before pictures are read for nothing
        find = _true_boxes(evaluation) if config.detector is None else _found(config, opened)
        results: list[ResultRow] = []
        boxes = 0
        for entries, frames in truth_batches(
            evaluation.file, config.images, on_progress=on_progress
        ):
            tracks = find(entries, frames)
            keypoints = stage(frames, tracks).keypoints_px  # [M, K, 3]
            check_finite(model, keypoints)
            boxes += len(keypoints)
            ids = np.array([e.id for e in entries])[tracks.frame]  # [M]
            scores = tracks.scores * mean_joint_scores(keypoints)
            kept = np.ones(len(ids), np.bool_) if config.nms == "none" else scores > 0
            results += evaluation.results(
                keypoints[kept], scores[kept], ids[kept].tolist(), joints=stage.joints
            )
        return PoseReport(
            scores=evaluation.scores(results),
            results=results,
            pictures=len(evaluation.file.pictures),
            boxes=boxes,
            boxes_of="truth" if config.detector is None else config.detector.name,
            nms=config.nms,
            manifest=model.manifest,
            backend=model.backend,
        )


def _true_boxes(evaluation: PoseEvaluation) -> _FindBoxes:
    known = evaluation.file.boxes()
    if not any(len(boxes) for boxes in known.values()):
        raise SourceError(f"{evaluation.file.path}: expected people with joints, found none")

    def find(entries: list[PictureEntry], _: FrameBatch) -> Tracks:
        rows = [known[entry.id] for entry in entries]
        frame = np.repeat(np.arange(len(rows)), [len(r) for r in rows]).astype(np.int32)
        return as_tracks(np.concatenate(rows), np.ones(len(frame), np.float32), frame)

    return find


def _found(config: PoseEvalConfig, opened: ExitStack) -> _FindBoxes:
    path = config.detector
    if path is None:
        raise ConfigError("eval pose: expected a detector's file, got none")
    model = config.where.open(path, "detector")
    opened.callback(model.close)
    stage = DetectStage(model, DetectConfig(model=path, min_score=config.min_score))

    def find(_: list[PictureEntry], frames: FrameBatch) -> Tracks:
        people = stage(frames)
        return as_tracks(people.boxes_px, people.scores, people.frame)

    return find


def as_tracks(
    boxes_px: NDArray[np.float32], scores: NDArray[np.float32], frame: NDArray[np.int32]
) -> Tracks:
    """Boxes [M, 4], scores [M] and frames [M] as the pose stage takes them; each its own track."""
    return Tracks(
        boxes_px=boxes_px,
        scores=scores,
        ids=np.arange(1, len(boxes_px) + 1, dtype=np.int64),
        frame=frame,
        stream=np.zeros(len(boxes_px), np.int32),
        observed=np.ones(len(boxes_px), np.bool_),
        ended_stream=np.empty(0, np.int32),
        ended_ids=np.empty(0, np.int64),
    )
