# SPDX-License-Identifier: Apache-2.0
"""Weights out of checkpoint files that others wrote. No code of a file ever runs.

``torch.load(weights_only=True)`` alone reads them. What training loops keep beside the weights
(scores as NumPy scalars, mmengine's log buffers) names functions which torch refuses; the few that
such files are known to name are read as ``Inert`` instead, and every other name is an error.
"""

from __future__ import annotations

import re
import stat
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from poseact_engine.errors import SourceError

WRAPPERS = ("state_dict", "model")
"""Where checkpoints keep their weights. ``state_dict``: HRNet's authors, MMPose (the averaged
weights where mmengine averages; the others are then under ``ema_state_dict``). ``model``: Megvii,
whose trainer writes the averaged weights there. A file of bare weights has none of the two."""
PARALLEL = "module."
"""What torch's DataParallel puts before each name."""
COUNTER = ".num_batches_tracked"
"""May be missing: nothing here reads these, and old torch did not write them."""
STORED = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
LISTED = 10
LONGEST_NAME = 100
INERT_NAMES = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "builtins.getattr",  # how HistoryBuffer's methods are pickled
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy.dtype",
    "numpy.ndarray",
)
"""Even NumPy's own are not called: a forged dtype makes NumPy take bytes for pointers."""


class Inert:
    """Stands for an object that is not read: takes anything, keeps nothing, runs nothing."""

    def __new__(cls, *_args: object) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_args: object) -> None:
        pass

    def __setstate__(self, _state: object) -> None:
        pass


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name, of a bare or wrapped (``WRAPPERS``) state dict, without ``PARALLEL``.

    SourceError: no readable checkpoint, names that are not weights, or no weights in it. Not for
    use beside other ``torch.load`` calls: torch has one list of allowed names for the process.
    """
    content = _load(path)
    if isinstance(content, dict):
        wrapped = (content[name] for name in WRAPPERS if isinstance(content.get(name), dict))
        content = next(wrapped, content)
    if not isinstance(content, dict) or not content:
        raise SourceError(
            f"{path}: expected named weights, bare or under {' or '.join(WRAPPERS)},"
            f" got {'nothing' if content == {} else type(content).__name__}"
        )
    others = [
        key
        for key, value in content.items()
        if not isinstance(key, str) or not isinstance(value, Tensor)
    ]
    if others:
        raise SourceError(
            f"{path}: expected named weights, bare or under {' or '.join(WRAPPERS)},"
            f" got entries that are no tensors: {listed(map(str, others))}"
        )
    if all(key.startswith(PARALLEL) for key in content):
        return {key.removeprefix(PARALLEL): tensor for key, tensor in content.items()}
    return dict(content)


def check_names(path: Path, network: str, weights: Iterable[str], expected: Iterable[str]) -> None:
    """SourceError lists the names that are missing and those that are too many."""
    got, wanted = set(weights), set(expected)
    missing = sorted(name for name in wanted - got if not name.endswith(COUNTER))
    unknown = sorted(got - wanted)
    if missing or unknown:
        raise SourceError(
            f"{path}: expected the weights of {network};"
            f" missing {listed(missing)}; unknown {listed(unknown)}"
        )


def fill(path: Path, network: str, model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put a copy of ``weights`` into ``model``, which may be on device ``meta``: float32, CPU.

    SourceError for names, shapes, dtypes and values that are not a trained network's.
    """
    wanted = model.state_dict()
    check_names(path, network, weights, wanted)
    zero = torch.zeros((), dtype=torch.int64)
    state = {
        name: _checked(path, name, weights.get(name, zero), like) for name, like in wanted.items()
    }
    model.load_state_dict(state, assign=True)


def listed(names: Iterable[str]) -> str:
    """How many ``names`` there are and the first ten of them; ``none``."""
    every = list(names)
    more = ", …" if len(every) > LISTED else ""
    return f"{len(every)} ({', '.join(map(_shown, every[:LISTED]))}{more})" if every else "none"


def _shown(name: str) -> str:
    # Names come from a stranger's file: no control characters, no endless lines.
    short = name[:LONGEST_NAME]
    return short if short.isprintable() else ascii(short)


def _checked(path: Path, name: str, tensor: Tensor, like: Tensor) -> Tensor:
    if tuple(tensor.shape) != tuple(like.shape):
        raise SourceError(
            f"{path}: {name}: expected shape {tuple(like.shape)}, got {tuple(tensor.shape)}"
        )
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
    dtypes = STORED if like.is_floating_point() else (like.dtype,)
    if not plain or tensor.dtype not in dtypes:
        raise SourceError(
            f"{path}: {name}: expected plain {' or '.join(map(str, dtypes))},"
            f" got {tensor.dtype} ({tensor.layout}, device {tensor.device.type})"
        )
    value = tensor.detach().to(like.dtype, copy=True, memory_format=torch.contiguous_format)
    if not bool(torch.isfinite(value).all()):
        raise SourceError(f"{path}: {name}: expected finite numbers, got NaN or infinity")
    if name.endswith(".running_var") and bool((value < 0).any()):
        raise SourceError(f"{path}: {name}: expected variances of 0 or more, got {value.min():g}")
    return value


def _load(path: Path) -> object:
    _check_file(path)
    allowed = torch.serialization.safe_globals([(Inert, name) for name in INERT_NAMES])
    try:
        with allowed, warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # A reader that obeys the file's bytes may raise anything.
        raise SourceError(f"{path}: {_reason(error)}") from error


def _check_file(path: Path) -> None:
    # Opening a pipe waits for its writer.
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise SourceError(f"{path}: no such checkpoint") from None
    except OSError as error:
        raise SourceError(f"{path}: {_reason(error)}") from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
        raise SourceError(f"{path}: expected a checkpoint file, got {kind}")


def _reason(error: Exception) -> str:
    # torch's own message tells people to load files that they do not trust.
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    refused = re.search(r"GLOBAL (\S+)", str(error))
    if refused is None:
        return "expected a checkpoint of torch.save, got a file that is none, or is cut off"
    return (
        f"refused, since reading it would run {_shown(refused[1])}; if its origin is trusted, open"
        " it where it was made and save the weights alone: torch.save(model.state_dict(), FILE)"
    )
