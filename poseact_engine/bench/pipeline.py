# SPDX-License-Identifier: Apache-2.0
"""``poseact-bench pipeline``: whole runs against the usual Python loop with the same model files.

Two loops, ONNX Runtime with as many threads as ours and with one; the faster one counts. Besides,
where our CPU time goes: what is neither in a backend nor in a decoder's thread is overhead.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from poseact_engine.backends.registry import cpu_count
from poseact_engine.bench import made_models
from poseact_engine.bench.harness import (
    JsonOption,
    Report,
    Work,
    describe_machine,
    rows_of,
    time_interleaved,
)
from poseact_engine.bench.made_clips import CLIP_FRAMES, make_clip, make_scene
from poseact_engine.bench.plain_loop import PlainLoop
from poseact_engine.bundled import bundled_model
from poseact_engine.config import (
    ActionConfig,
    DetectConfig,
    EngineConfig,
    PoseConfig,
    SourceConfig,
)
from poseact_engine.engine import Engine
from poseact_engine.errors import ConfigError

OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Three model files."""

    detector: Path
    pose: Path
    action: Path


@dataclass(slots=True)
class _Spent:
    """CPU seconds of our runs."""

    process_s: list[float] = field(default_factory=list)
    backend_s: list[float] = field(default_factory=list)
    decode_s: list[float] = field(default_factory=list)
    frames: int = 0
    poses: int = 0

    def overhead(self) -> float:
        """Median share of the process's CPU time that is neither in a backend nor in a decoder."""
        rows = zip(self.process_s, self.backend_s, self.decode_s, strict=True)
        return statistics.median((p - b - d) / p for p, b, d in rows)

    def per_frame_ms(self) -> dict[str, float]:
        parts = {
            "process": self.process_s,
            "backends": self.backend_s,
            "decoders": self.decode_s,
        }
        return {name: statistics.median(s) / self.frames * 1e3 for name, s in parts.items()}


def _ours(engine: Engine, clips: Sequence[Path], spent: _Spent) -> Work:
    def work(_: int) -> None:
        cpu_s, backend_s = time.process_time(), engine.backend_cpu_s
        with engine.run(clips) as run:
            done = [(len(step.frames), len(step.tracks.ids)) for step in run]
        spent.frames, spent.poses = (sum(column) for column in zip(*done, strict=True))
        spent.process_s.append(time.process_time() - cpu_s)
        spent.backend_s.append(engine.backend_cpu_s - backend_s)
        readers = [stream.reader for stream in engine.streams]
        spent.decode_s.append(sum(reader.cpu_s for reader in readers if reader is not None))

    return work


def _repeat(work: Work, repeats: int) -> None:
    for i in range(repeats):
        work(i)


def measure(
    models: Models, clips: Sequence[Path], *, frames: int, threads: int, repeats: int, case: str
) -> Report:
    """Runs all variants in turn over the first ``frames`` frames of each clip.

    The engine has all clips at once, a stream each; the loop one after another.
    """
    config = EngineConfig(
        detect=DetectConfig(model=models.detector),
        pose=PoseConfig(model=models.pose),
        action=ActionConfig(model=models.action),
        source=SourceConfig(max_frames=frames),
        threads=threads,
    )
    spent = _Spent()
    poses: dict[str, int] = {}
    with Engine(config) as engine:
        variants: dict[str, Work] = {OURS: _ours(engine, clips, _Spent())}
        for count in sorted({1, threads}):
            name = f"loop, ONNX Runtime with {count} thread{'s' if count > 1 else ''}"
            variants[name] = _loop(models, clips, frames, count, poses)
        timings = time_interleaved(variants, repeats=repeats, warmup=1)
        variants.clear()  # the loops' idle threads spin for a while, which would count as ours
        _repeat(_ours(engine, clips, spent), repeats)
    rows = rows_of(case, timings, ours=OURS, left_out="output files")
    best_s = timings[OURS].median_s
    summary = {
        "ratio": min(row.ratio for row in rows if row.ratio is not None),
        "overhead": spent.overhead(),
        "frames": spent.frames,
        "streams": len(clips),
        "threads": threads,
        "poses": {OURS: spent.poses, "loop": poses["loop"]},
        "frames_per_s": spent.frames / best_s,
        "cpu_ms_per_frame": spent.per_frame_ms(),
    }
    packages = ["numpy", "opencv-python-headless", "onnxruntime"]
    return Report(
        benchmark="pipeline", rows=rows, summary=summary, machine=describe_machine(packages)
    )


def _loop(
    models: Models, clips: Sequence[Path], frames: int, threads: int, poses: dict[str, int]
) -> Work:
    loop = PlainLoop(models.detector, models.pose, models.action, threads=threads)

    def work(_: int) -> None:
        poses["loop"] = sum(loop.run(clip, frames)[1] for clip in clips)

    return work


def _models(given: list[Path | None], folder: Path, *, scenes: bool) -> tuple[Models, str]:
    detector, pose, action = given
    if detector is not None and pose is not None and action is not None:
        return Models(detector=detector, pose=pose, action=action), "given models"
    if any(path is not None for path in given):
        raise ConfigError("pipeline: expected all of --detector, --pose and --action, or none")
    if scenes:
        bundled = Models(
            detector=bundled_model("detector"),
            pose=bundled_model("pose"),
            action=bundled_model("action"),
        )
        return bundled, "bundled models"
    made = Models(
        detector=made_models.make_detector(folder / "detector.onnx"),
        pose=made_models.make_pose(folder / "pose.onnx"),
        action=made_models.make_action(folder / "action.onnx"),
    )
    return made, f"made models, {made_models.PEOPLE} people"


def _clips(
    clip: Path | None, people: int | None, streams: int, frames: int, folder: Path
) -> tuple[list[Path], str]:
    """One a stream, and what they are."""
    many = "" if streams == 1 else f"{streams} streams of "
    if clip is not None and people is not None:
        raise ConfigError("pipeline: expected a clip or --people, got both")
    if clip is not None:
        return [clip] * streams, f"{many}{clip.name}"
    if people is None:
        return [make_clip(folder / "clip.mp4")] * streams, f"{many}made clip"
    scenes = [
        make_scene(folder / f"scene-{i}.mp4", people=people, seed=i, frames=frames)
        for i in range(streams)
    ]
    return scenes, f"{many}made scene with {people} people"


def command(
    clip: Annotated[
        Path | None, typer.Argument(help="A video; without one, a made clip of 1080p.")
    ] = None,
    *,
    people: Annotated[
        int | None,
        typer.Option(
            min=0, max=20, help="Made scenes with so many people each, and the bundled models."
        ),
    ] = None,
    streams: Annotated[
        int, typer.Option(min=1, max=256, help="So many at once: clips or made scenes.")
    ] = 1,
    detector: Annotated[
        Path | None, typer.Option(help="Without one, made models; with --people, the bundled ones.")
    ] = None,
    pose: Annotated[Path | None, typer.Option(help="The same.")] = None,
    action: Annotated[Path | None, typer.Option(help="The same.")] = None,
    frames: Annotated[int, typer.Option(min=1, help="First frames of each.")] = CLIP_FRAMES,
    threads: Annotated[int | None, typer.Option(min=1, help="For the models.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds.")] = 5,
    json: JsonOption = None,
) -> None:
    """Whole runs against the usual Python loop with the same weights."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        models, what = _models([detector, pose, action], folder, scenes=people is not None)
        clips, where = _clips(clip, people, streams, frames, folder)
        report = measure(
            models,
            clips,
            frames=frames,
            threads=threads or cpu_count(),
            repeats=repeats,
            case=f"{where}, {what}",
        )
    report.show(json)
