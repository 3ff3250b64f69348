# SPDX-License-Identifier: Apache-2.0
"""The engine: models, and runs of the pipeline over streams."""

from __future__ import annotations

import weakref
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
        self._last: Streams | None = None  # of the last run
        # Weak: `for step in engine.run(...): break` ends the run, as it says.
        self._run: weakref.ref[Run] | None = None

    @property
    def streams(self) -> tuple[Stream, ...]:
        """By index: those of the run that goes on or that is prepared, else of the last one."""
        return tuple(self._known.all)

    @property
    def backend_cpu_s(self) -> float:
        """CPU seconds spent inside the backends so far."""
        return self._open_models().cpu_s

    def add_stream(self, name: str, *, queue_frames: int = 8, live: bool = False) -> int:
        """A stream whose frames the caller pushes; before a run or during one. Gives its index.

        A push to a full stream waits; a ``live`` one drops its oldest frame instead.
        """
        self._open_models()
        return self._current.add_pushed(name, queue_frames=queue_frames, live=live).index

    def push(self, stream: int, frame: Frame, *, timeout_s: float | None = None) -> bool:
        """Hands a frame over. False: no room within ``timeout_s``, or the stream has ended.

        pts should increase: for one that does not the tracker lets no time pass, and its poses
        enter no window.
        """
        return self._known.push(stream, frame, timeout_s)

    def end_stream(self, stream: int) -> None:
        """No more frames will be pushed; a run ends when all of its streams have."""
        self._known.end(stream)

    @property
    def _known(self) -> Streams:
        """Whose numbers a caller has; after a run that is the last one: its streams have ended."""
        current = self._current
        return self._last if self._last is not None and not current.all else current

    @property
    def _current(self) -> Streams:
        run = self._active
        return self._waiting if run is None else run.streams

    @property
    def _active(self) -> Run | None:
        run = None if self._run is None else self._run()
        return None if run is None or run.ended else run

    def run(self, sources: Sequence[Source] | Source = ()) -> Run:
        """Opens the sources, besides the streams of ``add_stream``; yields a Step at a time.

        Of several sources, one that cannot be opened is noted (``engine.streams[i].error``) and
        logged. Raises SourceError if none can be, ConfigError if there is nothing to run or a run
        still goes on.
        """
        models = self._open_models()
        if self._active is not None:
            raise ConfigError("engine: expected the last run to have ended; close() it first")
        streams = self._waiting
        several = [sources] if isinstance(sources, str | PathLike) else sources
        try:
            streams.add_sources([fspath(source) for source in several])
            if not streams.all:
                raise ConfigError("engine: expected at least one source or add_stream(), got none")
            run = Run(streams, models.pipeline(), self.config, models.facts)
            self._run, self._last = weakref.ref(run), streams
        finally:  # last, so that a push from another thread always finds its stream
            self._waiting = Streams(self.config.source)
        return run

    def _open_models(self) -> Models:
        if self._models is None:
            raise ConfigError("engine: expected an open engine, got a closed one")
        return self._models

    def close(self) -> None:
        """Ends a run that goes on and lets go of the models; may be called twice."""
        run = None if self._run is None else self._run()
        if run is not None:
            run.close()
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
