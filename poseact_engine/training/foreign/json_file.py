# SPDX-License-Identifier: Apache-2.0
"""JSON files that others wrote, and the numbers in them; SourceError for what is none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import SourceError
from poseact_engine.training.foreign.mapping import order_of, to_coco

_FRAME = re.compile(r"(.*?)(\d{1,18})")


def read_json(path: Path) -> Any:
    """The content of a JSON file; NaN and infinity, which JSON does not have, are refused."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # some begin with a byte order mark
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: expected JSON, got a file that is no text") from error
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise SourceError(
            f"{path}: expected JSON, it is malformed or cut off at line {error.lineno}: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path}: expected JSON with finite numbers: {error}") from error


def _refuse(text: str) -> Any:
    raise ValueError(f"got {text}")


def field(where: str, entry: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    """``entry[name]``, of that kind; SourceError where it is missing or of another."""
    if not isinstance(entry, dict) or name not in entry:
        raise SourceError(f"{where}: expected an object with {name!r}")
    value = entry[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise SourceError(f"{where}: {name!r} is a {type(value).__name__}, which it never is")
    return value


def pose(where: str, numbers: Any, family: str) -> NDArray[np.float32]:
    """``x, y, score`` of every joint in one list, as float32 ``[17, 3]`` of COCO's joints."""
    if not isinstance(numbers, list) or not all(type(v) in (int, float) for v in numbers):
        raise SourceError(f"{where}: expected a list of numbers x, y, score per joint")
    if len(numbers) % 3:
        raise SourceError(f"{where}: expected x, y, score per joint, got {len(numbers)} numbers")
    try:
        joints = np.array(numbers, dtype=np.float64).reshape(-1, 3)
    except OverflowError:
        raise SourceError(f"{where}: expected coordinates in pixels, got a huge number") from None
    return to_coco(where, joints, order_of(where, family, len(joints)))


def person_number(where: str, value: Any) -> int | None:
    """A person's number: whole, or alone in a list; negative and None: not known."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    is_whole = type(value) is int or (type(value) is float and value.is_integer())
    if not is_whole or abs(value) >= 2**53:
        raise SourceError(f"{where}: expected a person's number, got {value!r:.40}")
    return int(value) if value >= 0 else None


def split_frame(where: str, name: str | int) -> tuple[str, int]:
    """What stands before the frame's number in an image's name, and the number: ``hall_0012.jpg``
    is ``hall`` and 12, ``12.jpg`` and ``12`` are nothing and 12."""
    stem = re.sub(r"\.[A-Za-z]\w*$", "", str(name).replace("\\", "/"))
    match = _FRAME.fullmatch(stem)
    if match is None:
        raise SourceError(
            f"{where}: expected an image's name that ends in the frame's number, got {name!r:.80}"
        )
    return match[1].rstrip("_-./ "), int(match[2])
