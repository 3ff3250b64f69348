# SPDX-License-Identifier: Apache-2.0
"""The demo's folder: made anew each time, and never anybody else's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from poseact_engine.errors import SinkError

MARK = ".poseact-demo"
MARK_TEXT = "Made by `poseact demo`, which replaces the files of its own names in this folder.\n"
OWN = ("annotated.mp4", "annotated-*.mp4", "results.jsonl", "events.jsonl", "index.html")


@dataclass(frozen=True, slots=True)
class DemoFolder:
    """Where everything goes."""

    path: Path

    @property
    def video(self) -> Path:
        return self.path / "annotated.mp4"

    @property
    def results(self) -> Path:
        return self.path / "results.jsonl"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def page(self) -> Path:
        return self.path / "index.html"

    def check(self) -> None:
        """Raises SinkError for a folder that is not the demo's; makes nothing."""
        try:
            self._check()
        except SinkError:  # an OSError, too
            raise
        except OSError as error:  # a name that is too long, or one that may not be looked at
            raise SinkError(
                f"{self.path}: cannot be the demo's folder: {error.strerror}; choose another one "
                "with -o"
            ) from error

    def _check(self) -> None:
        path = self.path
        if path.exists() and not path.is_dir():
            raise SinkError(f"{path}: expected a folder, got a file; choose another one with -o")
        if not path.parent.is_dir():
            raise SinkError(f"{path}: expected an existing folder around it; make {path.parent}")
        if path.is_dir() and not (path / MARK).is_file() and any(path.iterdir()):
            raise SinkError(
                f"{path}: holds files that are not of a demo; choose another folder with -o"
            )

    def prepare(self) -> None:
        """Makes it, or takes the files of the last demo away, so that none of them seems new."""
        self.check()
        try:
            self.path.mkdir(exist_ok=True)
            (self.path / MARK).write_text(MARK_TEXT, encoding="utf-8")
            for pattern in OWN:
                for old in self.path.glob(pattern):
                    old.unlink()
        except OSError as error:
            raise SinkError(f"{self.path}: cannot be written: {error.strerror}") from error
