# SPDX-License-Identifier: Apache-2.0
"""The three models of an engine, opened together, and the pipeline that is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from poseact_engine.action import ActionStage
from poseact_engine.backends.base import Model
from poseact_engine.backends.registry import open_model
from poseact_engine.config import EngineConfig
from poseact_engine.detect import DetectStage
from poseact_engine.errors import ManifestError
from poseact_engine.incidents import Incidents
from poseact_engine.manifest import ActionManifest, PoseManifest, Task
from poseact_engine.pipeline import Pipeline
from poseact_engine.pose import PoseStage
from poseact_engine.track import TrackStage
from poseact_engine.window import WindowStage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a run says of its models."""

    files: Mapping[str, Mapping[str, str]]
    """Task to ``file`` and ``sha256``."""
    classes: tuple[str, ...]
    joints: tuple[str, ...]


class Models:
    """Detector, pose and action model of one engine. Owns them; ``close`` lets go of all.

    One pipeline may run at a time; each is new and knows nothing of streams seen before.
    """

    def __init__(self, config: EngineConfig) -> None:
        """Raises ManifestError, BackendError or DependencyError, or if the models do not match."""
        self._config = config
        with ExitStack() as opened:
            self._detector = self._open("detector", config.detect.model, opened)
            self._pose = self._open("pose", config.pose.model, opened)
            self._action = self._open("action", config.action.model, opened)
            self.facts = self._check()
            self._opened = opened.pop_all()

    def _open(self, task: Task, path: Path, opened: ExitStack) -> Model:
        config = self._config
        model = open_model(
            path, task=task, backend=config.backend, device=config.device, threads=config.threads
        )
        opened.callback(model.close)
        return model

    def _check(self) -> ModelFacts:
        """The pose network must find the joints that the action network was trained on."""
        config, pose, action = self._config, self._pose.manifest, self._action.manifest
        if not isinstance(pose, PoseManifest) or not isinstance(action, ActionManifest):
            raise ManifestError(f"models: expected pose and action, got {pose.task}, {action.task}")
        if pose.joints != action.joints:
            raise ManifestError(
                f"models: expected the same joints in the same order, got {pose.joints} from "
                f"{config.pose.model} and {action.joints} from {config.action.model}; export an "
                "action model that was trained on poses of this pose model"
            )
        Incidents(config.incident, action.classes)  # refuses actions that the model does not know
        files = (
            ("detector", config.detect.model, self._detector),
            ("pose", config.pose.model, self._pose),
            ("action", config.action.model, self._action),
        )
        return ModelFacts(
            files={
                task: {"file": path.name, "sha256": model.manifest.sha256}
                for task, path, model in files
            },
            classes=action.classes,
            joints=pose.joints,
        )

    @property
    def cpu_s(self) -> float:
        """CPU seconds spent inside the backends so far."""
        return self._detector.cpu_s + self._pose.cpu_s + self._action.cpu_s

    def pipeline(self) -> Pipeline:
        """New stages around the models."""
        config, action = self._config, self._action.manifest
        if not isinstance(action, ActionManifest):
            raise ManifestError(f"models: expected an action model, got one of task {action.task}")
        return Pipeline(
            detect=DetectStage(self._detector, config.detect, config.track),
            track=TrackStage(config.track, self._detector.manifest),
            pose=PoseStage(self._pose, config.pose),
            window=WindowStage(config.window, action),
            action=ActionStage(self._action, config.action),
            incidents=Incidents(config.incident, action.classes),
        )

    def close(self) -> None:
        self._opened.close()
