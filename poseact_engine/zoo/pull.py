# SPDX-License-Identifier: Apache-2.0
"""From a registry entry to a verified file of weights in the models folder."""

from __future__ import annotations

import datetime as dt
import os
import zipfile
import zlib
from pathlib import Path

from poseact_engine.errors import PoseActError, SinkError, SourceError
from poseact_engine.zoo.download import MOST_BYTES, Watcher, download
from poseact_engine.zoo.folder import (
    CHUNK_BYTES,
    Record,
    make_folder,
    read_record,
    verify,
    write_record,
)
from poseact_engine.zoo.http import Network, mirrored, plain
from poseact_engine.zoo.part import Part
from poseact_engine.zoo.registry import Entry

BY_HAND = "placed by hand"
# torch.save has written a zip archive since 1.6, a pickle of protocol 2 before.
CHECKPOINT_STARTS = (b"PK\x03\x04", b"\x80\x02")
# ONNX files start with their first field, the IR version: protobuf's tag of field 1, a varint.
ONNX_STARTS = (b"\x08",)


def pull(entry: Entry, folder: Path, network: Network | None, watcher: Watcher) -> Path:
    """The entry's weights in ``folder``, fetched unless they are there; verified in any case.

    ``network`` None: nothing is fetched. Raises SourceError (not to be had, or not what it should
    be), SinkError (disk). Nothing that was not verified gets the file's name.
    """
    make_folder(folder)
    file = folder / entry.file
    record = read_record(file)
    if not file.exists():
        if entry.member is not None and (folder / entry.transfer_file).exists():
            _unpack(entry, folder / entry.transfer_file, file)
        elif network is not None and entry.url is not None:
            _fetch(entry, folder, network, watcher)
        else:
            raise _absent(entry, folder, offline=network is None)
    try:
        sha256, equal = verify(entry, file, record)
    except SourceError as error:
        raise SourceError(f"{error}; delete {file} and pull it again") from error
    _remember(file, sha256, BY_HAND)
    what = f"equals {equal}" if equal else "recorded: there was nothing to compare it with"
    watcher.note(f"{file}: sha256 {sha256[:12]}... {what}")
    return file


def _absent(entry: Entry, folder: Path, *, offline: bool) -> SourceError:
    why = "nothing is fetched with --offline" if offline else "there is no plain link to it"
    return SourceError(
        f"{entry.name}: expected {folder / entry.transfer_file}, which is not there, and {why}; "
        f"{_how(entry, folder)}"
    )


def _how(entry: Entry, folder: Path) -> str:
    where = entry.manual or f"get {entry.url}"
    return f"{where}, place it as {folder / entry.transfer_file} and run the same command again"


def _fetch(entry: Entry, folder: Path, network: Network, watcher: Watcher) -> None:
    file, transfer = folder / entry.file, folder / entry.transfer_file
    url = mirrored(entry.url or "", network.mirror)
    with Part(transfer, on_wait=lambda: watcher.note("waiting: another pull fetches it")) as part:
        if file.exists():
            return
        try:
            download(url, part, network, watcher, size_bytes=entry.size_bytes)
        except SourceError as error:
            raise SourceError(f"{entry.name}: {error}; or {_how(entry, folder)}") from error
        try:
            if entry.member is not None:
                _unpack(entry, part.path, file)
                part.discard()
            else:
                _expect_start(entry, part.path)
                sha256, _ = verify(entry, part.path, read_record(file))
                part.finish()
                _remember(file, sha256, url)
        except SourceError:
            part.discard()  # another try must not go on from it
            raise


def _expect_start(entry: Entry, path: Path) -> None:
    """Raises SourceError for what no weights start with: it must not be recorded as the first."""
    is_onnx = entry.file.endswith(".onnx")
    with path.open("rb") as file:
        start = file.read(4)
    if not start.startswith(ONNX_STARTS if is_onnx else CHECKPOINT_STARTS):
        kind = "an ONNX file" if is_onnx else "a torch checkpoint"
        raise SourceError(f"{entry.file}: expected {kind}, got a file that starts {start!r}")


def _unpack(entry: Entry, archive: Path, file: Path) -> None:
    """Takes the one member out, whatever folder it lies in, and gives it its name once verified."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        _extract(entry, archive, temporary)
        _expect_start(entry, temporary)
        sha256, _ = verify(entry, temporary, read_record(file))
        temporary.replace(file)
    except PoseActError:
        raise  # before the next line: it is a RuntimeError, too
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise SourceError(
            f"{entry.transfer_file}: expected a zip archive with {entry.member}, got a damaged or "
            f"a foreign one: {error}"
        ) from error
    except OSError as error:
        raise SinkError(f"{file}: cannot unpack it: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    _remember(file, sha256, entry.url or BY_HAND)


def _extract(entry: Entry, archive: Path, to: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        found = [i for i in opened.infolist() if Path(i.filename).name == entry.member]
        if len(found) != 1 or found[0].file_size > MOST_BYTES:
            raise SourceError(
                f"{entry.transfer_file}: expected one {entry.member} in it, got {len(found)}"
                + "".join(f" of {i.file_size} bytes" for i in found[:1])
            )
        with opened.open(found[0]) as member, to.open("wb") as out:
            while chunk := member.read(CHUNK_BYTES):  # checks the CRC at its end
                out.write(chunk)


def _remember(file: Path, sha256: str, source: str) -> None:
    if read_record(file) is not None:
        return
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    size = file.stat().st_size
    record = Record(file=file.name, sha256=sha256, size_bytes=size, source=plain(source), date=now)
    write_record(file, record)
