# SPDX-License-Identifier: Apache-2.0
"""`poseact run`: videos and images in; results, events and annotated videos out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from poseact_engine.bundled import BundledTask
from poseact_engine.cli.bundled import BUNDLED, model_files, tell_bundled
from poseact_engine.cli.scores import DetScore, TrackScore, track_config
from poseact_engine.config import (
    ActionConfig,
    DetectConfig,
    EngineConfig,
    PoseConfig,
    PoseNms,
    SourceConfig,
)

_MODELS, _FILES, _WORK = "Models", "Output files", "How to work"

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE", help="Video files, images, quoted patterns, camera URLs or synthetic://."
    ),
]
Detector = Annotated[
    Path | None,
    typer.Option(
        help="Detector, an exported .onnx file.", show_default=BUNDLED, rich_help_panel=_MODELS
    ),
]
Pose = Annotated[
    Path | None,
    typer.Option(
        help="Pose network, an exported .onnx file.", show_default=BUNDLED, rich_help_panel=_MODELS
    ),
]
Action = Annotated[
    Path | None,
    typer.Option(
        help="Action network, an exported .onnx file.",
        show_default=BUNDLED,
        rich_help_panel=_MODELS,
    ),
]
Out = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="JSON lines: every person in every frame. '-' is standard output.",
        rich_help_panel=_FILES,
    ),
]
Events = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="JSON lines: incidents as they begin, go on and end. '-' is standard output.",
        rich_help_panel=_FILES,
    ),
]
Video = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.mp4",
        help="Annotated video; with several sources one FILE-<source>.mp4 each.",
        rich_help_panel=_FILES,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", "-y", help="Replace files.", rich_help_panel=_FILES)
]
Every = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Take every Nth frame only.", rich_help_panel=_WORK),
]
DetectEvery = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="Detect people in every Nth frame taken; predict their boxes in between.",
        rich_help_panel=_WORK,
    ),
]
MaxFrames = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Stop each source after N frames taken.", rich_help_panel=_WORK
    ),
]
PoseNmsOption = Annotated[
    PoseNms,
    typer.Option(
        help="One pose a person: where tracks show the same one, only the best gets joints. For "
        "crowds; 'parametric' is AlphaPose's.",
        rich_help_panel=_WORK,
    ),
]
Backend = Annotated[
    Literal["auto", "onnxruntime", "tensorrt", "openvino"],
    typer.Option(help="What runs the models.", rich_help_panel=_WORK),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where.", rich_help_panel=_WORK)
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="CPU threads of each model; detector and pose work at the same time.",
        show_default="as many as there are",
        rich_help_panel=_WORK,
    ),
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say what was chosen.", rich_help_panel=_WORK)
]


_HELP = """Find people, poses, actions and incidents in videos and images.

Incidents are also told on standard error as they happen. Ctrl-C ends the run with its files \
complete. Exit code: 0; 1 if some source failed; 2 for a wrong option or file, if no source can be \
opened, or if an output cannot be written; 130 after Ctrl-C, 143 after SIGTERM.
"""

run_app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@run_app.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
def run_command(  # each parameter is an option of the command line
    source: Sources,
    *,
    detector: Detector = None,
    pose: Pose = None,
    action: Action = None,
    out: Out = None,
    events: Events = None,
    video: Video = None,
    overwrite: Overwrite = False,
    every: Every = 1,
    detect_every: DetectEvery = 1,
    max_frames: MaxFrames = None,
    det_score: DetScore = None,
    track_score: TrackScore = None,
    pose_nms: PoseNmsOption = "none",
    backend: Backend = "auto",
    device: Device = "auto",
    threads: Threads = None,
    verbose: Verbose = False,
) -> None:
    """Everything that is wrong with options and output files is said before a model is loaded."""
    given: dict[BundledTask, Path | None] = {"detector": detector, "pose": pose, "action": action}
    models = model_files(given)
    config = EngineConfig(
        detect=DetectConfig(model=models["detector"], min_score=det_score, every=detect_every),
        pose=PoseConfig(model=models["pose"], nms=pose_nms),
        action=ActionConfig(model=models["action"]),
        source=SourceConfig(every=every, max_frames=max_frames),
        track=track_config(det_score, track_score),
        backend=backend,
        device=device,
        threads=threads,
    )
    from poseact_engine.cli import runner  # here, so that --help does not load the engine

    sinks = runner.make_sinks(source, out=out, events=events, video=video, overwrite=overwrite)
    tell_bundled(given, source)
    code = runner.run(config, source, sinks, verbose=verbose)
    if code:
        raise typer.Exit(code)
