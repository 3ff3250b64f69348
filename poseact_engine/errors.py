# SPDX-License-Identifier: Apache-2.0
"""The one exception family of the engine: same names in C++ and Python.

Every message says who, expected, got, and what to do. Each class is also a builtin kind, so that
code which knows nothing of the engine can still catch ``ValueError`` or ``OSError``. The C++
classes of ``csrc/core/error.h`` are translated to these by ``csrc/bindings/register_error.cpp``.
"""

from __future__ import annotations


class PoseActError(RuntimeError):
    """Base of everything the engine raises on purpose."""


class ConfigError(PoseActError, ValueError):
    """An option or argument is outside what it may be."""


class ShapeError(PoseActError, ValueError):
    """An array has the wrong shape or dtype."""


class SourceError(PoseActError, OSError):
    """A source (file, camera, image) cannot be opened or read."""


class DecodeError(PoseActError):
    """A stream is open but its content cannot be decoded."""


class ManifestError(PoseActError, ValueError):
    """A model file has no manifest, or one that does not fit the file or the task."""


class BackendError(PoseActError):
    """An inference backend cannot be had, or failed at run time."""


class ExportError(PoseActError):
    """A model cannot be exported or adapted."""


class ParityError(ExportError):
    """An exported model differs from what it came from by more than the stated bounds."""


class DependencyError(PoseActError, ImportError):
    """An optional package is missing; the message has the line that installs it."""


class SinkError(PoseActError, OSError):
    """An output file cannot be opened or written."""
