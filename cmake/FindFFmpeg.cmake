# SPDX-License-Identifier: Apache-2.0
# Defines the target poseact_ffmpeg, or stops with the line that installs what is missing.
find_package(PkgConfig)
if(NOT PkgConfig_FOUND)
  message(FATAL_ERROR "pkg-config is missing. On Debian or Ubuntu: sudo apt install pkg-config")
endif()
pkg_check_modules(FFMPEG IMPORTED_TARGET libavformat libavcodec libavutil)
if(NOT FFMPEG_FOUND)
  message(FATAL_ERROR "FFmpeg's headers (5.1 to 8) are missing. On Debian or Ubuntu: "
                      "sudo apt install libavformat-dev libavcodec-dev libavutil-dev")
endif()
