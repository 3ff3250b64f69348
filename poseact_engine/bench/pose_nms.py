# SPDX-License-Identifier: Apache-2.0
"""``poseact-bench pose-nms``: which poses of a step are doubles, by both measures, one thread.

Ours is one call from Python over all frames. The baseline is the usual loop over frames (HRNet's
``oks_nms``, AlphaPose's ``pPose_nms.py``): the best pose against all that are left, as one NumPy
expression, until none is left. Both measures are ours (csrc/detect/pose_nms.h), so that both sides
keep the same poses, which is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from poseact_engine._core import oks_nms, parametric_nms
from poseact_engine.bench.harness import (
    JsonOption,
    Report,
    Row,
    Work,
    describe_machine,
    rows_of,
    time_interleaved,
)
from poseact_engine.config import PoseConfig
from poseact_engine.errors import PoseActError
from poseact_engine.types import COCO_SIGMAS

OURS, BASELINE = "ours", "numpy, per frame"
DOUBLES = 0.3
SIGMAS = np.asarray(COCO_SIGMAS)

Floats = NDArray[np.float64]
Like = Callable[[int, NDArray[np.intp]], Floats]
"""How like the poses at the rows are to a better one: the row, the rows to the likenesses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crowd:
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    areas: NDArray[np.float32]
    boxes: NDArray[np.float32]
    frame: NDArray[np.int32]


def _make_crowd(frames: int, people: int, seed: int) -> _Crowd:
    """People of 150 to 300 px all over 1080p; three in ten have a second pose, 2 % off."""
    rng = np.random.default_rng(seed)
    height = rng.uniform(150, 300, (frames, people, 1))
    corner = rng.uniform(0, [1800, 780], (frames, people, 2))
    joints = corner[:, :, None] + height[..., None] * rng.uniform(0, [0.4, 1.0], (1, 1, 17, 2))
    twice = rng.random(people) < DOUBLES
    corner, height = (np.concatenate([a, a[:, twice]], axis=1) for a in (corner, height))
    joints = np.concatenate([joints, joints[:, twice]], axis=1)
    joints += rng.normal(0, 0.02, joints.shape) * height[..., None]
    size = height * [0.4, 1.0]
    boxes = np.concatenate([corner, corner + size], axis=-1).reshape(-1, 4)
    confidence = rng.uniform(0.3, 0.95, (*joints.shape[:-1], 1))
    return _Crowd(
        keypoints=np.concatenate([joints, confidence], -1).reshape(-1, 17, 3).astype(np.float32),
        scores=rng.uniform(0.3, 0.95, len(boxes)).astype(np.float32),
        areas=(1.25 * height).reshape(-1).astype(np.float32) ** 2 * np.float32(0.75),
        boxes=boxes.astype(np.float32),
        frame=np.repeat(np.arange(frames, dtype=np.int32), len(boxes) // frames),
    )


def _by_oks(crowd: _Crowd) -> Like:
    xy = crowd.keypoints[..., :2].astype(np.float64)
    areas = crowd.areas.astype(np.float64)

    def like(best: int, rows: NDArray[np.intp]) -> Floats:
        squares = np.square(xy[rows] - xy[best]).sum(axis=-1)
        area = 0.5 * (areas[rows] + areas[best])[:, None]
        mean: Floats = np.exp(-squares / (2 * SIGMAS) ** 2 / area / 2).mean(axis=-1)
        return mean

    return like


def _by_rmpe(crowd: _Crowd, config: PoseConfig) -> Like:
    xy = crowd.keypoints[..., :2].astype(np.float64)
    sure = np.tanh(crowd.keypoints[..., 2].astype(np.float64) / config.nms_sigma1)
    side = (crowd.boxes[:, 2:] - crowd.boxes[:, :2]).astype(np.float64)
    unit = 0.1 * side.max(axis=1)

    def like(best: int, rows: NDArray[np.intp]) -> Floats:
        off = xy[rows] - xy[best]
        match = (20 * np.abs(off) <= side[best]).all(axis=-1)
        near = np.exp(-np.square(off).sum(axis=-1) / unit[best] ** 2 / config.nms_sigma2)
        both = np.where(match, sure[rows] * sure[best], 0.0) + config.nms_lambda * near
        total: Floats = both.sum(axis=-1)
        return total

    return like


def _loop(crowd: _Crowd, like: Like, most: float) -> NDArray[np.bool_]:
    keep = np.zeros(len(crowd.scores), np.bool_)
    for frame in np.unique(crowd.frame):
        left = np.flatnonzero(crowd.frame == frame)
        left = left[np.argsort(-crowd.scores[left], kind="stable")]
        while len(left):
            best, left = left[0], left[1:]
            keep[best] = True
            left = left[like(best, left) <= most]
    return keep


def _sides(crowd: _Crowd) -> dict[str, dict[str, Callable[[], NDArray[np.bool_]]]]:
    c, config = crowd, PoseConfig(model=Path("none"))
    oks, eta = config.nms_oks, config.nms_eta
    return {
        "oks": {
            OURS: lambda: oks_nms(c.keypoints, c.scores, c.areas, c.frame, oks),
            BASELINE: lambda: _loop(c, _by_oks(c), oks),
        },
        "parametric": {
            OURS: lambda: parametric_nms(c.keypoints, c.scores, c.boxes, c.frame),
            BASELINE: lambda: _loop(c, _by_rmpe(c, config), eta),
        },
    }


def _repeated(side: Callable[[], object]) -> Work:
    return lambda _: side()


def _measure(frames: int, people: int, repeats: int) -> Report:
    rows: list[Row] = []
    crowd = _make_crowd(frames, people, seed=0)
    summary: dict[str, object] = {"frames": frames, "people": people, "poses": len(crowd.scores)}
    for measure, sides in _sides(crowd).items():
        kept = {name: side() for name, side in sides.items()}
        if not np.array_equal(kept[OURS], kept[BASELINE]):
            raise PoseActError(f"bench pose-nms: expected the same poses of both, got {kept}")
        works = {name: _repeated(side) for name, side in sides.items()}
        timings = time_interleaved(works, repeats=repeats)
        case = f"{measure}, {frames} frames x {people} people"
        rows += rows_of(case, timings, ours=OURS, left_out="pose network")
        summary[measure] = {
            "kept": int(kept[OURS].sum()),
            "ms_per_call": timings[OURS].median_s * 1e3,
            "ratio": timings[BASELINE].median_s / timings[OURS].median_s,
        }
    return Report(
        benchmark="pose-nms", rows=rows, summary=summary, machine=describe_machine(["numpy"])
    )


def command(
    frames: Annotated[int, typer.Option("--frames", min=1, help="Frames of a call.")] = 8,
    people: Annotated[int, typer.Option("--people", min=1, help="People in each.")] = 30,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Timed calls.")] = 50,
    json: JsonOption = None,
) -> None:
    """Doubles among the poses of crowds, in all frames of a step at once."""
    _measure(frames, people, repeats).show(json)
