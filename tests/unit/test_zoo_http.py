# SPDX-License-Identifier: Apache-2.0
"""How addresses are reached: proxies, mirrors, redirects; logins are kept quiet."""

from __future__ import annotations

import base64
import email.message
import io
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.zoo.download import download
from poseact_engine.zoo.http import Network, make_opener, mirrored
from poseact_engine.zoo.part import Part
from tests.file_server import FileServer, serve, status
from tests.zoo_entries import FAST, Notes, checkpoint

DATA = checkpoint()
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def fetch(url: str, folder: Path, network: Network) -> None:
    with Part(folder / "w.pth", on_wait=lambda: None) as part:
        download(url, part, network, Notes(), size_bytes=None)
        part.finish()


def test_a_proxy_is_asked_for_the_whole_address_and_told_the_login(tmp_path: Path) -> None:
    with FileServer([serve(DATA)]) as server:
        proxy = server.url.replace("//", "//me:se%40cret@")
        network = Network(proxy=proxy, timeout_s=0.5, retries=0)
        fetch("http://weights.invalid/w", tmp_path, network)
        assert server.requests[0].path == "http://weights.invalid/w"
        told = server.requests[0].headers["proxy-authorization"]
    assert told == "Basic " + base64.b64encode(b"me:se@cret").decode()
    assert (tmp_path / "w.pth").read_bytes() == DATA


def test_the_proxy_of_the_environment_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileServer([serve(DATA)]) as server:
        monkeypatch.setenv("http_proxy", server.url)
        fetch("http://weights.invalid/w", tmp_path, FAST)
        assert server.requests[0].path == "http://weights.invalid/w"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_is_named_without_its_login(scheme: str, tmp_path: Path) -> None:
    with FileServer([status(407)]) as server:
        proxy = server.url.replace("//", "//me:secret@")
        network = Network(proxy=proxy, timeout_s=0.5, retries=1, pause_s=0.01)
        with pytest.raises(SourceError, match="407") as caught:
            fetch(f"{scheme}://weights.invalid/w", tmp_path, network)
        assert server.requests[0].method == ("CONNECT" if scheme == "https" else "GET")
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"proxy": "socks5://me:secret@h:1"}, "--proxy: expected http://"),
        ({"proxy": "http://me:secret@h:port"}, "got 'http://***@h:port'"),
        ({"proxy": "http://me:secret/secret@h:1"}, "got 'http://***@h:1'"),
        ({"proxy": "h:3128"}, "--proxy: expected http://"),
        ({"mirror": "ftp://h/"}, "--mirror: expected http"),
        ({"mirror": "file:///w"}, "--mirror: expected http"),
        ({"mirror": "https://me:secret@h/"}, "without a login, got 'https://***@h/'"),
        ({"mirror": "https://"}, "--mirror: expected http"),
        ({"mirror": "https://h/?x=1"}, "--mirror: expected http"),
        ({"mirror": "https://[h/"}, "got 'https://[h/'"),
    ],
)
def test_wrong_addresses_are_refused_and_logins_kept_quiet(
    options: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Network(**options)
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        (None, "https://a.org/b/c.pth?d=e"),
        ("http://m:81", "http://m:81/b/c.pth?d=e"),
        ("https://m/models/", "https://m/models/b/c.pth?d=e"),
    ],
)
def test_a_mirror_stands_in_for_scheme_and_host(mirror: str | None, expected: str) -> None:
    assert mirrored("https://a.org/b/c.pth?d=e", mirror) == expected


@pytest.mark.parametrize(
    ("first", "then", "followed"),
    [("https", "https", True), ("http", "https", True), ("https", "http", False)],
)
def test_https_never_becomes_http(first: str, then: str, followed: bool) -> None:
    opened: list[str] = []
    follow = next(h for h in make_opener(FAST).handlers if hasattr(h, "redirect_request"))
    follow.parent = SimpleNamespace(open=lambda request, **_: opened.append(request.full_url))
    request = urllib.request.Request(f"{first}://weights.invalid/w")
    request.timeout = 1.0
    answer, body = email.message.Message(), io.BytesIO()
    answer["Location"] = target = f"{then}://other.invalid/w"
    if followed:
        follow.http_error_302(request, body, 302, "Found", answer)
        assert opened == [target]
    else:
        with pytest.raises(SourceError, match="not followed: expected https"):
            follow.http_error_302(request, body, 302, "Found", answer)
        assert opened == []
    assert body.closed
