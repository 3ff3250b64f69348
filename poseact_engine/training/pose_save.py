# SPDX-License-Identifier: Apache-2.0
"""A trained pose model as a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from poseact_engine.training.network_checkpoint import POSE_INPUT, NetworkInfo, save_network
from poseact_engine.training.pose import PoseConfig
from poseact_engine.training.pose_data import EXPANSION
from poseact_engine.types import COCO_JOINTS


def save_pose(
    config: PoseConfig,
    state: Mapping[str, Tensor],
    training: Mapping[str, Any],
    path: Path,
    *,
    licence: str | None,
) -> None:
    """Raises SinkError where ``path`` cannot be written."""
    info = NetworkInfo(
        task="pose",
        network=asdict(config.network),
        size=config.size,
        input=POSE_INPUT,
        names=COCO_JOINTS,
        options={
            "geometry": "default",
            "expansion": EXPANSION,
            "decode": "dark",
            "dark_kernel": config.dark_kernel,
        },
        source="poseact train pose",
        licence=licence,
        training=training,
    )
    save_network(info, state, path)
