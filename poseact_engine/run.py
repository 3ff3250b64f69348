# SPDX-License-Identifier: Apache-2.0
"""One run of the pipeline: the threads around the stages.

A run has a decode thread per stream (in C++), a thread that joins frames and detects people, a
thread that follows them, and its reader's thread, which gets finished steps. Between them lie
queues of one step: while a step is followed, the next is looked at and the last one is written.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from types import TracebackType
from typing import Self

import numpy as np

from poseact_engine._core import FrameBatch
from poseact_engine.config import EngineConfig
from poseact_engine.models import ModelFacts
from poseact_engine.pipeline import Pipeline
from poseact_engine.prefetch import Prefetch
from poseact_engine.sinks.base import RunInfo
from poseact_engine.streams import Streams
from poseact_engine.types import Actions, Event, People, PoseBatch, Step, Tracks
from poseact_engine.version import __version__


class Run:
    """An iterator of steps; threads start with the first and are joined when it ends.

    It ends with its streams, by ``stop``, by ``close``, by an error in a stage (raised to the
    reader), or when nobody refers to it any more. One reader; ``stop`` from any thread.
    """

    def __init__(
        self, streams: Streams, pipeline: Pipeline, config: EngineConfig, facts: ModelFacts
    ) -> None:
        self.streams = streams
        self._facts = facts
        self._ended = False
        # The generator and its threads never refer to this object, so that letting go of it is
        # enough to end them.
        self._steps = _steps(streams, pipeline, config)

    @property
    def info(self) -> RunInfo:
        """For the sinks."""
        return RunInfo(
            engine_version=__version__,
            models=self._facts.files,
            classes=self._facts.classes,
            joints=self._facts.joints,
            streams=self.streams.infos(),
        )

    @property
    def ended(self) -> bool:
        return self._ended

    def stop(self) -> None:
        """No more frames; the steps that are worked on and the last events still come.

        Never waits, so a signal handler may call it.
        """
        self.streams.mux.close()

    def close(self) -> None:
        """Ends at once: what was not read yet is lost. Joins all threads; may be called twice."""
        self._ended = True
        self._steps.close()
        self.streams.stop()

    def __iter__(self) -> Iterator[Step]:
        return self

    def __next__(self) -> Step:
        try:
            return next(self._steps)
        except BaseException:
            self._ended = True
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _Seen:
    """Frames with their people, and the streams whose last frame has been seen."""

    frames: FrameBatch
    people: People
    ended: list[int]


def _steps(streams: Streams, pipeline: Pipeline, config: EngineConfig) -> Generator[Step]:
    seen: Prefetch[_Seen] | None = None
    steps: Prefetch[Step] | None = None
    try:
        streams.start()
        seen = Prefetch(_see(streams, pipeline, config), depth=1, name="poseact-detect")
        steps = Prefetch(_follow(seen, pipeline), depth=1, name="poseact-follow")
        # Not `from steps`: that would close them, which waits, before the mux is closed below.
        yield from chain(steps)
    finally:
        streams.mux.close()  # from the frames' side on, so that nobody waits for anybody
        for thread in (steps, seen):
            if thread is not None:
                thread.close()
        streams.stop()


def _see(streams: Streams, pipeline: Pipeline, config: EngineConfig) -> Iterator[_Seen]:
    mux = streams.mux
    while (frames := mux.next_batch(config.batch_frames, config.batch_timeout_s)) is not None:
        ended = mux.ended_streams()
        streams.tell_lost(ended)
        yield _Seen(frames, pipeline.detect(frames), ended)
    streams.tell_lost(mux.ended_streams())  # those that ended without another frame


def _follow(seen: Iterable[_Seen], pipeline: Pipeline) -> Iterator[Step]:
    live: set[int] = set()
    for batch in seen:
        live.update(batch.frames.stream.tolist())
        step = pipeline.follow(batch.frames, batch.people)
        ended = live.intersection(batch.ended)
        live -= ended
        yield _with_events(step, pipeline.end_streams(sorted(ended)))
        del batch, step  # frames must not live on until the next ones come
    if events := pipeline.end_streams(sorted(live)):
        yield _without_frames(pipeline, events)


def _with_events(step: Step, events: list[Event]) -> Step:
    return replace(step, events=step.events + events) if events else step


def _without_frames(pipeline: Pipeline, events: list[Event]) -> Step:
    """The last messages of a run, after its last frame."""
    classes = pipeline.action.classes
    no_float, no_id = np.zeros(0, np.float32), np.zeros(0, np.int64)
    no_index = np.zeros(0, np.int32)
    tracks = Tracks(
        boxes_px=no_float.reshape(0, 4),
        scores=no_float,
        ids=no_id,
        frame=no_index,
        stream=no_index,
        observed=np.zeros(0, np.bool_),
        ended_stream=no_index,
        ended_ids=no_id,
    )
    none = no_float.reshape(0, len(classes))
    return Step(
        frames=FrameBatch([]),
        tracks=tracks,
        poses=PoseBatch(keypoints_px=np.zeros((0, 17, 3), np.float32)),
        actions=Actions(window_probabilities=none, probabilities=none),
        classes=classes,
        events=events,
    )
