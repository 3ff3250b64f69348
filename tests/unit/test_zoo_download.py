# SPDX-License-Identifier: Apache-2.0
"""Downloads from a local server that misbehaves: what lands on disk, what is asked and said."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from poseact_engine.errors import PoseActError
from poseact_engine.zoo.download import download
from poseact_engine.zoo.http import Network
from poseact_engine.zoo.part import Part
from tests.file_server import Behaviour, FileServer, chunked, raw, serve, silence, status
from tests.zoo_entries import FAST, Notes, checkpoint

DATA = checkpoint()
OTHER = checkpoint(seed=1)
HALF = len(DATA) // 2


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def fetch(
    url: str, folder: Path, *, network: Network = FAST, size_bytes: int | None = None
) -> Notes:
    notes = Notes()
    with Part(folder / "w.pth", on_wait=lambda: notes.note("waiting")) as part:
        download(url, part, network, notes, size_bytes=size_bytes)
        part.finish()
    return notes


def refused(
    url: str, folder: Path, *words: str, network: Network = FAST, size_bytes: int | None = None
) -> str:
    """The error's text; one line, and nothing has got the file's name."""
    with pytest.raises(PoseActError) as caught:
        fetch(url, folder, network=network, size_bytes=size_bytes)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text
    assert not (folder / "w.pth").exists()
    return text


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# ---------------------------------------------------------------- what works


@pytest.mark.parametrize(
    "behaviour",
    [
        serve(DATA),
        serve(DATA, tag=None),
        chunked(DATA, whole=True),
        serve(DATA, chunk=60_000, pause_s=0.15),
    ],
    ids=["good", "without a validator", "without a length", "slow, longer than the timeout"],
)
def test_a_file_arrives_whole_and_alone(behaviour: Behaviour, tmp_path: Path) -> None:
    with FileServer([behaviour]) as server:
        notes = fetch(f"{server.url}/w", tmp_path)
        assert len(server.requests) == 1
    assert (tmp_path / "w.pth").read_bytes() == DATA
    assert names(tmp_path) == ["w.pth"]
    assert notes.steps[-1][0] == len(DATA)
    assert notes.texts == []


def test_a_dropped_connection_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    with FileServer([serve(DATA, cut=HALF), serve(DATA)]) as server:
        notes = fetch(f"{server.url}/w", tmp_path)
        assert server.ranges == [None, f"bytes={HALF}-"]
        assert server.requests[1].headers["if-range"] == '"one"'
    assert (tmp_path / "w.pth").read_bytes() == DATA
    assert notes.texts == [
        f"the connection was closed after {HALF} of {len(DATA)} bytes; trying again in 0.0 s"
    ]


def test_a_broken_download_goes_on_in_the_next_call(tmp_path: Path) -> None:
    once = Network(timeout_s=0.5, retries=0)
    with FileServer([serve(DATA, cut=HALF), serve(DATA)]) as server:
        refused(f"{server.url}/w", tmp_path, "after 1 tries", "0.1 MB are kept", network=once)
        assert (tmp_path / "w.pth.part").read_bytes() == DATA[:HALF]
        fetch(f"{server.url}/w", tmp_path, network=once)
        assert server.ranges == [None, f"bytes={HALF}-"]
    assert (tmp_path / "w.pth").read_bytes() == DATA
    assert names(tmp_path) == ["w.pth"]


def test_the_last_byte_may_be_there_already(tmp_path: Path) -> None:
    with FileServer([serve(DATA, announce=len(DATA) + 1), serve(DATA)]) as server:
        fetch(f"{server.url}/w", tmp_path)  # 416 answers the second request: nothing is left
        assert server.ranges == [None, f"bytes={len(DATA)}-"]
    assert (tmp_path / "w.pth").read_bytes() == DATA


@pytest.mark.parametrize(
    "second",
    [
        serve(DATA, ranges=False),
        serve(DATA, tag=None, ranges=False),
        chunked(DATA, whole=True),
    ],
    ids=["ignores Range", "has no validator", "has no length"],
)
def test_a_server_without_ranges_sends_all_again(second: Behaviour, tmp_path: Path) -> None:
    with FileServer([serve(DATA, cut=HALF), second]) as server:
        fetch(f"{server.url}/w", tmp_path)
    assert (tmp_path / "w.pth").read_bytes() == DATA


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_nothing_is_spliced_without_a_validator(tag: str | None, tmp_path: Path) -> None:
    with FileServer([serve(DATA, tag=tag, cut=HALF), serve(DATA, tag=tag)]) as server:
        fetch(f"{server.url}/w", tmp_path)
        assert server.ranges == [None, None]
    assert (tmp_path / "w.pth").read_bytes() == DATA


@pytest.mark.parametrize(
    ("if_range", "part_tag"),
    [(True, True), (False, True), (False, False)],
    ids=["knows If-Range", "ignores If-Range", "and says no tag"],
)
def test_a_file_that_changed_meanwhile_is_fetched_anew(
    if_range: bool, part_tag: bool, tmp_path: Path
) -> None:
    changed = serve(OTHER, tag='"two"', if_range=if_range, part_tag=part_tag)
    with FileServer([serve(DATA, cut=HALF), changed]) as server:
        fetch(f"{server.url}/w", tmp_path)
        assert server.ranges[1] == f"bytes={HALF}-"
        assert len(server.requests) == (2 if if_range else 3)
    assert (tmp_path / "w.pth").read_bytes() == OTHER


def test_a_part_of_another_address_is_not_gone_on_with(tmp_path: Path) -> None:
    once = Network(timeout_s=0.5, retries=0)
    with FileServer([serve(DATA, cut=HALF), serve(OTHER)]) as server:
        refused(f"{server.url}/w", tmp_path, network=once)
        fetch(f"{server.url}/other", tmp_path)
        assert server.ranges == [None, None]
    assert (tmp_path / "w.pth").read_bytes() == OTHER


def test_a_redirect_is_followed_with_the_range(tmp_path: Path) -> None:
    away = status(302, to="/far")
    with FileServer([away, serve(DATA, cut=HALF), away, serve(DATA)]) as server:
        fetch(f"{server.url}/near", tmp_path)
        assert [r.path for r in server.requests] == ["/near", "/far", "/near", "/far"]
        assert server.ranges == [None, None, f"bytes={HALF}-", f"bytes={HALF}-"]
    assert (tmp_path / "w.pth").read_bytes() == DATA


def test_a_server_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    with FileServer([status(503), status(429), serve(DATA)]) as server:
        notes = fetch(f"{server.url}/w", tmp_path)
    assert (tmp_path / "w.pth").read_bytes() == DATA
    assert [t.partition(";")[0] for t in notes.texts] == [
        "the server says 503 Service Unavailable",
        "the server says 429 Too Many Requests",
    ]


def test_progress_earns_new_tries(tmp_path: Path) -> None:
    """Four drops with one retry each: every try brings more than a megabyte."""
    long = checkpoint(6_000_000)
    network = Network(timeout_s=0.5, retries=1, pause_s=0.01)
    with FileServer([*[serve(long, cut=1_300_000)] * 4, serve(long)]) as server:
        fetch(f"{server.url}/w", tmp_path, network=network)
        assert server.ranges == [None, *(f"bytes={i * 1_300_000}-" for i in range(1, 5))]
    assert (tmp_path / "w.pth").read_bytes() == long


# ---------------------------------------------------------------- what does not


def test_starting_anew_is_no_progress(tmp_path: Path) -> None:
    """A server without ranges that hangs up earlier and later in turn must not go on for ever."""
    long = checkpoint(6_000_000)
    turns = [serve(long, cut=megabytes * 1_000_000, ranges=False) for megabytes in (4, 1)]
    with FileServer(turns * 10) as server:
        refused(f"{server.url}/w", tmp_path, "closed after 1000000 of 6000000 bytes, after 4 tries")
        assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("behaviour", "asked", "words"),
    [
        (status(404), 1, ("/w: the server says 404 Not Found",)),
        (status(403), 1, ("403 Forbidden",)),
        (status(500), 4, ("500 Internal Server Error, after 4 tries",)),
        (status(204), 1, ("the server says 204, no file",)),
        (serve(DATA, announce=9, kind="text/html"), 1, ("got a web page",)),
        (serve(b"\n <!DOCTYPE html><p>Log in"), 1, ("got a web page",)),
        (serve(DATA, cut=0), 4, ("closed after 0 of 300000 bytes, after 4 tries",)),
        (chunked(DATA, whole=False), 4, ("the connection was closed before the end",)),
        (silence(1.0), 4, ("cannot reach 127.0.0.1", "no answer in time, after 4 tries")),
        (silence(1.0, after=DATA[:9]), 4, ("no answer in time, after 4 tries",)),
        (serve(DATA, chunk=1, pause_s=0.02), 4, ("no answer in time, after 4 tries",)),
        (status(302, to="file:///etc/passwd"), 1, ("to file:///etc/passwd, which is not",)),
        (status(302, to="ftp://127.0.0.1/w"), 1, ("redirected to ftp://127.0.0.1/w",)),
        (status(302, to="http://[1/w"), 1, ("is no address: Invalid IPv6 URL",)),
        (status(302, to="http://h:port/w"), 1, ("is no address: nonnumeric port",)),
        (raw(b"\x1b[2J no HTTP\r\n\r\n"), 4, (": ?[2J no HTTP, after 4 tries",)),
        (raw(b""), 4, ("cannot reach 127.0.0.1", "Remote end closed")),
    ],
)  # fmt: skip
def test_every_fault_ends_with_one_line(
    behaviour: Behaviour, asked: int, words: tuple[str, ...], tmp_path: Path
) -> None:
    with FileServer([behaviour]) as server:
        start_s = time.monotonic()
        refused(f"{server.url}/w", tmp_path, *words)
        assert time.monotonic() - start_s < 6
        assert len(server.requests) == asked


def test_redirects_without_end_are_left(tmp_path: Path) -> None:
    with FileServer([status(302, to="/w")]) as server:
        refused(f"{server.url}/w", tmp_path, "redirected without end (302)")
        assert len(server.requests) <= 11


def test_what_was_no_file_leaves_nothing_behind(tmp_path: Path) -> None:
    with FileServer([serve(DATA, kind="text/html")]) as server:
        refused(f"{server.url}/w", tmp_path, "web page")
    assert names(tmp_path) == []


@pytest.mark.parametrize("announce", [HALF, 2 * len(DATA)], ids=["too short", "too long"])
def test_another_length_than_the_known_one_is_refused_at_once(
    announce: int, tmp_path: Path
) -> None:
    with FileServer([serve(DATA, announce=announce)]) as server:
        words = f"expected a file of {len(DATA)} bytes, the server announces {announce}"
        refused(f"{server.url}/w", tmp_path, words, size_bytes=len(DATA))
        assert len(server.requests) == 1


def test_a_length_that_is_never_reached_ends(tmp_path: Path) -> None:
    lie = serve(DATA, announce=2 * len(DATA), ranges=False)
    with FileServer([lie]) as server:
        refused(f"{server.url}/w", tmp_path, "closed after 300000 of 600000 bytes, after 4 tries")
        assert len(server.requests) == 4


def test_a_body_without_end_is_cut(tmp_path: Path) -> None:
    with FileServer([chunked(DATA + DATA, whole=True)]) as server:
        refused(f"{server.url}/w", tmp_path, "at most 300000 bytes, got more", size_bytes=len(DATA))
    assert names(tmp_path) == []


def test_nobody_listens(tmp_path: Path) -> None:
    with FileServer([status(404)]) as server:
        url = server.url
    refused(f"{url}/w", tmp_path, "cannot reach 127.0.0.1", "Connection refused, after 4 tries")
    assert names(tmp_path) == []
