#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that is tested; pytest comes last, so that its closing line is the last one.
source "$(dirname "$0")/common.sh"

scripts/setup.sh
scripts/cpp_test.sh asan tsan
scripts/ffmpeg_newer.sh
scripts/tensorrt_bindings.sh
say "pytest"
exec "$VENV/bin/python" -m pytest "$@"
