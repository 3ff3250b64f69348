# SPDX-License-Identifier: Apache-2.0
"""The action stage: what each window shows, and what was last said of each track."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine.backends.base import Model
from poseact_engine.config import ActionConfig
from poseact_engine.errors import ManifestError
from poseact_engine.manifest import ActionManifest
from poseact_engine.track_table import LatestActions
from poseact_engine.types import Actions, Tracks, WindowBatch


class ActionStage:
    """Windows through the action model; remembers each track's latest answer until the track ends.

    Owns that memory, not the model. Every step must come in order; not thread-safe.
    """

    def __init__(self, model: Model, config: ActionConfig) -> None:
        manifest = model.manifest
        if not isinstance(manifest, ActionManifest):
            raise ManifestError(
                f"action: expected an action model, got one of task {manifest.task}"
            )
        self._model = model
        self._manifest = manifest
        self._config = config
        self._latest = LatestActions(len(manifest.classes))

    @property
    def classes(self) -> tuple[str, ...]:
        return self._manifest.classes

    def __call__(self, windows: WindowBatch, tracks: Tracks) -> Actions:
        found = self.classify(windows.poses_px)  # [W, C]
        return Actions(
            window_probabilities=found,
            probabilities=self._latest(windows, found, tracks),  # [M, C]
        )

    def classify(self, poses_px: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 ``[W, C]`` of windows ``[W, T, K, 3]``, in calls of ``max_batch``."""
        found = np.empty((len(poses_px), len(self.classes)), np.float32)
        for start in range(0, len(poses_px), self._config.max_batch):
            part = slice(start, start + self._config.max_batch)
            (found[part],) = self._model.run(poses_px[part])
        return found

    def end_stream(self, stream: int) -> None:
        """Forgets all tracks of a stream."""
        self._latest.end_stream(stream)
