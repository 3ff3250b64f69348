#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/apt_packages.sh [--build]
# Installs the system packages that building and testing (--build: building alone) need and the
# machine lacks: through apt as root or with passwordless sudo, otherwise stops with the one line to type.
source "$(dirname "$0")/common.sh"
for_tests=1
if [ "${1:-}" = --build ]; then for_tests=; fi

# Looked for by what they give, so that an FFmpeg or a Python from elsewhere will do.
missing() {
  local packages=()
  need() {
    local wanted=$1
    shift
    "$@" >/dev/null 2>&1 || read -ra packages <<<"${packages[*]} $wanted"
  }
  need g++ command -v g++
  need cmake command -v cmake
  need ninja-build command -v ninja
  need pkg-config command -v pkg-config
  need libavformat-dev pkg-config --exists libavformat
  need libavcodec-dev pkg-config --exists libavcodec
  need libavutil-dev pkg-config --exists libavutil
  need "python3 python3-venv python3-dev" scripts/find_python.sh
  if [ "$for_tests" ]; then
    need libgtest-dev g++ -fsyntax-only -x c++ -include gtest/gtest.h /dev/null
    need ffmpeg command -v ffmpeg
  fi
  echo "${packages[*]}"
}

wanted=$(missing)
[ -n "$wanted" ] || exit 0
line="apt-get install -y --no-install-recommends $wanted"
command -v apt-get >/dev/null || stop "missing, by their Debian names: $wanted"
if [ "$(id -u)" = 0 ]; then
  sudo=()
elif sudo -n true 2>/dev/null; then
  sudo=(sudo -n)
else
  stop "system packages are missing; type: sudo $line"
fi
say "$line"
"${sudo[@]}" apt-get update -q
# shellcheck disable=SC2086  # a list of words
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive $line
wanted=$(missing)
[ -z "$wanted" ] || stop "still missing after their installation: $wanted"
