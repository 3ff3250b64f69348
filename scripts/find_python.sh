#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints the first Python >= 3.11 that can make a virtual environment and has its headers.
for python in "${PYTHON:-python3}" python3.13 python3.12 python3.11 /usr/bin/python3; do
  if "$python" - 2>/dev/null <<'END'; then
import ensurepip, pathlib, sys, sysconfig, venv
header = pathlib.Path(sysconfig.get_path("include"), "Python.h")
sys.exit(sys.version_info < (3, 11) or not header.exists())
END
    command -v "$python"
    exit 0
  fi
done
echo "no Python 3.11 or newer; type: sudo apt-get install python3 python3-venv python3-dev" >&2
exit 1
