# SPDX-License-Identifier: Apache-2.0
"""The engine's pipeline over made scenes: its own stages, or the truth in the place of one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseact_engine.action import ActionStage
from poseact_engine.backends.base import Model
from poseact_engine.config import (
    ActionConfig,
    DetectConfig,
    IncidentConfig,
    PoseConfig,
    TrackConfig,
    WindowConfig,
)
from poseact_engine.detect import DetectStage
from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.action_eval import class_order
from poseact_engine.evaluation.mot_metrics import pair_boxes
from poseact_engine.evaluation.walk import Where
from poseact_engine.incidents import Incidents
from poseact_engine.manifest import ActionManifest
from poseact_engine.pipeline import Detect, Pipeline, Pose
from poseact_engine.pose import PoseStage
from poseact_engine.synthetic.noise import PoseNoise, estimated
from poseact_engine.synthetic.scene import Scene, SceneConfig
from poseact_engine.synthetic.truth import FrameTruth
from poseact_engine.track import TrackStage, track_options
from poseact_engine.types import (
    COCO_JOINTS,
    Event,
    FrameBatch,
    People,
    PoseBatch,
    Tracks,
    WindowBatch,
)
from poseact_engine.window import WindowStage

Poses = dict[tuple[int, int], NDArray[np.float32]]
"""Index of a frame and person to float32 ``[17, 3]``."""
SEEN_SHARE = 0.1
"""The truth as a detector finds people of whom so much is seen."""
RECALL_SCORE = 0.1
"""Boxes from here on count for a detector's recall, also where its tracker asks for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldModels:
    """Model files; None where the truth stands in for a stage."""

    detector: Path | None
    pose: Path | None
    action: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NewWindows:
    """Windows of one step and what was said of them, before incidents are made of it."""

    windows: WindowBatch
    said: NDArray[np.int64]
    """int64 ``[W]``: index into ACTIONS."""


class Truths:
    """What is true of scenes, by stream: made when somebody asks, dropped when the scene ends."""

    def __init__(self, scenes: Sequence[SceneConfig], noise: PoseNoise) -> None:
        self._scenes = scenes
        self._noise = noise
        self._known: dict[int, list[FrameTruth]] = {}
        self._poses: dict[int, Poses] = {}

    def of(self, stream: int) -> list[FrameTruth]:
        """Of all frames, in order."""
        if stream not in self._known:
            self._known[stream] = list(Scene(self._scenes[stream]).truths())
        return self._known[stream]

    def poses(self, stream: int) -> Poses:
        """Everybody's joints as an estimator would find them."""
        if stream not in self._poses:
            self._poses[stream] = _noisy(self.of(stream), self._scenes[stream], self._noise)
        return self._poses[stream]

    def drop(self, stream: int) -> None:
        self._known.pop(stream, None)
        self._poses.pop(stream, None)


class TrueDetect:
    """The detect stage with the true boxes, score 1, of people of whom enough is seen."""

    def __init__(self, truths: Truths) -> None:
        self._truths = truths

    def __call__(self, frames: FrameBatch) -> People:
        boxes, frame = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.int32)]
        for f, (stream, index) in enumerate(
            zip(frames.stream.tolist(), frames.index.tolist(), strict=True)
        ):
            truth = self._truths.of(stream)[index]
            seen = truth.boxes_px[truth.visible >= SEEN_SHARE]
            boxes.append(seen)
            frame.append(np.full(len(seen), f, np.int32))
        found = np.concatenate(boxes)
        return People(
            boxes_px=found,
            scores=np.ones(len(found), np.float32),
            frame=np.concatenate(frame),
            detected=np.ones(len(frames), np.bool_),
        )

    def end_stream(self, stream: int) -> None:
        """Nothing is kept."""


class TruePose:
    """The pose stage with the true joints, made worse as an estimator would, of whom a track is on.

    A track on nobody gets no joints.
    """

    def __init__(self, truths: Truths) -> None:
        self._truths = truths

    def __call__(self, frames: FrameBatch, tracks: Tracks) -> PoseBatch:
        poses = np.zeros((len(tracks.ids), len(COCO_JOINTS), 3), np.float32)
        streams, indices = frames.stream.tolist(), frames.index.tolist()
        for f, (stream, index) in enumerate(zip(streams, indices, strict=True)):
            rows = np.flatnonzero(tracks.frame == f)
            truth = self._truths.of(stream)[index]
            pairs = pair_boxes(truth.boxes_px, tracks.boxes_px[rows])
            for p in np.flatnonzero(pairs >= 0):
                poses[rows[pairs[p]]] = self._truths.poses(stream)[index, int(truth.ids[p])]
        return PoseBatch(keypoints_px=poses)


class Recorder:
    """The incident stage, which also keeps the windows of the last step."""

    def __init__(self, incidents: Incidents, order: list[int]) -> None:
        self._incidents, self._order = incidents, order
        self.last: NewWindows | None = None

    def __call__(
        self, windows: WindowBatch, probabilities: NDArray[np.float32], tracks: Tracks
    ) -> list[Event]:
        said = probabilities[:, self._order].argmax(axis=1)
        self.last = NewWindows(windows=windows, said=said.astype(np.int64))
        return self._incidents(windows, probabilities, tracks)

    def close(self, stream: int | None = None) -> list[Event]:
        return self._incidents.close(stream)


class WorldPipeline:
    """The stages around opened models. Owns the models; ``close`` lets go of them."""

    def __init__(self, models: WorldModels, where: Where, truths: Truths) -> None:
        """Raises what opening models raises, and ConfigError for a lack of an action model."""
        self.files: dict[str, Model] = {}
        with ExitStack() as opened:
            detect = self._detect(models, where, truths, opened)
            pose = self._pose(models, where, truths, opened)
            action = where.open(models.action, "action")
            opened.callback(action.close)
            order = class_order(models.action, action.manifest)
            self.files["action"] = action
            stage = ActionStage(action, ActionConfig(model=models.action))
            manifest = action.manifest
            if not isinstance(manifest, ActionManifest):
                raise ConfigError(f"{models.action}: expected an action model")
            self.length_s = (manifest.length - 1) * manifest.rate[1] / manifest.rate[0]
            detector = self.files.get("detector")
            self.recorder = Recorder(Incidents(IncidentConfig(), stage.classes), order)
            self.stages = Pipeline(
                detect=detect,
                track=TrackStage(TrackConfig(), detector.manifest if detector else None),
                pose=pose,
                window=WindowStage(WindowConfig(), manifest),
                action=stage,
                incidents=self.recorder,
            )
            self._opened = opened.pop_all()

    def _detect(
        self, models: WorldModels, where: Where, truths: Truths, opened: ExitStack
    ) -> Detect:
        if models.detector is None:
            return TrueDetect(truths)
        model = where.open(models.detector, "detector")
        opened.callback(model.close)
        self.files["detector"] = model
        low_score = track_options(TrackConfig(), model.manifest)["low_score"]
        config = DetectConfig(model=models.detector, min_score=min(RECALL_SCORE, low_score))
        return DetectStage(model, config)

    def _pose(
        self,
        models: WorldModels,
        where: Where,
        truths: Truths,
        opened: ExitStack,
    ) -> Pose:
        if models.pose is None:
            return TruePose(truths)
        model = where.open(models.pose, "pose")
        opened.callback(model.close)
        self.files["pose"] = model
        stage = PoseStage(model, PoseConfig(model=models.pose))
        if stage.joints != COCO_JOINTS:
            raise ConfigError(
                f"{models.pose}: expected a pose model of the 17 COCO joints, which the truth has, "
                f"got one of {', '.join(stage.joints)}"
            )
        return stage

    def close(self) -> None:
        self._opened.close()


def _noisy(truths: list[FrameTruth], scene: SceneConfig, noise: PoseNoise) -> Poses:
    rows: dict[int, list[tuple[int, int]]] = {}
    for index, truth in enumerate(truths):
        for p, person in enumerate(truth.ids.tolist()):
            rows.setdefault(person, []).append((index, p))
    poses: Poses = {}
    for person, places in rows.items():
        joints = np.stack([truths[i].keypoints_px[p] for i, p in places]).astype(np.float64)
        found = estimated(
            np.random.default_rng([scene.seed, person]),
            joints[..., :2],
            joints[..., 2].astype(np.int8),
            rate_hz=scene.fps[0] / scene.fps[1],
            size=scene.size,
            noise=noise,
        )
        poses |= {(i, person): pose for (i, _), pose in zip(places, found, strict=True)}
    return poses
