# SPDX-License-Identifier: Apache-2.0
"""The engine: models, and runs of the pipeline over streams."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from types import TracebackType
from typing import Self

from poseact_engine._core import Frame
from poseact_engine.config import EngineConfig
from poseact_engine.errors import ConfigError
from poseact_engine.models import Models
from poseact_engine.run import Run
from poseact_engine.streams import Stream, Streams

Source = str | PathLike[str]


class Engine:
    """Three models, ready to run over streams; a context manager.

    Owns the models and the streams of its runs, one run at a time; ``push`` may be called from any
    thread while it goes on. Engines share nothing, so a process may have several.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self._models: Models | None = Models(config)
        self._waiting = Streams(config.source)
        self._run: Run | None = None

    @property
    def streams(self) -> tuple[Stream, ...]:
        """By index: those of the run that goes on or that is prepared, else of the last one."""
        if self._run is not None and (not self._run.ended or not self._waiting.all):
            return tuple(self._run.streams.all)
        return tuple(self._waiting.all)

    @property
    def backend_cpu_s(self) -> float:
        """CPU seconds spent inside the backends so far."""
        return self._open_models().cpu_s

    def add_stream(self, name: str, *, queue_frames: int = 8, live: bool = False) -> int:
        """A stream whose frames the caller pushes; before a run or during one. Gives its index.

        A push to a full stream waits; a ``live`` one drops its oldest frame instead.
        """
        return self._current.add_pushed(name, queue_frames=queue_frames, live=live).index

    def push(self, stream: int, frame: Frame, *, timeout_s: float | None = None) -> bool:
        """Hands a frame over; pts must increase. False: no room within ``timeout_s``, or ended."""
        return self._current.push(stream, frame, timeout_s)

    def end_stream(self, stream: int) -> None:
        """No more frames will be pushed; a run ends when all of its streams have."""
        self._current.end(stream)

    @property
    def _current(self) -> Streams:
        active = self._run is not None and not self._run.ended
        return self._run.streams if active and self._run is not None else self._waiting

    def run(self, sources: Sequence[Source] | Source = ()) -> Run:
        """Opens the sources, besides the streams of ``add_stream``; yields a Step at a time.

        Of several sources, one that cannot be opened is noted (``engine.streams[i].error``) and
        logged. Raises SourceError if none can be, ConfigError if there is nothing to run or a run
        still goes on.
        """
        models = self._open_models()
        if self._run is not None and not self._run.ended:
            raise ConfigError("engine: expected the last run to have ended; close() it first")
        streams, self._waiting = self._waiting, Streams(self.config.source)
        several = [sources] if isinstance(sources, str | PathLike) else sources
        streams.add_sources([fspath(source) for source in several])
        if not streams.all:
            raise ConfigError("engine: expected at least one source or add_stream(), got none")
        self._run = Run(streams, models.pipeline(), self.config, models.facts)
        return self._run

    def _open_models(self) -> Models:
        if self._models is None:
            raise ConfigError("engine: expected an open engine, got a closed one")
        return self._models

    def close(self) -> None:
        """Ends a run that goes on and lets go of the models; may be called twice."""
        if self._run is not None:
            self._run.close()
        if self._models is not None:
            self._models.close()
        self._models = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
