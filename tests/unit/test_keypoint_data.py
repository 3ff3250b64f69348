# SPDX-License-Identifier: Apache-2.0
"""Keypoint files: what is written and read, and what is refused."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseact_engine.errors import ConfigError, SinkError, SourceError
from poseact_engine.files import file_sha256
from poseact_engine.training.keypoints import (
    PoseSequence,
    exclude_sequences,
    read_sequences,
)
from poseact_engine.training.keypoints import (
    write_sequences as write_keypoints,
)
from tests.poses import make_sequence, write_sequences


def test_what_was_written_is_read(tmp_path: Path) -> None:
    arrays = write_sequences(tmp_path / "a.npz", takes=1)
    sequences = read_sequences([tmp_path / "a.npz"])
    assert [s.name for s in sequences] == sorted({k.rsplit("/", 1)[0] for k in arrays})
    first = sequences[0]
    assert (first.name, first.source, first.size) == ("made/carrying-0", "made", (640, 480))
    np.testing.assert_array_equal(first.keypoints_px, arrays["made/carrying-0/keypoints"])
    np.testing.assert_array_equal(first.labels, 0)
    assert len(file_sha256(tmp_path / "a.npz")) == 64


def test_what_we_write_is_what_numpy_and_we_read(tmp_path: Path) -> None:
    origin = {"clip": "Flur 3, Übung", "camera": "c1", "subject": None}
    one = replace(make_sequence([0.1, 0.2, 0.4], [-2, -1, 5]), **origin)  # type: ignore[arg-type]
    other = make_sequence([0.0], 0, name="made/clip")  # called like a field
    path = tmp_path / "a.npz"
    write_keypoints(path, iter([one, other]))
    first = path.read_bytes()
    write_keypoints(path, [one, other])
    assert path.read_bytes() == first
    with np.load(path) as archive:
        assert str(archive["made/one/clip"]) == origin["clip"]
        assert "made/one/subject" not in archive
        np.testing.assert_array_equal(archive["made/one/labels"], np.array([-2, -1, 5], np.int8))
    for found, written in zip(read_sequences([path]), [other, one], strict=True):
        for field in fields(PoseSequence):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(written, field.name))


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    good = make_sequence([0.0, 0.1], 0)
    wrong = (
        ([], "a sequence or more"),
        ([good, good], "'made/one' twice"),
        ([replace(good, labels=good.labels - np.int8(4))], "labels from -3 to 5"),
        ([replace(good, times_s=good.times_s[::-1])], "strictly increasing"),
        ([replace(good, camera="")], "expected camera to be a text"),
        ([replace(good, name="a\udcff")], "expected a printable name"),
        ([replace(good, size=(2**40, 9))], "a width and height that can be, got .1099511627776"),
        ([replace(good, times_s=good.times_s * 1e15)], "in seconds, got some beyond 1e\\+12"),
    )
    for sequences, message in wrong:
        with pytest.raises(ConfigError, match=message):
            write_keypoints(path, sequences)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SinkError, match="cannot be written"):
        write_keypoints(tmp_path / "gone" / "a.npz", [good])


@pytest.mark.parametrize("origin", [np.array(3), np.array(["a"]), np.array(""), np.array(b"a")])
def test_an_origin_that_is_no_text_is_named(tmp_path: Path, origin: Any) -> None:
    arrays = write_sequences(tmp_path / "good.npz", takes=1)
    np.savez(tmp_path / "bad.npz", **arrays, **{"made/walking-0/subject": origin})
    with pytest.raises(SourceError, match="walking-0': expected subject to be a text"):
        read_sequences([tmp_path / "bad.npz"])


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("labels", None, "array made/walking-0/labels, it is missing"),
        ("labels", lambda a: a.astype(np.int64), "expected labels int8 .* got int64"),
        ("labels", lambda a: a + np.int8(6), "expected labels from -3 to 5, got"),
        ("labels", lambda a: a[:, None], "expected keypoints float32"),
        (
            "keypoints",
            lambda a: a[:, :16],
            r"float32 \[45, 17, 3\], got float32",
        ),
        ("keypoints", lambda a: a.astype(np.float64), "got float64"),
        ("keypoints", lambda a: a * np.nan, "keypoints must be finite"),
        ("keypoints", lambda a: -a, "scores of 0 or more"),
        ("times_s", lambda a: a[:-1], r"expected times_s float64 \[45\], got float64 \[44\]"),
        ("times_s", lambda a: a[::-1].copy(), "strictly increasing"),
        ("times_s", lambda a: a * np.inf, "must be finite"),
        ("size", lambda a: a * np.int32(0), "width and height of 1 or more"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_wrong_sequence_is_named(tmp_path: Path, field: str, change: Any, message: str) -> None:
    arrays = write_sequences(tmp_path / "good.npz", takes=1)
    key = f"made/walking-0/{field}"
    if change is None:
        del arrays[key]
    else:
        arrays[key] = change(arrays[key])
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(SourceError, match=message) as error:
        read_sequences([tmp_path / "bad.npz"])
    assert "bad.npz, sequence 'made/walking-0'" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_nobody_is_told_to_load_it_unsafely(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="got a file that is none") as error:
        read_sequences([path])
    assert "pickle" not in str(error.value)
    with pytest.raises(SourceError, match="cannot read it: Is a directory"):
        read_sequences([tmp_path])


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_keypoint_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=re.escape(str(path))):
        read_sequences([path])


def test_damaged_files_are_refused_whatever_is_damaged(tmp_path: Path) -> None:
    path, rng = tmp_path / "x.npz", np.random.default_rng(0)
    arrays = write_sequences(path, takes=1)
    one = {key: value for key, value in arrays.items() if "walking" in key}
    np.savez_compressed(path, **one)
    whole, refused = np.frombuffer(path.read_bytes(), np.uint8), 0
    for _ in range(300):
        damaged = whole.copy()
        damaged[rng.integers(len(whole), size=3)] = rng.integers(256, size=3)
        path.write_bytes(damaged.tobytes())
        try:
            read_sequences([path])
        except SourceError:
            refused += 1
    assert refused > 150


def test_an_array_that_nobody_knows_is_named(tmp_path: Path) -> None:
    """A slip that would else part what belongs together."""
    arrays = write_sequences(tmp_path / "a.npz", takes=1)
    np.savez(tmp_path / "a.npz", **arrays, **{"made/walking-0/subjekt": np.array("P7")})
    with pytest.raises(SourceError, match="NAME/subject, got 'made/walking-0/subjekt'"):
        read_sequences([tmp_path / "a.npz"])


def test_a_lone_array_an_empty_archive_and_no_file_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "none.npz")
    for name, message in (("one.npy", "npz"), ("none.npz", "no sequence"), ("gone", "no such")):
        with pytest.raises(SourceError, match=message):
            read_sequences([tmp_path / name])


def test_two_files_must_not_share_a_sequence(tmp_path: Path) -> None:
    write_sequences(tmp_path / "a.npz", takes=1)
    write_sequences(tmp_path / "b.npz", takes=1, source="other")
    assert len(read_sequences([tmp_path / "a.npz", tmp_path / "b.npz"])) == 12
    with pytest.raises(ConfigError, match="in two files"):
        read_sequences([tmp_path / "a.npz", tmp_path / "a.npz"])


def test_excluding_leaves_out_what_matches_and_refuses_what_matches_nothing() -> None:
    names = ["urfd/fall-01", "urfd/fall-02", "urfd/adl-01"]
    sequences = [make_sequence([0.0], 0, name=n) for n in names]
    left = exclude_sequences(sequences, ["urfd/fall-*", "urfd/fall-01"])
    assert [s.name for s in left] == ["urfd/adl-01"]
    with pytest.raises(ConfigError, match=r"'urfd/fal-01' matches none of 3.*urfd/fall-01"):
        exclude_sequences(sequences, ["urfd/fal-01"])
