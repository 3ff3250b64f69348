# SPDX-License-Identifier: Apache-2.0
"""The annotated video: one H.264 MP4 per stream that opens in a browser.

Needs the extra ``[video]`` (PyAV, OpenCV). The only place where whole frames become RGB.
"""

from __future__ import annotations

import re
from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from poseact_engine._core import Frame, FrameBatch, crop
from poseact_engine.errors import SinkError
from poseact_engine.sinks.base import (
    ClosingSink,
    RunInfo,
    StreamInfo,
    check_no_source,
    check_target,
)
from poseact_engine.types import Event, Result, Step
from poseact_engine.video_file import VideoFile, require_packages

if TYPE_CHECKING:
    from poseact_engine.sinks.drawing import Painter, Picture

ALARM_S = 2.0  # an incident is shown for at least this long
ROLE = "--video (the annotated video)"


def video_paths(pattern: Path, names: list[str]) -> list[Path]:
    """``pattern`` itself for one stream, ``<stem>-<name><suffix>`` for several."""
    if len(names) == 1:
        return [pattern]
    paths: list[Path] = []
    for name in names:
        safe = re.sub(r"[^\w.-]+", "_", name)
        path = pattern.with_name(f"{pattern.stem}-{safe}{pattern.suffix}")
        if path in paths:  # two names that differ in what a file name may not have
            path = path.with_stem(f"{path.stem}-{len(paths)}")
        paths.append(path)
    return paths


class VideoSink(ClosingSink):
    """Writes an annotated video of each stream; a stream without a frame leaves no file.

    Owns the encoders. Frames keep their own times, so a varying rate or ``every`` plays rightly.
    """

    def __init__(
        self, path: Path | str, *, overwrite: bool = False, min_joint_score: float = 0.2
    ) -> None:
        require_packages(ROLE)
        self._path = Path(path)
        self._overwrite = overwrite
        self._min_joint_score = min_joint_score
        if self._path.suffix.lower() != ".mp4":
            raise SinkError(f"{ROLE}: expected a name that ends in .mp4, got {str(path)!r}")
        check_target(self._path, overwrite=overwrite)  # the folder, before a model is loaded
        self._painter: Painter | None = None
        self._targets: dict[int, tuple[StreamInfo, Path]] = {}
        self._encoders: dict[int, VideoFile] = {}
        self._alarms: dict[int, _Alarms] = {}

    @property
    def files(self) -> list[Path]:
        """Those begun so far."""
        return [self._targets[stream][1] for stream in sorted(self._encoders)]

    def check(self, run: RunInfo) -> None:
        for path in self._paths(run):
            check_target(path, overwrite=self._overwrite)
            check_no_source(path, run)

    def open(self, run: RunInfo) -> None:
        from poseact_engine.sinks.drawing import Painter

        self.check(run)
        self._painter = Painter(run.joints, min_score=self._min_joint_score)
        for stream, path in zip(run.streams, self._paths(run), strict=True):
            self._targets[stream.index] = (stream, path)

    def _paths(self, run: RunInfo) -> list[Path]:
        return video_paths(self._path, [s.name for s in run.streams])

    def write(self, step: Step) -> None:
        if self._painter is None:
            raise SinkError(f"{ROLE}: open() comes before write()")
        for event in step.events:
            self._alarms.setdefault(event.stream, _Alarms()).add(event)
        results: list[list[Result]] = [[] for _ in range(len(step.frames))]
        for row, result in zip(step.tracks.frame.tolist(), step.results(), strict=True):
            results[row].append(result)
        pts_s = step.frames.pts_s.tolist()
        for f, stream in enumerate(step.frames.stream.tolist()):
            picture = frame_rgb(step.frames[f])
            alarms = self._alarms.setdefault(stream, _Alarms()).at(pts_s[f])
            self._painter.draw(picture, results[f], alarms)
            self._encoder(stream, picture).write(picture, _time_s(step.frames[f]))

    def _encoder(self, stream: int, picture: Picture) -> VideoFile:
        if stream not in self._encoders:
            if stream not in self._targets:
                raise SinkError(f"{ROLE}: expected streams that open() was told of, got {stream}")
            info, path = self._targets[stream]
            size = (picture.shape[1], picture.shape[0])
            self._encoders[stream] = VideoFile(path, rate=info.rate, size=size)
        return self._encoders[stream]

    def close(self) -> None:
        errors = []
        for encoder in self._encoders.values():
            try:
                encoder.close()
            except SinkError as error:  # the other files must still become whole
                errors.append(error)
        if errors:
            raise errors[0]


def _time_s(frame: Frame) -> Fraction:
    return frame.pts * Fraction(*frame.time_base)


def frame_rgb(frame: Frame) -> Picture:
    """uint8 ``[H, W, 3]``, the whole frame as it is displayed."""
    import cv2

    width, height = frame.size
    identity = np.array([[1.0, 0.0, 1.0, 0.0]])
    planes = crop(
        FrameBatch([frame]),
        np.zeros(1, np.int32),
        identity,
        height=height,
        width=width,
        border=(0, 0, 0),
    )[0]
    return np.asarray(cv2.merge(tuple(planes)), np.uint8)


class _Alarms:
    """Which incidents of one stream are shown at a time."""

    def __init__(self) -> None:
        self._coming: deque[Event] = deque()
        self._shown: dict[str, Event] = {}
        self._until: dict[str, float] = {}

    def add(self, event: Event) -> None:
        self._coming.append(event)

    def at(self, time_s: float) -> list[tuple[int, str]]:
        """Track and text of each; ``time_s`` must not decrease."""
        while self._coming and self._coming[0].time_s <= time_s:
            event = self._coming.popleft()
            self._shown.setdefault(event.incident, event)
            if event.kind == "end":
                self._until[event.incident] = self._shown[event.incident].time_s + ALARM_S
        for incident, until_s in list(self._until.items()):
            if time_s >= until_s:
                del self._until[incident]
                del self._shown[incident]
        return [
            (event.track, f"{event.action.replace('_', ' ').upper()}  #{event.track}")
            for event in self._shown.values()
        ]
