# SPDX-License-Identifier: Apache-2.0
"""``poseact synth``: made scenes with known truth, as files."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from poseact_engine.cli.synth_sequences import check_no_scene_options, make_sequences
from poseact_engine.errors import ConfigError, SinkError
from poseact_engine.synthetic import FIRST_EVALUATION_SEED

if TYPE_CHECKING:
    from poseact_engine.synthetic.files import SceneFiles
    from poseact_engine.synthetic.scene import SceneConfig
    from poseact_engine.training.keypoints import PoseSequence

T = TypeVar("T")
_SCENES, _FILES = "Scenes", "Files"

Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder to write to; it is made. With --sequences: a file FILE.npz.",
    ),
]
Sequences = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=100_000,
        metavar="HOURS",
        help="No scenes: a keypoint file with hours of poses, as an estimator sees people from many"
        " cameras.",
    ),
]
Noise = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=2,
        metavar="S",
        help="With --sequences: how much the estimator errs; 1 as a small one on real films, 0 the "
        "truth.",
        show_default="1",
    ),
]
Scenes = Annotated[
    int, typer.Option(min=1, max=1_000_000, help="How many.", rich_help_panel=_SCENES)
]
FirstSeed = Annotated[
    int,
    typer.Option(
        min=0,
        max=2**62,
        help="Seed of the first scene; the others follow. The same seed and options give the same "
        "scene.",
        rich_help_panel=_SCENES,
    ),
]
People = Annotated[
    int | None,
    typer.Option(
        min=0, help="In each scene.", show_default="drawn", rich_help_panel=_SCENES, metavar="N"
    ),
]
Seconds = Annotated[float, typer.Option(help="Length of a scene.", rich_help_panel=_SCENES)]
Size = Annotated[str, typer.Option(metavar="WxH", help="Pixels.", rich_help_panel=_SCENES)]
Fps = Annotated[
    str,
    typer.Option(
        metavar="RATE", help="Frames a second, as 30 or 30000/1001.", rich_help_panel=_SCENES
    ),
]
Actions = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        help="Only these actions, as walking,falling_down.",
        show_default="all six",
        rich_help_panel=_SCENES,
    ),
]
Videos = Annotated[bool, typer.Option(help="Write MP4 videos.", rich_help_panel=_FILES)]
ImagesEvery = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Write every Nth frame as a picture, and COCO annotations of them.",
        rich_help_panel=_FILES,
    ),
]
ImageFormat = Annotated[
    Literal["jpg", "png"], typer.Option(help="Of pictures.", rich_help_panel=_FILES)
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        "-y",
        help="Delete the scenes that are in the folder first; other files stay.",
        rich_help_panel=_FILES,
    ),
]

_HELP = """Make scenes of people with known boxes, joints, ids and actions.

Writes videos, MOTChallenge ground truth, a keypoint file and, with --images-every, pictures with \
COCO annotations. Ctrl-C keeps the scenes that are whole.
"""

synth_app = typer.Typer(add_completion=False, rich_markup_mode="rich")


@synth_app.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
def synth_command(
    context: typer.Context,
    *,
    output: Output,
    sequences: Sequences = None,
    noise: Noise = None,
    scenes: Scenes = 10,
    first_seed: FirstSeed = 0,
    people: People = None,
    seconds: Seconds = 8.0,
    size: Size = "640x360",
    fps: Fps = "30",
    actions: Actions = None,
    videos: Videos = True,
    images_every: ImagesEvery = None,
    image_format: ImageFormat = "jpg",
    overwrite: Overwrite = False,
) -> None:
    """Everything that is wrong with options and folder is said before a scene is made."""
    from poseact_engine.synthetic import url
    from poseact_engine.synthetic.files import FilesConfig, SceneFiles
    from poseact_engine.synthetic.scene import SceneConfig

    if sequences is not None:
        check_no_scene_options(context)
        strength = 1.0 if noise is None else noise
        code = make_sequences(
            output, hours=sequences, seed=first_seed, strength=strength, overwrite=overwrite
        )
        raise typer.Exit(code)
    if noise is not None:
        raise ConfigError("--noise: expected --sequences with it; scenes have no estimator")
    _require_packages(videos=videos)
    configs = [
        SceneConfig(
            people=people,
            seconds=seconds,
            seed=seed,
            size=_parsed("--size", "a size as 1280x720", url.parse_size, size),
            fps=_parsed("--fps", "a rate as 30 or 30000/1001", url.parse_fps, fps),
            actions=()
            if actions is None
            else _parsed("--actions", "names with commas between", url.parse_actions, actions),
        )
        for seed in range(first_seed, first_seed + scenes)
    ]
    config = FilesConfig(
        folder=output, videos=videos, images_every=images_every, image_format=image_format
    )
    _clear(output, overwrite=overwrite)
    code = _make(configs, SceneFiles(config), output)
    if code:
        raise typer.Exit(code)


def _parsed(option: str, expected: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError:
        raise ConfigError(f"{option}: expected {expected}, got {text!r}") from None


def _require_packages(*, videos: bool) -> None:
    from poseact_engine import video_file
    from poseact_engine.synthetic.scene import require_opencv

    require_opencv()
    if videos:
        video_file.require_packages("synth")


def _clear(folder: Path, *, overwrite: bool) -> None:
    from poseact_engine.synthetic.files import find_earlier

    earlier = find_earlier(folder)
    if earlier and not overwrite:
        raise SinkError(
            f"{folder}: holds scenes already ({earlier[0].name}); choose another folder, or "
            "replace them with --overwrite"
        )
    for path in earlier:
        try:
            path.unlink()
        except OSError as error:
            raise SinkError(f"{path}: cannot be deleted: {error.strerror or error}") from error


class _Stopped(Exception):
    """Ctrl-C or SIGTERM, between two frames or two people of a new scene."""


def _make(configs: list[SceneConfig], files: SceneFiles, folder: Path) -> int:
    """The exit code."""
    from poseact_engine.cli.stop import stop_on_signals
    from poseact_engine.synthetic.scene import Scene
    from poseact_engine.training.scene_keypoints import scene_sequences

    files.make_folders()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    began_s, done, frames = time.monotonic(), 0, 0
    sequences: list[PoseSequence] = []
    with stop_on_signals(lambda: None) as stop, _bar(configs, console) as advance:

        def check() -> None:
            if stop.code is not None:
                raise _Stopped

        def on_frame() -> None:
            advance()
            check()

        for config in configs:
            try:
                truths = files.write(Scene(config, on_person=check), on_frame)
            except _Stopped:
                break
            sequences += scene_sequences(config, truths)
            done, frames = done + 1, frames + len(truths)
    if done:
        _finish(files, sequences, folder, console, last_seed=configs[-1].seed)
    took_s = time.monotonic() - began_s
    console.print(
        f"{done} of {len(configs)} scenes, {frames} frames, {len(sequences)} people "
        f"in {took_s:.1f} s"
    )
    return stop.code or 0


@contextmanager
def _bar(configs: list[SceneConfig], console: Console) -> Iterator[Callable[[], None]]:
    """A progress bar on a terminal; it is called after each frame."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
    )
    total = sum(config.frame_count for config in configs)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("rendering", total=total)
        yield lambda: bar.advance(task)


def _finish(
    files: SceneFiles,
    sequences: list[PoseSequence],
    folder: Path,
    console: Console,
    *,
    last_seed: int,
) -> None:
    from poseact_engine.synthetic.files import COCO, IMAGES, KEYPOINTS
    from poseact_engine.training.keypoints import write_sequences

    written = files.finish()
    if sequences:
        write_sequences(folder / KEYPOINTS, sequences)
        written.append(folder / KEYPOINTS)
    console.print(f"wrote {', '.join(map(str, written))}", markup=False)
    if last_seed >= FIRST_EVALUATION_SEED:
        console.print(f"seeds from {FIRST_EVALUATION_SEED} on are for measuring, never to train on")
        return
    lines = []
    if sequences:
        keypoints = shlex.quote(str(folder / KEYPOINTS))
        lines.append(f"actions: poseact train action {keypoints} -o action.pt")
    if folder / COCO in written:
        truth, images = (shlex.quote(str(folder / name)) for name in (COCO, IMAGES))
        given = f"--data {truth} --images {images}"
        lines.append(f"pictures: poseact train pose {given} -o pose.pt (or detector)")
    for line in lines:
        console.print(f"to train on them, {line}", markup=False)
