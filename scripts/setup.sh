#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/setup.sh [--only] [EXTRA...]
# System packages, .venv, what pyproject.toml asks for (with the extras cpu, openvino, tensorrt,
# video, train, eval, test and those named), and the project itself, editable. Stamps make a second run quick.
# --only: the named extras alone, no torch, and no system package that only tests need.
source "$(dirname "$0")/common.sh"

# An open range would bring PyTorch's CUDA packages: gigabytes that no test here uses.
TORCH="torch==2.13.0"
TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu
# Without its OpenCV, which would overwrite the headless one; tests use its CLEAR metrics only.
TRACKEVAL="trackeval==1.3.0"

answers() {
  "$VENV/bin/python" - "$1" <<'END' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=3).close()
END
}

install_dependencies() {
  local index=()
  say "python packages into $VENV"
  if [ "$only" ]; then
    "$VENV/bin/pip" install -q -r /dev/stdin <<<"$1"
    return
  fi
  if answers "$TORCH_CPU_INDEX/torch/"; then index=(--extra-index-url "$TORCH_CPU_INDEX"); fi
  "$VENV/bin/pip" install -q "${index[@]}" "$TORCH" -r /dev/stdin <<<"$1"
  "$VENV/bin/pip" install -q --no-deps "$TRACKEVAL"
}

# The extension lies in the virtual environment, the Python files are read where they are.
build_extension() {
  say "building the extension"
  "$VENV/bin/pip" install -q --no-deps --no-build-isolation \
    --config-settings=cmake.define.POSEACT_WERROR="$werror" --editable .
}

only=
werror=ON
extras=(cpu openvino tensorrt video train eval test "$@")
if [ "${1:-}" = --only ]; then
  only=--build
  werror=OFF # a newer compiler's new warnings are not the user's affair
  extras=("${@:2}")
fi
scripts/apt_packages.sh $only
stamps=$VENV/.stamps
# pip comes last: without it, an environment was broken off while it was made.
if [ ! -x "$VENV/bin/pip" ]; then "$(scripts/find_python.sh)" -m venv "$VENV"; fi
mkdir -p "$stamps"

requirements=$("$VENV/bin/python" scripts/requirements.py "${extras[@]}")
key=$(cat scripts/setup.sh - <<<"$requirements" | sha256sum | cut -c1-16)
if [ ! -e "$stamps/packages-$key" ]; then
  install_dependencies "$requirements"
  touch "$stamps/packages-$key"
fi

is_built() {
  [ -e "$1" ] && [ -z "$(find csrc cmake CMakeLists.txt pyproject.toml scripts/build_backend.py \
    -newer "$1" -print -quit)" ]
}
if ! is_built "$stamps/built" && ! { [ "$only" ] && is_built "$stamps/built-only"; }; then
  touch "$stamps/building" # what changes during the build is built again
  build_extension
  mv "$stamps/building" "$stamps/built${only:+-only}"
fi
