# SPDX-License-Identifier: Apache-2.0
"""What a run tells the person who started it: progress, incidents as they come, a summary.

Everything goes to standard error; standard output is for `--out -`.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from poseact_engine.config import SourceConfig
from poseact_engine.run import Run
from poseact_engine.streams import Stream
from poseact_engine.types import Event, Step


class Report:
    """A progress bar on a terminal, plain lines in a pipe. Used from one thread."""

    def __init__(self, *, verbose: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._handler = _ConsoleLog(self._console)
        self._level = logging.INFO if verbose else logging.WARNING
        self._level_before = logging.NOTSET
        self._progress: Progress | None = None
        self._began_s = time.monotonic()
        self._frames: dict[int, int] = {}
        self._tracks: dict[int, set[int]] = {}
        self._incidents: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._told_stop = False

    def __enter__(self) -> Self:
        logger = logging.getLogger("poseact_engine")
        logger.addHandler(self._handler)
        self._level_before = logger.level
        logger.setLevel(self._level)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
        logger = logging.getLogger("poseact_engine")
        logger.removeHandler(self._handler)
        logger.setLevel(self._level_before)  # a command may be called by a program that goes on

    def begin(self, run: Run, source: SourceConfig) -> None:
        self._names = {s.index: s.name for s in run.streams.all}
        self._began_s = time.monotonic()
        if not self._console.is_terminal:
            return
        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("frames  {task.fields[rate]:.1f}/s"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._progress.add_task("", total=_expected(run.streams.all, source), rate=0.0)
        self._progress.start()

    def write(self, step: Step, *, stopping: bool) -> None:
        for stream in step.frames.stream.tolist():
            self._frames[stream] = self._frames.get(stream, 0) + 1
        for stream, track in zip(
            step.tracks.stream.tolist(), step.tracks.ids.tolist(), strict=True
        ):
            self._tracks.setdefault(stream, set()).add(track)
        for event in step.events:
            self._tell(event)
        if self._progress is not None:
            done = sum(self._frames.values())
            rate = done / max(time.monotonic() - self._began_s, 1e-9)
            self._progress.update(self._progress.task_ids[0], completed=done, rate=rate)
        if stopping and not self._told_stop:
            self._told_stop = True
            self._print("stopping; Ctrl-C again breaks off")

    def _tell(self, event: Event) -> None:
        if event.kind == "new":
            self._incidents[event.stream] = self._incidents.get(event.stream, 0) + 1
            what = f"began at {_clock(event.start_s)}, {event.score:.0%}"
        elif event.kind == "end":
            what = f"ended after {event.time_s - event.start_s:.1f} s"
        else:
            return
        name = self._names.get(event.stream, str(event.stream))
        action = event.action.replace("_", " ")
        self._print(f"{_clock(event.time_s)}  {name}  #{event.track}  {action}: {what}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)

    def end(self, run: Run, files: list[Path]) -> None:
        elapsed_s = time.monotonic() - self._began_s
        frames = sum(self._frames.values())
        people = sum(len(ids) for ids in self._tracks.values())
        incidents = sum(self._incidents.values())
        self._console.print(self._table(run.streams.all))
        for stream in run.streams.all:
            if stream.error:
                self._print(f"{stream.name}: {stream.error}")
        self._print(
            f"{_many(frames, 'frame')} in {elapsed_s:.1f} s "
            f"({frames / max(elapsed_s, 1e-9):.1f} frames/s), "
            f"{_many(people, 'track')}, {_many(incidents, 'incident')}"
        )
        if files:
            self._print(f"wrote {', '.join(map(str, files))}")

    def _table(self, streams: list[Stream]) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column("stream", overflow="fold")
        for title in ("frames", "dropped", "corrupt", "tracks", "incidents"):
            table.add_column(title, justify="right")
        for stream in streams:
            i, counts = stream.index, stream.counts
            row = (
                self._frames.get(i, 0),
                counts["dropped"],
                counts["corrupt_packets"] + counts["damaged_frames"],
                len(self._tracks.get(i, ())),
                self._incidents.get(i, 0),
            )
            table.add_row(stream.name, *map(str, row))
        return table


class _ConsoleLog(logging.Handler):
    """Log lines above the progress bar instead of through it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        text = f"poseact: {record.levelname.lower()}: {record.getMessage()}"
        self._console.print(text, markup=False)


def _expected(streams: list[Stream], source: SourceConfig) -> int | None:
    """Frames to come over all streams; None if a container does not say."""
    total = 0
    for stream in streams:
        if stream.error:
            continue
        frames = stream.info.get("frames")
        if not frames:
            return None
        frames = -(-frames // source.every)
        total += frames if source.max_frames is None else min(frames, source.max_frames)
    return total


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(seconds, 0.0), 60)
    return f"{int(minutes):02d}:{rest:05.2f}"
