# SPDX-License-Identifier: Apache-2.0
"""``poseact convert``: keypoints that other estimators found, as a keypoint file. No torch."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from poseact_engine.errors import ConfigError, SinkError, SourceError

if TYPE_CHECKING:
    from poseact_engine.training.foreign.convert import Converted

Kind = Annotated[
    Literal["alphapose", "openpose", "coco", "pyskl"],
    typer.Argument(
        help="What wrote them: alphapose (also --format cmu and open), openpose (25 or 18 joints;"
        " tf-pose-estimation's 18), coco (results of Mask R-CNN, MMPose, HRNet ...), pyskl"
        " (MMAction2's pickles).",
        metavar="FORMAT",
    ),
]
Paths = Annotated[
    list[Path],
    typer.Argument(help="Files, or folders that are searched for them.", metavar="PATH..."),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Keypoint file to write (.npz).")]
Fps = Annotated[str, typer.Option(help="Frames per second of the videos: 30, 29.97, 30000/1001.")]
Size = Annotated[
    str | None, typer.Option(help="WIDTHxHEIGHT of the frames, where the files do not tell it.")
]
Label = Annotated[
    str | None,
    typer.Option(
        help="Class of all clips (one of the six, harmless, no_fall or unknown)."
        " Default: the name of the nearest folder that is one."
    ),
]
LabelMap = Annotated[
    Path | None,
    typer.Option(help="JSON or CSV of a file's class numbers to classes; the rest is left out."),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        help="Regular expression with groups (?P<clip>), (?P<camera>), (?P<subject>) for the names"
        " of clips, so that no subject and no take is on both sides of a split."
    ),
]
People = Annotated[
    Literal["main", "all"], typer.Option(help="main: who is seen in most frames of a clip.")
]
MinSeconds = Annotated[float, typer.Option(help="Leave out people who are seen for less.", min=0)]
MinScore = Annotated[
    float, typer.Option(help="Leave out poses whose joints score less in the mean.", min=0)
]
Images = Annotated[
    Path | None,
    typer.Option(help="coco: annotation file that tells the images' names and sizes."),
]
Normalised = Annotated[
    bool, typer.Option("--normalised", help="Coordinates are shares of width and height, 0 to 1.")
]
Dataset = Annotated[
    str | None,
    typer.Option(
        help="Stands before all names, clips and subjects; parts of one data set have the same."
        " Default: the folder's name, or that of the folder around those named as classes."
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", "-y", help="Replace the file if it is there.")
]

convert_command = typer.Typer(add_completion=False)


@convert_command.command()
def convert(
    kind: Kind,
    paths: Paths,
    output: Output,
    fps: Fps,
    *,
    size: Size = None,
    label: Label = None,
    label_map: LabelMap = None,
    pattern: Pattern = None,
    people: People = "main",
    min_seconds: MinSeconds = 0.5,
    min_score: MinScore = 0.0,
    images: Images = None,
    normalised: Normalised = False,
    dataset: Dataset = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a keypoint file of what another estimator found, for `train action` and `eval action`.

    Joints that COCO's 17 do not have are left out, those that are missing are marked so. Where
    the files do not tell who is who, poses that overlap from frame to frame are one person.
    """
    from poseact_engine.training.clip_names import ClipNames, label_named
    from poseact_engine.training.foreign import convert as foreign
    from poseact_engine.training.foreign.convert import ConvertConfig
    from poseact_engine.training.keypoints import check_keypoint_target, write_sequences

    config = ConvertConfig(
        format=kind,
        paths=tuple(paths),
        fps=_parse_fps(fps),
        size=None if size is None else _parse_size(size),
        label=None if label is None else label_named(label, option="--label"),
        label_map=None if label_map is None else _read_label_map(label_map),
        names=ClipNames(pattern),
        people=people,
        min_seconds=min_seconds,
        min_score=min_score,
        images=images,
        normalised=normalised,
        dataset=dataset,
    )
    if output.resolve() in {path.resolve() for path in paths}:
        raise SinkError(f"{output}: is read and would be overwritten; choose another name")
    check_keypoint_target(output, overwrite=overwrite)
    console = Console()
    with console.status("reading") as status:
        done = foreign.convert(
            config, on_clip=lambda clips: status.update(f"reading: {clips} clips")
        )
    write_sequences(output, done.sequences)
    for line in _summary(output, done):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _summary(output: Path, done: Converted) -> list[str]:
    from poseact_engine.synthetic.rig import LABEL_NAMES

    counts = Counter(LABEL_NAMES[int(s.labels[0])] for s in done.sequences)
    told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    lines = [f"{output}: {len(done.sequences)} sequences of {done.clips} clips ({told})"]
    if done.other_classes:
        lines.append(f"left out: {done.other_classes} clips of classes that the map does not have")
    if done.empty:
        some = ", ".join(done.empty[:3])
        lines.append(f"left out: {len(done.empty)} clips with nobody for long enough ({some})")
    return lines


def _parse_fps(text: str) -> Fraction:
    # Fraction itself would take years for 1e999999999.
    if not re.fullmatch(r"\d{1,6}(\.\d{1,9}|/0*[1-9]\d{0,5})?", text):
        raise ConfigError(f"--fps: expected a number or a fraction as 30000/1001, got {text!r}")
    return Fraction(text)


def _parse_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})[xX](\d{1,5})", text)
    if match is None:
        raise ConfigError(f"--size: expected WIDTHxHEIGHT as 1920x1080, got {text!r}")
    return int(match[1]), int(match[2])


def _read_label_map(path: Path) -> dict[int, int]:
    """Class numbers to labels, of a JSON object or of CSV rows; a first row of words is a
    heading."""
    from poseact_engine.training.clip_names import label_named

    pairs: list[Any]
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin it with a mark
        if path.suffix.lower() == ".json":
            content = json.loads(text)
            pairs = list(content.items()) if isinstance(content, dict) else [content]
        else:
            pairs = [row for row in csv.reader(text.splitlines()) if row]
            pairs = pairs[1:] if pairs and not _is_number(pairs[0][0]) else pairs
    except (OSError, ValueError, csv.Error) as error:
        raise SourceError(f"--label-map {path}: cannot be read: {error}") from error
    found: dict[int, int] = {}
    for pair in pairs:
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not is_pair or not _is_number(pair[0]) or not isinstance(pair[1], str):
            raise SourceError(
                f"--label-map {path}: expected a number and a class in each row, got {pair!r:.60}"
            )
        if int(pair[0]) in found:
            raise SourceError(f"--label-map {path}: has class {pair[0]} twice")
        found[int(pair[0])] = label_named(pair[1], option=f"--label-map {path}")
    if not found:
        raise SourceError(
            f"--label-map {path}: expected a number and a class in each row, got none"
        )
    return found


def _is_number(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch(r"\s*\d{1,9}\s*", text) is not None
