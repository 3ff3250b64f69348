# SPDX-License-Identifier: Apache-2.0
"""The pose stage: the joints of every track in every frame of a batch.

With ``PoseConfig(nms=...)`` one person has one pose: where the poses of several tracks in a frame
are too much alike (two boxes on one person, or a hidden person's crop in which the network found
the one in front), the best keeps its joints and the others' become (0, 0, 0), not found. Their rows
stay, since the tracks do; windows leave out poses without a joint, so no track is fed another's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine import geometry
from poseact_engine._core import crop, oks_nms, parametric_nms
from poseact_engine.backends.base import Model
from poseact_engine.config import PoseConfig
from poseact_engine.errors import ConfigError, ManifestError
from poseact_engine.manifest import PoseManifest
from poseact_engine.types import COCO_JOINTS, FrameBatch, PoseBatch, Tracks


class PoseStage:
    """Crops around all tracks of a step, through the pose network, back to frame pixels.

    Owns the buffer of crops, not the model. Keeps nothing of a step; not thread-safe.
    """

    def __init__(self, model: Model, config: PoseConfig) -> None:
        manifest = model.manifest
        if not isinstance(manifest, PoseManifest):
            raise ManifestError(f"pose: expected a pose model, got one of task {manifest.task}")
        if config.nms == "oks" and manifest.joints != COCO_JOINTS:
            raise ConfigError(
                "pose.nms: oks expected a model of the 17 COCO joints, got one of "
                f"{len(manifest.joints)} joints ({', '.join(manifest.joints[:3])}, ...); "
                "choose parametric or none"
            )
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
        keypoints = geometry.keypoints_from_crops(keypoints, windows)
        if self._config.nms != "none":
            keypoints[~self._unique(keypoints, windows, tracks)] = 0.0
        return PoseBatch(keypoints_px=keypoints)

    def _unique(
        self, keypoints: NDArray[np.float32], windows: NDArray[np.float64], tracks: Tracks
    ) -> NDArray[np.bool_]:
        """bool ``[M]``: the row's pose is no double of a better one in its frame.

        A pose is as good as its box score times its mean joint score, but a track matched in this
        very frame goes before one that is predicted: where nobody was detected, a good pose is
        likely somebody else's. Areas are those of the crops, as with HRNet's authors.
        """
        c = self._config
        score = tracks.scores * keypoints[..., 2].mean(axis=1)
        rank = np.empty(len(score), np.float32)
        rank[np.lexsort((-score, ~tracks.observed))] = -np.arange(len(score))
        if c.nms == "oks":
            areas = (
                np.abs(windows[:, 0] * windows[:, 2]) * self._manifest.height * self._manifest.width
            )
            return oks_nms(keypoints, rank, areas.astype(np.float32), tracks.frame, c.nms_oks)
        return parametric_nms(
            keypoints,
            rank,
            tracks.boxes_px,
            tracks.frame,
            sigma1=c.nms_sigma1,
            sigma2=c.nms_sigma2,
            lambda_=c.nms_lambda,
            eta=c.nms_eta,
        )
