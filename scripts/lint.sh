#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/lint.sh [--fix | CHECK...]   CHECK: one of the functions below; all without.
# Runs every check and then says which failed; --fix writes what the formatters would.
source "$(dirname "$0")/common.sh"
PYTHON=(poseact_engine export tests scripts)

cpp_files() { find csrc tests/cpp -name '*.cpp' -o -name '*.h' -o -name '*.cu'; }
cmake_files() { find CMakeLists.txt cmake csrc tests -name CMakeLists.txt -o -name '*.cmake'; }

ruff_check() { ruff check "${PYTHON[@]}"; }
ruff_format() { ruff format --check "${PYTHON[@]}"; }
types() { mypy --strict; }
stubs() { python -m mypy.stubtest poseact_engine._core --allowlist scripts/stubtest_allowlist.txt; }
imports() { lint-imports | tail -n +10; }
clang_format() { cpp_files | xargs clang-format --dry-run -Werror; }
cmake_format() { cmake_files | xargs gersemi --check --diff; }
spelling() { codespell; }
codebase() { python scripts/check_codebase.py; }
clang_tidy() {
  cmake --preset tidy --log-level=WARNING -DPython_EXECUTABLE="$PWD/$VENV/bin/python" \
    -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" >/dev/null
  find csrc tests/cpp -name '*.cpp' -not -path '*/fuzz/*' -print0 |
    xargs -0 -n 1 -P "$JOBS" clang-tidy --quiet -p build/tidy 2> >(grep -v 'warnings generated' >&2)
}

fix() {
  ruff check --fix "${PYTHON[@]}" || true
  ruff format "${PYTHON[@]}"
  cpp_files | xargs clang-format -i
  cmake_files | xargs gersemi --in-place
}

scripts/setup.sh lint
export PATH=$PWD/$VENV/bin:$PATH
if [ "${1:-}" = --fix ]; then
  fix
  exit 0
fi
checks=("$@")
if [ $# = 0 ]; then
  checks=(ruff_check ruff_format types stubs imports clang_format cmake_format spelling codebase clang_tidy)
fi
failed=()
for check in "${checks[@]}"; do
  say "$check"
  "$check" || failed+=("$check")
done
[ ${#failed[@]} = 0 ] || stop "lint failed: ${failed[*]}"
say "lint passed"
