# SPDX-License-Identifier: Apache-2.0
"""A file that is being downloaded: who may write it, how much is there, what it is a part of."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from poseact_engine.errors import SinkError, SourceError

LOCK_PAUSE_S = 0.2
LONGEST_WAIT_S = 3600.0


class Part:
    """``FILE.part`` and, beside it, what it is a part of (``FILE.part.json``: URL, validator).

    Owns the lock on the file: one process at a time is inside the ``with``; the others wait, and a
    process that dies lets go. Not thread-safe.
    """

    def __init__(self, target: Path, *, on_wait: Callable[[], None]) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self._about = target.with_name(f"{target.name}.part.json")
        self._on_wait = on_wait
        self._fd = -1

    def __enter__(self) -> Self:
        end_s, told = time.monotonic() + LONGEST_WAIT_S, False
        while not self._take():
            if not told:
                self._on_wait()
                told = True
            if time.monotonic() > end_s:
                raise SourceError(f"{self.path}: another process holds it for an hour; end that")
            time.sleep(LOCK_PAUSE_S)
        return self

    def _take(self) -> bool:
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(fd)
            # The one before may have renamed the file that this descriptor still names.
            if os.path.samestat(mine, self.path.stat()):
                self._fd = fd
                return True
        except OSError as error:  # held, or renamed meanwhile
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.ENOENT):
                os.close(fd)
                raise self._unwritable(error) from error
        os.close(fd)
        return False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.path.exists() and self.size == 0:
            self.discard()
        os.close(self._fd)

    @property
    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def validator(self, url: str) -> str | None:
        """The ETag or date of what is there, if it came from this URL; None: start anew."""
        try:
            about = json.loads(self._about.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None  # nobody can say what the part belongs to
        fits = isinstance(about, dict) and about.get("url") == url
        validator = about.get("validator") if fits else None
        return validator if isinstance(validator, str) and validator else None

    def begin(self, url: str, validator: str | None) -> None:
        """Empties the part and notes what comes into it."""
        try:
            os.ftruncate(self._fd, 0)
            about = json.dumps({"url": url, "validator": validator})
            self._about.write_text(about, encoding="utf-8")
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, data: bytes) -> None:
        try:
            os.lseek(self._fd, 0, os.SEEK_END)
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise self._unwritable(error) from error

    def expect_room(self, more_bytes: int) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if more_bytes > free:
            raise SinkError(
                f"{self.path.parent}: {more_bytes / 1e6:.1f} MB are to come, {free / 1e6:.1f} MB "
                "are free; make room or choose another folder with --to"
            )

    def finish(self) -> None:
        """The whole file gets its name; the name never belongs to less."""
        try:
            os.fsync(self._fd)
            self.path.replace(self.target)
        except OSError as error:
            raise self._unwritable(error) from error
        self._about.unlink(missing_ok=True)

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> SinkError:
        kept = "; what came so far is kept" if self._fd >= 0 else ""
        return SinkError(
            f"{self.path}: cannot write: {error.strerror}{kept}; make room or choose another "
            "folder with --to or $POSEACT_MODELS"
        )
