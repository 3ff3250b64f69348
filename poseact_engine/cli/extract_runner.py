# SPDX-License-Identifier: Apache-2.0
"""What `poseact extract` does once its options are understood."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from poseact_engine.cli.stop import stop_on_signals
from poseact_engine.errors import SourceError
from poseact_engine.synthetic.rig import LABEL_NAMES
from poseact_engine.training.clips import Clip
from poseact_engine.training.extract import ExtractConfig, Extractor
from poseact_engine.training.extract_part import PartFolder, open_parts
from poseact_engine.training.keypoints import PoseSequence, write_sequences

SOME_VIDEOS_FAILED = 1


def extract(config: ExtractConfig, clips: list[Clip], output: Path, prefix: str) -> int:
    """Reads what was not read before and writes the keypoint file; the exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Extractor(config) as extractor:
        parts = open_parts(output, _options(config, extractor))
        with stop_on_signals(extractor.stop) as stop:
            broken = _read_all(extractor, clips, parts, console)
    if stop.code is not None:
        console.print(f"stopped; the same command goes on from {parts.path}", markup=False)
        return stop.code
    found = {clip: parts.sequences(clip, prefix) for clip in clips if clip not in broken}
    _tell_broken(broken, len(clips), parts.path, console)
    sequences = [sequence for of_clip in found.values() for sequence in of_clip]
    if not sequences:
        if not broken:
            parts.remove()  # it would refuse the other options that may help
        raise SourceError(
            f"{output}: expected people in the videos, found nobody in {len(found)}; a lower "
            "--det-score, --track-score or --min-seconds may find some"
        )
    write_sequences(output, sequences)
    if not broken:
        parts.remove()
    console.print(_table(found))
    console.print(f"wrote {output}", markup=False)
    return SOME_VIDEOS_FAILED if broken else 0


def _options(config: ExtractConfig, extractor: Extractor) -> dict[str, Any]:
    """What decides the poses of a video."""
    detector, pose = extractor.sha256
    return {
        "detector": detector,
        "pose": pose,
        "people": config.people,
        "min_seconds": config.min_seconds,
        "every": config.source.every,
        "det_score": config.detect.min_score,
        "track": extractor.track_options,
    }


def _read_all(
    extractor: Extractor, clips: list[Clip], parts: PartFolder, console: Console
) -> dict[Clip, str]:
    """Reads what is not there yet; which could not be read, and why."""
    todo = [clip for clip in clips if not parts.has(clip)]
    if len(todo) < len(clips):
        console.print(f"{len(clips) - len(todo)} of {len(clips)} videos were read before")
    broken: dict[Clip, str] = {}
    with _progress(console, total=len(todo)) as show:
        for clip in todo:
            show(clip.name)
            try:
                sequences = extractor.read(clip.path, clip.name)
            except SourceError as error:
                broken[clip] = str(error)
                continue
            if sequences is None:
                break
            parts.put(clip, sequences)
    return broken


@contextmanager
def _progress(console: Console, *, total: int) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal; it is told what begins."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("videos"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        begun = 0

        def show(name: str) -> None:
            nonlocal begun
            bar.update(task, completed=begun, description=name)
            begun += 1

        yield show
        bar.update(task, completed=begun, description="")


def _tell_broken(broken: Mapping[Clip, str], videos: int, parts: Path, console: Console) -> None:
    if not broken:
        return
    console.print(f"{len(broken)} of {videos} videos could not be read and are left out:")
    for why in broken.values():
        console.print(f"  {why}", markup=False)
    console.print(
        "once they are mended or deleted, the same command with --overwrite reads them alone; "
        f"{parts} holds the others",
        markup=False,
    )


def _table(found: Mapping[Clip, list[PoseSequence]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for title in ("videos", "without people", "people", "minutes"):
        table.add_column(title, justify="right")
    for label in sorted({clip.label for clip in found}):
        mine = [sequences for clip, sequences in found.items() if clip.label == label]
        people = [sequence for sequences in mine for sequence in sequences]
        minutes = sum(float(s.times_s[-1] - s.times_s[0]) for s in people) / 60
        empty = sum(not sequences for sequences in mine)
        table.add_row(
            LABEL_NAMES[label], str(len(mine)), str(empty), str(len(people)), f"{minutes:.1f}"
        )
    return table
