# SPDX-License-Identifier: Apache-2.0
"""One URL into one part file, over as many connections as it takes (RFC 9110: Range, If-Range)."""

from __future__ import annotations

import http.client
import re
import ssl
import time
from dataclasses import dataclass
from email.message import Message
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.request import OpenerDirector, Request

from poseact_engine.errors import PoseActError, SourceError
from poseact_engine.zoo.http import Network, is_web_page, make_opener, plain, reason
from poseact_engine.zoo.part import Part

CHUNK_BYTES = 1 << 16
LEAST_BYTES_S = 512
"""A slower server counts as a silent one."""
PROGRESS_BYTES = 1 << 20
"""A try that brought this much does not count as failed, so that a poor line ends after all."""
MOST_BYTES = 4 << 30
"""Larger than any weights; ends a body without an end."""


class Watcher(Protocol):
    """Is told how a download goes."""

    def progress(self, done_bytes: int, total_bytes: int | None) -> None: ...

    def note(self, text: str) -> None: ...


class _TryAgain(Exception):
    """A fault that another connection may not have."""


@dataclass(slots=True)
class _Answer:
    """What a server says of the body that follows."""

    start: int
    total: int | None
    """Of the whole file, bytes."""
    validator: str | None


def download(
    url: str, part: Part, network: Network, watcher: Watcher, *, size_bytes: int | None
) -> None:
    """Completes ``part``; what is there of the same file is not fetched again.

    Raises SourceError (network, server, a web page instead of a file), SinkError (disk).
    """
    transfer = _Transfer(url, part, network, watcher, size_bytes)
    left, best_bytes, pause_s = network.retries, part.size, network.pause_s
    while True:
        try:
            transfer.attempt()
            return
        except _TryAgain as fault:
            # The best so far only grows, so this ends even if a server starts anew each time.
            if part.size >= best_bytes + PROGRESS_BYTES:
                left, best_bytes, pause_s = network.retries, part.size, network.pause_s
            if left == 0:
                kept = f"; {part.size / 1e6:.1f} MB are kept for the next try" if part.size else ""
                raise SourceError(
                    f"{plain(url)}: {fault}, after {network.retries + 1} tries{kept}"
                ) from fault
            watcher.note(f"{fault}; trying again in {pause_s:.1f} s")
        time.sleep(pause_s)
        left, pause_s = left - 1, pause_s * 2


class _Transfer:
    """One download's connections, one after the other."""

    def __init__(
        self, url: str, part: Part, network: Network, watcher: Watcher, size_bytes: int | None
    ) -> None:
        self._url, self._part, self._watcher = url, part, watcher
        self._network, self._size_bytes = network, size_bytes
        self._opener: OpenerDirector = make_opener(network)

    def attempt(self) -> None:
        request = Request(self._url)
        validator = self._part.validator(self._url)
        if self._part.size and validator:
            request.add_header("Range", f"bytes={self._part.size}-")
            request.add_header("If-Range", validator)
        try:
            response = self._opener.open(request, timeout=self._network.timeout_s)
        except HTTPError as error:
            with error:
                if error.code == 416 and self._is_whole(error.headers):
                    return
                raise self._refusal(error) from error
        except PoseActError:
            raise  # our own, of a redirect
        except (ValueError, http.client.InvalidURL) as error:
            raise SourceError(
                f"{plain(self._url)}: it or what it redirects to, or the proxy, is no address: "
                f"{plain(error)}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
                raise SourceError(
                    f"{plain(self._url)}: {reason(error)}; a certificate of your own network is "
                    "named with SSL_CERT_FILE"
                ) from error
            raise _TryAgain(f"cannot reach {request.host}: {reason(error)}") from error
        with response:
            self._receive(response)

    def _is_whole(self, headers: Message) -> bool:
        """Whether nothing is left to fetch; if not, what is there is another file's and goes."""
        total = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
        if total and int(total[1]) == self._part.size:
            return True
        self._part.begin(self._url, None)
        return False

    def _refusal(self, error: HTTPError) -> Exception:
        said = f"the server says {error.code} {plain(error.msg or '')}".rstrip()
        if error.code in (408, 416, 425, 429) or error.code >= 500:
            return _TryAgain(said)
        if error.code in (301, 302, 303, 307, 308):  # urllib has had enough of them
            said = f"redirected without end ({error.code})"
        return SourceError(f"{plain(self._url)}: {said}")

    def _receive(self, response: Any) -> None:
        answer = self._understand(response)
        if answer.start == 0:
            self._part.begin(self._url, answer.validator)
        wanted = self._size_bytes
        if wanted is not None and answer.total is not None and wanted != answer.total:
            raise SourceError(
                f"{plain(self._url)}: expected a file of {wanted} bytes, the server announces "
                f"{answer.total}: it is another one"
            )
        self._part.expect_room((answer.total or 0) - self._part.size)
        try:
            self._copy(response, answer)
        except PoseActError:
            raise  # our own, of the disk or the content
        except (OSError, http.client.HTTPException) as error:
            raise _TryAgain(reason(error)) from error
        total = answer.total or wanted or 0
        if self._part.size < total:
            raise _TryAgain(f"the connection was closed after {self._part.size} of {total} bytes")

    def _understand(self, response: Any) -> _Answer:
        headers = response.headers
        tag = headers.get("ETag", "")
        # A weak tag (W/) stands for files that are alike, not for the same bytes.
        validator = tag if tag.startswith('"') else headers.get("Last-Modified")
        if response.status == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
            # Some servers know Range and not If-Range: their file may have changed. A date may be
            # left out of a 206, a tag may not.
            mine = self._part.validator(self._url) or ""
            changed = validator != mine and (validator is not None or mine.startswith('"'))
            if not found or int(found[1]) != self._part.size or changed:
                self._part.begin(self._url, None)
                raise _TryAgain("the server sends a part of another file, or another part")
            total = None if found[2] == "*" else int(found[2])
            return _Answer(start=self._part.size, total=total, validator=validator)
        if response.status != 200:
            raise SourceError(f"{plain(self._url)}: the server says {response.status}, no file")
        return _Answer(start=0, total=response.length, validator=validator)

    def _copy(self, response: Any, answer: _Answer) -> None:
        most = answer.total or self._size_bytes or MOST_BYTES
        window_s, since_s, since_bytes = self._network.timeout_s, time.monotonic(), self._part.size
        fresh = answer.start == 0
        # read1 gives what has come; read would wait in silence for a whole chunk.
        while chunk := response.read1(CHUNK_BYTES):
            if fresh and is_web_page(response.headers, chunk):
                self._part.begin(self._url, None)
                raise SourceError(
                    f"{plain(self._url)}: expected a file, got a web page (a login or a proxy's "
                    "refusal?)"
                )
            fresh = False
            self._part.append(chunk)
            done = self._part.size
            self._watcher.progress(done, answer.total)
            if done > most:
                self._part.begin(self._url, None)
                raise SourceError(f"{plain(self._url)}: expected at most {most} bytes, got more")
            if (now_s := time.monotonic()) - since_s >= window_s:
                if done - since_bytes < window_s * LEAST_BYTES_S:
                    raise TimeoutError
                since_s, since_bytes = now_s, done
