# SPDX-License-Identifier: Apache-2.0
"""The TensorRT that is installed: ``tensorrt`` 10.3 to 11, or TensorRT for RTX."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
from dataclasses import dataclass
from typing import Any

from poseact_engine.backends.tensorrt_names import SEVERITIES, TensorRt
from poseact_engine.errors import BackendError, DependencyError

_log = logging.getLogger(__name__)

MODULES = {
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "tensorrt_rtx",
    "tensorrt_rtx_bindings": "tensorrt_rtx",
}
"""Python modules and their flavours, the preferred one first; PyPI has RTX under the last name."""

INSTALL = "pip install 'poseact-engine[tensorrt]'"
INSTALL_TENSORRT = "pip install 'tensorrt>=10.3,<12' cuda-bindings"
_OLDEST, _NEWEST = (10, 3), 11
_SM = re.compile(r"SM([0-9]+)")
_ERRORS_KEPT, _LONGEST = 8, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """A TensorRT module and what is particular to its flavour."""

    module: TensorRt
    flavour: str

    def __str__(self) -> str:
        name = "TensorRT for RTX" if self.is_rtx else "TensorRT"
        return f"{name} {self.version}"

    @property
    def version(self) -> str:
        return str(self.module.__version__)

    @property
    def is_rtx(self) -> bool:
        return self.flavour == "tensorrt_rtx"

    def member(self, enum: str, name: str) -> Any:
        """An enum's member, by name: values moved between versions."""
        try:
            return getattr(getattr(self.module, enum), name)
        except AttributeError as error:
            raise BackendError(
                f"{self}: expected {enum}.{name}, got a module without it; "
                "this backend knows tensorrt 10.3 to 11 and tensorrt_rtx 1.x"
            ) from error

    def capabilities(self) -> tuple[str, ...]:
        """GPUs it builds for without having them, as ``sm_86``; none but for RTX."""
        if not self.is_rtx:
            return ()
        found = map(_SM.fullmatch, dir(getattr(self.module, "ComputeCapability", None)))
        numbers = sorted(int(match[1]) for match in found if match)
        return tuple(f"sm_{number}" for number in numbers)

    def capability(self, name: str) -> Any:
        """The member of ``ComputeCapability`` of a GPU as ``sm_86``; BackendError lists them."""
        if name not in self.capabilities():
            raise BackendError(
                f"{self}: expected a GPU of {', '.join(self.capabilities())}, got {name}"
            )
        return self.member("ComputeCapability", f"SM{name.removeprefix('sm_')}")


def load_toolkit(flavour: str | None = None) -> Toolkit:
    """The first TensorRT that is installed (of a flavour, if given).

    Raises DependencyError without one or if it cannot be imported, BackendError if it is too old.
    """
    asked = [m for m, kind in MODULES.items() if flavour in (None, kind)]
    installed = [m for m in asked if importlib.util.find_spec(m) is not None]
    if not installed:
        raise DependencyError(
            f"tensorrt: expected the package {' or '.join(asked)}, got none; "
            f"`{INSTALL if flavour != 'tensorrt' else INSTALL_TENSORRT}`"
        )
    try:
        module: Any = importlib.import_module(installed[0])
    except Exception as error:  # missing libraries are ImportError, OSError or a RuntimeError
        raise DependencyError(
            f"tensorrt: {installed[0]} is installed but cannot be imported: {error}"
        ) from error
    toolkit = Toolkit(module=module, flavour=MODULES[installed[0]])
    _check_version(toolkit)
    return toolkit


def _check_version(toolkit: Toolkit) -> None:
    numbers = tuple(int(n) for n in re.findall(r"[0-9]+", toolkit.version)[:2])
    if toolkit.is_rtx:
        return
    if numbers < _OLDEST:
        raise BackendError(
            f"tensorrt: expected 10.3 to 11, got {toolkit.version}; `{INSTALL_TENSORRT}`"
        )
    if numbers[0] > _NEWEST:
        _log.warning(
            "tensorrt %s is newer than what is known to work (10.3 to 11)", toolkit.version
        )


def one_line(text: str) -> str:
    """TensorRT's words without line ends and without most of what they repeat."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class TensorRtLog:
    """TensorRT's messages: all go to ``logging``, and the latest errors are kept to be raised.

    ``native`` is what TensorRT takes. Errors are no log lines of their own and warnings are
    INFO: a second model in the process is worth one to TensorRT.
    """

    def __init__(self, toolkit: Toolkit) -> None:
        self._errors: list[str] = []
        self.native = _native_logger(toolkit, self._take)

    def _take(self, severity: str, message: str) -> None:
        if severity in ("ERROR", "INTERNAL_ERROR"):
            self._errors = [*self._errors, message.strip()][-_ERRORS_KEPT:]
        level = logging.INFO if severity == "WARNING" else logging.DEBUG
        _log.log(level, "TensorRT: %s", message.strip())

    def take_errors(self) -> str:
        """What went wrong since the last call, as one line."""
        lines = dict.fromkeys(one_line(e) for e in self._errors)
        self._errors = []
        return "; ".join(lines) or "no reason given"


def _native_logger(toolkit: Toolkit, take: Any) -> Any:
    base: Any = toolkit.module.ILogger
    names = {getattr(base.Severity, name): name for name in SEVERITIES}

    class NativeLogger(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)  # pybind11 wants its own base called by name

        def log(self, severity: Any, msg: str) -> None:
            take(names.get(severity, "ERROR"), msg)

    return NativeLogger()
