# SPDX-License-Identifier: Apache-2.0
"""The streams of one run: what they are called, how they fare, and the mux that joins them."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from poseact_engine._core import Frame, Mux, Reader
from poseact_engine.config import SourceConfig
from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.sinks.base import StreamInfo
from poseact_engine.sources import SourceSpec, attach, expand_sources, open_source

if TYPE_CHECKING:
    from poseact_engine.scene_reader import SceneReader

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Stream:
    """One camera, file or pushed stream of a run. Readable at any time, from any thread."""

    index: int
    name: str
    uri: str | None
    """None: frames are pushed."""
    reader: Reader | SceneReader | None = None
    """None: frames are pushed, or the source could not be opened."""
    _open_error: str | None = field(default=None, repr=False)
    _mux: Mux = field(repr=False)

    @property
    def error(self) -> str | None:
        """Why the stream could not be opened, or why it ended early."""
        if self._open_error is None and self.reader is not None:
            return self.reader.error
        return self._open_error

    @property
    def counts(self) -> dict[str, int]:
        """Of the reader where there is one (see ``Reader.counts``), else of the mux."""
        if self.reader is not None:
            return self.reader.counts
        return self._mux.counts(self.index)

    @property
    def info(self) -> dict[str, Any]:
        """What the container says of the video (see ``Reader.info``); empty for pushed frames."""
        return {} if self.reader is None else self.reader.info


class Streams:
    """All streams of one run, by their index. Owns the mux and the readers."""

    def __init__(self, config: SourceConfig) -> None:
        self._config = config
        self.mux = Mux()
        self.all: list[Stream] = []

    def add_pushed(self, name: str, *, queue_frames: int, live: bool) -> Stream:
        index = self.mux.add_stream(queue_frames=queue_frames, live=live)
        return self._add(index=index, name=name)

    def add_sources(self, sources: Sequence[str]) -> None:
        """Opens each; raises SourceError if none can be opened, else notes which could not."""
        added = [stream for source in sources for stream in self._add_source(source)]
        errors = [s.error for s in added if s.reader is None]
        if added and len(errors) == len(added):
            raise SourceError("; ".join(str(error) for error in errors))
        for error in errors:
            _log.warning("%s; the other streams go on", error)

    def _add_source(self, source: str) -> list[Stream]:
        """A stream, or the streams of a pattern's files."""
        try:
            return [self._add_spec(spec) for spec in expand_sources([source])]
        except SourceError as error:
            return [self._add_failed(source, Path(source).stem or source, str(error))]

    def _add_spec(self, spec: SourceSpec) -> Stream:
        try:
            reader = open_source(spec, self._config)
        except SourceError as error:
            return self._add_failed(spec.uri, spec.name, str(error))
        index = attach(reader, self.mux)
        return self._add(index=index, name=spec.name, uri=without_login(spec.uri), reader=reader)

    def _add_failed(self, uri: str, name: str, error: str) -> Stream:
        """It keeps its number, so that stream numbers are the positions of the sources."""
        index = self.mux.add_stream()
        self.mux.end_stream(index)
        return self._add(index=index, name=name, uri=without_login(uri), open_error=error)

    def _add(
        self,
        *,
        index: int,
        name: str,
        uri: str | None = None,
        reader: Reader | SceneReader | None = None,
        open_error: str | None = None,
    ) -> Stream:
        stream = Stream(
            index=index,
            name=self._unique(name),
            uri=uri,
            reader=reader,
            _open_error=open_error,
            _mux=self.mux,
        )
        self.all.append(stream)
        return stream

    def _unique(self, name: str) -> str:
        taken = {s.name for s in self.all}
        number, free = 2, name
        while free in taken:
            number, free = number + 1, f"{name}-{number}"
        return free

    def push(self, index: int, frame: Frame, timeout_s: float | None) -> bool:
        self._check_pushed(index)
        return self.mux.push(index, frame, timeout_s=timeout_s)

    def end(self, index: int) -> None:
        self._check_pushed(index)
        self.mux.end_stream(index)

    def _check_pushed(self, index: int) -> None:
        if not 0 <= index < len(self.all) or self.all[index].uri is not None:
            pushed = [s.index for s in self.all if s.uri is None]
            raise ConfigError(f"stream: expected one made by add_stream {pushed}, got {index}")

    def tell_lost(self, ended: Sequence[int]) -> None:
        """Logs which of them ended by an error while the run goes on, maybe for days."""
        for index in ended:
            stream = self.all[index]
            if stream.reader is not None and stream.error is not None:
                _log.warning("%s: %s", stream.name, stream.error)

    def infos(self) -> tuple[StreamInfo, ...]:
        return tuple(
            StreamInfo(
                index=s.index, name=s.name, uri=s.uri, rate=_rate(s.info, self._config.every)
            )
            for s in self.all
        )

    def start(self) -> None:
        for stream in self.all:
            if stream.reader is not None:
                stream.reader.start()

    def stop(self) -> None:
        """Joins the readers' threads."""
        self.mux.close()
        for stream in self.all:
            if stream.reader is not None:
                stream.reader.stop()


def without_login(uri: str) -> str:
    """A URL without user name and password: it goes into files and logs."""
    if "://" not in uri:
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:  # no URL that could be opened
        return re.sub("//.*@", "//", uri, flags=re.DOTALL)
    if "@" not in parts.netloc:
        return uri  # urlunsplit would write a URL without a host in another way
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _rate(info: dict[str, Any], every: int) -> float | None:
    fps = info.get("fps")
    return None if not fps else float(fps[0]) / float(fps[1]) / every
