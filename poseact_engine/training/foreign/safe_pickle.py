# SPDX-License-Identifier: Apache-2.0
"""Reads pickles of plain values and NumPy arrays, and runs nothing that a pickle asks for.

A pickle is a program: it names functions and calls them. Here it gets a few that are harmless, and
none of NumPy's own: arrays are rebuilt by us from their bytes, so that a forged type or shape
meets checks and not NumPy's insides.
"""

from __future__ import annotations

import os
import pickle
import reprlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import SourceError

NUMBERS = frozenset(("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"))
"""What arrays may hold, as NumPy calls it."""
BROKEN = (
    pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    OverflowError, MemoryError, RecursionError, AssertionError, struct.error,
)  # fmt: skip
"""What a malformed pickle raises."""


def brief(value: object) -> str:
    """For messages. A list within a list, again and again, is small in a pickle and endless in
    ``repr``."""
    try:
        return f"{reprlib.repr(value):.40}"
    except ValueError:  # a number of thousands of digits
        return type(value).__name__


class Refused(Exception):
    """Says what the pickle asked for."""


class Array:
    """An array of a pickle; ``value`` is the real one. Pickles only ever see instances."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: NDArray[Any] = np.zeros(0)

    def __setstate__(self, state: Any) -> None:
        shape, dtype, is_fortran, data = state[-4:]
        self.fill(data, dtype, shape, "F" if is_fortran else "C")

    def fill(self, data: Any, dtype: Any, shape: Any, order: Any) -> None:
        if not isinstance(dtype, _Dtype) or order not in ("C", "F"):
            raise Refused("an array of a forged type")
        whole = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
        if isinstance(data, str):  # Python 2 wrote bytes as text
            data = data.encode("latin-1")
        if not whole or not isinstance(data, bytes | bytearray):
            raise Refused("an array of a forged shape")
        count = 1
        for n in shape:
            count *= n
        if count * dtype.value.itemsize != len(data):
            raise Refused(f"an array {list(shape)} of {len(data)} bytes")
        self.value = np.frombuffer(bytes(data), dtype.value).reshape(shape, order=order)


class _Dtype:
    """The type of an array's numbers."""

    __slots__ = ("value",)

    def __init__(self, code: Any) -> None:
        if code not in NUMBERS:
            raise Refused(f"an array of type {brief(code)}, which is no number")
        self.value = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise Refused("an array of a forged type")
        self.value = self.value.newbyteorder(state[1])


class _Maker:
    """What a pickle may call. Has no state that a pickle could set."""

    __slots__ = ("_make",)
    _make: Callable[..., Any]

    def __init__(self, make: Callable[..., Any]) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise Refused(f"a change of {brief(name)}")

    def __setstate__(self, state: Any) -> None:
        raise Refused("a change of a function")


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes for Python 2."""
    if encoding != "latin1":
        raise Refused(f"the encoding {brief(encoding)}")
    return text.encode("latin-1")


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.fill(data, dtype, shape, order)
    return array


def _scalar(dtype: Any, data: Any) -> Any:
    array = _from_buffer(data, dtype, (1,), "C")
    return array.value[0].item()


def _allowed() -> dict[tuple[str, str], _Maker]:
    found = {
        ("numpy", "ndarray"): _Maker(Array),
        ("numpy", "dtype"): _Maker(lambda code, *_: _Dtype(code)),
        ("_codecs", "encode"): _Maker(_encode),
        ("collections", "OrderedDict"): _Maker(dict),
    }
    for numpy in ("numpy.core", "numpy._core"):
        found[f"{numpy}.multiarray", "_reconstruct"] = _Maker(lambda *_: Array())
        found[f"{numpy}.multiarray", "scalar"] = _Maker(_scalar)
        found[f"{numpy}.numeric", "_frombuffer"] = _Maker(_from_buffer)
    for builtins in ("builtins", "__builtin__"):
        found[builtins, "bytes"] = _Maker(lambda: b"")  # how empty bytes are written for Python 2
        found[builtins, "set"] = _Maker(set)
        found[builtins, "frozenset"] = _Maker(frozenset)
    return found


class _Reader:
    """A file of which no more is asked for than there is: a forged length allocates nothing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size = file, os.fstat(file.fileno()).st_size
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        return self._file.read(min(count, self._size))


# The one in Python: CPython's own in C fills gigabytes where a pickle numbers an object forged.
class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(_Reader(file), encoding="latin-1")  # Python 2's bytes are arrays' numbers
        self._allowed = _allowed()

    def load_bytearray(self: Any) -> None:  # typeshed leaves out ``read`` and ``append``
        (count,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(count)))  # the original allocates before it reads

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            plain = f"{module}.{name}".encode("unicode_escape").decode()
            raise Refused(f"{plain:.80}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise Refused(f"an object outside of it, {brief(pid)}")


def load_pickle(path: Path) -> Any:
    """Plain values; arrays are ``Array``. SourceError for all else, without having run any of
    it."""
    try:
        with path.open("rb") as file:
            return _Unpickler(file).load()
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Refused as error:
        raise SourceError(
            f"{path}: expected a pickle of numbers, text, lists and NumPy arrays; it asks for"
            f" {error}, which is refused: write it anew as plain values if you trust it"
        ) from None
    except BROKEN as error:
        raise SourceError(f"{path}: expected a pickle, it is malformed or cut off") from error
