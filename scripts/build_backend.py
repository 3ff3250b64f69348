# SPDX-License-Identifier: Apache-2.0
"""scikit-build-core's hooks behind one check: what the system lacks is named before CMake runs.

CMake's own error ends in a call stack, and pip shows both; a user needs one line to type.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from scikit_build_core import build as _build

FFMPEG_LIBRARIES = ("libavformat", "libavcodec", "libavutil")
OLDEST = "libavformat >= 59.27"  # FFmpeg 5.1


def _missing() -> list[str]:
    """Debian's names of the packages that are not here."""
    compilers = (os.environ.get("CXX", "").split(" ")[0], "c++", "g++", "clang++")
    missing = [] if any(c and shutil.which(c) for c in compilers) else ["g++"]
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append("python3-dev")
    pkg_config = os.environ.get("PKG_CONFIG") or "pkg-config"
    if shutil.which(pkg_config) is None:
        return [*missing, "pkg-config", *(f"{name}-dev" for name in FFMPEG_LIBRARIES)]
    for name in FFMPEG_LIBRARIES:
        if subprocess.run([pkg_config, "--exists", name], check=False).returncode:
            missing.append(f"{name}-dev")
    if not missing and subprocess.run([pkg_config, "--exists", OLDEST], check=False).returncode:
        raise SystemExit("poseact_engine needs FFmpeg 5.1 or newer; pkg-config finds an older one")
    return missing


def _check() -> None:
    missing = _missing()
    if missing:
        raise SystemExit(
            "poseact_engine cannot be built: a compiler, Python's or FFmpeg's headers (5.1 to 8) "
            f"are missing.\nOn Debian or Ubuntu: sudo apt install {' '.join(missing)}"
        )


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    _check()
    return _build.get_requires_for_build_wheel(config_settings)


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    _check()
    return _build.get_requires_for_build_editable(config_settings)


# Without build isolation pip does not ask for requirements: the builds check as well.
def build_wheel(directory: str, settings: Any = None, metadata: str | None = None) -> str:
    _check()
    return _build.build_wheel(directory, settings, metadata)


def build_editable(directory: str, settings: Any = None, metadata: str | None = None) -> str:
    _check()
    return _build.build_editable(directory, settings, metadata)


get_requires_for_build_sdist = _build.get_requires_for_build_sdist
build_sdist = _build.build_sdist
prepare_metadata_for_build_wheel = _build.prepare_metadata_for_build_wheel
prepare_metadata_for_build_editable = _build.prepare_metadata_for_build_editable
