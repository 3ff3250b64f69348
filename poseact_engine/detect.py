# SPDX-License-Identifier: Apache-2.0
"""The detector stage: person boxes of a batch of frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine import geometry
from poseact_engine._core import crop, nms
from poseact_engine.backends.base import Model
from poseact_engine.config import DetectConfig
from poseact_engine.config_track import TrackConfig
from poseact_engine.errors import ManifestError
from poseact_engine.manifest import DetectorManifest
from poseact_engine.types import FrameBatch, People


class DetectStage:
    """Letterbox, detector, non-maximum suppression, and back to frame pixels; a batch at a time.

    Owns the buffer of the detector's input and each stream's count of frames, not the model. Every
    step must come in order; not thread-safe.
    """

    def __init__(
        self, model: Model, config: DetectConfig, track: TrackConfig | None = None
    ) -> None:
        """``track``: of the tracker that gets the boxes; None: the usual one."""
        manifest = model.manifest
        if not isinstance(manifest, DetectorManifest):
            raise ManifestError(f"detect: expected a detector, got a model of task {manifest.task}")
        self._model = model
        self._manifest = manifest
        self._config = config
        options = (track or TrackConfig()).options(manifest.track_scores)
        least = config.min_score
        self._min_score = options["low_score"] if least is None else least
        shape = (config.max_batch, 3, manifest.height, manifest.width)
        self._images = np.empty(shape, np.uint8)
        self._seen: dict[int, int] = {}
        """Frames of each stream so far."""

    def __call__(self, frames: FrameBatch) -> People:
        m = self._manifest
        detected = self._choose(frames)  # bool [F]
        rows = np.flatnonzero(detected).astype(np.int32)  # [D]
        sizes = frames.size[rows]  # [D, 2]
        windows = geometry.letterbox(
            sizes, height=m.height, width=m.width, placement=m.placement
        )  # [D, 4]
        boxes, scores, image = self._run(frames, rows, windows)  # [N, 4] px of the input, [N], [N]
        boxes = geometry.boxes_from_letterbox(boxes, windows[image], sizes[image])
        whole = (boxes[:, :2] < boxes[:, 2:]).all(axis=1)  # some lay in the letterbox's border
        return People(
            boxes_px=boxes[whole],
            scores=scores[whole],
            frame=rows[image[whole]],
            detected=detected,
        )

    def end_stream(self, stream: int) -> None:
        """Forgets a stream's count; a later frame of it is a first one."""
        self._seen.pop(stream, None)

    def _choose(self, frames: FrameBatch) -> NDArray[np.bool_]:
        """Every Nth frame of each stream that comes here, beginning with its first."""
        if self._config.every == 1:
            return np.ones(len(frames), np.bool_)
        chosen = np.zeros(len(frames), np.bool_)
        for i, stream in enumerate(frames.stream.tolist()):
            seen = self._seen.get(stream, 0)
            chosen[i] = seen % self._config.every == 0
            self._seen[stream] = seen + 1
        return chosen

    def _run(
        self, frames: FrameBatch, rows: NDArray[np.int32], windows: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
        """Boxes in input pixels, scores, and the index into ``rows``, in calls of ``max_batch``."""
        m, config = self._manifest, self._config
        found = [(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int32))]
        for start in range(0, len(rows), config.max_batch):
            part = slice(start, start + config.max_batch)
            images = crop(
                frames,
                rows[part],
                windows[part],
                height=m.height,
                width=m.width,
                border=m.border,
                out=self._images[: len(rows[part])],
            )
            boxes, scores = self._model.run(images)
            kept, kept_scores, image = nms(
                boxes,
                scores,
                min_score=self._min_score,
                iou=m.nms_iou,
                max_boxes=config.max_people,
            )
            found.append((kept, kept_scores, image + np.int32(start)))
        boxes, scores, image = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return boxes, scores, image
