# SPDX-License-Identifier: Apache-2.0
"""Files as a whole: written so that nobody sees a part of one, and known by their content.

Both raise OSError; the caller knows what the file was for and says so.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def write_atomically(data: bytes, path: Path) -> None:
    """Readers see the old file or the new one, never a part of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Hexadecimal, over the file's bytes; a large file is never held as a whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
