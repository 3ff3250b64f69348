# SPDX-License-Identifier: Apache-2.0
"""poseact_engine: CCTV streams in, work-site safety events out.

Names are imported when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poseact_engine._core import Frame as Frame
    from poseact_engine._core import FrameBatch as FrameBatch
    from poseact_engine.config import ActionConfig as ActionConfig
    from poseact_engine.config import DetectConfig as DetectConfig
    from poseact_engine.config import EngineConfig as EngineConfig
    from poseact_engine.config import IncidentConfig as IncidentConfig
    from poseact_engine.config import PoseConfig as PoseConfig
    from poseact_engine.config import SourceConfig as SourceConfig
    from poseact_engine.config import TrackConfig as TrackConfig
    from poseact_engine.config import WindowConfig as WindowConfig
    from poseact_engine.engine import Engine as Engine
    from poseact_engine.errors import BackendError as BackendError
    from poseact_engine.errors import ConfigError as ConfigError
    from poseact_engine.errors import DecodeError as DecodeError
    from poseact_engine.errors import DependencyError as DependencyError
    from poseact_engine.errors import ManifestError as ManifestError
    from poseact_engine.errors import PoseActError as PoseActError
    from poseact_engine.errors import ShapeError as ShapeError
    from poseact_engine.errors import SinkError as SinkError
    from poseact_engine.errors import SourceError as SourceError
    from poseact_engine.run import Run as Run
    from poseact_engine.streams import Stream as Stream
    from poseact_engine.types import Event as Event
    from poseact_engine.types import Result as Result
    from poseact_engine.types import Step as Step
    from poseact_engine.version import __version__ as __version__

_MODULES = {
    "_core": ("Frame", "FrameBatch"),
    "config": (
        "ActionConfig",
        "DetectConfig",
        "EngineConfig",
        "IncidentConfig",
        "PoseConfig",
        "SourceConfig",
        "TrackConfig",
        "WindowConfig",
    ),
    "engine": ("Engine",),
    "errors": (
        "BackendError",
        "ConfigError",
        "DecodeError",
        "DependencyError",
        "ManifestError",
        "PoseActError",
        "ShapeError",
        "SinkError",
        "SourceError",
    ),
    "run": ("Run",),
    "streams": ("Stream",),
    "types": ("Event", "Result", "Step"),
    "version": ("__version__",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'poseact_engine' has no attribute {name!r}")
    return getattr(importlib.import_module(f"poseact_engine.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
