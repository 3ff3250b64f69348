# SPDX-License-Identifier: Apache-2.0
"""Engine files on a machine they were not built for: said, and built anew once."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import Any

import pytest

from poseact_engine.backends.base import ModelFile
from poseact_engine.backends.tensorrt_build import Recipe, build_engine
from poseact_engine.backends.tensorrt_cache import engines
from poseact_engine.backends.tensorrt_toolkit import Toolkit
from poseact_engine.engine_file import load_engine, write_engine
from poseact_engine.errors import BackendError, ManifestError
from tests.engines import GPU, first

pytestmark = pytest.mark.needs_tensorrt


def engine_file(onnx: ModelFile, toolkit: Toolkit, **changes: Any) -> ModelFile:
    """An engine file beside its ONNX file, whose fingerprint says what ``changes`` say."""
    assert onnx.path is not None
    recipe = Recipe(profiles=((1, 2, 3),), capabilities=(GPU, "sm_89"), workspace_mib=128)
    engine = build_engine(onnx, toolkit, recipe)
    fingerprint = dataclasses.replace(engine.fingerprint, **changes)
    path = onnx.path.with_suffix(".engine")
    write_engine(dataclasses.replace(engine, fingerprint=fingerprint), path)
    data, engine = load_engine(path)
    return ModelFile(path=path, data=data, manifest=engine.manifest)


def test_an_engine_that_fits_needs_nothing_else(
    onnx: ModelFile, toolkit: Toolkit, cache: Path, builds: list[Recipe], caplog: Any
) -> None:
    file = engine_file(onnx, toolkit)
    assert onnx.path is not None
    onnx.path.unlink()
    with caplog.at_level(logging.WARNING):
        engine = first(file, toolkit, "sm_89")
    assert engine.fingerprint.profiles == ((1, 2, 3),)
    assert builds == []
    assert not cache.exists()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("changes", "gpu", "said"),
    [
        ({"version": "1.6.0.1"}, GPU, "made by tensorrt_rtx 1.6.0.1, here is tensorrt_rtx 1.7"),
        ({"flavour": "tensorrt", "version": "10.3.0"}, GPU, "made by tensorrt 10.3.0, here is"),
        ({}, "sm_120", "made for sm_86, sm_89, this GPU is sm_120"),
        ({"onnx_sha256": "0" * 64}, GPU, "d.onnx beside it was changed since"),
    ],
)
def test_what_does_not_fit_is_said_and_built_once(
    changes: Any, gpu: str, said: str, onnx: ModelFile, toolkit: Toolkit, cache: Path,
    builds: list[Recipe], caplog: Any,
) -> None:  # fmt: skip
    file = engine_file(onnx, toolkit, **changes)
    before = file.data
    engine = first(file, toolkit, gpu)
    assert said in caplog.text
    assert engine.fingerprint.capabilities == (gpu,)
    # As the user built it: the same buckets, the same limit.
    assert builds == [Recipe(profiles=((1, 2, 3),), capabilities=(gpu,), workspace_mib=128)]
    assert first(file, toolkit, gpu) == engine
    assert len(builds) == 1
    assert file.path is not None
    assert file.path.read_bytes() == before  # the user's file stays
    assert len(list(cache.glob("*.engine"))) == 1


@pytest.mark.parametrize("name", ["d.onnx", ""])
def test_without_its_onnx_file_it_says_what_to_run(
    name: str, onnx: ModelFile, toolkit: Toolkit, cache: Path
) -> None:
    file = engine_file(onnx, toolkit, version="1.6.0.1", onnx_name=name)
    assert onnx.path is not None
    onnx.path.unlink()
    with pytest.raises(BackendError) as caught:
        first(file, toolkit)
    message = str(caught.value)
    assert "made by tensorrt_rtx 1.6.0.1" in message
    assert f"{name or 'MODEL.onnx'} is not beside it" in message
    assert f"`python -m export engine {name or 'MODEL.onnx'}" in message
    assert not cache.exists()


def test_another_model_under_its_onnx_files_name(
    onnx: ModelFile, toolkit: Toolkit, cache: Path
) -> None:
    file = engine_file(onnx, toolkit)
    assert onnx.path is not None
    onnx.path.write_bytes(b"no ONNX at all")
    with pytest.raises(ManifestError, match=r"d\.onnx: expected an ONNX file"):
        first(file, toolkit)
    assert not cache.exists()


def test_a_refused_engine_file_is_built_from_its_onnx_file_once(
    onnx: ModelFile, toolkit: Toolkit, cache: Path, builds: list[Recipe], caplog: Any
) -> None:
    file = engine_file(onnx, toolkit)
    own, built = engines(file, toolkit, GPU)
    assert own.fingerprint.capabilities == (GPU, "sm_89")
    assert built.fingerprint.capabilities == (GPU,)
    assert f"{toolkit} refused it" in caplog.text
    candidates = engines(file, toolkit, GPU)
    assert next(candidates) == own
    assert next(candidates) == built  # of the cache
    assert len(builds) == 1
    assert cache.is_dir()


def test_a_gpu_that_tensorrt_for_rtx_does_not_know(
    onnx: ModelFile, toolkit: Toolkit, cache: Path
) -> None:
    with pytest.raises(BackendError, match=r"expected a GPU of sm_75.*got sm_90"):
        first(onnx, toolkit, "sm_90")
    assert list(cache.glob("*.engine")) == []
