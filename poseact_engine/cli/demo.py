# SPDX-License-Identifier: Apache-2.0
"""`poseact demo`: made scenes through the whole engine, and a page that shows what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import typer

from poseact_engine.bundled import BundledTask
from poseact_engine.cli.bundled import BUNDLED, model_files, tell_bundled
from poseact_engine.config import ActionConfig, DetectConfig, EngineConfig, PoseConfig
from poseact_engine.errors import ConfigError

if TYPE_CHECKING:
    from poseact_engine.demo.folder import DemoFolder
    from poseact_engine.demo.record import Recorder
    from poseact_engine.demo.show import Show
    from poseact_engine.manifest import Manifest

SEED, PEOPLE, SECONDS, SIZE, FPS = 2_000_056, 4, 20.0, "1280x720", 30
"""Of the scene that is shown unless another is asked for: people fall, carry and lift in it, and
training has not seen it."""
_SCENE, _MODELS = "Scene", "Models"

Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for everything that is made.")
]
Seed = Annotated[
    int,
    typer.Option(min=0, help="Which scene; the next stream has the next.", rich_help_panel=_SCENE),
]
Streams = Annotated[
    int, typer.Option(min=1, max=16, help="Cameras at once.", rich_help_panel=_SCENE)
]
People = Annotated[int, typer.Option(min=0, max=20, help="In each scene.", rich_help_panel=_SCENE)]
Seconds = Annotated[float, typer.Option(help="Length of each scene.", rich_help_panel=_SCENE)]
Size = Annotated[str, typer.Option(metavar="WxH", help="Of the pictures.", rich_help_panel=_SCENE)]
Detector = Annotated[
    Path | None,
    typer.Option(help="Another detector.", show_default=BUNDLED, rich_help_panel=_MODELS),
]
Pose = Annotated[
    Path | None,
    typer.Option(help="Another pose network.", show_default=BUNDLED, rich_help_panel=_MODELS),
]
Action = Annotated[
    Path | None,
    typer.Option(help="Another action network.", show_default=BUNDLED, rich_help_panel=_MODELS),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """What was asked for."""

    folder: DemoFolder
    sources: list[str]
    config: EngineConfig
    given: Mapping[BundledTask, Path | None]
    manifests: Mapping[str, Manifest]
    command: str


def demo_command(
    *,
    output: Output = Path("demo_out"),
    seed: Seed = SEED,
    streams: Streams = 1,
    people: People = PEOPLE,
    seconds: Seconds = SECONDS,
    size: Size = SIZE,
    detector: Detector = None,
    pose: Pose = None,
    action: Action = None,
) -> None:
    """Play a made CCTV scene through the whole engine and show the result beside the truth.

    Writes annotated.mp4, results.jsonl, events.jsonl and index.html. Needs no camera and no torch.
    """
    from poseact_engine.demo.folder import DemoFolder
    from poseact_engine.video_file import require_packages

    given: dict[BundledTask, Path | None] = {"detector": detector, "pose": pose, "action": action}
    scene = {"people": f"{people}", "seconds": f"{seconds:.12g}", "size": size}
    sources = [_scene_url(seed + i, scene) for i in range(streams)]
    folder = DemoFolder(output)
    folder.check()
    require_packages("poseact demo")
    files = model_files(given)
    _play(
        _Ask(
            folder=folder,
            sources=sources,
            config=_engine_config(files),
            given=given,
            # Before the last demo's files go: a wrong model file is not to cost them.
            manifests={task: _manifest(path, task) for task, path in files.items()},
            command=_command({"seed": f"{seed}", "streams": f"{streams}", **scene}, given),
        )
    )


def _manifest(path: Path, task: BundledTask) -> Manifest:
    from poseact_engine.engine_file import is_engine_file, read_engine
    from poseact_engine.manifest_io import read_manifest

    if is_engine_file(path):
        return read_engine(path, task=task).manifest
    return read_manifest(path, task=task)


def _scene_url(seed: int, scene: Mapping[str, str]) -> str:
    """Checked: a wrong size is said before a model is loaded."""
    from poseact_engine.synthetic.url import parse_scene_url, parse_size

    try:
        parse_size(scene["size"])
    except ValueError:
        raise ConfigError(f"--size: expected one like {SIZE}, got {scene['size']!r}") from None
    url = "synthetic://?" + urlencode({"seed": seed, **scene, "fps": FPS})
    parse_scene_url(url)
    return url


def _command(options: Mapping[str, str], given: Mapping[BundledTask, Path | None]) -> str:
    """What shows the same again."""
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    words += [word for task, path in given.items() if path for word in (f"--{task}", str(path))]
    return shlex.join(["poseact", "demo", *words])


def _engine_config(models: Mapping[BundledTask, Path]) -> EngineConfig:
    return EngineConfig(
        detect=DetectConfig(model=models["detector"]),
        pose=PoseConfig(model=models["pose"]),
        action=ActionConfig(model=models["action"]),
    )


def _play(ask: _Ask) -> None:
    from poseact_engine.cli import runner
    from poseact_engine.demo.record import Recorder
    from poseact_engine.sinks.base import Sink
    from poseact_engine.sinks.jsonl import EventsSink, ResultsSink
    from poseact_engine.sinks.video import VideoSink

    tell_bundled(ask.given, ask.sources)
    ask.folder.prepare()
    recorder = Recorder()
    sinks: list[Sink] = [
        ResultsSink(ask.folder.results, overwrite=True),
        EventsSink(ask.folder.events, overwrite=True),
        VideoSink(ask.folder.video, overwrite=True),
        recorder,
    ]
    for source in ask.sources:
        _say(f"playing {source}")
    code = runner.run(ask.config, ask.sources, sinks, verbose=False)
    if code:
        _say("no page was written: the run did not come to its end")
        raise typer.Exit(code)
    _show(ask, recorder)


def _show(ask: _Ask, recorder: Recorder) -> None:
    from poseact_engine.demo.page import page
    from poseact_engine.errors import SinkError
    from poseact_engine.files import write_atomically

    show = _gather(ask, recorder)
    try:
        write_atomically(page(show).encode(), ask.folder.page)
    except OSError as error:
        raise SinkError(f"{ask.folder.page}: cannot be written: {error.strerror}") from error
    for line in _truth_lines(show):
        _say(line)
    _say(f"look at {ask.folder.page}")


def _gather(ask: _Ask, recorder: Recorder) -> Show:
    from poseact_engine.demo.compare import gather_truth
    from poseact_engine.demo.show import Show, gather
    from poseact_engine.synthetic import FIRST_EVALUATION_SEED
    from poseact_engine.synthetic.scene import Scene
    from poseact_engine.synthetic.url import parse_scene_url

    configs = [parse_scene_url(source).config for source in ask.sources]
    scenes = [Scene(config) for config in configs]
    truths = [gather_truth(scene.truths(), scene.falls) for scene in scenes]
    return Show(
        version=recorder.run.engine_version,
        classes=recorder.run.classes,
        manifests=ask.manifests,
        bundled=frozenset(task for task, path in ask.given.items() if path is None),
        unseen=all(config.seed >= FIRST_EVALUATION_SEED for config in configs),
        frames=recorder.frames,
        elapsed_s=recorder.elapsed_s,
        streams=gather(recorder, ask.folder.video, truths, fps=FPS),
        command=ask.command,
    )


def _truth_lines(show: Show) -> list[str]:
    """What truly happened and what was said of it, for the terminal."""
    lines = []
    for stream in show.streams:
        for one in stream.comparison.falls:
            who = f"{stream.name}, person {one.fall.id}, fell at {one.fall.start_s:.2f} s"
            if one.delay_s is not None:
                lines.append(f"truth: {who}; reported {one.delay_s:.2f} s later")
            else:
                also = "" if one.lying_s is None else f"; lying reported at {one.lying_s:.2f} s"
                lines.append(f"truth: {who}; MISSED{also}")
    lines.append(
        f"truth: {show.told} of {show.falls} falls reported; "
        f"{show.false} of {show.incidents} incidents false"
    )
    return lines


def _say(text: str) -> None:
    typer.echo(text, err=True)
