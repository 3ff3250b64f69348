# SPDX-License-Identifier: Apache-2.0
# Sourced by the other scripts: strict mode, the repository as working directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV=.venv
JOBS=${JOBS:-$(nproc)}
export CMAKE_BUILD_PARALLEL_LEVEL=$JOBS
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi

say() { printf '== %s\n' "$*"; }
stop() {
  printf '%s\n' "$*" >&2
  exit 1
}
