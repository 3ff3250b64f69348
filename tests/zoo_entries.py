# SPDX-License-Identifier: Apache-2.0
"""Registry entries of the tests' own, and somebody who remembers what he was told."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from poseact_engine.zoo.http import Network
from poseact_engine.zoo.registry import Entry

FAST = Network(timeout_s=0.5, retries=3, pause_s=0.01)


def checkpoint(size: int = 300_000, seed: int = 0) -> bytes:
    """Starts as torch's files do; the rest is noise, so that no two parts are alike."""
    rng = np.random.default_rng(seed)
    return b"PK\x03\x04" + rng.bytes(size - 4)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def archive(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return out.getvalue()


def made_entry(url: str | None, **changes: Any) -> Entry:
    entry = Entry(
        name="made",
        task="pose",
        title="Made",
        file="made.pth",
        url=url,
        licence="MIT",
        commercial="no",
        terms="made by code",
        accuracy=50.0,
        metric="AP",
        setting="none",
        page="https://example.org",
        export=("hrnet", "--size", "64x64"),
    )
    return dataclasses.replace(entry, **changes)


@dataclass
class Notes:
    """Serves `Watcher`."""

    texts: list[str] = field(default_factory=list)
    steps: list[tuple[int, int | None]] = field(default_factory=list)

    def progress(self, done_bytes: int, total_bytes: int | None) -> None:
        self.steps.append((done_bytes, total_bytes))

    def note(self, text: str) -> None:
        self.texts.append(text)
