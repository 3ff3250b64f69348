# SPDX-License-Identifier: Apache-2.0
"""How well models do in the made world, whole engine and poses alone, and what is aimed at."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.incident_scores import IncidentScores, join_incidents
from poseact_engine.evaluation.mot_metrics import MotCounts
from poseact_engine.evaluation.walk import OnProgress, Where
from poseact_engine.evaluation.world_engine import EngineReport, evaluate_engine
from poseact_engine.evaluation.world_sequences import SequencesReport, evaluate_sequences
from poseact_engine.evaluation.world_stages import WorldModels
from poseact_engine.synthetic import FIRST_EVALUATION_SEED
from poseact_engine.synthetic.noise import PoseNoise
from poseact_engine.synthetic.scene import SceneConfig
from poseact_engine.training.paper import ABNORMAL

Part = Literal["engine", "sequences"]
PARTS: tuple[Part, ...] = ("engine", "sequences")
_Rule = tuple[Literal["at least", "at most"], float]
_MEETS: dict[str, Callable[[float, float], bool]] = {
    "at least": operator.ge,
    "at most": operator.le,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldEvalConfig:
    """What is measured on what."""

    action: Path
    detector: Path | None = None
    """None: the true boxes stand in for it."""
    pose: Path | None = None
    """None: the true joints, with an estimator's noise, stand in for it."""
    parts: tuple[Part, ...] = PARTS
    scenes: int = 100
    seconds: float = 8.0
    first_seed: int = FIRST_EVALUATION_SEED
    """Of the scenes, which have seeds in a row, and of the sequences."""
    size: tuple[int, int] = (640, 360)
    sequences_hours: float = 10.0
    noise: PoseNoise = field(default_factory=PoseNoise)
    """Of the sequences' poses, and of those that stand in for the pose model."""
    where: Where = field(default_factory=Where)

    def __post_init__(self) -> None:
        if not self.parts or not set(self.parts) <= set(PARTS):
            raise ConfigError(f"eval world: expected parts of {PARTS}, got {self.parts}")
        if self.scenes < 1:
            raise ConfigError(f"eval world: expected 1 scene or more, got {self.scenes}")
        if not 0 < self.sequences_hours <= 10_000:
            raise ConfigError(
                f"eval world: expected more than 0 and at most 10000 hours of sequences, got "
                f"{self.sequences_hours}"
            )
        if self.first_seed < FIRST_EVALUATION_SEED:
            raise ConfigError(
                f"eval world: expected a first seed of {FIRST_EVALUATION_SEED} or more (models are "
                f"trained on those below), got {self.first_seed}"
            )
        self.scene(0)  # raises ConfigError for its size and length

    def scene(self, number: int) -> SceneConfig:
        return SceneConfig(seconds=self.seconds, seed=self.first_seed + number, size=self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldReport:
    """Both parts, those that were asked for."""

    engine: EngineReport | None
    sequences: SequencesReport | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A line of the table."""

    name: str
    value: float
    """NaN: there was nothing to measure it on."""
    unit: Literal["%", "s", "/h", ""]
    rule: _Rule | None = None
    """What is aimed at."""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """None: nothing is aimed at. A figure that cannot be had is not met."""
        return None if self.rule is None else _MEETS[self.rule[0]](self.value, self.rule[1])


def evaluate_world(
    config: WorldEvalConfig, *, on_progress: OnProgress | None = None
) -> WorldReport:
    """Runs the parts that are asked for; progress counts scenes, then seconds of sequences.

    Raises what opening the models raises.
    """
    engine = sequences = None
    if "engine" in config.parts:
        engine = evaluate_engine(
            [config.scene(number) for number in range(config.scenes)],
            WorldModels(detector=config.detector, pose=config.pose, action=config.action),
            config.where,
            noise=config.noise,
            on_progress=on_progress,
        )
    if "sequences" in config.parts:
        sequences = evaluate_sequences(
            config.action,
            config.where,
            seed=config.first_seed,
            hours=config.sequences_hours,
            noise=config.noise,
            on_progress=on_progress,
        )
    return WorldReport(engine=engine, sequences=sequences)


def figures(report: WorldReport) -> dict[Part, list[Figure]]:
    """The tables, in their order."""
    found: dict[Part, list[Figure]] = {}
    if report.engine is not None:
        found["engine"] = list(_of_engine(report.engine))
    if report.sequences is not None:
        found["sequences"] = list(_of_sequences(report.sequences))
    return found


def _of_engine(report: EngineReport) -> Iterator[Figure]:
    scenes = report.scenes
    people = sum(s.people for s in scenes)
    yield _percent("detector recall, IoU 0.5", sum(s.detected for s in scenes), people, aim=0.98)
    yield _percent("people with a track", sum(s.tracked for s in scenes), people)
    near = sum(int(s.joints_near.sum()) for s in scenes)
    posed = sum(int(s.joints_posed.sum()) for s in scenes)
    joints = sum(int(s.joints.sum()) for s in scenes)
    yield _percent("pose PCK@0.1 of the box", near, joints, aim=0.95, note="joints in view")
    yield _percent("the same, of people with a track", near, posed)
    yield Figure(name="pose AP (COCO)", value=report.ap, unit="%")
    mot = sum((s.mot for s in scenes), MotCounts())
    yield Figure(name="IDF1", value=mot.idf1, unit="%", rule=("at least", 0.95))
    yield Figure(name="MOTA", value=mot.mota, unit="%")
    yield Figure(name="id switches", value=mot.switches, unit="", note=f"{len(scenes)} scenes")
    confusion = np.sum([s.confusion for s in scenes], axis=0)
    yield from _of_windows(confusion, np.sum([s.harmless for s in scenes], axis=0), aim=0.96)
    everybody = np.sum([s.confusion_all for s in scenes], axis=0)
    yield _percent("window accuracy, all people", int(np.trace(everybody)), int(everybody.sum()))
    incidents = join_incidents(s.incidents for s in scenes)
    yield from _of_incidents(incidents, recall=("at least", 1.0), delay=("at most", 0.7))


def _of_sequences(report: SequencesReport) -> Iterator[Figure]:
    yield from _of_incidents(report.incidents, false=("at most", 1.0), unseen=report.falls_unseen)
    yield from _of_windows(report.confusion, report.harmless)


def _of_windows(
    confusion: NDArray[np.int64], harmless: NDArray[np.int64], *, aim: float | None = None
) -> Iterator[Figure]:
    windows = int(confusion.sum())
    yield _percent("window accuracy", int(np.trace(confusion)), windows, aim=aim)
    with np.errstate(invalid="ignore"):
        recall = np.diag(confusion) / confusion.sum(axis=1)
    mean = float(np.nanmean(recall)) if windows else np.nan
    yield Figure(name="window accuracy, mean of classes", value=mean, unit="%")
    abnormal = int(harmless[list(ABNORMAL)].sum())
    yield _percent("harmless windows called falling or lying", abnormal, int(harmless.sum()))


def _of_incidents(
    scores: IncidentScores,
    *,
    recall: _Rule | None = None,
    delay: _Rule | None = None,
    false: _Rule | None = None,
    unseen: int = 0,
) -> Iterator[Figure]:
    note = f"of {len(scores.falls)}" + (f", {unseen} out of view left out" if unseen else "")
    yield Figure(name="falls reported", value=scores.fall_recall, unit="%", rule=recall, note=note)
    yield Figure(
        name="falls reported as falling or lying", value=scores.fall_recall_any, unit="%", note=note
    )
    yield Figure(
        name="median delay of a fall's report", value=scores.median_delay_s, unit="s", rule=delay
    )
    hours = f"in {scores.hours:.2f} h"
    yield Figure(
        name="false falls an hour",
        value=scores.false_per_hour("falling_down"),
        unit="/h",
        rule=false,
        note=hours,
    )
    yield Figure(
        name="false reports of lying an hour",
        value=scores.false_per_hour("lying_down"),
        unit="/h",
        note=hours,
    )
    yield Figure(name="incidents that are right", value=scores.accuracy, unit="%")


def _percent(
    name: str, part: int, whole: int, *, aim: float | None = None, note: str = ""
) -> Figure:
    return Figure(
        name=name,
        value=part / whole if whole else np.nan,
        unit="%",
        rule=None if aim is None else ("at least", aim),
        note=note or f"of {whole}",
    )
