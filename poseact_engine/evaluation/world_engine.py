# SPDX-License-Identifier: Apache-2.0
"""The whole engine over made scenes that nobody has seen, several at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from poseact_engine.evaluation.walk import OnProgress, Where, check_finite
from poseact_engine.evaluation.world_poses import AveragePrecision
from poseact_engine.evaluation.world_scene import FoundFrame, SceneRecord, SceneScores, score_scene
from poseact_engine.evaluation.world_stages import Truths, WorldModels, WorldPipeline
from poseact_engine.prefetch import Prefetch
from poseact_engine.scene_reader import as_frame
from poseact_engine.synthetic.noise import PoseNoise
from poseact_engine.synthetic.scene import Scene, SceneConfig
from poseact_engine.synthetic.truth import FallTruth, FrameTruth, SceneFrame
from poseact_engine.types import FrameBatch, People, Step

TOGETHER = 4
"""Scenes under way at a time; each is a stream."""
PER_STEP = 2
"""Frames of each in a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """What came of the scenes, and what ran."""

    scenes: tuple[SceneScores, ...]
    seconds: float
    """Of scenes, together."""
    ap: float
    """COCO's AP of poses."""
    sha256: dict[str, str] = field(default_factory=dict)
    """Of the models that ran, by task."""
    backends: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rendered:
    """The frames of one step, with what is true of each."""

    frames: FrameBatch
    truths: list[FrameTruth]
    ended: dict[int, tuple[FallTruth, ...]]
    """The falls of each scene that ends with this step, by its stream."""


@dataclass(slots=True)
class _Running:
    """A scene that is being rendered."""

    stream: int
    scene: Scene
    frames: Iterator[SceneFrame]
    left: int


def evaluate_engine(
    scenes: Sequence[SceneConfig],
    models: WorldModels,
    where: Where,
    *,
    noise: PoseNoise,
    on_progress: OnProgress | None = None,
) -> EngineReport:
    """Scores of the scenes, in their order. Raises what opening models raises.

    Scenes are streams of one pipeline: new ones begin as others end, so no more than TOGETHER are
    in memory, a few frames of each. They are rendered on a thread of its own.
    """
    truths = Truths(scenes, noise)
    with closing(WorldPipeline(models, where, truths)) as pipeline:
        precision = AveragePrecision()
        records: dict[int, SceneRecord] = {}
        done: dict[int, SceneScores] = {}
        with closing(Prefetch(_render(scenes), depth=2, name="poseact-scenes")) as steps:
            for rendered in steps:
                _run(rendered, pipeline, records, precision, scenes)
                for stream, falls in rendered.ended.items():
                    truths.drop(stream)
                    record = records.pop(stream)
                    done[stream] = score_scene(record, falls, seconds=scenes[stream].seconds)
                    if on_progress is not None:
                        on_progress(len(done), len(scenes))
        return EngineReport(
            scenes=tuple(done[stream] for stream in range(len(scenes))),
            seconds=sum(s.seconds for s in scenes),
            ap=precision.value(),
            sha256={task: m.manifest.sha256 for task, m in pipeline.files.items()},
            backends={task: m.backend for task, m in pipeline.files.items()},
        )


def _render(scenes: Sequence[SceneConfig]) -> Iterator[_Rendered]:
    """Steps of PER_STEP frames of each scene under way."""
    waiting = list(enumerate(scenes))[::-1]
    running: list[_Running] = []
    while waiting or running:
        while waiting and len(running) < TOGETHER:
            stream, config = waiting.pop()
            scene = Scene(config)
            running.append(_Running(stream, scene, scene.frames(), len(scene)))
        yield _render_step(running)
        running = [scene for scene in running if scene.left > 0]


def _render_step(running: list[_Running]) -> _Rendered:
    frames, truths = [], []
    for scene in running:
        num, den = scene.scene.config.fps
        for made in islice(scene.frames, PER_STEP):
            scene.left -= 1
            truths.append(made.truth)
            frames.append(
                as_frame(
                    made.picture,
                    index=made.truth.index,
                    time_base=(den, num),
                    stream=scene.stream,
                )
            )
    ended = {scene.stream: scene.scene.falls for scene in running if scene.left <= 0}
    return _Rendered(frames=FrameBatch(frames), truths=truths, ended=ended)


def _run(
    rendered: _Rendered,
    pipeline: WorldPipeline,
    records: dict[int, SceneRecord],
    precision: AveragePrecision,
    scenes: Sequence[SceneConfig],
) -> None:
    """One step through the stages, and what came of it into the records."""
    for stream, truth in zip(rendered.frames.stream.tolist(), rendered.truths, strict=True):
        if stream not in records:
            name = f"seed {scenes[stream].seed}"
            records[stream] = SceneRecord(
                name=name, size=scenes[stream].size, length_s=pipeline.length_s
            )
        records[stream].truths.append(truth)
    people = pipeline.stages.detect(rendered.frames)
    step = pipeline.stages.follow(rendered.frames, people)
    _note(records, step, people, pipeline, precision)
    for event in pipeline.stages.end_streams(sorted(rendered.ended)):
        records[event.stream].events.append(event)


def _note(
    records: dict[int, SceneRecord],
    step: Step,
    people: People,
    pipeline: WorldPipeline,
    precision: AveragePrecision,
) -> None:
    tracks, poses = step.tracks, step.poses.keypoints_px
    if "pose" in pipeline.files:
        check_finite(pipeline.files["pose"], poses)
    streams, indices = step.frames.stream.tolist(), step.frames.index.tolist()
    for f, (stream, index) in enumerate(zip(streams, indices, strict=True)):
        rows = tracks.frame == f
        found = FoundFrame(
            detected_px=people.boxes_px[people.frame == f],
            ids=tracks.ids[rows],
            boxes_px=tracks.boxes_px[rows],
            scores=tracks.scores[rows],
            keypoints_px=poses[rows],
        )
        record = records[stream]
        record.found.append(found)
        precision.add(record.name, record.size, record.truths[index], found)
    for event in step.events:
        records[event.stream].events.append(event)
    _note_windows(records, step, pipeline, np.array(indices))


def _note_windows(
    records: dict[int, SceneRecord],
    step: Step,
    pipeline: WorldPipeline,
    indices: NDArray[np.int64],
) -> None:
    new = pipeline.recorder.last
    if new is None:
        return
    check_finite(pipeline.files["action"], step.actions.window_probabilities)
    frame = indices[step.tracks.frame[new.windows.row]]
    for w, stream in enumerate(new.windows.stream.tolist()):
        record = records[stream]
        record.window_frame.append(int(frame[w]))
        record.window_track.append(int(new.windows.ids[w]))
        record.window_end_s.append(float(new.windows.end_s[w]))
        record.said.append(int(new.said[w]))
