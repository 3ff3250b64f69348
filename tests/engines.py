# SPDX-License-Identifier: Apache-2.0
"""Reading models for the tests of engines, and the first engine that is found for one."""

from __future__ import annotations

from pathlib import Path

from poseact_engine.backends.base import ModelFile
from poseact_engine.backends.tensorrt_cache import engines
from poseact_engine.backends.tensorrt_toolkit import Toolkit
from poseact_engine.engine_file import EngineFile
from poseact_engine.manifest_io import load_model

GPU = "sm_86"
"""A GPU that TensorRT for RTX builds for, and that need not be there."""


def read_onnx(path: Path) -> ModelFile:
    data, _, manifest = load_model(path)
    return ModelFile(path=path, data=data, manifest=manifest)


def first(file: ModelFile, toolkit: Toolkit, gpu: str = GPU) -> EngineFile:
    return next(engines(file, toolkit, gpu))
