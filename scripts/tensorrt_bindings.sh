#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fetches the Python bindings of TensorRT 10 and 11 into build/, for the test that holds the backend's
# names and signatures against them; nothing is installed, and TensorRT itself is not fetched (its
# bindings are on PyPI, its libraries are not). NVIDIA's licence is in each wheel.
# Where they cannot be had it says so; POSEACT_REQUIRE=tensorrt-bindings makes that a failure.
source "$(dirname "$0")/common.sh"

DIR=$PWD/build/tensorrt-bindings
# The oldest that is served, the last of 10, and the newest that is known.
WHEELS=(tensorrt-cu12-bindings==10.3.0 tensorrt-cu13-bindings==10.16.1.11
  tensorrt-cu13-bindings==11.4.0.106)

give_up() {
  case ",${POSEACT_REQUIRE:-}," in
    *,tensorrt-bindings,*) stop "POSEACT_REQUIRE names tensorrt-bindings: $1" ;;
  esac
  say "the names of TensorRT 10 and 11 are NOT checked: $1"
  exit 0
}

fetch() {
  local wheel version
  for wheel in "${WHEELS[@]}"; do
    version=${wheel##*==}
    "$VENV/bin/python" -m pip download --no-deps --only-binary :all: -d "$DIR/wheels" "$wheel" &&
      "$VENV/bin/python" -m zipfile -e "$DIR"/wheels/*-"$version"-*.whl "$DIR/$version" || return 1
  done
}

wanted="${WHEELS[*]} for $("$VENV/bin/python" -V)"
if [ "$(cat "$DIR/done" 2>/dev/null)" != "$wanted" ]; then
  rm -rf "$DIR"
  mkdir -p "$DIR"
  fetch >"$DIR/log" 2>&1 || give_up "no bindings for this Python from pip (see $DIR/log)"
  rm -rf "$DIR/wheels"
  echo "$wanted" >"$DIR/done"
fi
say "bindings of TensorRT: $(cd "$DIR" && echo [0-9]*)"
