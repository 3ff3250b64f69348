# SPDX-License-Identifier: Apache-2.0
"""A cache of its own for each test, and a record of what is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poseact_engine.backends import tensorrt_cache
from poseact_engine.backends.base import ModelFile
from poseact_engine.backends.tensorrt_build import Recipe, build_engine
from poseact_engine.backends.tensorrt_toolkit import Toolkit, load_toolkit
from poseact_engine.engine_file import EngineFile
from tests.engines import read_onnx
from tests.models import make_detector


@pytest.fixture(scope="module")
def toolkit() -> Toolkit:
    return load_toolkit("tensorrt_rtx")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POSEACT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Every build that was made, in order."""
    made: list[Recipe] = []

    def counted(file: ModelFile, toolkit: Toolkit, recipe: Recipe, **options: Any) -> EngineFile:
        made.append(recipe)
        return build_engine(file, toolkit, recipe, **options)

    monkeypatch.setattr(tensorrt_cache, "build_engine", counted)
    return made


@pytest.fixture
def onnx(tmp_path: Path) -> ModelFile:
    return read_onnx(make_detector(tmp_path / "d.onnx", [(0, 0, 1, 1)]))
