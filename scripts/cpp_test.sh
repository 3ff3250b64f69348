#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/cpp_test.sh PRESET...   builds and runs the C++ tests (presets: default, asan, tsan)
source "$(dirname "$0")/common.sh"

# ThreadSanitizer cannot start where the kernel randomises addresses widely; where the switch is
# forbidden (some containers) it is tried without.
fixed_addresses=()
if setarch -R true 2>/dev/null; then fixed_addresses=(setarch -R); fi

for preset in "$@"; do
  say "C++ tests: $preset"
  cmake --preset "$preset" --log-level=WARNING >/dev/null
  cmake --build --preset "$preset" -- -j"$JOBS" --quiet
  "${fixed_addresses[@]}" ctest --preset "$preset" -j"$JOBS" --no-tests=error
done
