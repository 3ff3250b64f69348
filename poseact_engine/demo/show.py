# SPDX-License-Identifier: Apache-2.0
"""All that a page shows of a run, gathered: what was found, what was true, and the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from poseact_engine.demo.compare import Comparison, SceneTruth, compare
from poseact_engine.demo.pictures import Strip, strips
from poseact_engine.demo.record import Incident, Recorder, TrackRecord
from poseact_engine.manifest import Manifest
from poseact_engine.sinks.video import video_paths


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamShow:
    """One stream's part."""

    name: str
    uri: str
    span_s: tuple[float, float]
    """Times of the first and the last frame."""
    step_s: float
    """From one frame to the next."""
    tracks: Sequence[TrackRecord]
    incidents: Sequence[Incident]
    truth: SceneTruth
    comparison: Comparison
    video: str
    """Name of the annotated video's file, beside the page."""
    strips: Mapping[str, Strip]
    """By the incident's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """A whole run's."""

    version: str
    classes: tuple[str, ...]
    manifests: Mapping[str, Manifest]
    bundled: frozenset[str]
    """Tasks whose model came with the package."""
    unseen: bool
    """The scenes are of those that are kept for measuring."""
    frames: int
    elapsed_s: float
    streams: Sequence[StreamShow]
    command: str
    """What shows the same again."""

    @property
    def falls(self) -> int:
        return sum(len(s.comparison.falls) for s in self.streams)

    @property
    def told(self) -> int:
        return sum(s.comparison.told for s in self.streams)

    @property
    def false(self) -> int:
        return sum(s.comparison.false for s in self.streams)

    @property
    def incidents(self) -> int:
        return sum(len(s.incidents) for s in self.streams)

    @property
    def tracks(self) -> int:
        return sum(len(s.tracks) for s in self.streams)

    @property
    def people(self) -> int:
        return sum(len(s.truth.people) for s in self.streams)


def gather(
    recorder: Recorder, video: Path, truths: Sequence[SceneTruth], *, fps: float
) -> list[StreamShow]:
    """The streams of a run; ``video`` as it was given to the sink, one truth a stream."""
    infos = recorder.run.streams
    paths = video_paths(video, [stream.name for stream in infos])
    found = []
    for info, path, truth in zip(infos, paths, truths, strict=True):
        tracks, incidents = recorder.tracks(info.index), recorder.incidents(info.index)
        span_s = recorder.span_s(info.index)
        found.append(
            StreamShow(
                name=info.name,
                uri=info.uri or "",
                span_s=span_s,
                step_s=1 / fps,
                tracks=tracks,
                incidents=incidents,
                truth=truth,
                comparison=compare(tracks, incidents, truth),
                video=path.name,
                strips=strips(path, incidents, tracks, span_s=span_s),
            )
        )
    return found
