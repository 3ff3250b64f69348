# SPDX-License-Identifier: Apache-2.0
"""What `poseact run` does once its options are understood."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from poseact_engine.cli.report import Report
from poseact_engine.cli.stop import stop_on_signals
from poseact_engine.config import EngineConfig
from poseact_engine.engine import Engine
from poseact_engine.errors import ConfigError, SinkError
from poseact_engine.sinks.base import Sink
from poseact_engine.sinks.jsonl import EventsSink, ResultsSink
from poseact_engine.sinks.video import VideoSink

SOME_SOURCES_FAILED = 1


def make_sinks(
    sources: list[str], *, out: str | None, events: str | None, video: Path | None, overwrite: bool
) -> list[Sink]:
    """Everything that is wrong with the output files is said before a model is loaded."""
    _check_distinct(sources, [str(f) for f in (out, events, video) if f is not None])
    sinks: list[Sink] = []
    if out is not None:
        sinks.append(ResultsSink(out, overwrite=overwrite))
    if events is not None:
        sinks.append(EventsSink(events, overwrite=overwrite))
    if video is not None:
        sinks.append(VideoSink(video, overwrite=overwrite))
    return sinks


def _check_distinct(sources: list[str], files: list[str]) -> None:
    if len({Path(file).resolve() for file in files}) < len(files):
        raise ConfigError(f"output files: expected different ones, got {', '.join(files)}")
    # Of patterns and of several videos' names the sinks themselves know, once the run is open.
    read = {Path(source).resolve() for source in sources}
    for file in files:
        if Path(file).resolve() in read:
            raise SinkError(f"{file}: is a source and would be overwritten; choose another name")


def run(config: EngineConfig, sources: list[str], sinks: list[Sink], *, verbose: bool) -> int:
    """Runs to the end or to Ctrl-C; the exit code."""
    report = Report(verbose=verbose)
    with ExitStack() as stack:
        stack.enter_context(report)
        engine = stack.enter_context(Engine(config))
        steps = stack.enter_context(engine.run(sources))
        for sink in sinks:  # all of them, before the first replaces a file
            sink.check(steps.info)
        for sink in sinks:
            stack.callback(sink.close)
            sink.open(steps.info)
        stop = stack.enter_context(stop_on_signals(steps.stop))
        report.begin(steps, config.source)
        for step in steps:
            for sink in sinks:
                sink.write(step)
            report.write(step, stopping=stop.code is not None)
    report.end(steps, [file for sink in sinks for file in sink.files])
    failed = any(stream.error for stream in steps.streams.all)
    return stop.code or (SOME_SOURCES_FAILED if failed else 0)
