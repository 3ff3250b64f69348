# SPDX-License-Identifier: Apache-2.0
"""The pose stage: the joints of every track in every frame of a batch."""

from __future__ import annotations

import numpy as np

from poseact_engine import geometry
from poseact_engine._core import crop
from poseact_engine.backends.base import Model
from poseact_engine.config import PoseConfig
from poseact_engine.errors import ManifestError
from poseact_engine.manifest import PoseManifest
from poseact_engine.types import FrameBatch, PoseBatch, Tracks


class PoseStage:
    """Crops around all tracks of a step, through the pose network, back to frame pixels.

    Owns the buffer of crops, not the model. Keeps nothing of a step; not thread-safe.
    """

    def __init__(self, model: Model, config: PoseConfig) -> None:
        manifest = model.manifest
        if not isinstance(manifest, PoseManifest):
            raise ManifestError(f"pose: expected a pose model, got one of task {manifest.task}")
        self._model = model
        self._manifest = manifest
        self._config = config
        shape = (config.max_batch, 3, manifest.height, manifest.width)
        self._crops = np.empty(shape, np.uint8)

    @property
    def joints(self) -> tuple[str, ...]:
        return self._manifest.joints

    def __call__(self, frames: FrameBatch, tracks: Tracks) -> PoseBatch:
        m = self._manifest
        windows = geometry.pose_crops(
            tracks.boxes_px,
            height=m.height,
            width=m.width,
            expansion=m.expansion,
            geometry=m.geometry,
        )  # [M, 4]
        keypoints = np.empty((len(windows), len(m.joints), 3), np.float32)  # [M, K, 3]
        for start in range(0, len(windows), self._config.max_batch):
            part = slice(start, start + self._config.max_batch)
            crops = crop(
                frames,
                tracks.frame[part],
                windows[part],
                height=m.height,
                width=m.width,
                border=m.border,
                out=self._crops[: len(windows[part])],
            )
            (keypoints[part],) = self._model.run(crops)
        return PoseBatch(keypoints_px=geometry.keypoints_from_crops(keypoints, windows))
