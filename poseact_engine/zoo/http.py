# SPDX-License-Identifier: Apache-2.0
"""How a URL is reached: mirror, proxy, redirects; and what is said when it is not."""

from __future__ import annotations

import http.client
import re
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import IO, Any
from urllib.error import URLError
from urllib.parse import SplitResult, urljoin, urlsplit

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.version import __version__

SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How files are fetched."""

    mirror: str | None = None
    """Stands in for scheme and host of every URL; may end in a path."""
    proxy: str | None = None
    """``http://[user:password@]host:port``. None: ``http_proxy``, ``https_proxy``; ``no_proxy`` is
    obeyed in both cases."""
    timeout_s: float = 30.0
    """Longest silence of a server; also the time over which it must send `LEAST_BYTES_S`."""
    retries: int = 5
    """Tries after the first that in a row bring nothing new."""
    pause_s: float = 0.5
    """Before the first retry; doubles with each."""

    def __post_init__(self) -> None:
        if self.mirror is not None:
            parts = _split("--mirror", self.mirror)
            ok = parts.scheme in SCHEMES and parts.hostname and not parts.query + parts.fragment
            if not ok or "@" in parts.netloc:
                raise ConfigError(
                    "--mirror: expected http[s]://HOST[/PATH] without a login, "
                    f"got {plain(self.mirror)!r}"
                )
        if self.proxy is not None:
            parts = _split("--proxy", self.proxy)
            if parts.scheme != "http" or not parts.hostname:
                raise ConfigError(
                    f"--proxy: expected http://[USER:PASSWORD@]HOST:PORT, got {plain(self.proxy)!r}"
                )


def _split(option: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # checked when read
    except ValueError as error:  # whose text may hold a part of a password
        raise ConfigError(
            f"{option}: expected an address such as http://HOST:PORT, got {plain(url)!r}"
        ) from error
    return parts


def plain(text: object) -> str:
    """Text for people: one line, logins left out, nothing that a terminal would obey."""
    quiet = re.sub(r"[^\s/'\"]+@", "***@", re.sub(r"//\S*@", "//***@", str(text)))
    return "".join(c if c.isprintable() else "?" for c in " ".join(quiet.split()))


def mirrored(url: str, mirror: str | None) -> str:
    """The URL with scheme and host of the mirror, behind the mirror's path."""
    if mirror is None:
        return url
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{mirror.rstrip('/')}{parts.path}{query}"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows http(s) alone, and never from https to http."""

    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        try:
            target = urljoin(req.full_url, headers.get("Location", ""))
            scheme = urlsplit(target).scheme
            if scheme not in SCHEMES or (req.type == "https" and scheme != "https"):
                raise SourceError(
                    f"{plain(req.full_url)}: redirected to {plain(target)}, which is not followed: "
                    f"expected {req.type}"
                )
            return super().http_error_302(req, fp, code, msg, headers)
        except (ValueError, SourceError):  # urllib closes it in all other cases
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def make_opener(network: Network) -> urllib.request.OpenerDirector:
    """No scheme but http(s) has a handler in it, so no file is ever read through a redirect."""
    chosen = network.proxy
    proxies = None if chosen is None else dict.fromkeys(SCHEMES, chosen)
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [
        ("User-Agent", f"poseact_engine/{__version__}"),
        ("Accept-Encoding", "identity"),  # a packed body would change length and checksum
    ]
    return opener


def reason(error: BaseException) -> str:
    """Why a connection failed, in one line."""
    inner: Any = error.reason if isinstance(error, URLError) else error
    if isinstance(inner, TimeoutError):
        return "no answer in time"
    if isinstance(inner, http.client.IncompleteRead):
        return "the connection was closed before the end"
    return plain(getattr(inner, "strerror", None) or inner) or type(inner).__name__


def is_web_page(headers: Message, head: bytes) -> bool:
    """Whether an answer is a page to read (a login, a proxy's refusal) instead of a file."""
    start = head[:256].lstrip().lower()
    named = headers.get_content_type() in ("text/html", "application/xhtml+xml")
    return named or start.startswith((b"<!doctype html", b"<html"))
