# SPDX-License-Identifier: Apache-2.0
"""How fast a clip decodes through Reader and Mux, against FFmpeg's own command on one thread."""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from poseact_engine._core import Mux, Reader
from poseact_engine.bench.harness import (
    JsonOption,
    Report,
    Row,
    Timing,
    describe_machine,
)
from poseact_engine.errors import DependencyError, SourceError

BATCH_FRAMES = 8
LEFT_OUT = "pictures are decoded and let go; nothing looks at them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run over the clip."""

    wall_s: float
    cpu_s: float
    frames: int


_TIMES: dict[str, Callable[[Sample], float]] = {
    "wall": lambda sample: sample.wall_s,
    "cpu": lambda sample: sample.cpu_s,
}


def _cpu_s(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _measure(work: Callable[[], int], who: int) -> Sample:
    cpu, wall = _cpu_s(who), time.perf_counter()
    frames = work()
    return Sample(wall_s=time.perf_counter() - wall, cpu_s=_cpu_s(who) - cpu, frames=frames)


def _through_mux(clip: Path) -> int:
    mux = Mux()
    reader = Reader(str(clip), threads=1)
    mux.add_reader(reader)
    frames = 0
    while (batch := mux.next_batch(BATCH_FRAMES, 1.0)) is not None:
        frames += len(batch)
        del batch  # before the next one is asked for: FFmpeg's command holds no picture either
    reader.stop()
    if reader.error is not None:
        raise SourceError(reader.error)
    return frames


def _run_ffmpeg(*arguments: str) -> None:
    command = ["ffmpeg", "-nostdin", "-v", "error", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _through_command(clip: Path) -> int:
    _run_ffmpeg("-threads", "1", "-i", str(clip), "-map", "0:v:0", "-an", "-f", "null", "-")
    return 0


def _start_command() -> int:
    _run_ffmpeg("-version")
    return 0


def _make_clip(path: Path) -> Path:
    """Ten seconds of 1080p with noise and motion: as many bits as a busy camera sends."""
    picture = "testsrc2=size=1920x1080:rate=30:duration=10,noise=all_strength=12:all_flags=t"
    _run_ffmpeg(
        "-y", "-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", "-c:v", "libx264",
        "-preset", "fast", "-b:v", "4M", "-g", "60", str(path),
    )  # fmt: skip
    return path


def _version_of_command() -> str:
    said = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True)
    return said.stdout.split()[2]


def run(clip: Path, *, repeats: int = 9) -> Report:
    """Both sides in turn, ``repeats`` times; the command's start is measured and taken off it."""
    ours: list[Sample] = []
    command: list[Sample] = []
    start: list[Sample] = []
    for i in range(repeats + 1):
        samples = (
            _measure(lambda: _through_mux(clip), resource.RUSAGE_SELF),
            _measure(lambda: _through_command(clip), resource.RUSAGE_CHILDREN),
            _measure(_start_command, resource.RUSAGE_CHILDREN),
        )
        if i > 0:  # the first round warms the file's cache
            for column, sample in zip((ours, command, start), samples, strict=True):
                column.append(sample)
    frames = ours[0].frames
    rows: list[Row] = []
    summary: dict[str, Any] = {"frames": frames, "threads": 1, "batch_frames": BATCH_FRAMES}
    for kind, get in _TIMES.items():
        begin_s = statistics.median(map(get, start))
        mine = Timing.from_samples([get(s) for s in ours])
        theirs = Timing.from_samples([get(s) - begin_s for s in command])
        ratio = theirs.median_s / mine.median_s
        case = f"{frames} frames, {kind} time"
        off = f"its start, {begin_s * 1e3:.0f} ms"
        rows += [
            Row(case=case, variant="ours, Reader and Mux", timing=mine, left_out=LEFT_OUT),
            Row(case=case, variant="ffmpeg -threads 1", timing=theirs, ratio=ratio, left_out=off),
        ]
        summary["ratio" if kind == "wall" else f"{kind}_ratio"] = ratio
        summary[f"{kind}_frames_per_s"] = frames / mine.median_s
        summary[f"ffmpeg_{kind}_frames_per_s"] = frames / theirs.median_s
    machine = describe_machine()
    machine["versions"]["ffmpeg command"] = _version_of_command()
    return Report(benchmark="decode", rows=rows, summary=summary, machine=machine)


ClipArgument = Annotated[Path | None, typer.Argument(help="A video; a made one when not given.")]
RepeatsOption = Annotated[int, typer.Option("--repeats", min=1, help="Timed rounds.")]


def command(clip: ClipArgument = None, repeats: RepeatsOption = 9, json: JsonOption = None) -> None:
    """A 1080p H.264 clip through Reader and Mux, against FFmpeg's command on one thread."""
    if shutil.which("ffmpeg") is None:
        raise DependencyError("poseact-bench: expected the ffmpeg command; run: apt install ffmpeg")
    if clip is not None:
        run(clip, repeats=repeats).show(json)
        return
    with tempfile.TemporaryDirectory() as folder:
        run(_make_clip(Path(folder) / "made.mp4"), repeats=repeats).show(json)
