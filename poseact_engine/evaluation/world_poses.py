# SPDX-License-Identifier: Apache-2.0
"""COCO's AP of the poses that the engine found in made scenes, by pycocotools."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from poseact_engine.evaluation.coco import (
    PoseEvaluation,
    ResultRow,
    import_pycocotools,
    mean_joint_scores,
)
from poseact_engine.evaluation.world_scene import FoundFrame, is_wanted
from poseact_engine.synthetic.coco import CocoTruth
from poseact_engine.synthetic.truth import FrameTruth

EVERY = 5
"""Every fifth frame counts: neighbours are all but the same picture."""


class AveragePrecision:
    """Collects frames; people who are not to be found count neither way."""

    def __init__(self) -> None:
        """Raises DependencyError without pycocotools: before the work, not after it."""
        import_pycocotools()
        self._truth = CocoTruth()
        self._left_out: list[bool] = []
        self._found: list[tuple[FoundFrame, int]] = []

    def add(self, scene: str, size: tuple[int, int], truth: FrameTruth, found: FoundFrame) -> None:
        if truth.index % EVERY:
            return
        self._truth.add(f"{scene} {truth.index}", size, truth, scene=scene)
        self._left_out += (~is_wanted(truth))[truth.visible > 0].tolist()
        self._found.append((found, len(self._truth)))

    def value(self) -> float:
        """0 to 1; NaN where nobody is to be found."""
        content = self._truth.content()
        annotations: list[dict[str, Any]] = content["annotations"]
        for annotation, left_out in zip(annotations, self._left_out, strict=True):
            if left_out:
                annotation["num_keypoints"] = 0
                annotation["keypoints"] = [0] * len(annotation["keypoints"])
        if not any(annotation["num_keypoints"] for annotation in annotations):
            return float("nan")
        with tempfile.TemporaryDirectory(prefix="poseact-world-") as folder:
            path = Path(folder) / "truth.json"
            path.write_text(json.dumps(content), encoding="utf-8")
            evaluation = PoseEvaluation(path)
            results: list[ResultRow] = []
            for found, picture in self._found:
                results += evaluation.results(
                    found.keypoints_px,
                    found.scores * mean_joint_scores(found.keypoints_px),
                    [picture] * len(found.ids),
                )
            return evaluation.average_precision(results)
