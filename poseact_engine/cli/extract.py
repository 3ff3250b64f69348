# SPDX-License-Identifier: Apache-2.0
"""``poseact extract``: labelled videos to a keypoint file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from poseact_engine.cli.scores import DetScore, TrackScore, track_config
from poseact_engine.errors import ConfigError

_LABELS, _WORK = "Labels and groups", "How to work"

Folder = Annotated[
    Path, typer.Argument(metavar="DIR", help="Holds one folder of videos per class.")
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE.npz", help="Keypoint file to write.")
]
Detector = Annotated[Path, typer.Option(help="Detector, an exported .onnx file.")]
Pose = Annotated[Path, typer.Option(help="Pose network, an exported .onnx file.")]
ClassMap = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FOLDER=CLASS",
        help="What a folder holds: one of the six actions, unknown, harmless, no_fall or skip."
        " Repeatable.",
        rich_help_panel=_LABELS,
    ),
]
Other = Annotated[
    Literal["unknown", "harmless"],
    typer.Option(
        help="Folders named other or none: unknown is not trained on; harmless trains as neither "
        "falling nor lying.",
        rich_help_panel=_LABELS,
    ),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="What names of files, with their folders below DIR, tell, by named groups: "
        "(?P<clip>...), (?P<camera>...), (?P<subject>...). Videos of one clip or subject "
        "stay together when data are split; without a clip group, so do those that differ in the "
        "camera alone.",
        show_default="each video is a clip, but for cameras that end its name: _cam2",
        rich_help_panel=_LABELS,
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(
        help="Stands before all names.",
        show_default="the folder's name",
        rich_help_panel=_LABELS,
    ),
]
People = Annotated[
    Literal["main", "all"],
    typer.Option(help="Whose poses: of the one seen longest and largest, or of everybody."),
]
MinSeconds = Annotated[
    float, typer.Option(min=0, metavar="S", help="Leave out people who are seen for less.")
]
Every = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Take every Nth frame only.", rich_help_panel=_WORK),
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
        help="CPU threads of each model.",
        show_default="as many as there are",
        rich_help_panel=_WORK,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", "-y", help="Replace FILE.npz.", rich_help_panel=_WORK)
]

_HELP = """Take the poses out of videos that are sorted in a folder per class.

Folders are named carrying, falling_down, walking, lifting, standing, lying_down, in usual \
spellings. Each person of a video is a sequence whose frames all have the folder's class. A call \
that was broken off is taken up where it stopped. Exit code: 0; 1 if some videos could not be read \
(they are listed, the others are written); 2 for what is wrong with options or files; 130 after \
Ctrl-C.
"""

extract_app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@extract_app.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
def extract_command(
    folder: Folder,
    *,
    output: Output,
    detector: Detector,
    pose: Pose,
    class_map: ClassMap = None,
    other: Other = "unknown",
    pattern: Pattern = None,
    dataset: Dataset = None,
    people: People = "main",
    min_seconds: MinSeconds = 0.5,
    every: Every = 1,
    det_score: DetScore = None,
    track_score: TrackScore = None,
    backend: Backend = "auto",
    device: Device = "auto",
    threads: Threads = None,
    overwrite: Overwrite = False,
) -> None:
    """Everything that is wrong with folders and options is said before a model is loaded."""
    from poseact_engine.cli import extract_runner
    from poseact_engine.config import DetectConfig, PoseConfig, SourceConfig
    from poseact_engine.training.clips import ClipsConfig, find_clips
    from poseact_engine.training.extract import ExtractConfig
    from poseact_engine.training.keypoints import check_keypoint_target

    clips_config = ClipsConfig(
        folder=folder, class_map=_mapping(class_map or ()), other=other, pattern=pattern,
        dataset=dataset,
    )  # fmt: skip
    config = ExtractConfig(
        detect=DetectConfig(model=detector, min_score=det_score),
        pose=PoseConfig(model=pose),
        source=SourceConfig(every=every),
        track=track_config(det_score, track_score),
        backend=backend,
        device=device,
        threads=threads,
        people=people,
        min_seconds=min_seconds,
    )
    check_keypoint_target(output, overwrite=overwrite)
    clips = find_clips(clips_config)
    code = extract_runner.extract(config, clips, output, clips_config.prefix)
    if code:
        raise typer.Exit(code)


def _mapping(pairs: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        folder, _, meaning = pair.rpartition("=")
        if not folder:
            raise ConfigError(f"--class-map: expected FOLDER=CLASS, got {pair!r}")
        found[folder.strip("/")] = meaning
    return found
