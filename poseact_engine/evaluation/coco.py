# SPDX-License-Identifier: Apache-2.0
"""COCO's average precision and recall, by its own evaluation code (pycocotools).

Lin et al. 2014; joints by OKS (https://cocodataset.org/#keypoints-eval), boxes by IoU. All figures
are shares, 0 to 1, and NaN where the truth has nothing to find (no large people, say).
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import (
    ConfigError,
    DependencyError,
    ManifestError,
    ShapeError,
    SourceError,
)
from poseact_engine.evaluation.coco_file import is_joints, read_coco
from poseact_engine.types import COCO_JOINTS

ResultRow = dict[str, Any]
"""One person as COCO's results format has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseScores:
    """AP and AR at OKS 0.50 to 0.95 (``_50``, ``_75``: at that one), at most 20 people a picture.

    Medium people have 32² to 96² px of area, large ones more. Small ones have no joints in COCO.
    """

    ap: float
    ap_50: float
    ap_75: float
    ap_medium: float
    ap_large: float
    ar: float
    ar_50: float
    ar_75: float
    ar_medium: float
    ar_large: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorScores:
    """AP and AR of person boxes at IoU 0.50 to 0.95 (``_50``, ``_75``: at that one).

    ``ar_1``, ``ar_10``: with that many boxes a picture, everything else with 100. Small people have
    up to 32² px of area, medium ones up to 96².
    """

    ap: float
    ap_50: float
    ap_75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar_1: float
    ar_10: float
    ar: float
    ar_small: float
    ar_medium: float
    ar_large: float


class _Truth:
    """A COCO file in pycocotools. Loaded once, scored often; not thread-safe (stdout is turned
    away while pycocotools talks)."""

    def __init__(self, path: Path) -> None:
        """Raises SourceError (the file), DependencyError (pycocotools)."""
        self._api, self._evaluator = import_pycocotools()
        self.file = read_coco(path)
        if not self.file.annotations():
            raise SourceError(f"{path}: expected annotations of people, got none")
        # pycocotools marks a match with the truth's id, so that a person of id 0 is never found.
        people = [{**a, "id": k + 1} for k, a in enumerate(self.file.annotations())]
        self._shared = {
            "images": self.file.content["images"],
            "categories": [c for c in self.file.content["categories"] if c["id"] == self.person],
        }
        with contextlib.redirect_stdout(io.StringIO()):
            self._coco = self._load(people)

    @property
    def person(self) -> int:
        return self.file.person

    def _load(self, people: list[ResultRow]) -> Any:
        coco = self._api()
        coco.dataset = {**self._shared, "annotations": people}
        coco.createIndex()
        return coco

    def _statistics(
        self, results: Sequence[ResultRow], kind: str, pictures: Collection[int] | None
    ) -> list[float]:
        self._check_results(results)
        with contextlib.redirect_stdout(io.StringIO()):
            # loadRes cannot take an empty list, and writes into the rows that it is given.
            found = self._coco.loadRes([dict(r) for r in results]) if results else self._load([])
            evaluation = self._evaluator(self._coco, found, kind)
            evaluation.params.catIds = [self.person]
            if pictures is not None:
                evaluation.params.imgIds = sorted(pictures)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return [math.nan if value < 0 else float(value) for value in evaluation.stats]

    def _check_results(self, results: Sequence[ResultRow]) -> None:
        known = {picture.id for picture in self.file.pictures}
        foreign = sorted({r["image_id"] for r in results} - known)
        if foreign:
            raise ConfigError(
                f"{self.file.path}: expected results of its pictures, got some of {foreign[:3]}"
            )


class PoseEvaluation(_Truth):
    """Scores poses against the joints of a COCO file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        if set(self.file.joints) != set(COCO_JOINTS) or len(self.file.joints) != len(COCO_JOINTS):
            raise ConfigError(
                f"{path}: expected the {len(COCO_JOINTS)} joints of COCO, which OKS is defined for,"
                f" got {', '.join(self.file.joints) or 'none'}"
            )
        for person in self.file.annotations():
            joints = person.get("keypoints", [])
            fits = is_joints(joints) and len(joints) == 3 * len(COCO_JOINTS)
            if not fits or "num_keypoints" not in person:
                got = len(joints) if is_joints(joints) else f"{joints!r:.40}"
                raise SourceError(
                    f"{path}: expected num_keypoints and {3 * len(COCO_JOINTS)} keypoints of every "
                    f"person, got {got} of one in picture {person['image_id']}"
                )

    def scores(
        self, results: Sequence[ResultRow], *, pictures: Collection[int] | None = None
    ) -> PoseScores:
        """``pictures``: ids of those that were looked at, None for all."""
        return PoseScores(**_named(PoseScores, self._statistics(results, "keypoints", pictures)))

    def average_precision(
        self, results: Sequence[ResultRow], *, pictures: Collection[int] | None = None
    ) -> float:
        return self.scores(results, pictures=pictures).ap

    def results(
        self,
        keypoints_px: NDArray[np.float32],
        scores: NDArray[np.float32],
        image_ids: Sequence[int],
        *,
        joints: Sequence[str] = COCO_JOINTS,
    ) -> list[ResultRow]:
        """Rows of poses float32 [M, K, 3] with scores [M]; joints go into the file's order."""
        order = self.joint_order(joints)
        if keypoints_px.shape != (len(scores), len(order), 3) or len(image_ids) != len(scores):
            raise ShapeError(
                f"results: expected keypoints [M, {len(order)}, 3], scores [M] and M ids, got "
                f"{list(keypoints_px.shape)}, {list(scores.shape)} and {len(image_ids)}"
            )
        return [
            {
                "image_id": int(image),
                "category_id": self.person,
                "keypoints": pose[order].ravel().tolist(),
                "score": float(score),
            }
            for pose, score, image in zip(
                keypoints_px.astype(np.float64), scores, image_ids, strict=True
            )
        ]

    def joint_order(self, joints: Sequence[str]) -> list[int]:
        """Where the file's joints are among a model's; ManifestError if it has others."""
        if len(joints) != len(self.file.joints) or set(joints) != set(self.file.joints):
            raise ManifestError(
                f"{self.file.path}: expected a pose model of its joints "
                f"{', '.join(self.file.joints)}, got one of {', '.join(joints)}"
            )
        return [list(joints).index(name) for name in self.file.joints]


class DetectorEvaluation(_Truth):
    """Scores person boxes against those of a COCO file. Crowds count neither way."""

    def scores(
        self, results: Sequence[ResultRow], *, pictures: Collection[int] | None = None
    ) -> DetectorScores:
        """``pictures``: ids of those that were looked at, None for all."""
        return DetectorScores(**_named(DetectorScores, self._statistics(results, "bbox", pictures)))

    def results(
        self,
        boxes_px: NDArray[np.float32],
        scores: NDArray[np.float32],
        image_ids: Sequence[int],
    ) -> list[ResultRow]:
        """Rows of boxes float32 [N, 4] (x0 y0 x1 y1) with scores [N]."""
        wide = boxes_px.astype(np.float64)
        sized = np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1)
        return [
            {
                "image_id": int(image),
                "category_id": self.person,
                "bbox": box.tolist(),
                "score": float(score),
            }
            for box, score, image in zip(sized, scores, image_ids, strict=True)
        ]


def mean_joint_scores(keypoints_px: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [M] of poses [M, K, 3]: a person's score where the box is known to be true."""
    means: NDArray[np.float32] = keypoints_px[..., 2].mean(axis=1, dtype=np.float64)
    return means.astype(np.float32)


def _named(kind: type, values: Sequence[float]) -> dict[str, float]:
    """pycocotools' figures by field: the classes above have its order."""
    return dict(zip((f.name for f in fields(kind)), values, strict=True))


def import_pycocotools() -> tuple[Any, Any]:
    """Its COCO and COCOeval; DependencyError where it cannot be imported."""
    try:
        from pycocotools.coco import COCO  # type: ignore[import-untyped]
        from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]
    except ImportError as error:
        raise DependencyError(
            f"COCO scores need pycocotools, which cannot be imported ({error}); "
            "install with `pip install 'poseact-engine[eval]'`"
        ) from error
    return COCO, COCOeval
