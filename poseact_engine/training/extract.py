# SPDX-License-Identifier: Apache-2.0
"""Poses of the people in videos: detector, tracker and pose network over one video at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import FrameBatch, Mux
from poseact_engine.backends.base import Model
from poseact_engine.backends.registry import open_model
from poseact_engine.config import (
    BackendChoice,
    DetectConfig,
    DeviceChoice,
    PoseConfig,
    SourceConfig,
    TrackConfig,
)
from poseact_engine.config_checks import check, check_count, check_seconds
from poseact_engine.detect import DetectStage
from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.manifest import PoseManifest
from poseact_engine.pose import PoseStage
from poseact_engine.prefetch import Prefetch
from poseact_engine.sources import SourceSpec, attach, open_source
from poseact_engine.synthetic.rig import UNKNOWN
from poseact_engine.track import TrackStage, track_options
from poseact_engine.training.keypoints import PoseSequence
from poseact_engine.types import COCO_JOINTS, People, PoseBatch, Tracks

BATCH_FRAMES = 8
BATCH_TIMEOUT_S = 0.05

Who = Literal["main", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractConfig:
    """What finds the poses, and whose are kept."""

    detect: DetectConfig
    pose: PoseConfig
    source: SourceConfig = field(default_factory=SourceConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    backend: BackendChoice = "auto"
    device: DeviceChoice = "auto"
    threads: int | None = None
    people: Who = "main"
    """``main``: one person a video, who is seen in most frames and largest; ``all``: everybody."""
    min_seconds: float = 0.5
    """People who are seen for less are left out."""

    def __post_init__(self) -> None:
        check(self.people in get_args(Who), "extract.people", "main or all", self.people)
        check_seconds("extract", min_seconds=self.min_seconds)
        if self.threads is not None:
            check_count("extract", threads=self.threads)


class Extractor:
    """The two models, and the poses they find; a context manager. One video at a time."""

    def __init__(self, config: ExtractConfig) -> None:
        """Raises ManifestError, BackendError or DependencyError; ConfigError for other joints."""
        self._config = config
        self._mux: Mux | None = None
        self._stopped = False
        with ExitStack() as opened:
            self._detector = self._open(opened, config.detect.model, task="detector")
            self._pose = self._open(opened, config.pose.model, task="pose")
            manifest = self._pose.manifest
            joints = manifest.joints if isinstance(manifest, PoseManifest) else ()
            if joints != COCO_JOINTS:
                raise ConfigError(
                    f"{config.pose.model}: expected the 17 joints of COCO, got {joints}; keypoint "
                    "files have no others"
                )
            self._opened = opened.pop_all()

    def _open(self, opened: ExitStack, path: Path, *, task: Literal["detector", "pose"]) -> Model:
        config = self._config
        model = open_model(
            path, task=task, backend=config.backend, device=config.device, threads=config.threads
        )
        opened.callback(model.close)
        return model

    @property
    def sha256(self) -> tuple[str, str]:
        """Of the detector and the pose network, as their manifests say."""
        return self._detector.manifest.sha256, self._pose.manifest.sha256

    @property
    def track_options(self) -> dict[str, float]:
        """What decides who has a track, the detector's own scores included."""
        return track_options(self._config.track, self._detector.manifest)

    def stop(self) -> None:
        """Ends ``read``, now and later; never waits, so a signal handler may call it."""
        self._stopped = True
        if self._mux is not None:
            self._mux.close()

    def read(self, path: Path, name: str) -> list[PoseSequence] | None:
        """The people of one video, ``NAME_p<number>``, without labels; None: it was stopped.

        Raises SourceError for a video that cannot be opened or is not whole.
        """
        seen = _Seen()
        reader = open_source(SourceSpec(uri=str(path), name=name), self._config.source)
        self._mux = mux = Mux()
        if self._stopped:  # before there was a mux
            return None
        try:
            attach(reader, mux)
            for frames, tracks, poses in self._follow(mux):
                seen.add(frames, tracks, poses, path)
                del frames, tracks, poses  # frames must not live on until the next ones come
        finally:
            mux.close()
            reader.stop()
        if self._stopped:
            return None
        _check_whole(path, reader.error, reader.counts, seen)
        return seen.sequences(name, self._config)

    def _follow(self, mux: Mux) -> Iterator[tuple[FrameBatch, Tracks, PoseBatch]]:
        """Detection runs ahead on a thread of its own, as it does in the engine."""
        track = TrackStage(self._config.track, self._detector.manifest)
        pose = PoseStage(self._pose, self._config.pose)
        ahead = Prefetch(self._detect(mux), depth=1, name="poseact-detect")
        try:
            for frames, people in ahead:
                tracks = track(people, frames)
                yield frames, tracks, pose(frames, tracks)
                del frames, people, tracks
        finally:
            mux.close()  # first: the thread may wait for a frame
            ahead.close()

    def _detect(self, mux: Mux) -> Iterator[tuple[FrameBatch, People]]:
        detect = DetectStage(self._detector, self._config.detect, self._config.track)
        while (frames := mux.next_batch(BATCH_FRAMES, BATCH_TIMEOUT_S)) is not None:
            yield frames, detect(frames)
            del frames

    def close(self) -> None:
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(slots=True)
class _Track:
    """One person of a video."""

    frames: list[int] = field(default_factory=list)
    """Indices into the frames that were read."""
    poses: list[NDArray[np.float32]] = field(default_factory=list)
    last: int = 0
    """Place in ``frames`` of the last one in which the detector saw the person."""
    height_px: float = 0.0
    """Sum over frames: large for who is there long and near."""

    @property
    def span(self) -> tuple[int, int]:
        """First and last frame; what was predicted after the person had gone is no pose."""
        return self.frames[0], self.frames[self.last]


class _Seen:
    """What was found in one video so far."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self._size: tuple[int, int] | None = None
        self._tracks: dict[int, _Track] = {}

    def add(self, frames: FrameBatch, tracks: Tracks, poses: PoseBatch, path: Path) -> None:
        start = len(self.times_s)
        self.times_s += frames.pts_s.tolist()
        sizes = {(int(w), int(h)) for w, h in frames.size.tolist()}
        self._size = self._size or min(sizes)
        if sizes != {self._size}:
            raise SourceError(
                f"{path}: expected one resolution, got {sorted(sizes | {self._size})}"
            )
        heights = tracks.boxes_px[:, 3] - tracks.boxes_px[:, 1]
        for row, person in enumerate(tracks.ids.tolist()):
            track = self._tracks.setdefault(person, _Track())
            track.frames.append(start + int(tracks.frame[row]))
            track.poses.append(poses.keypoints_px[row])
            if tracks.observed[row]:
                track.last = len(track.frames) - 1
                track.height_px += float(heights[row])

    def sequences(self, name: str, config: ExtractConfig) -> list[PoseSequence]:
        times_s = np.array(self.times_s, np.float64)
        long_enough = [
            track
            for track in self._tracks.values()
            if float(np.ptp(times_s[list(track.span)])) >= config.min_seconds
        ]
        if config.people == "main":
            long_enough = sorted(long_enough, key=lambda track: -track.height_px)[:1]
        made = (self._sequence(f"{name}_p{i}", t, times_s) for i, t in enumerate(long_enough, 1))
        return [sequence for sequence in made if sequence.keypoints_px.any()]

    def _sequence(self, name: str, track: _Track, times_s: NDArray[np.float64]) -> PoseSequence:
        """Over all frames between the person's first and last; zeros where it was not seen."""
        first, last = track.span
        poses = np.zeros((last + 1 - first, len(COCO_JOINTS), 3), np.float32)
        known = slice(0, track.last + 1)
        poses[np.array(track.frames[known]) - first] = np.stack(track.poses[known])
        forward = _forward(times_s[first : last + 1])
        return PoseSequence(
            name=name,
            keypoints_px=poses[forward],
            labels=np.full(len(forward), UNKNOWN, np.int8),
            times_s=times_s[first : last + 1][forward],
            size=self._size or (0, 0),
        )


def _forward(times_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows that are later than all before them: clocks of broken recorders jump back."""
    latest = np.maximum.accumulate(np.concatenate([[-np.inf], times_s[:-1]]))
    return np.flatnonzero(times_s > latest)


def _check_whole(path: Path, error: str | None, counts: dict[str, int], seen: _Seen) -> None:
    if error is not None:
        raise SourceError(error)
    if not seen.times_s:
        raise SourceError(f"{path}: expected a video, got no frame")
    if counts["truncated"]:
        raise SourceError(f"{path}: ends before its container says so; fetch it again")
