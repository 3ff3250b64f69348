# SPDX-License-Identifier: Apache-2.0
"""The engine's version: of the installed package, else of the source tree's build."""

from __future__ import annotations

from importlib import metadata

try:
    __version__ = metadata.version("poseact-engine")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
