# SPDX-License-Identifier: Apache-2.0
"""What `pull` lets into the models folder: checksums, first downloads, archives, files by hand."""

from __future__ import annotations

import json
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from poseact_engine.errors import SinkError, SourceError
from poseact_engine.zoo.folder import models_folder, read_record
from poseact_engine.zoo.pull import pull
from poseact_engine.zoo.registry import Entry
from tests.file_server import Behaviour, FileServer, serve, status
from tests.zoo_entries import FAST, Notes, archive, checkpoint, made_entry, sha256

DATA = checkpoint()
OTHER = checkpoint(seed=1)
MODEL = b"\x08\x09 an ONNX file"
RECORD = "made.pth.record.json"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def pulled(
    folder: Path, *behaviours: Behaviour, path: str = "/w.pth", **changes: Any
) -> tuple[FileServer, Notes]:
    notes = Notes()
    with FileServer(list(behaviours)) as server:
        pull(made_entry(f"{server.url}{path}", **changes), folder, FAST, notes)
    return server, notes


def refused(folder: Path, *behaviours: Behaviour, words: str, **options: Any) -> str:
    with pytest.raises(SourceError) as caught:
        pulled(folder, *behaviours, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- checksums


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"sha256": sha256(DATA)}, "equals the registry's"),
        ({"name_sha256": sha256(DATA)[:8]}, "equals the digits in its official name"),
        ({}, "recorded: there was nothing to compare it with"),
    ],
)
def test_what_is_known_is_compared_and_all_is_recorded(
    known: dict[str, str], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "models"
    server, notes = pulled(folder, serve(DATA), **known)
    assert (folder / "made.pth").read_bytes() == DATA
    assert said in notes.texts[-1]
    values = json.loads((folder / RECORD).read_text())
    assert values["sha256"] == sha256(DATA)
    assert (values["size_bytes"], values["source"]) == (len(DATA), f"{server.url}/w.pth")
    assert names(folder) == ["made.pth", RECORD]


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"sha256": sha256(DATA)}, f"expected sha256 {sha256(DATA)} (the registry's)"),
        ({"name_sha256": sha256(DATA)[:8]}, f"{sha256(DATA)[:8]} (the digits in its official name"),
    ],
)
def test_a_wrong_file_never_gets_the_name(
    known: dict[str, str], words: str, tmp_path: Path
) -> None:
    text = refused(tmp_path, serve(OTHER), words=words, **known)
    assert f"got {sha256(OTHER)}" in text
    assert names(tmp_path) == []
    server, _ = pulled(tmp_path, serve(DATA), **known)
    assert server.ranges == [None]
    assert (tmp_path / "made.pth").read_bytes() == DATA


def test_a_later_download_must_equal_the_first(tmp_path: Path) -> None:
    pulled(tmp_path, serve(DATA))
    (tmp_path / "made.pth").unlink()
    refused(tmp_path, serve(OTHER), words=f"expected sha256 {sha256(DATA)} (recorded on 20")
    assert names(tmp_path) == [RECORD]
    _, notes = pulled(tmp_path, serve(DATA))
    assert "equals recorded on 20" in notes.texts[-1]


def test_a_length_that_is_announced_too_short_is_caught_by_the_checksum(tmp_path: Path) -> None:
    short = serve(DATA, announce=len(DATA) // 2)
    refused(tmp_path, short, words="expected sha256", name_sha256=sha256(DATA)[:8])
    assert names(tmp_path) == []


def test_what_is_no_checkpoint_is_not_recorded(tmp_path: Path) -> None:
    refused(tmp_path, serve(b"%PDF-1.7 ..."), words="expected a torch checkpoint, got a file that")
    assert names(tmp_path) == []


def test_what_is_there_is_verified_and_not_fetched(tmp_path: Path) -> None:
    pulled(tmp_path, serve(DATA))
    server, _ = pulled(tmp_path, status(404))
    assert server.requests == []
    (tmp_path / "made.pth").write_bytes(OTHER)
    refused(tmp_path, serve(DATA), words=f"delete {tmp_path / 'made.pth'} and pull it again")
    assert (tmp_path / "made.pth").read_bytes() == OTHER


EMPTY_SUM = '{"file": "", "sha256": "", "size_bytes": 1, "source": "", "date": ""}'


@pytest.mark.parametrize("text", ["", "[]", '{"file": "made.pth"}', '{"sha256": 1}', EMPTY_SUM])
def test_a_damaged_record_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text(text)
    refused(tmp_path, serve(DATA), words="delete it to record the file anew")
    assert names(tmp_path) == [RECORD]


# ---------------------------------------------------------------- archives


def zipped(**changes: Any) -> dict[str, Any]:
    return {"path": "/x/made.zip", "file": "made.onnx", "member": "end2end.onnx", **changes}


def test_the_one_file_is_taken_out_of_an_archive(tmp_path: Path) -> None:
    data = archive({"sdk/a/end2end.onnx": MODEL, "sdk/a/deploy.json": b"{}"})
    pulled(tmp_path, serve(data, cut=50), serve(data), **zipped(sha256=sha256(MODEL)))
    assert (tmp_path / "made.onnx").read_bytes() == MODEL
    assert names(tmp_path) == ["made.onnx", "made.onnx.record.json"]


def encrypted() -> bytes:
    """The flag alone; nothing can be read without a password that nobody has."""
    data = bytearray(archive({"end2end.onnx": MODEL}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + offset
        struct.pack_into("<H", data, at, struct.unpack_from("<H", data, at)[0] | 1)
    return bytes(data)


def damaged() -> bytes:
    data = archive({"end2end.onnx": checkpoint(999)})
    return data.replace(data[200:300], bytes(100))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (archive({"readme": b""}), "expected one end2end.onnx in it, got 0"),
        (archive({"a/end2end.onnx": MODEL, "b/end2end.onnx": MODEL}), "got 2 of 15 bytes"),
        (archive({"end2end.onnx": MODEL})[:-30], "expected a zip archive with end2end.onnx"),
        (b"no archive", "expected a zip archive with end2end.onnx"),
        # Recorded, it would be the first download, which all later ones must equal.
        (archive({"end2end.onnx": b"<Error>"}), "expected an ONNX file, got a file that starts"),
        (encrypted(), "is encrypted"),
        (damaged(), "expected a zip archive with end2end.onnx"),
    ],
)
def test_an_archive_of_another_kind_leaves_nothing(data: bytes, words: str, tmp_path: Path) -> None:
    refused(tmp_path, serve(data), words=words, **zipped())
    assert names(tmp_path) == []


def test_an_archive_cannot_write_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    pulled(folder, serve(archive({"../../end2end.onnx": MODEL})), **zipped())
    assert names(tmp_path) == ["models"]
    assert names(folder) == ["made.onnx", "made.onnx.record.json"]


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("entry", "placed", "data", "asked"),
    [
        (made_entry("https://example.org/a/w.pth"), "made.pth", DATA, "get https://example.org/a/"),
        (made_entry(None, manual="open the folder"), "made.pth", DATA, "open the folder, place it"),
        (
            made_entry("https://example.org/a/b.zip", file="made.onnx", member="end2end.onnx"),
            "b.zip",
            archive({"end2end.onnx": MODEL}),
            "get https://example.org/a/b.zip, place it",
        ),
    ],
)
def test_offline_it_is_said_what_to_place_where_and_it_goes_on_from_there(
    entry: Entry, placed: str, data: bytes, asked: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError) as caught:
        pull(entry, tmp_path, None, Notes())
    assert asked in str(caught.value)
    assert f"as {tmp_path / placed} and run the same command again" in str(caught.value)
    (tmp_path / placed).write_bytes(data)
    file = pull(entry, tmp_path, None, Notes())
    assert file.read_bytes() == (MODEL if entry.member else data)
    record = read_record(file)
    assert record is not None
    assert record.sha256 == sha256(file.read_bytes())


def test_a_failed_download_says_where_to_place_the_file(tmp_path: Path) -> None:
    text = refused(tmp_path, status(404), words="404 Not Found; or get http://127.0.0.1")
    assert f"place it as {tmp_path / 'made.pth'} and run the same command again" in text


def test_a_file_by_hand_is_verified(tmp_path: Path) -> None:
    (tmp_path / "made.pth").write_bytes(OTHER)
    with pytest.raises(SourceError, match=r"made\.pth: expected sha256"):
        pull(made_entry(None, sha256=sha256(DATA)), tmp_path, None, Notes())
    assert names(tmp_path) == ["made.pth"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match=r"cannot make the models folder: .*; choose another"):
        pull(made_entry(None), tmp_path / "file" / "models", FAST, Notes())


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"POSEACT_MODELS": "/m"}, "/m"),
        ({"XDG_DATA_HOME": "/x"}, "/x/poseact_engine/models"),
        ({"XDG_DATA_HOME": "x"}, "/home/a/.local/share/poseact_engine/models"),
        ({}, "/home/a/.local/share/poseact_engine/models"),
    ],
)
def test_where_models_are(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("POSEACT_MODELS", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/a")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert models_folder() == Path(expected)
    assert models_folder(Path("here")) == Path("here")


# ---------------------------------------------------------------- two at a time


def test_two_pulls_at_once_fetch_once(tmp_path: Path) -> None:
    notes = [Notes(), Notes()]
    with FileServer([serve(DATA, chunk=60_000, pause_s=0.1)]) as server:
        entry = made_entry(f"{server.url}/w.pth")
        threads = [
            threading.Thread(target=pull, args=(entry, tmp_path, FAST, told)) for told in notes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.requests) == 1
    assert (tmp_path / "made.pth").read_bytes() == DATA
    assert names(tmp_path) == ["made.pth", RECORD]
    assert [t.texts[0] for t in notes if len(t.texts) == 2] == ["waiting: another pull fetches it"]
