# SPDX-License-Identifier: Apache-2.0
"""What a user may ask for: one frozen dataclass per stage, each checks itself by raising."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from poseact_engine.bundled import BundledTask, bundled_model
from poseact_engine.config_checks import (
    FromMapping,
    check,
    check_count,
    check_fraction,
    check_seconds,
    checked_path,
    is_number,
)
from poseact_engine.config_track import TrackConfig as TrackConfig

BackendChoice = Literal["auto", "onnxruntime", "tensorrt", "openvino"]
DeviceChoice = Literal["auto", "cpu", "cuda"]
PoseNms = Literal["none", "oks", "parametric"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig(FromMapping):
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
        check_count(
            "source",
            every=self.every,
            queue_frames=self.queue_frames,
            decode_threads=self.decode_threads,
        )
        if self.max_frames is not None:
            check_count("source", max_frames=self.max_frames)
        check_seconds(
            "source", open_timeout_s=self.open_timeout_s, read_timeout_s=self.read_timeout_s
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectConfig(FromMapping):
    """The detector stage."""

    model: Path
    min_score: float | None = None
    """Boxes below this are dropped before tracking; ByteTrack uses the weak ones too. None: those
    that the tracker would not use (its ``low_score``)."""
    every: int = 1
    """Run the detector on every Nth frame of each stream; trackers predict in between."""
    max_people: int = 100
    """Most boxes kept in one frame."""
    max_batch: int = 8
    """Frames in one inference call; larger steps are split."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", checked_path("detect.model", self.model))
        if self.min_score is not None:
            check_fraction("detect", min_score=self.min_score)
        check_count(
            "detect", every=self.every, max_people=self.max_people, max_batch=self.max_batch
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseConfig(FromMapping):
    """The pose stage."""

    model: Path
    max_batch: int = 32
    """Crops in one inference call; larger steps are split."""
    nms: PoseNms = "none"
    """Of tracks that show one person in a frame, only the best keeps its pose; see ``pose.py``."""
    nms_oks: float = 0.9
    """``oks``: a pose goes that is more alike (object keypoint similarity) to a better one."""
    nms_sigma1: float = 1.0
    nms_sigma2: float = 2.65
    nms_lambda: float = 1.7
    nms_eta: float = 22.48
    """``parametric``: RMPE's parameters, see ``csrc/detect/pose_nms.h``; a pose goes above eta, a
    sum over joints: lower it for models with fewer than 17."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", checked_path("pose.model", self.model))
        check_count("pose", max_batch=self.max_batch)
        check(self.nms in get_args(PoseNms), "pose.nms", "none, oks or parametric", self.nms)
        check_fraction("pose", nms_oks=self.nms_oks)
        for name in ("nms_sigma1", "nms_sigma2", "nms_lambda", "nms_eta"):
            value = getattr(self, name)
            check(is_number(value) and value > 0, f"pose.{name}", "a number above 0", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowConfig(FromMapping):
    """The ring buffers of poses; length and rate come from the action model's manifest."""

    stride: int = 1
    """Grid steps between two windows of a track."""
    max_gap_s: float = 0.4
    """A joint (or a whole track) unseen for longer is not interpolated."""

    def __post_init__(self) -> None:
        check_count("window", stride=self.stride)
        check_seconds("window", max_gap_s=self.max_gap_s)
        check(self.max_gap_s <= 60, "window.max_gap_s", "60 seconds or less", self.max_gap_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionConfig(FromMapping):
    """The action stage."""

    model: Path
    max_batch: int = 256
    """Windows in one inference call; larger steps are split."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", checked_path("action.model", self.model))
        check_count("action", max_batch=self.max_batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentConfig(FromMapping):
    """When an action becomes an incident: k of the last n windows, with two thresholds."""

    actions: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {"falling_down": (0.9, 0.4), "lying_down": (0.9, 0.4)}
    )
    """Watched actions: class name to (enter, leave); leave < enter."""
    k: int = 5
    n: int = 6
    """A fifth of a second at 30 windows per second. Chosen on four hours of made poses and on short
    films of staged falls and of daily life, where few sure windows told falls from the rest better
    than many unsure ones; a site of yours will differ: try it on footage of your own."""
    min_score: float = 0.25
    """Least mean score of the boxes of the n windows. The tracker keeps people by weak boxes too,
    but what a row of weak boxes shows may be half of somebody or nobody. 0: any boxes will do."""
    update_s: float = 1.0
    """Least stream time between two ``update`` events of one incident."""
    end_s: float = 1.0
    """An incident ends when its action was below ``leave`` for this long, or its track ended."""

    def __post_init__(self) -> None:
        check_count("incident", k=self.k, n=self.n)
        check_fraction("incident", min_score=self.min_score)
        check(self.k <= self.n, "incident.k", f"at most n ({self.n})", self.k)
        check_seconds("incident", update_s=self.update_s, end_s=self.end_s)
        check(isinstance(self.actions, Mapping), "incident.actions", "a mapping", self.actions)
        thresholds = {name: _thresholds(name, pair) for name, pair in self.actions.items()}
        object.__setattr__(self, "actions", thresholds)  # a copy: the caller's may change


def _thresholds(action: str, pair: Any) -> tuple[float, float]:
    ok = (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(map(is_number, pair))
        and 0 <= pair[1] < pair[0] <= 1
    )
    expected = "(enter, leave) with 0 <= leave < enter <= 1"
    check(ok, f"incident.actions[{action!r}]", expected, pair)
    enter, leave = pair
    return float(enter), float(leave)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig(FromMapping):
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
        check_count("engine", batch_frames=self.batch_frames)
        check_seconds("engine", batch_timeout_s=self.batch_timeout_s)
        if self.threads is not None:
            check_count("engine", threads=self.threads)
        for name, choice, known in (
            ("backend", self.backend, get_args(BackendChoice)),
            ("device", self.device, get_args(DeviceChoice)),
        ):
            check(choice in known, f"engine.{name}", f"one of {', '.join(known)}", choice)
        for name, kind in _PARTS.items():
            part = getattr(self, name)
            check(isinstance(part, kind), f"engine.{name}", f"a {kind.__name__}", part)

    @classmethod
    def bundled(cls, **parts: Any) -> Self:
        """With the models that come with the package, but for the parts that are given; a mapping
        without a model, as ``detect={"min_score": 0.3}``, is given the bundled one.

        Detector and pose know synthetic scenes only (see ``bundled/MODEL_CARD.md``).
        """
        tasks: dict[str, BundledTask] = {"detect": "detector", "pose": "pose", "action": "action"}
        for part, task in tasks.items():
            given = parts.get(part, {})
            if isinstance(given, Mapping) and "model" not in given:
                parts[part] = {"model": bundled_model(task), **given}
        return cls.from_mapping(parts)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Plain data all the way down: each part is a mapping too, or a config already."""
        check(isinstance(values, Mapping), cls.__name__, "a mapping", values)
        parts = {
            name: kind.from_mapping(values[name])
            for name, kind in _PARTS.items()
            if isinstance(values.get(name), Mapping)
        }
        return cls._from_keys({**values, **parts})


_PARTS: dict[str, type[FromMapping]] = {
    "detect": DetectConfig,
    "pose": PoseConfig,
    "action": ActionConfig,
    "source": SourceConfig,
    "track": TrackConfig,
    "window": WindowConfig,
    "incident": IncidentConfig,
}
