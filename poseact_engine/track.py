# SPDX-License-Identifier: Apache-2.0
"""The track stage: boxes of a step in, tracks with ids out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import Tracker
from poseact_engine.config_track import TrackConfig
from poseact_engine.errors import ManifestError
from poseact_engine.manifest import DetectorManifest, Manifest
from poseact_engine.types import FrameBatch, People, Tracks


def track_options(config: TrackConfig, detector: Manifest | None) -> dict[str, float]:
    """``config`` with the scores of the detector's manifest where it has none of its own.

    Raises ManifestError for the manifest of another task.
    """
    if detector is None:
        return config.options()
    if not isinstance(detector, DetectorManifest):
        raise ManifestError(f"track: expected a detector, got a model of task {detector.task}")
    return config.options(detector.track_scores)


class TrackStage:
    """ByteTrack over all streams; owns every track and the count of ids of every stream.

    Passive, no threads; one thread at a time. Frames of a stream must come in pts order.
    """

    def __init__(self, config: TrackConfig, detector: Manifest | None = None) -> None:
        """``detector``: the manifest of the network whose boxes come; None: of none."""
        self._tracker = Tracker(**track_options(config, detector))

    def __call__(self, people: People, frames: FrameBatch) -> Tracks:
        """Moves the trackers of the step's streams on by its F frames.

        Raises ShapeError where counts or dtypes differ, ConfigError for boxes that are not grouped
        by frame or lie in a frame with ``detected`` false; on an error no tracker has changed.
        """
        stream = frames.stream
        boxes, scores, ids, frame, observed, ended_stream, ended_ids = self._tracker.update(
            people.boxes_px,
            people.scores,
            people.frame,
            stream=stream,
            pts=frames.pts,
            time_base=frames.time_base,
            detected=people.detected,
        )
        return Tracks(
            boxes_px=boxes,
            scores=scores,
            ids=ids,
            frame=frame,
            stream=stream[frame],
            observed=observed,
            ended_stream=ended_stream,
            ended_ids=ended_ids,
        )

    def end_stream(self, stream: int) -> NDArray[np.int64]:
        """Ends the tracks of a stream that is over; returns their ids.

        Should the stream go on, its ids do too: none is used twice.
        """
        return self._tracker.end_stream(stream)

    def __len__(self) -> int:
        """Tracks alive over all streams, lost and unconfirmed ones included."""
        return len(self._tracker)
