# SPDX-License-Identifier: Apache-2.0
"""What a user may ask for: one frozen dataclass per stage, each checks itself by raising."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

from poseact_engine.errors import ConfigError

BackendChoice = Literal["auto", "onnxruntime", "tensorrt", "openvino"]
DeviceChoice = Literal["auto", "cpu", "cuda"]


def _check(ok: bool, where: str, expected: str, got: object) -> None:
    if not ok:
        raise ConfigError(f"{where}: expected {expected}, got {got!r}")


def _fraction(where: str, **values: float) -> None:
    for name, value in values.items():
        _check(
            not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value <= 1,
            f"{where}.{name}",
            "a number from 0 to 1",
            value,
        )


def _seconds(where: str, **values: float) -> None:
    for name, value in values.items():
        _check(
            not isinstance(value, bool)
            and isinstance(value, int | float)
            and math.isfinite(value)
            and value >= 0,
            f"{where}.{name}",
            "seconds, 0 or more",
            value,
        )


def _count(where: str, *, least: int = 1, **values: int) -> None:
    for name, value in values.items():
        _check(
            not isinstance(value, bool) and isinstance(value, int) and value >= least,
            f"{where}.{name}",
            f"a whole number, {least} or more",
            value,
        )


class _FromMapping:
    """Builds a config from plain data (JSON, TOML); unknown keys are errors."""

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        return cls._from_keys(values)

    @classmethod
    def _from_keys(cls, values: Mapping[str, Any]) -> Self:
        known = {f.name for f in fields(cls)}  # type: ignore[arg-type]  # subclasses are dataclasses
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"{cls.__name__}: expected keys among {sorted(known)}, got unknown {unknown}"
            )
        missing = sorted(
            f.name
            for f in fields(cls)  # type: ignore[arg-type]
            if f.name not in values and f.default is MISSING and f.default_factory is MISSING
        )
        if missing:
            raise ConfigError(f"{cls.__name__}: expected the keys {missing}, got {sorted(values)}")
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig(_FromMapping):
    """How sources are read."""

    every: int = 1
    """Take every Nth frame of each stream."""
    max_frames: int | None = None
    """Stop each stream after this many frames (counted after ``every``)."""
    queue_frames: int = 8
    """Decoded frames held per stream; files wait when it is full, live streams drop the oldest."""
    decode_threads: int = 1
    """Decoder threads per stream."""
    open_timeout_s: float = 10.0
    read_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        _count(
            "source",
            every=self.every,
            queue_frames=self.queue_frames,
            decode_threads=self.decode_threads,
        )
        if self.max_frames is not None:
            _count("source", max_frames=self.max_frames)
        _seconds("source", open_timeout_s=self.open_timeout_s, read_timeout_s=self.read_timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectConfig(_FromMapping):
    """The detector stage."""

    model: Path
    min_score: float = 0.1
    """Boxes below this are dropped before tracking; ByteTrack uses the weak ones too."""
    every: int = 1
    """Run the detector on every Nth frame of each stream; trackers predict in between."""
    max_people: int = 100
    """Most boxes kept in one frame."""
    max_batch: int = 8
    """Frames in one inference call; larger steps are split."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", Path(self.model))
        _fraction("detect", min_score=self.min_score)
        _count("detect", every=self.every, max_people=self.max_people, max_batch=self.max_batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackConfig(_FromMapping):
    """ByteTrack; all durations are seconds of stream time."""

    high_score: float = 0.5
    """Boxes from here on are matched first."""
    low_score: float = 0.1
    """Boxes between this and ``high_score`` may continue a track, never start one."""
    new_score: float = 0.5
    """A box from here on that matches nothing starts a track."""
    match_iou: float = 0.2
    low_match_iou: float = 0.5
    new_match_iou: float = 0.3
    """Least overlap: first match, match with a weak box, second box of a new track."""
    confirm_s: float = 0.0
    """A new track is reported, and gets its id, once a strong box matches it again at least this
    long after its first one; it is dropped when the detector looks and misses it before. Tracks of
    the first frame of a stream that the detector sees are reported at once."""
    coast_s: float = 0.3
    """A track is still reported, predicted, for less than this after the first frame in which the
    detector looked for it in vain. Frames the detector skips never silence a track."""
    lost_s: float = 1.0
    """A track whose last box is longer ago than this has ended; keep it above the time between two
    frames that the detector sees."""

    def __post_init__(self) -> None:
        _fraction(
            "track",
            high_score=self.high_score,
            low_score=self.low_score,
            new_score=self.new_score,
            match_iou=self.match_iou,
            low_match_iou=self.low_match_iou,
            new_match_iou=self.new_match_iou,
        )
        _seconds("track", confirm_s=self.confirm_s, coast_s=self.coast_s, lost_s=self.lost_s)
        _check(
            self.low_score <= self.high_score,
            "track.high_score",
            f"low_score ({self.low_score}) or more",
            self.high_score,
        )
        _check(
            self.coast_s <= self.lost_s,
            "track.coast_s",
            f"at most lost_s ({self.lost_s})",
            self.coast_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseConfig(_FromMapping):
    """The pose stage."""

    model: Path
    max_batch: int = 32
    """Crops in one inference call; larger steps are split."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", Path(self.model))
        _count("pose", max_batch=self.max_batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig(_FromMapping):
    """The ring buffers of poses; length and rate come from the action model's manifest."""

    stride: int = 1
    """Grid steps between two windows of a track."""
    max_gap_s: float = 0.4
    """A joint (or a whole track) unseen for longer is not interpolated."""

    def __post_init__(self) -> None:
        _count("window", stride=self.stride)
        _seconds("window", max_gap_s=self.max_gap_s)
        _check(self.max_gap_s <= 60, "window.max_gap_s", "60 seconds or less", self.max_gap_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionConfig(_FromMapping):
    """The action stage."""

    model: Path
    max_batch: int = 256
    """Windows in one inference call; larger steps are split."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", Path(self.model))
        _count("action", max_batch=self.max_batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentConfig(_FromMapping):
    """When an action becomes an incident: k of the last n windows, with two thresholds."""

    actions: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {"falling_down": (0.6, 0.4), "lying_down": (0.6, 0.4)}
    )
    """Watched actions: class name to (enter, leave); leave < enter."""
    k: int = 5
    n: int = 8
    update_s: float = 1.0
    """Least stream time between two ``update`` events of one incident."""
    end_s: float = 1.0
    """An incident ends when its action was below ``leave`` for this long, or its track ended."""

    def __post_init__(self) -> None:
        _count("incident", k=self.k, n=self.n)
        _check(self.k <= self.n, "incident.k", f"at most n ({self.n})", self.k)
        _seconds("incident", update_s=self.update_s, end_s=self.end_s)
        for name, pair in self.actions.items():
            _check(
                isinstance(pair, tuple | list) and len(pair) == 2 and _are_thresholds(*pair),
                f"incident.actions[{name!r}]",
                "(enter, leave) with 0 <= leave < enter <= 1",
                pair,
            )


def _are_thresholds(enter: object, leave: object) -> bool:
    return (
        isinstance(enter, int | float)
        and isinstance(leave, int | float)
        and 0 <= leave < enter <= 1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig(_FromMapping):
    """Everything one engine needs."""

    detect: DetectConfig
    pose: PoseConfig
    action: ActionConfig
    source: SourceConfig = field(default_factory=SourceConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    window: WindowConfig = field(default_factory=WindowConfig)
    incident: IncidentConfig = field(default_factory=IncidentConfig)
    backend: BackendChoice = "auto"
    device: DeviceChoice = "auto"
    threads: int | None = None
    """CPU threads for inference; None: as many as this process may use."""
    batch_frames: int = 8
    """Most frames of one step, over all streams."""
    batch_timeout_s: float = 0.05
    """Longest wait for a step to fill after its first frame."""

    def __post_init__(self) -> None:
        _count("engine", batch_frames=self.batch_frames)
        _seconds("engine", batch_timeout_s=self.batch_timeout_s)
        if self.threads is not None:
            _count("engine", threads=self.threads)
        for name, choice, known in (
            ("backend", self.backend, ("auto", "onnxruntime", "tensorrt", "openvino")),
            ("device", self.device, ("auto", "cpu", "cuda")),
        ):
            _check(choice in known, f"engine.{name}", f"one of {', '.join(known)}", choice)
        for name, kind in _PARTS.items():
            part = getattr(self, name)
            _check(isinstance(part, kind), f"engine.{name}", f"a {kind.__name__}", part)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Plain data all the way down: each part is a mapping too, or a config already."""
        parts = {
            name: kind.from_mapping(values[name])
            for name, kind in _PARTS.items()
            if isinstance(values.get(name), Mapping)
        }
        return cls._from_keys({**values, **parts})


_PARTS: dict[str, type[_FromMapping]] = {
    "detect": DetectConfig,
    "pose": PoseConfig,
    "action": ActionConfig,
    "source": SourceConfig,
    "track": TrackConfig,
    "window": WindowConfig,
    "incident": IncidentConfig,
}
