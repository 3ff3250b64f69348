# SPDX-License-Identifier: Apache-2.0
"""Results and events as JSON lines; `docs/results-schema.md` describes both files.

Lines are written in place, whole steps at a time and unbuffered, so that at any moment, also after
a crash, the file holds whole lines only. A temporary name would lose everything instead.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np

from poseact_engine.errors import SinkError
from poseact_engine.sinks.base import ClosingSink, RunInfo, check_no_source, check_target
from poseact_engine.types import Event, Step

RESULTS_SCHEMA = "poseact.results"
EVENTS_SCHEMA = "poseact.events"
SCHEMA_VERSION = 1

# A made-up NaN would be no JSON at all; it must never pass silently.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode


class _LineFile(ClosingSink):
    """Owns one file of JSON lines; ``-`` is standard output, which stays open."""

    def __init__(self, path: Path | str, *, overwrite: bool = False) -> None:
        self._path = Path(path)
        self._file: IO[bytes] | None = None
        self._made = False
        if not self._is_stdout:
            check_target(self._path, overwrite=overwrite)

    @property
    def files(self) -> list[Path]:
        return [self._path] if self._made else []

    @property
    def _is_stdout(self) -> bool:
        return str(self._path) == "-"

    def check(self, run: RunInfo) -> None:
        if not self._is_stdout:
            check_no_source(self._path, run)

    def _start(self, schema: str, run: RunInfo) -> None:
        self.check(run)
        if self._is_stdout:
            self._file = sys.stdout.buffer
        else:
            try:
                self._file = self._path.open("wb", buffering=0)
                self._made = True
            except OSError as error:
                raise SinkError(f"{self._path}: cannot be written: {error.strerror}") from error
        self._write_lines([_encode(_header(schema, run))])

    def _write_lines(self, lines: list[str]) -> None:
        if self._file is None:
            raise SinkError(f"{self._path}: open() comes before write()")
        if not lines:
            return
        rest = memoryview(("\n".join(lines) + "\n").encode())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            self._file.flush()
        except OSError as error:
            name = "standard output" if self._is_stdout else self._path
            raise SinkError(f"{name}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        if self._file is not None and not self._is_stdout:
            self._file.close()
        self._file = None


def _header(schema: str, run: RunInfo) -> dict[str, Any]:
    return {
        "schema": schema,
        "version": SCHEMA_VERSION,
        "engine": run.engine_version,
        "models": {task: dict(facts) for task, facts in run.models.items()},
        "classes": list(run.classes),
        "joints": list(run.joints),
        "streams": [{"stream": s.index, "name": s.name, "uri": s.uri} for s in run.streams],
    }


class ResultsSink(_LineFile):
    """One line per track and frame, after a header line."""

    def open(self, run: RunInfo) -> None:
        self._start(RESULTS_SCHEMA, run)

    def write(self, step: Step) -> None:
        self._write_lines(result_lines(step))


class EventsSink(_LineFile):
    """One line per message about an incident, after a header line."""

    def open(self, run: RunInfo) -> None:
        self._start(EVENTS_SCHEMA, run)

    def write(self, step: Step) -> None:
        self._write_lines([_encode(_event(event)) for event in step.events])


def _rounded(values: np.ndarray[Any, Any], digits: int) -> Any:
    """Nested lists; float64 first, because a rounded float32 prints as 0.30000001192."""
    return values.astype(np.float64).round(digits).tolist()


_FIELDS = (
    "stream",
    "frame",
    "pts_s",
    "track",
    "observed",
    "box",
    "score",
    "keypoints",
    "action",
    "probabilities",
)


def result_lines(step: Step) -> list[str]:
    """JSON of every row: pixels to 2 digits, scores and probabilities to 4, seconds to 6."""
    tracks, probabilities = step.tracks, step.actions.probabilities
    known = np.logical_not(np.isnan(probabilities).any(axis=1)).tolist()
    best = np.nan_to_num(probabilities, nan=-1.0).argmax(axis=1).tolist()
    joints = step.poses.keypoints_px.astype(np.float64)
    joints[..., :2] = joints[..., :2].round(2)
    joints[..., 2] = joints[..., 2].round(4)
    rows = zip(
        tracks.stream.tolist(),
        step.frames.index[tracks.frame].tolist(),
        _rounded(step.frames.pts_s[tracks.frame], 6),
        tracks.ids.tolist(),
        tracks.observed.tolist(),
        _rounded(tracks.boxes_px, 2),
        _rounded(tracks.scores, 4),
        joints.tolist(),
        [step.classes[c] if k else None for c, k in zip(best, known, strict=True)],
        [p if k else None for p, k in zip(_rounded(probabilities, 4), known, strict=True)],
        strict=True,
    )
    return [_encode(dict(zip(_FIELDS, row, strict=True))) for row in rows]


def _event(event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "incident": event.incident,
        "stream": event.stream,
        "track": event.track,
        "action": event.action,
        "start_s": round(event.start_s, 6),
        "time_s": round(event.time_s, 6),
        "score": round(event.score, 4),
        "box": None if event.box_px is None else [round(v, 2) for v in event.box_px],
    }
