# SPDX-License-Identifier: Apache-2.0
"""How well a detector finds people on pictures with truth, through the stage the engine runs."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from poseact_engine.config import DetectConfig
from poseact_engine.detect import DetectStage
from poseact_engine.evaluation.coco import DetectorEvaluation, DetectorScores, ResultRow
from poseact_engine.evaluation.walk import OnProgress, Where, truth_batches
from poseact_engine.manifest import Manifest

MOST_BOXES = 100
"""COCO looks at no more of a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorEvalConfig:
    """What is measured on what."""

    truth: Path
    """COCO JSON with boxes; of its categories ``person`` counts."""
    images: Path
    """Folder of its pictures."""
    detector: Path
    min_score: float = 0.01
    """Least score of a box. AP wants the weak ones, too: they come last and can only add to it."""
    where: Where = field(default_factory=Where)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorReport:
    """A detector's scores, and all that is needed to get them again."""

    scores: DetectorScores
    results: list[ResultRow]
    """COCO's results format, by picture."""
    pictures: int
    min_score: float
    manifest: Manifest
    backend: str
    """Resolved, as ``onnxruntime/cpu``."""


def evaluate_detector(
    config: DetectorEvalConfig, *, on_progress: OnProgress | None = None
) -> DetectorReport:
    """COCO's AP of person boxes. Raises SourceError (truth, pictures), and what opening raises."""
    evaluation = DetectorEvaluation(config.truth)
    with closing(config.where.open(config.detector, "detector")) as model:
        options = DetectConfig(
            model=config.detector, min_score=config.min_score, max_people=MOST_BOXES
        )
        stage = DetectStage(model, options)
        results: list[ResultRow] = []
        for entries, frames in truth_batches(
            evaluation.file, config.images, on_progress=on_progress
        ):
            people = stage(frames)
            ids = np.array([e.id for e in entries])[people.frame]  # [N]
            results += evaluation.results(people.boxes_px, people.scores, ids.tolist())
        return DetectorReport(
            scores=evaluation.scores(results),
            results=results,
            pictures=len(evaluation.file.pictures),
            min_score=config.min_score,
            manifest=model.manifest,
            backend=model.backend,
        )
