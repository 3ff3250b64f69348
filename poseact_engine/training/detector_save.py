# SPDX-License-Identifier: Apache-2.0
"""A trained detector as a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from poseact_engine.training.detector import NMS_IOU, DetectorConfig
from poseact_engine.training.detector_data import PLACEMENT
from poseact_engine.training.network_checkpoint import DETECTOR_INPUT, NetworkInfo, save_network


def save_detector(
    config: DetectorConfig,
    state: Mapping[str, Tensor],
    training: Mapping[str, Any],
    path: Path,
    *,
    licence: str | None,
) -> None:
    """Raises SinkError where ``path`` cannot be written."""
    info = NetworkInfo(
        task="detector",
        network=asdict(config.network),
        size=config.size,
        input=DETECTOR_INPUT,
        names=("person",),
        options={"placement": PLACEMENT, "nms_iou": NMS_IOU},
        source="poseact train detector",
        licence=licence,
        training=training,
    )
    save_network(info, state, path)
