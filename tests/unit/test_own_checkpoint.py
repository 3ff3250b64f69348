# SPDX-License-Identifier: Apache-2.0
"""What the export takes from a pose checkpoint of our own training."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from poseact_engine.errors import ExportError, SourceError

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    from export.hrnet import name_own
    from poseact_engine.training.network_checkpoint import POSE_INPUT, NetworkInfo, read_info
    from poseact_engine.training.session import write_torch

GOOD = {"geometry": "default", "expansion": 1.25, "decode": "dark", "dark_kernel": 7}


def info(options: Any) -> NetworkInfo:
    return NetworkInfo(
        task="pose", network={}, size=(128, 96), input=POSE_INPUT, names=("nose",),
        options=options, source="x", licence=None, training={},
    )  # fmt: skip


def test_how_maps_are_read_is_the_checkpoints_word() -> None:
    named = name_own(info(GOOD))
    assert (named.size, named.geometry) == ((128, 96), "default")
    assert (named.decode, named.dark_kernel) == ("dark", 7)
    older = name_own(info(GOOD | {"decode": "quarter", "dark_kernel": None}))
    assert (older.decode, older.dark_kernel) == ("quarter", None)


@pytest.mark.parametrize("kernel", ["7", 5.0, 8, 1, True, [7]])
def test_kernels_that_are_none_are_refused(kernel: Any) -> None:
    with pytest.raises(ExportError, match="malformed checkpoint: expected dark_kernel to be an od"):
        name_own(info(GOOD | {"dark_kernel": kernel}))


@pytest.mark.parametrize("name", ["geometry", "decode"])
@pytest.mark.parametrize("value", [None, "simcc", ["dark"]])
def test_words_that_are_none_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ExportError, match=f"malformed checkpoint: expected {name} to be one of"):
        name_own(info(GOOD | {name: value}))


def test_options_that_are_none_are_refused(tmp_path: Path) -> None:
    whole = {
        "format": "poseact-network-checkpoint", "version": 1, "task": "pose", "network": {},
        "size": (128, 96), "names": ("nose",), "source": "x", "licence": None, "training": {},
        "input": {"color": "rgb", "mean": (0, 0, 0), "std": (1, 1, 1), "scale": 1, "border": ()},
    }  # fmt: skip
    write_torch(whole | {"options": None}, tmp_path / "p.pt")
    with pytest.raises(SourceError, match=r"p\.pt: malformed checkpoint: options: expected them"):
        read_info(tmp_path / "p.pt")
