# SPDX-License-Identifier: Apache-2.0
"""Pickles: what is plain is read as pickle reads it, and nothing that one asks for is run."""

from __future__ import annotations

import collections
import datetime as dt
import io
import os
import pickle
import pickletools
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseact_engine.errors import SourceError
from poseact_engine.training.foreign import safe_pickle
from poseact_engine.training.foreign.safe_pickle import Array, load_pickle
from tests.foreign_keypoints import write_pickle


class Asks:
    """Pickled, it calls ``function`` when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def plain(value: Any) -> Any:
    """With real arrays."""
    if isinstance(value, Array):
        return value.value
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(v) for v in value)
    return value


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_and_arrays_are_what_pickle_reads(tmp_path: Path, protocol: int) -> None:
    rng = np.random.default_rng(0)
    shared = [1, 2]
    content = {
        "text": "é", "bytes": b"\x00\xff", "numbers": (1, -(2**70), 0.5, True, None),
        "sets": [{1, 2}, frozenset("ab")], "ordered": collections.OrderedDict(a=shared, b=shared),
        "c": rng.normal(size=(2, 3, 4)).astype(np.float16),
        "fortran": np.asfortranarray(rng.normal(size=(3, 5))),
        "strided": rng.integers(0, 9, (6, 4))[::2, 1:],
        "big": np.arange(4, dtype=">i2"), "flags": np.array([True, False]),
        "empty": np.zeros((2, 0, 3), np.float32), "none": np.array(3.5),
        "scalars": [np.float32(1.5), np.int64(7), np.bool_(True)],
    }  # fmt: skip
    found = plain(load_pickle(write_pickle(tmp_path / "a.pkl", content, protocol)))
    assert list(found) == list(content)
    for name, value in content.items():
        if isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype
            np.testing.assert_array_equal(found[name], value, err_msg=name)
        else:
            assert found[name] == value, name
    assert found["ordered"]["a"] is not None


def test_nothing_that_a_pickle_asks_for_is_run(tmp_path: Path) -> None:
    told = tmp_path / "it-ran"
    path = tmp_path / "evil.pkl"
    attacks = {
        r"posix\.system": Asks(os.system, f"touch {told}"),
        r"builtin(s|__)\.eval": Asks(eval, f"open({str(told)!r}, 'w')"),
        r"builtin(s|__)\.exec": Asks(exec, f"open({str(told)!r}, 'w')"),
        r"builtin(s|__)\.getattr": Asks(getattr, os, "system"),
        r"io\.open": Asks(open, str(told), "w"),
        r"numpy.*\.frombuffer|numpy.*\.fromfile": Asks(np.frombuffer, b"12345678"),
        r"datetime\.date": dt.date(2025, 1, 1),
        r"collections\.defaultdict": collections.defaultdict(list),
    }
    for name, attack in attacks.items():
        for protocol in range(6):
            for content in (attack, {"annotations": [{"keypoint": attack}]}):
                try:
                    write_pickle(path, content, protocol)
                except (pickle.PicklingError, TypeError):
                    continue
                with pytest.raises(SourceError, match=name) as error:
                    load_pickle(path)
                assert "\n" not in str(error.value)
                assert "is refused" in str(error.value)
    assert not told.exists()
    pickle.loads(pickle.dumps(Asks(open, str(told), "w"))).close()  # the attacks are real
    assert told.exists()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", r"os\.system"),
        (b"(S'true'\nios\nsystem\n.", r"os\.system"),
        (b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", r"posix\.system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.", r"numpy\.ndarray\.__init__"),
        (b"\x80\x02\x82\x01.", "malformed"),  # a code of copyreg's registry
        (
            b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00xX\x04\x00\x00\x00zlib\x86R.",
            "encoding 'zlib'",
        ),
        (b"Pelsewhere\n.", "outside of it, 'elsewhere'"),
        # Setting attributes of what may be called, in both ways that pickles have.
        (b"\x80\x02cnumpy\ndtype\n}X\x05\x00\x00\x00_makeNsb.", "change of a function"),
        (b"\x80\x02cbuiltins\nset\nN}X\x05\x00\x00\x00_makeNs\x86b.", "change of a function"),
        # Instances of what is no class.
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "malformed"),
    ],
)
def test_hand_written_attacks(tmp_path: Path, code: bytes, message: str) -> None:
    pickletools.dis(code, out=io.StringIO())  # each is a pickle
    path = tmp_path / "evil.pkl"
    path.write_bytes(code)
    before = dict(vars(safe_pickle))
    with pytest.raises(SourceError, match=message):
        load_pickle(path)
    assert dict(vars(safe_pickle)) == before


class Forged:
    """An array whose pickled state is what it is told."""

    def __init__(self, *state: Any) -> None:
        self.state = state

    def __reduce__(self) -> Any:
        from numpy._core.multiarray import _reconstruct  # type: ignore[attr-defined]

        return (_reconstruct, (np.ndarray, (0,), b"b"), self.state)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([{"a": 1}, None]), "type 'O8'"),
        (np.array(["text"]), "type 'U4'"),
        (np.array([1 + 2j]), "type 'c16'"),
        (np.zeros(3, np.dtype([("x", "f4")])), "type 'V4'"),
        (np.array(["2025-01-01"], "M8[D]"), "type 'M8'"),
        (Forged(1, (4,), np.dtype("f8"), False, b"12345678"), "array .4. of 8 bytes"),
        (Forged(1, (-1,), np.dtype("f8"), False, b""), "forged shape"),
        (Forged(1, (2**62, 4), np.dtype("f8"), False, b""), "of 0 bytes"),
        (Forged(1, (True,), np.dtype("f8"), False, b"12345678"), "forged shape"),
        (Forged(1, (1,), "f8", False, b"12345678"), "forged type"),
        (Forged(1, (1,), np.dtype("f8"), False, [1.0]), "forged shape"),
        (Forged(1, (1,)), "malformed"),
    ],
)
def test_forged_arrays_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        load_pickle(write_pickle(tmp_path / "a.pkl", content))


def test_files_that_are_none_or_cut_off(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_pickle(tmp_path / "a.pkl", {"x": np.arange(99.0)})
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:-1], whole[: len(whole) // 2], b"\x80\x63."):
        path.write_bytes(content)
        with pytest.raises(SourceError, match="malformed or cut off"):
            load_pickle(path)
    write_pickle(path, np.arange(99.0), protocol=5)
    path.write_bytes(path.read_bytes()[:300])  # within the numbers
    with pytest.raises(SourceError, match="malformed or cut off"):
        load_pickle(path)
    assert capfd.readouterr().err == ""
    started_s = time.monotonic()
    for forged in (
        b"\x8e" + struct.pack("<Q", 2**62) + b"x.",  # eight exabytes of bytes follow
        b"\x96" + struct.pack("<Q", 2**40) + b"x.",  # a terabyte for a bytearray
        b"Nr" + struct.pack("<I", 2**32 - 1) + b"0.",  # remember object four billion
        b"\x95" + struct.pack("<Q", 2**63) + b"N.",
    ):
        path.write_bytes(b"\x80\x05" + forged)
        with pytest.raises(SourceError, match="malformed or cut off"):
            load_pickle(path)
    assert time.monotonic() - started_s < 5  # nothing was made room for
    with pytest.raises(SourceError, match="no such file"):
        load_pickle(tmp_path / "gone")
    with pytest.raises(SourceError, match="cannot be read"):
        load_pickle(tmp_path)
