# SPDX-License-Identifier: Apache-2.0
"""What every reader gives: the poses of one clip, by frame; and whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import assign
from poseact_engine.boxes import iou_matrix
from poseact_engine.errors import SourceError

LEAST_IOU = 0.2
"""Poses of two frames whose boxes overlap less are not of one person."""
LONGEST_GAP_S = 0.5
"""Who is not seen for longer is somebody new."""
Found = tuple[int, NDArray[np.float32], int | None]
"""Frame, pose, and whose it is where that is told."""
MOST_FRAMES = 10_000_000
"""From first to last: four days at 30 Hz. More is no frame number but a time stamp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPoses:
    """N poses of one clip, in the order of their frames. Several may be of one frame."""

    name: str
    """The clip's, as its file or its frames have it."""
    frames: NDArray[np.int64]
    """int64 ``[N]``, non-decreasing; the clip's first frame with a pose is not always 0."""
    keypoints_px: NDArray[np.float32]
    """float32 ``[N, 17, 3]``: COCO's joints, (0, 0, 0) where there is none."""
    people: NDArray[np.int64] | None = None
    """int64 ``[N]``: whose pose it is; None where the format does not tell."""
    label: int | None = None
    """Where the file tells it: a number of its own."""
    size: tuple[int, int] | None = None
    """Width and height, where the file tells it."""


def make_clip(where: str, name: str, found: list[Found]) -> ClipPoses:
    """Of (frame, pose, person or None) in any order; SourceError for numbers that cannot be."""
    told = [person for _, _, person in found if person is not None]
    if told and len(told) < len(found):
        raise SourceError(
            f"{where}: expected a person's number with every pose or with none, got"
            f" {len(told)} of {len(found)}"
        )
    order = sorted(range(len(found)), key=lambda i: found[i][0])
    frames = [found[i][0] for i in order]
    if frames and not 0 <= frames[-1] - frames[0] < MOST_FRAMES:
        raise SourceError(
            f"{where}: expected frame numbers, got {frames[0]} to {frames[-1]};"
            f" no clip has {MOST_FRAMES} frames"
        )
    empty = np.zeros((0, 17, 3), dtype=np.float32)
    return ClipPoses(
        name=name,
        frames=np.array(frames, dtype=np.int64),
        keypoints_px=np.stack([found[i][1] for i in order]) if found else empty,
        people=np.array([found[i][2] for i in order], dtype=np.int64) if told else None,
    )


def split_people(where: str, clip: ClipPoses, fps: float) -> list[NDArray[np.int64]]:
    """Rows of ``clip`` per person, int64, each with one row a frame at most.

    By their numbers where the file tells them (SourceError where a person is in a frame twice),
    else by ``follow``. Poses without a joint are nobody's.
    """
    seen = np.flatnonzero((clip.keypoints_px[..., 2] > 0).any(axis=1))
    if clip.people is None:
        return list(follow(clip, seen, gap=LONGEST_GAP_S * fps))
    people = []
    for person in np.unique(clip.people[seen]):
        rows = seen[clip.people[seen] == person]
        twice = np.flatnonzero(np.diff(clip.frames[rows]) == 0)
        if len(twice):
            raise SourceError(
                f"{where}: expected a person once a frame, got person {person} twice in frame"
                f" {clip.frames[rows[twice[0]]]}"
            )
        people.append(rows)
    return people


def follow(clip: ClipPoses, rows: NDArray[np.int64], *, gap: float) -> Iterator[NDArray[np.int64]]:
    """Rows per person, by the overlap of the boxes around their joints.

    Frame by frame, such that the sum of the overlaps is greatest; ``gap`` frames without a pose end
    a person. Good enough for clips with a few people apart; nobody is known again.
    """
    boxes = boxes_of(clip.keypoints_px)
    alive: list[list[int]] = []
    starts = np.flatnonzero(np.diff(clip.frames[rows])) + 1
    for now in np.split(rows, starts) if len(rows) else ():
        frame = clip.frames[now[0]]
        yield from (np.array(p) for p in alive if frame - clip.frames[p[-1]] > gap)
        alive = [p for p in alive if frame - clip.frames[p[-1]] <= gap]
        overlap = iou_matrix(boxes[[p[-1] for p in alive]], boxes[now])
        is_new = np.ones(len(now), dtype=np.bool_)
        for index, column in enumerate(assign(1.0 - overlap)):
            if column >= 0 and overlap[index, column] >= LEAST_IOU:
                alive[index].append(int(now[column]))
                is_new[column] = False
        alive += [[int(row)] for row in now[is_new]]
    yield from (np.array(p) for p in alive)


def boxes_of(keypoints_px: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64 ``[N, 4]``: x0 y0 x1 y1 around the joints found, at least a pixel wide and high;
    zeros where none was."""
    seen = keypoints_px[..., 2:] > 0
    low = np.where(seen, keypoints_px[..., :2], np.inf).min(axis=1)
    high = np.where(seen, keypoints_px[..., :2], -np.inf).max(axis=1) + 1.0
    boxes = np.concatenate([low, high], axis=1).astype(np.float64)
    boxes[~seen.any(axis=(1, 2))] = 0.0
    return boxes
