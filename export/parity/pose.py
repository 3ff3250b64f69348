# SPDX-License-Identifier: Apache-2.0
"""How far the joints of two pose models are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poseact_engine import geometry
from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.inputs import Inputs
from poseact_engine.manifest import PoseManifest
from poseact_engine.types import COCO_JOINTS, COCO_SIGMAS

if TYPE_CHECKING:
    from poseact_engine.evaluation.coco import PoseEvaluation

MOVED_PX = 1.0
"""A joint further away has moved."""
STEADY_PX = 0.5
"""A joint is unsteady if a grey level moves it further. Half of the least step of a quarter offset
on the usual heat map, 4 crop pixels a cell: from no offset to a quarter, 1 px."""
SURE = 0.3
"""A joint is sure if it scores this share of the reference's largest score or more. Below it heat
maps are flat, and int8 moves joints about that no score would let pass: TinyPose in int8, which
loses no AP, has a 99th percentile of 43 px over all steady joints."""

OTHER_SIGMA = 0.06
"""For joints that COCO does not know: about the middle of COCO's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseComparison:
    """Metrics, and per joint what the plots need."""

    metrics: dict[str, float]
    joints: tuple[str, ...]
    distance_px: NDArray[np.float64]
    """``[N, K]`` in crop pixels; NaN where not both found the joint, or the outputs not finite."""
    judged: NDArray[np.bool_]
    """``[N, K]``: found by both, sure and steady."""
    reference: NDArray[np.float32]
    """Keypoints ``[N, K, 3]``: x, y in crop pixels, score."""
    new: NDArray[np.float32]


def compare_poses(
    reference: NDArray[np.float32],
    nudged: NDArray[np.float32],
    new: NDArray[np.float32],
    *,
    manifest: PoseManifest,
    windows: NDArray[np.float64] | None = None,
) -> PoseComparison:
    """``reference``, ``new``: keypoints float32 [N, K, 3] of the same crops, ``nudged`` the
    reference's of crops changed by a grey level; ``windows``: float64 [N, 4] of the crops."""
    finite = np.isfinite(reference).all(axis=2) & np.isfinite(new).all(axis=2)
    seen, seen_new = reference[..., 2] > 0, new[..., 2] > 0
    both = finite & seen & seen_new
    step = new[..., :2].astype(np.float64) - reference[..., :2]
    distance = np.where(both, np.hypot(step[..., 0], step[..., 1]), np.nan)
    wander = nudged[..., :2].astype(np.float64) - reference[..., :2]
    steady = (nudged[..., 2] > 0) & (np.hypot(wander[..., 0], wander[..., 1]) <= STEADY_PX)
    largest = reference[..., 2][finite].max(initial=0.0)
    sure = reference[..., 2] >= SURE * largest
    judged = both & steady & sure
    metrics = {"compared": float(judged.sum()), **_distances("", distance[judged])}
    metrics["share_moved"] = _mean(distance[judged] > MOVED_PX)
    if windows is not None:
        scaled = step * windows[:, None, [0, 2]]
        far = np.hypot(scaled[..., 0], scaled[..., 1])
        metrics.update(_distances("frame_", far[judged]))
    drift = np.abs(new[..., 2].astype(np.float64) - reference[..., 2])[finite]
    metrics["score_p99"] = _percentile(drift / (largest or 1.0), 99)
    metrics["score_max"] = _percentile(drift / (largest or 1.0), 100)
    metrics["found_differs"] = _mean((seen != seen_new)[finite])
    oks = oks_of(reference, new, manifest)
    metrics["oks_mean"], metrics["oks_p1"] = _mean(oks), _percentile(oks, 1)
    metrics["share_unsteady"] = _mean(~steady[both & sure])
    metrics["share_unsure"] = _mean(~sure[both])
    return PoseComparison(
        metrics=metrics, joints=manifest.joints, distance_px=distance, judged=judged,
        reference=reference, new=new,
    )  # fmt: skip


def _distances(prefix: str, values: NDArray[np.float64]) -> dict[str, float]:
    parts = {"median_px": 50, "p99_px": 99, "max_px": 100}
    return {f"{prefix}{name}": _percentile(values, at) for name, at in parts.items()}


def _percentile(values: NDArray[np.float64], at: float) -> float:
    return float(np.percentile(values, at)) if values.size else float("nan")


def _mean(values: NDArray[np.bool_] | NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")


def oks_of(
    reference: NDArray[np.float32], new: NDArray[np.float32], manifest: PoseManifest
) -> NDArray[np.float64]:
    """OKS [P] of every pose in which the reference finds a joint, over the joints it found.

    ``mean(exp(-d^2 / (2 area (2 sigma)^2)))``; the area is that of the box which the crop was grown
    from. Scale cancels, so that crop pixels serve. A joint that ``new`` did not find is (0, 0).
    """
    area = manifest.height * manifest.width / manifest.expansion**2
    known = dict(zip(COCO_JOINTS, COCO_SIGMAS, strict=True))
    sigma = np.array([known.get(name, OTHER_SIGMA) for name in manifest.joints])
    step = new[..., :2].astype(np.float64) - reference[..., :2]
    close = np.exp(-(step**2).sum(axis=2) / (2 * area * (2 * sigma) ** 2))
    found = reference[..., 2] > 0
    close = np.where(found & np.isfinite(close), close, 0.0)
    counts = found.sum(axis=1)
    oks: NDArray[np.float64] = close.sum(axis=1)[counts > 0] / counts[counts > 0]
    return oks


def open_truth(truth: Path, joints: Sequence[str]) -> PoseEvaluation:
    """Raises SourceError or ConfigError (the file), ManifestError where the model's joints are not
    the file's, DependencyError (pycocotools)."""
    from poseact_engine.evaluation.coco import PoseEvaluation

    evaluation = PoseEvaluation(truth)
    nobody = np.empty((0, len(joints), 3), np.float32)
    evaluation.results(nobody, np.empty(0, np.float32), [], joints=joints)
    return evaluation


def precision_metrics(comparison: PoseComparison, inputs: Inputs, truth: Path) -> dict[str, float]:
    """COCO AP of both (0 to 100) and their difference, over the pictures that the inputs show.

    A person scores the mean of its joints' scores. Raises as :func:`open_truth`, and ConfigError
    where the inputs are not of the truth's pictures.
    """
    from poseact_engine.evaluation.coco import mean_joint_scores

    if inputs.windows is None or not inputs.pictures:
        raise ConfigError("parity: expected inputs from pictures where a truth is given (--data)")
    evaluation = open_truth(truth, comparison.joints)
    ids = {picture.name: picture.id for picture in evaluation.file.pictures}
    rows = np.flatnonzero([name in ids for name in inputs.pictures])
    if not rows.size:
        raise ConfigError(
            f"{truth}: expected the pictures of --data in it, got none of them, as "
            f"{inputs.pictures[0]}"
        )
    images = [ids[inputs.pictures[row]] for row in rows]
    points = []
    for keypoints in (comparison.reference, comparison.new):
        frame_px = geometry.keypoints_from_crops(keypoints[rows], inputs.windows[rows])
        people = evaluation.results(
            frame_px, mean_joint_scores(frame_px), images, joints=comparison.joints
        )
        points.append(100 * evaluation.average_precision(people, pictures=set(images)))
    return {"ap_reference": points[0], "ap_new": points[1], "ap_drop": points[0] - points[1]}
