# SPDX-License-Identifier: Apache-2.0
"""People made by code: six actions that nobody could confuse, as sequences of COCO-17 poses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.training.keypoints import PoseSequence

CLASSES = ("carrying", "falling_down", "walking", "lifting", "standing", "lying_down")

# Upright, seen from the front; y down, hips at 0, one unit tall. Left is the person's left.
UPRIGHT = np.array(
    [
        (0.00, -0.42),
        (0.02, -0.44),
        (-0.02, -0.44),
        (0.05, -0.43),
        (-0.05, -0.43),
        (0.11, -0.32),
        (-0.11, -0.32),
        (0.15, -0.15),
        (-0.15, -0.15),
        (0.16, 0.00),
        (-0.16, 0.00),
        (0.07, 0.00),
        (-0.07, 0.00),
        (0.08, 0.25),
        (-0.08, 0.25),
        (0.08, 0.48),
        (-0.08, 0.48),
    ]
)
LEFT_LEG, RIGHT_LEG, ARMS = [13, 15], [14, 16], [7, 8, 9, 10]


def make_poses(action: str, times_s: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
    """float32 ``[N, 17, 3]`` in pixels: someone of a random size at a random place."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi)
    poses = np.stack([_pose(action, t, phase) for t in times_s])
    size, place = rng.uniform(80, 300), rng.uniform(100, 500, 2)
    xy = place + size * (poses + rng.normal(0, 0.005, poses.shape))
    score = rng.uniform(0.3, 1.0, (*xy.shape[:2], 1))
    return np.concatenate([xy, score], axis=-1).astype(np.float32)


def _pose(action: str, t: float, phase: float) -> NDArray[np.float64]:
    pose = UPRIGHT.copy()
    if action in ("walking", "carrying"):
        swing = 0.1 * np.sin(3 * np.pi * t + phase)
        pose[LEFT_LEG, 0] += 0.15 + swing
        pose[RIGHT_LEG, 0] -= 0.15 + swing
        pose[:, 0] += 1.5 * t
    if action == "carrying":
        pose[ARMS, 1] = -0.2
        pose[ARMS, 0] *= 0.4
    if action == "lifting":
        pose[:11, 1] = pose[:11, 1] * 0.2 + 0.1
        pose[:11, 0] += 0.3
    if action == "lying_down":
        pose = _turned(pose, np.pi / 2)
    if action == "falling_down":
        angle = (t * np.pi / 2) % (np.pi / 2)
        pose = _turned(pose, 0.2 + 0.7 * angle)
        pose[:, 1] += angle
    return pose


def _turned(pose: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return pose @ np.array([[cos, sin], [-sin, cos]])


def make_sequence(
    times_s: Any, labels: Any, *, name: str = "made/one", action: str = "walking"
) -> PoseSequence:
    """Somebody at these times; one label for all of them, or one for each."""
    times = np.asarray(times_s, dtype=np.float64)
    return PoseSequence(
        name=name,
        keypoints_px=make_poses(action, times, seed=0),
        labels=np.broadcast_to(np.asarray(labels, dtype=np.int8), times.shape).copy(),
        times_s=times,
        size=(640, 480),
    )


def write_sequences(
    path: Path, *, takes: int = 4, seconds: float = 1.5, source: str = "made"
) -> dict[str, NDArray[np.generic]]:
    """A keypoint file with ``takes`` takes of each action at 30 fps, each by another person."""
    times_s = np.arange(round(seconds * 30)) / 30
    arrays: dict[str, NDArray[np.generic]] = {}
    for label, action in enumerate(CLASSES):
        for take in range(takes):
            name = f"{source}/{action}-{take}"
            arrays[f"{name}/keypoints"] = make_poses(action, times_s, seed=100 * label + take)
            arrays[f"{name}/labels"] = np.full(len(times_s), label, dtype=np.int8)
            arrays[f"{name}/times_s"] = times_s
            arrays[f"{name}/size"] = np.array([640, 480], dtype=np.int32)
    np.savez(path, **arrays)  # type: ignore[arg-type]  # the stub takes the keyword for an option
    return arrays


def random_windows(count: int, seed: int) -> NDArray[np.float32]:
    """float32 ``[count, 9, 17, 3]``: made people of all actions, an eighth of the joints unseen."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(9) / 30
    windows = np.stack(
        [make_poses(CLASSES[i % 6], times_s + rng.uniform(0, 0.5), seed + i) for i in range(count)]
    )
    windows[rng.random(windows.shape[:3]) < 0.125] = 0.0
    return windows
