# SPDX-License-Identifier: Apache-2.0
"""What every sink is told about a run, and the small protocol it serves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from poseact_engine.errors import SinkError
from poseact_engine.types import Step

LONGEST_NAME_BYTES = 255  # of the usual file systems


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamInfo:
    """What is known of a stream before its first frame."""

    index: int
    name: str
    """Short and unique within the run: a file's stem, or what an embedding program called it."""
    uri: str | None
    """None: the frames are pushed by an embedding program."""
    rate: float | None = None
    """Frames per second that reach the pipeline, if the container says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What stays the same during a run."""

    engine_version: str
    models: Mapping[str, Mapping[str, str]]
    """Task to ``file`` and ``sha256``."""
    classes: tuple[str, ...]
    joints: tuple[str, ...]
    streams: tuple[StreamInfo, ...]


class Sink(Protocol):
    """Takes the steps of one run: ``open``, any number of ``write``, ``close``.

    Passive, used from one thread. ``close`` may be called at any time and more than once; what was
    written before it is complete on disk afterwards, also when the run was broken off.
    """

    @property
    def files(self) -> list[Path]:
        """Those made so far, for people to read; standard output is none."""
        ...

    def check(self, run: RunInfo) -> None:
        """Raises SinkError if ``open`` would refuse the run; makes nothing."""
        ...

    def open(self, run: RunInfo) -> None: ...

    def write(self, step: Step) -> None: ...

    def close(self) -> None: ...


class ClosingSink:
    """Makes a sink a context manager that closes itself."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        raise NotImplementedError


def check_target(path: Path, *, overwrite: bool) -> None:
    """Raises SinkError unless a file can be made at ``path``; makes nothing."""
    if not path.name or len(os.fsencode(path.name)) > LONGEST_NAME_BYTES:
        raise SinkError(f"{str(path)!r}: expected a file name of 1 to {LONGEST_NAME_BYTES} bytes")
    if not path.parent.is_dir():
        raise SinkError(f"{path}: expected an existing folder, got {path.parent}; make it first")
    if path.is_dir():
        raise SinkError(f"{path}: expected a file name, got a folder")
    if not path.exists() and not os.access(path.parent, os.W_OK):
        raise SinkError(f"{path}: cannot be made: nothing may be written into {path.parent}")
    # A device or a pipe has nothing to lose.
    if path.is_file() and not overwrite:
        raise SinkError(f"{path} exists; choose another name, or replace it with --overwrite")


def check_no_source(path: Path, run: RunInfo) -> None:
    """Raises SinkError if writing to ``path`` would destroy a file that the run reads."""
    if path.resolve() in {Path(s.uri).resolve() for s in run.streams if s.uri is not None}:
        raise SinkError(f"{path}: is a source and would be overwritten; choose another name")
