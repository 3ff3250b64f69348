# SPDX-License-Identifier: Apache-2.0
"""What a user names as a source, and the :class:`Reader` that reads it.

A source is a video file, an image (a stream of one frame), a glob pattern, the URL of a camera, or
a made scene (``synthetic://?people=3&seed=7``). Nothing here has a thread: a reader's own begins
with ``start``.
"""

from __future__ import annotations

import difflib
import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from poseact_engine._core import Mux, Reader
from poseact_engine.config import SourceConfig
from poseact_engine.errors import SourceError

if TYPE_CHECKING:
    from poseact_engine.scene_reader import SceneReader

__all__ = ["SourceSpec", "attach", "expand_sources", "open_source"]

SYNTHETIC = "synthetic"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MAGIC = re.compile(r"[*?\[]")
_LIVE_SCHEMES = frozenset(
    {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "tcp", "udp", "srt", "http", "https"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """One stream to be read."""

    uri: str
    """A path, or a URL."""
    name: str
    """For people and file names: the file's stem or the URL's host and path; unique in a run."""
    live: bool = False
    """A camera: when we are too slow the oldest frames are dropped, where a file would wait."""

    @property
    def is_synthetic(self) -> bool:
        """A scene that is rendered as it is read."""
        return _scheme_of(self.uri) == SYNTHETIC


def expand_sources(arguments: Iterable[str | Path]) -> list[SourceSpec]:
    """The streams that the arguments name, in their order; a pattern's files are sorted.

    Raises SourceError for a path that does not exist (naming its nearest neighbours), a directory,
    a pattern that nothing matches, or a made scene that cannot be.
    """
    uris = [uri for argument in arguments for uri in _expand(str(argument))]
    if not uris:
        raise SourceError("sources: expected at least one file, pattern or URL, got none")
    specs: list[SourceSpec] = []
    taken: set[str] = set()
    for uri in uris:
        name, live = _describe(uri)
        name = _unique(name, taken)
        taken.add(name)
        specs.append(SourceSpec(uri=uri, name=name, live=live))
    return specs


def open_source(
    source: SourceSpec | str | Path, config: SourceConfig | None = None
) -> Reader | SceneReader:
    """A reader of the source, not started yet.

    A file is opened here, a live stream on the reader's thread. Raises SourceError.
    """
    spec = source if isinstance(source, SourceSpec) else _only(expand_sources([source]))
    config = config if config is not None else SourceConfig()
    if spec.is_synthetic:
        from poseact_engine.scene_reader import SceneReader  # few runs need it

        return SceneReader(spec.uri, config)
    return Reader(
        spec.uri,
        queue_frames=config.queue_frames,
        live=spec.live,
        every=config.every,
        max_frames=config.max_frames,
        threads=config.decode_threads,
        open_timeout_s=config.open_timeout_s,
        read_timeout_s=config.read_timeout_s,
    )


def attach(reader: Reader | SceneReader, mux: Mux) -> int:
    """The reader's frames go to the mux, as the stream whose number it gives."""
    return mux.add_reader(reader) if isinstance(reader, Reader) else reader.attach(mux)


def _only(specs: list[SourceSpec]) -> SourceSpec:
    if len(specs) != 1:
        raise SourceError(
            f"open_source: expected one source, got {len(specs)}; use expand_sources first"
        )
    return specs[0]


def _expand(argument: str) -> list[str]:
    if _URL.match(argument):
        return [argument]
    path = Path(argument)
    if path.is_dir():
        raise SourceError(
            f"sources: expected a file, got the directory {argument!r}; "
            f"name its files, as {str(path / '*.mp4')!r}"
        )
    if path.exists():
        return [argument]
    if _MAGIC.search(argument):
        names = glob.glob(argument, recursive=True)  # noqa: PTH207  # Path.glob takes no absolute one
        found = sorted(name for name in names if Path(name).is_file())
        if found:
            return found
        raise SourceError(
            f"sources: expected files that match {argument!r}, found none; check the pattern"
        )
    raise SourceError(f"sources: expected a file or URL, got {argument!r}; {_hint(path)}")


def _hint(path: Path) -> str:
    """What to do about a path that does not exist."""
    parent = path.parent
    if not parent.is_dir():
        return f"there is no directory {str(parent)!r}"
    names = sorted(p.name for p in parent.iterdir())
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    if not near:
        return "it does not exist; check the path"
    return "it does not exist; did you mean " + " or ".join(repr(str(parent / n)) for n in near)


def _scheme_of(uri: str) -> str | None:
    """None: a path."""
    return uri.partition("://")[0].lower() if _URL.match(uri) else None


def _describe(uri: str) -> tuple[str, bool]:
    """Its name, and whether it is live."""
    scheme = _scheme_of(uri)
    if scheme is None:
        return Path(uri).stem, False
    parts, port = _split_url(uri)
    if scheme == SYNTHETIC:
        from poseact_engine.synthetic.url import parse_scene_url

        request = parse_scene_url(uri)
        return request.name, request.live
    # User name and password stay out of names, logs and results.
    where = f"{parts.hostname or ''}{f'-{port}' if port else ''}{parts.path}"
    name = re.sub(r"[^A-Za-z0-9.]+", "-", where).strip("-") or scheme
    return name, scheme in _LIVE_SCHEMES


def _split_url(uri: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(uri)
        return parts, parts.port
    except ValueError:
        # Its own words may hold a piece of the password.
        shown = re.sub("//.*@", "//", uri, flags=re.DOTALL)
        raise SourceError(
            f"sources: expected a URL with a host and a port up to 65535, got {shown!r}; in user "
            "name and password, / # ? [ and @ are written %2F %23 %3F %5B and %40"
        ) from None


def _unique(name: str, taken: set[str]) -> str:
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    return unique
