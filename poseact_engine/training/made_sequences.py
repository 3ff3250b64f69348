# SPDX-License-Identifier: Apache-2.0
"""Made pose sequences as the sequences of keypoint files."""

from __future__ import annotations

from collections.abc import Iterator

from poseact_engine.errors import ConfigError
from poseact_engine.synthetic import FIRST_EVALUATION_SEED
from poseact_engine.synthetic.sequences import (
    MadeSequence,
    SequencesConfig,
    pose_sequences,
)
from poseact_engine.training.keypoints import PoseSequence


def training_sequences(
    seed: int, *, hours: float, config: SequencesConfig | None = None
) -> Iterator[PoseSequence]:
    """Sequences that last ``hours`` together, to be trained on or written into a keypoint file.

    Raises ConfigError for a seed that is kept for measuring.
    """
    if seed >= FIRST_EVALUATION_SEED:
        raise ConfigError(
            f"training_sequences: expected a seed below {FIRST_EVALUATION_SEED}, those from there "
            f"on are for measuring; got {seed}"
        )
    return map(as_pose_sequence, pose_sequences(seed, hours=hours, config=config))


def as_pose_sequence(made: MadeSequence) -> PoseSequence:
    """The same arrays, without the falls."""
    return PoseSequence(
        name=made.name,
        keypoints_px=made.keypoints_px,
        labels=made.labels,
        times_s=made.times_s,
        size=made.size,
        clip=made.clip,
        camera=made.camera,
        subject=made.subject,
    )
