# SPDX-License-Identifier: Apache-2.0
# Defines the target PkgConfig::FFMPEG, or stops with the line that installs what is missing.
# (pip users get that line from scripts/build_backend.py, before CMake runs.)
find_package(PkgConfig QUIET)
if(NOT PKG_CONFIG_FOUND)
  message(FATAL_ERROR "pkg-config is missing. On Debian or Ubuntu: sudo apt install pkg-config")
endif()
pkg_check_modules(
  FFMPEG
  QUIET
  IMPORTED_TARGET
  libavformat>=59.27
  libavcodec>=59.37
  libavutil>=57.28
)
if(NOT FFMPEG_FOUND)
  message(
    FATAL_ERROR
    "FFmpeg's headers (5.1 or newer) are missing. On Debian or Ubuntu: "
    "sudo apt install libavformat-dev libavcodec-dev libavutil-dev"
  )
endif()
