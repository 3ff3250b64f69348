# SPDX-License-Identifier: Apache-2.0
"""The track stage: boxes of a step in, tracks with ids out."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import Tracker
from poseact_engine.config import TrackConfig
from poseact_engine.types import FrameBatch, People, Tracks


class TrackStage:
    """ByteTrack over all streams; owns every track and the count of ids of every stream.

    Passive, no threads; one thread at a time. Frames of a stream must come in pts order.
    """

    def __init__(self, config: TrackConfig) -> None:
        self._tracker = Tracker(**asdict(config))

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
