# SPDX-License-Identifier: Apache-2.0
"""Made scenes of a surveillance camera with known truth, and their MOT scores by trackeval.

People walk at 0.3 to 0.9 of their height per second (0.5 to 1.5 m/s), turn a little, cross one
another, come in and go out. Their boxes are seen with noise, now and then
with a weak score or not at all, and four of them are hidden for 20 frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trackeval
from numpy.typing import NDArray

from poseact_engine.config import TrackConfig
from poseact_engine.track import TrackStage
from poseact_engine.types import Frame, FrameBatch, People, Tracks

RATE = 30
FRAMES = 450
PEOPLE = 8
HIDDEN_FRAMES = 20
MISSES = 0.10
WEAK = 0.10
NOISE = 0.03  # of the side, on each edge
WAY = np.where(np.arange(PEOPLE) % 2 == 0, 1.0, -1.0)
PIXEL = np.zeros((2, 2, 3), np.uint8)  # trackers never look at pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    boxes: NDArray[np.float64]
    """``[FRAMES, PEOPLE, 4]`` x0 y0 x1 y1."""
    present: NDArray[np.bool_]
    """``[FRAMES, PEOPLE]``: in the picture, hidden or not."""
    hidden: NDArray[np.bool_]
    """``[FRAMES, PEOPLE]``: behind something; the detector cannot find it."""


def make_scene(seed: int) -> Scene:
    """Eight walkers; those who meet may hide one another wholly.

    Left out is what nobody can tell apart: people who stand in one another at the very start (if
    one is missed there), and two who walk the same way inside one another (more than half).
    """
    rng = np.random.default_rng(seed)
    boxes = _walk(rng)
    while not _plausible(boxes):
        boxes = _walk(rng)
    present = np.ones((FRAMES, PEOPLE), np.bool_)
    for person in (0, 4):  # come in
        present[: _door(rng, boxes, person, 0, 60), person] = False
    for person in (1, 5):  # go out
        present[_door(rng, boxes, person, FRAMES - 60, FRAMES) :, person] = False
    hidden = np.zeros_like(present)
    for person, start in enumerate(rng.integers(60, FRAMES - 60 - HIDDEN_FRAMES, PEOPLE // 2)):
        hidden[start : start + HIDDEN_FRAMES, person] = True
    return Scene(boxes=boxes, present=present, hidden=hidden)


def _walk(rng: np.random.Generator) -> NDArray[np.float64]:
    t = np.arange(FRAMES)[:, None] / RATE
    height = rng.uniform(140, 260, PEOPLE)
    speed = height * rng.uniform(0.3, 0.9, PEOPLE)
    # Half walk to the right and half to the left along a few paths, so everybody meets somebody.
    middle = np.array([960.0, 600.0]) + rng.uniform(-1, 1, (PEOPLE, 2)) * [500, 150]
    meet_s = rng.uniform(0.25, 0.75, PEOPLE) * FRAMES / RATE
    drift = rng.uniform(-0.15, 0.15, PEOPLE) * speed
    sway = rng.uniform(0, 0.05, PEOPLE) * height * np.sin(t * rng.uniform(0.5, 1.5, PEOPLE))
    x = middle[:, 0] + WAY * speed * (t - meet_s)
    y = middle[:, 1] + drift * (t - meet_s) + sway
    grown = height * (1 + 0.05 * np.sin(t / 2 + rng.uniform(0, 6, PEOPLE)))
    # Legs open and close: the width changes by a quarter about twice a second.
    width = grown * 0.38 * (1 + 0.12 * np.sin(t * 12 + rng.uniform(0, 6, PEOPLE)))
    return np.stack([x - width / 2, y - grown / 2, x + width / 2, y + grown / 2], axis=-1)


def _plausible(boxes: NDArray[np.float64]) -> bool:
    overlap = _iou(boxes, boxes)
    overlap[:, np.arange(PEOPLE), np.arange(PEOPLE)] = 0
    same_way = WAY[:, None] == WAY[None, :]
    return bool(overlap[:RATE].max() == 0 and (overlap.max(axis=0) * same_way).max() <= 0.5)


def _door(
    rng: np.random.Generator, boxes: NDArray[np.float64], person: int, first: int, last: int
) -> int:
    """A frame to come or go in, where the person stands clear: nobody appears inside another."""
    others = np.delete(boxes, person, axis=1)
    clear = [f for f in range(first, last) if _iou(boxes[f, [person]], others[f]).max() == 0]
    return int(rng.choice(clear)) if clear else first


def detect(scene: Scene, seed: int, every: int) -> list[tuple[NDArray[np.float32], ...] | None]:
    """What a detector that looks at every Nth frame finds: boxes, scores; None: it did not look."""
    rng = np.random.default_rng([seed, every])
    found: list[tuple[NDArray[np.float32], ...] | None] = []
    for f in range(FRAMES):
        if f % every:
            found.append(None)
            continue
        seen = scene.present[f] & ~scene.hidden[f] & (rng.random(PEOPLE) >= MISSES)
        boxes = scene.boxes[f][seen]
        side = boxes[:, 2:] - boxes[:, :2]
        boxes = boxes + rng.normal(0, NOISE, boxes.shape) * np.tile(side, 2)
        weak = rng.random(len(boxes)) < WEAK
        scores = np.where(
            weak, rng.uniform(0.15, 0.45, len(boxes)), rng.uniform(0.6, 0.95, len(boxes))
        )
        order = rng.permutation(len(boxes))
        found.append((boxes[order].astype(np.float32), scores[order].astype(np.float32)))
    return found


def track(found: list[tuple[NDArray[np.float32], ...] | None], config: TrackConfig) -> list[Tracks]:
    """One step per frame, through the stage."""
    stage = TrackStage(config)
    steps = []
    for f, seen in enumerate(found):
        boxes, scores = seen or (np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
        people = People(
            boxes_px=boxes,
            scores=scores,
            frame=np.zeros(len(boxes), np.int32),
            detected=np.array([seen is not None]),
        )
        steps.append(stage(people, FrameBatch([Frame.from_rgb(PIXEL, pts=f, time_base=(1, RATE))])))
    return steps


def evaluate(scene: Scene, steps: list[Tracks], *, keep_hidden: bool) -> dict[str, float]:
    """CLEAR and Identity scores at IoU 0.5.

    ``keep_hidden``: hidden people stay in the truth, as MOT Challenge annotates them (a tracker
    that falls silent misses them); otherwise they leave it and come back under the same id (one
    that goes on predicting makes false boxes).
    """
    truth = scene.present & (keep_hidden | ~scene.hidden)
    names = {i: n for n, i in enumerate(sorted({int(i) for s in steps for i in s.ids}))}
    data = {
        "num_timesteps": len(steps),
        "num_gt_dets": int(truth.sum()),
        "num_tracker_dets": sum(len(s.ids) for s in steps),
        "num_gt_ids": PEOPLE,
        "num_tracker_ids": len(names),
        "gt_ids": [np.flatnonzero(row) for row in truth],
        "tracker_ids": [np.array([names[int(i)] for i in s.ids], int) for s in steps],
        "similarity_scores": [
            _iou(boxes[row], s.boxes_px.astype(np.float64))
            for boxes, row, s in zip(scene.boxes, truth, steps, strict=True)
        ],
    }
    clear = trackeval.metrics.CLEAR({"PRINT_CONFIG": False}).eval_sequence(data)
    identity = trackeval.metrics.Identity({"PRINT_CONFIG": False}).eval_sequence(data)
    return {k: float(v) for k, v in {**clear, **identity}.items()}


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[..., A, 4]`` and ``[..., B, 4]`` to ``[..., A, B]``."""
    low = np.maximum(a[..., :, None, :2], b[..., None, :, :2])
    high = np.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    area_a, area_b = (np.prod(x[..., 2:] - x[..., :2], axis=-1) for x in (a, b))
    result: NDArray[np.float64] = common / (area_a[..., :, None] + area_b[..., None, :] - common)
    return result
