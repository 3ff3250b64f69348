# SPDX-License-Identifier: Apache-2.0
"""What is known of official weights: where they are, under which terms, how they become models."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from poseact_engine.errors import ConfigError
from poseact_engine.manifest import Task

Commercial = Literal["yes", "unclear", "no"]
"""``yes``: the published licence allows it, and no data for research only went into the weights as
far as is known. ``no``: the licence forbids it. ``terms`` give the reason; they are no advice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One official file of weights. Facts are as published; None is "not published"."""

    name: str
    task: Task
    title: str
    file: str
    """Its name in the models folder; of an archive, the name of what is taken out of it."""
    url: str | None
    """None: there is no plain link; ``manual`` says where people find it."""
    manual: str | None = None
    member: str | None = None
    """Not None: the URL is a zip archive, and this file in it (any folder) is the one wanted."""
    size_bytes: int | None = None
    """Of what the URL gives."""
    sha256: str | None = None
    """Hexadecimal, of ``file``; ``sha256_source`` says who published it."""
    sha256_source: str | None = None
    name_sha256: str | None = None
    """The leading digits that the file's official name carries."""
    licence: str
    commercial: Commercial
    terms: str
    accuracy: float
    """0 to 100, in ``metric``."""
    metric: str
    setting: str
    """Data, input and options behind ``accuracy``."""
    page: str
    """Where these facts stand."""
    export: tuple[str, ...]
    """Command and options of `poseact export` but for files, source and licence."""

    @property
    def transfer_file(self) -> str:
        """The name of what is downloaded: ``file``, or the archive around it."""
        if self.url is None or self.member is None:
            return self.file
        return urlsplit(self.url).path.rpartition("/")[2]

    def export_arguments(self, weights: str, output: str) -> list[str]:
        """The whole line behind `poseact export`."""
        option = "--onnx" if self.export[0] in ("detector", "pose") else "--weights"
        texts = ["--source", f"{self.title}, {self.page}", "--licence", self.licence]
        return [*self.export, option, weights, "-o", output, *texts]


def find_entry(name: str, entries: tuple[Entry, ...]) -> Entry:
    """The entry of this name; ConfigError names the nearest ones."""
    for entry in entries:
        if entry.name == name:
            return entry
    near = difflib.get_close_matches(name, [e.name for e in entries], n=3, cutoff=0.4)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise ConfigError(f"{name!r}: expected a name that `poseact models list` gives{hint}")
