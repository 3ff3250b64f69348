# SPDX-License-Identifier: Apache-2.0
"""A local HTTP server that misbehaves as told: one behaviour a request, the last one repeats."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

Handler = http.server.BaseHTTPRequestHandler
Behaviour = Callable[[Handler], None]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class FileServer:
    """Listens on 127.0.0.1 at a free port; ``requests`` is what it was asked, in order."""

    behaviours: list[Behaviour]
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        owner = self
        lock = threading.Lock()

        class _Handler(Handler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                with lock:
                    turn = min(len(owner.requests), len(owner.behaviours) - 1)
                    headers = {k.lower(): v for k, v in self.headers.items()}
                    owner.requests.append(Request(self.command, self.path, headers))
                self.close_connection = True
                # Some tests are about clients that go away.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    owner.behaviours[turn](self)

            do_GET = do_CONNECT = _answer

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def ranges(self) -> list[str | None]:
        return [r.headers.get("range") for r in self.requests]


def serve(
    data: bytes,
    *,
    tag: str | None = '"one"',
    ranges: bool = True,
    if_range: bool = True,
    announce: int | None = None,
    cut: int | None = None,
    part_tag: bool = True,
    kind: str = "application/octet-stream",
    chunk: int | None = None,
    pause_s: float = 0.0,
) -> Behaviour:
    """A good server of one file; or one that announces another length, or hangs up after ``cut``
    bytes, or sends ``chunk`` bytes at a time with a pause in between."""

    def answer(handler: Handler) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        same = not if_range or handler.headers.get("If-Range") in (None, tag)
        start = int(wanted[1]) if wanted and ranges and same else 0
        if start and start >= len(data):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(data)}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        body = data[start:]
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if tag and (part_tag or not start):
            handler.send_header("ETag", tag)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body) if announce is None else announce))
        handler.end_headers()
        body = body[:cut]
        for first in range(0, len(body), chunk or max(len(body), 1)):
            handler.wfile.write(body[first : first + (chunk or len(body))])
            time.sleep(pause_s)

    return answer


def status(code: int, *, to: str | None = None, body: bytes = b"") -> Behaviour:
    """An answer without a file; ``to``: where it redirects."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        if to is not None:
            handler.send_header("Location", to)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def silence(wait_s: float, *, after: bytes | None = None) -> Behaviour:
    """Accepts and says nothing; or starts a file and stops in the middle of it."""

    def answer(handler: Handler) -> None:
        if after is not None:
            handler.send_response(200)
            handler.send_header("Content-Length", str(2 * len(after)))
            handler.end_headers()
            handler.wfile.write(after)
        time.sleep(wait_s)

    return answer


def chunked(data: bytes, *, whole: bool) -> Behaviour:
    """No length at all; without its last chunk the body is broken off."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) + (b"0\r\n\r\n" if whole else b""))

    return answer


def raw(data: bytes) -> Behaviour:
    """Whatever bytes, instead of HTTP."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(data)

    return answer
