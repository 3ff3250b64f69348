# SPDX-License-Identifier: Apache-2.0
"""Keypoint files: sequences of poses with a label per frame, in one ``.npz``.

Per sequence NAME: ``NAME/keypoints`` float32 ``[N, 17, 3]`` (x, y in pixels, score; all 0 where
nobody was found), ``NAME/labels`` int8 ``[N]`` (index into CLASSES; -1 none or unknown; -2 none of
them and certainly neither falling nor lying; -3 none of them and certainly no fall),
``NAME/times_s`` float64 ``[N]`` (strictly increasing), ``NAME/size`` int32 ``[2]`` (width, height).
Where they are known, text without dimensions: ``NAME/clip`` (the take, the same for all its cameras
and people), ``NAME/camera`` and ``NAME/subject`` (the person). Clips and subjects mean the same in
all files that are used together.
"""

from __future__ import annotations

import difflib
import fnmatch
import io
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, SinkError, SourceError
from poseact_engine.files import write_atomically
from poseact_engine.sinks.base import check_target
from poseact_engine.synthetic.rig import HARMLESS, NO_FALL, UNKNOWN
from poseact_engine.training.paper import CLASSES, JOINTS

__all__ = [
    "HARMLESS",
    "NO_FALL",
    "UNKNOWN",
    "PoseSequence",
    "check_keypoint_target",
    "exclude_sequences",
    "read_sequences",
    "write_sequences",
]

FIELDS = ("keypoints", "labels", "times_s", "size")
ORIGINS = ("clip", "camera", "subject")
LATEST_S = 1e12
"""Times further from 0 are refused: they do not fit into ticks."""
BROKEN = (
    ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error,
    tokenize.TokenError,
)  # fmt: skip
"""What NumPy raises for files that are none or that were damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseSequence:
    """One person, one camera, one take. Frames without a person are all zeros."""

    name: str
    keypoints_px: NDArray[np.float32]
    """float32 ``[N, 17, 3]``: x, y, score."""
    labels: NDArray[np.int8]
    """int8 ``[N]``: index into CLASSES, UNKNOWN (-1), HARMLESS (-2) or NO_FALL (-3)."""
    times_s: NDArray[np.float64]
    """float64 ``[N]``, strictly increasing."""
    size: tuple[int, int]
    """Width and height of the frame in pixels."""
    clip: str | None = None
    """The take: the same for all cameras and people of it."""
    camera: str | None = None
    subject: str | None = None

    @property
    def source(self) -> str:
        """The first part of the name: the data set that it comes from."""
        return self.name.split("/", 1)[0]


def read_sequences(paths: Sequence[Path]) -> list[PoseSequence]:
    """All sequences of all files, by name; SourceError or ConfigError names what is wrong."""
    found: dict[str, PoseSequence] = {}
    for path in paths:
        for sequence in _read_file(path):
            if sequence.name in found:
                raise ConfigError(f"{path}: sequence {sequence.name!r} is in two files")
            found[sequence.name] = sequence
    return [found[name] for name in sorted(found)]


def check_keypoint_target(path: Path, *, overwrite: bool) -> None:
    """Raises ConfigError or SinkError unless a keypoint file can be made at ``path``."""
    if path.suffix != ".npz":
        raise ConfigError(f"--output: expected a keypoint file, NAME.npz, got {path}")
    check_target(path, overwrite=overwrite)


def write_sequences(path: Path, sequences: Iterable[PoseSequence]) -> None:
    """Write a keypoint file, whole or not at all; the same sequences give the same bytes.

    Raises ConfigError for what ``read_sequences`` would refuse, SinkError where it cannot be
    written.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    for sequence in sequences:
        if f"{sequence.name}/keypoints" in arrays:
            raise ConfigError(f"{path}: expected names once each, got {sequence.name!r} twice")
        try:
            arrays |= _as_arrays(sequence)
            _make_sequence(path, sequence.name, arrays)
        except SourceError as error:
            raise ConfigError(str(error)) from None
        except OverflowError:
            raise ConfigError(
                f"{path}, sequence {sequence.name!r}: expected a width and height that can be, "
                f"got {sequence.size}"
            ) from None
    if not arrays:
        raise ConfigError(f"{path}: expected a sequence or more to write, got none")
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # the stub takes the keyword for an option
    try:
        write_atomically(file.getvalue(), path)
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error


def exclude_sequences(
    sequences: Sequence[PoseSequence], patterns: Sequence[str]
) -> list[PoseSequence]:
    """The sequences whose name matches no pattern (``fnmatch``, case-sensitive).

    A pattern that matches nothing is a ConfigError: a slip of the pen would otherwise train a
    model on the very clips it is to be shown on.
    """
    names = [s.name for s in sequences]
    left_out: set[str] = set()
    for pattern in patterns:
        matched = fnmatch.filter(names, pattern)
        if not matched:
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.4) or names[:3]
            raise ConfigError(
                f"--exclude {pattern!r} matches none of {len(names)} sequences;"
                f" names near it: {', '.join(near)}"
            )
        left_out.update(matched)
    return [s for s in sequences if s.name not in left_out]


def _read_file(path: Path) -> list[PoseSequence]:
    try:
        with path.open("rb") as file:  # NumPy leaves a file that it opened itself open on an error
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            arrays = {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise SourceError(f"{path}: no such keypoint file") from None
    except OSError as error:
        raise SourceError(
            f"{path}: expected a NumPy .npz of keypoints, cannot read it: {error.strerror or error}"
        ) from error
    except BROKEN as error:
        # NumPy's own words tell people to load files that they do not trust.
        got = "a single array" if str(error) == "a single array" else "a file that is none"
        raise SourceError(f"{path}: expected a NumPy .npz of keypoints, got {got}") from error
    names = {key.rsplit("/", 1)[0] for key in arrays}
    if not names:
        raise SourceError(f"{path}: holds no sequence")
    known = (*FIELDS, *ORIGINS)
    unknown = [key for key in arrays if key.rsplit("/", 1)[-1] not in known]
    if unknown:  # a slip in "subject" would part what belongs together
        raise SourceError(
            f"{path}: expected arrays named NAME/{', NAME/'.join(known)}, got {unknown[0]!r}"
        )
    return [_make_sequence(path, name, arrays) for name in sorted(names)]


def _as_arrays(s: PoseSequence) -> dict[str, NDArray[np.generic]]:
    arrays: dict[str, NDArray[np.generic]] = {
        "keypoints": s.keypoints_px,
        "labels": s.labels,
        "times_s": s.times_s,
        "size": np.array(s.size, dtype=np.int32),
    }
    origins = {field: getattr(s, field) for field in ORIGINS}
    arrays |= {field: np.array(text) for field, text in origins.items() if text is not None}
    return {f"{s.name}/{field}": array for field, array in arrays.items()}


def _make_sequence(
    path: Path, name: str, arrays: Mapping[str, NDArray[np.generic]]
) -> PoseSequence:
    where = f"{path}, sequence {name!r}"
    for field in FIELDS:
        if f"{name}/{field}" not in arrays:
            raise SourceError(f"{where}: expected the array {name}/{field}, it is missing")
    keypoints, labels, times_s, size = (arrays[f"{name}/{field}"] for field in FIELDS)
    count = len(labels) if labels.ndim == 1 else -1
    expected = (
        ("keypoints", keypoints, np.float32, (count, JOINTS, 3)),
        ("labels", labels, np.int8, (count,)),
        ("times_s", times_s, np.float64, (count,)),
        ("size", size, np.int32, (2,)),
    )
    for field, array, dtype, shape in expected:
        if array.dtype != dtype or array.shape != shape:
            raise SourceError(
                f"{where}: expected {field} {np.dtype(dtype)} {list(shape)},"
                f" got {array.dtype} {list(array.shape)}"
            )
    clip, camera, subject = (
        _origin(where, field, arrays.get(f"{name}/{field}")) for field in ORIGINS
    )
    sequence = PoseSequence(
        name=name,
        keypoints_px=keypoints.astype(np.float32),
        labels=labels.astype(np.int8),
        times_s=times_s.astype(np.float64),
        size=(int(size.astype(int)[0]), int(size.astype(int)[1])),
        clip=clip,
        camera=camera,
        subject=subject,
    )
    _check_values(where, sequence)
    return sequence


def _origin(where: str, field: str, array: NDArray[np.generic] | None) -> str | None:
    if array is None:
        return None
    if array.dtype.kind != "U" or array.shape != () or not str(array):
        raise SourceError(
            f"{where}: expected {field} to be a text without dimensions,"
            f" got {array.dtype} {list(array.shape)}"
        )
    return str(array)


def _check_values(where: str, s: PoseSequence) -> None:
    if not s.name.isprintable():
        raise SourceError(f"{where}: expected a printable name")
    if not np.isfinite(s.keypoints_px).all() or (s.keypoints_px[..., 2] < 0).any():
        raise SourceError(f"{where}: keypoints must be finite, with scores of 0 or more")
    if ((s.labels < NO_FALL) | (s.labels >= len(CLASSES))).any():
        got = sorted({int(v) for v in s.labels})
        raise SourceError(
            f"{where}: expected labels from {NO_FALL} to {len(CLASSES) - 1}, got {got}"
        )
    if not np.isfinite(s.times_s).all() or (np.diff(s.times_s) <= 0).any():
        raise SourceError(f"{where}: times_s must be finite and strictly increasing")
    if (np.abs(s.times_s) > LATEST_S).any():
        raise SourceError(f"{where}: expected times_s in seconds, got some beyond {LATEST_S:g}")
    if min(s.size) < 1:
        raise SourceError(f"{where}: expected a width and height of 1 or more, got {s.size}")
