# SPDX-License-Identifier: Apache-2.0
"""The true poses of a made scene as sequences for training, one a person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.rig import UNKNOWN
from poseact_engine.synthetic.scene import SceneConfig
from poseact_engine.synthetic.truth import FrameTruth
from poseact_engine.training.keypoints import PoseSequence
from poseact_engine.training.paper import JOINTS

HIDDEN_SCORE = 0.5
"""Of a joint that something hides; one that is seen has 1, one outside the picture 0."""


def scene_sequences(config: SceneConfig, truths: Sequence[FrameTruth]) -> list[PoseSequence]:
    """One sequence a person, ``synthetic/<seed>_p<id>``, over all frames of the scene.

    The scene is named as clip and subject of all of them, so that no split parts them.
    """
    num, den = config.fps
    times_s = np.array([truth.index for truth in truths], np.float64) * den / num
    scene = f"synthetic/{config.seed}"
    people = np.unique(np.concatenate([truth.ids for truth in truths])) if truths else ()
    sequences = []
    for person in map(int, people):
        poses = np.zeros((len(truths), JOINTS, 3), np.float32)
        labels = np.full(len(truths), UNKNOWN, np.int8)
        for i, truth in enumerate(truths):
            for row in np.flatnonzero(truth.ids == person)[:1]:
                poses[i] = _scored(truth, row)
                labels[i] = truth.actions[row]
        if not poses[..., 2].any():
            continue
        sequences.append(
            PoseSequence(
                name=f"{scene}_p{person}",
                keypoints_px=poses,
                labels=labels,
                times_s=times_s,
                size=config.size,
                clip=scene,
                camera=scene,
                subject=scene,
            )
        )
    return sequences


def _scored(truth: FrameTruth, row: int) -> NDArray[np.float32]:
    joints: NDArray[np.float32] = truth.keypoints_px[row].copy()
    flags = joints[:, 2]
    scores = np.where(flags == 2, 1.0, np.where(flags == 1, HIDDEN_SCORE, 0.0))
    joints[:, 2] = scores
    joints[scores == 0] = 0
    return joints
