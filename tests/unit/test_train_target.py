# SPDX-License-Identifier: Apache-2.0
"""Which files a training run may write, as they were left by the run before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poseact_engine.cli.train_pictures import Target
from poseact_engine.errors import SinkError

pytestmark = pytest.mark.needs_torch
NO_FILES: Any = SimpleNamespace(data=[], validation=None)


def target(folder: Path, *, resume: bool = False, overwrite: bool = False) -> Target:
    return Target(
        output=folder / "p.pt", overwrite=overwrite, resume=resume, tensorboard=None, init=None
    )


def test_a_model_is_replaced_by_overwrite_alone(tmp_path: Path) -> None:
    target(tmp_path).check(NO_FILES)
    (tmp_path / "p.pt").touch()
    for resume in (False, True):
        with pytest.raises(SinkError, match=r"exists; .*--overwrite"):
            target(tmp_path, resume=resume).check(NO_FILES)
    target(tmp_path, overwrite=True).check(NO_FILES)


def test_a_run_broken_off_between_its_model_and_its_state_goes_on(tmp_path: Path) -> None:
    for name in ("p.pt", "p.pt.resume"):
        (tmp_path / name).touch()
    target(tmp_path, resume=True).check(NO_FILES)
    with pytest.raises(SinkError, match="--resume"):
        target(tmp_path, overwrite=True).check(NO_FILES)
