# SPDX-License-Identifier: Apache-2.0
"""The running half of the TensorRT backend, on a TensorRT and a CUDA made of NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.backends.base import Model, ModelFile
from poseact_engine.backends.registry import open_model
from poseact_engine.backends.tensorrt import TensorRtModel, open_tensorrt
from poseact_engine.backends.tensorrt_cuda import CudaDevice
from poseact_engine.backends.tensorrt_names import CudaRuntime, TensorRt
from poseact_engine.backends.tensorrt_toolkit import Toolkit
from poseact_engine.engine_file import EngineFile, Fingerprint, pack
from poseact_engine.errors import BackendError, ShapeError
from poseact_engine.manifest_io import read_manifest
from tests.fake_tensorrt import FakeCuda, FakeEngine, FakeTensorRt, Tensor, TensorIOMode
from tests.models import make_detector

BUCKETS = [(1, 1, 1), (2, 4, 8), (9, 16, 16)]
PICTURE = (3, 6, 8)
PLAN = b"a plan"


def compute(images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes [B, 2, 4] and scores [B, 2] that differ for every picture."""
    total = images.sum(axis=(1, 2, 3), dtype=np.float32)
    boxes = total[:, None, None] + np.arange(8, dtype=np.float32).reshape(2, 4)
    return boxes, np.stack([total / 7, images[:, 0, 0, 0].astype(np.float32)], axis=1)


def pictures(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *PICTURE), dtype=np.uint8)


class World:
    """A fake machine and an engine file for it."""

    def __init__(self, folder: Path, buckets: list[tuple[int, int, int]] = BUCKETS) -> None:
        path = make_detector(folder / "d.onnx", [(0, 0, 1, 1), (1, 1, 2, 2)], PICTURE[1:])
        self.cuda = FakeCuda()
        self.engine = FakeEngine(
            self.cuda,
            [
                Tensor("images", TensorIOMode.INPUT, "uint8", PICTURE),
                Tensor("boxes", TensorIOMode.OUTPUT, "float32", (2, 4)),
                Tensor("scores", TensorIOMode.OUTPUT, "float32", (2,)),
            ],
            buckets,
            compute,
        )
        self.trt = FakeTensorRt({PLAN: self.engine})
        self.toolkit = Toolkit(module=cast(TensorRt, self.trt), flavour="tensorrt")
        manifest = read_manifest(path)
        fingerprint = Fingerprint(
            onnx_name="gone.onnx",
            onnx_sha256="0" * 64,
            initialiser_sha256=manifest.sha256,
            flavour="tensorrt",
            version="10.16.1.11",
            capabilities=("sm_86",),
            profiles=tuple(buckets),
            precision="fp32",
            workspace_mib=None,
        )
        self.content = EngineFile(manifest=manifest, fingerprint=fingerprint, plan=PLAN)
        self.path = folder / "d.engine"

    def open(self) -> TensorRtModel:
        file = ModelFile(path=self.path, data=pack(self.content), manifest=self.content.manifest)
        return open_tensorrt(file, self.toolkit, cast(CudaRuntime, self.cuda))

    @property
    def runs(self) -> list[tuple[int, int]]:
        """Bucket and batch of every call into TensorRT."""
        assert self.engine.context is not None
        return self.engine.context.runs


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_is_a_model(world: World) -> None:
    model = world.open()
    assert isinstance(model, Model)
    assert model.backend == "tensorrt/cuda"
    assert model.manifest.task == "detector"
    assert model.cpu_s == 0


@pytest.mark.parametrize("count", [0, 1, 2, 5, 8, 9, 16, 17, 18, 25, 32, 40])
def test_any_batch_gives_what_single_pictures_give(world: World, count: int) -> None:
    batch = pictures(count)
    boxes, scores = world.open().run(batch)
    assert boxes.dtype == scores.dtype == np.float32
    expected = compute(batch)
    np.testing.assert_array_equal(boxes, expected[0])
    np.testing.assert_array_equal(scores, expected[1])


@pytest.mark.parametrize(
    ("count", "runs"),
    [
        (0, []),
        (1, [(0, 1)]),
        (2, [(1, 2)]),
        (8, [(1, 8)]),
        (9, [(2, 9)]),
        (16, [(2, 16)]),
        (17, [(2, 16), (0, 1)]),
        (37, [(2, 16), (2, 16), (1, 5)]),
    ],
)
def test_the_smallest_bucket_that_takes_it(
    world: World, count: int, runs: list[tuple[int, int]]
) -> None:
    world.open().run(pictures(count))
    assert world.runs == runs


def test_of_overlapping_buckets_the_smallest(tmp_path: Path) -> None:
    world = World(tmp_path, [(1, 16, 16), (1, 4, 4)])
    model = world.open()
    for count in (3, 4, 5):
        model.run(pictures(count))
    assert world.runs == [(1, 3), (1, 4), (0, 5)]


def test_memory_is_made_once(world: World) -> None:
    model = world.open()
    made = world.cuda.allocated
    assert made == 2 * 3  # host and device, of one input and two outputs
    for count in (1, 40, 3, 0, 16, 17):
        model.run(pictures(count, seed=count))
    assert world.cuda.allocated == made
    assert world.cuda.queue == []


def test_results_are_the_callers_own(world: World) -> None:
    model = world.open()
    first = model.run(pictures(4))
    kept = [o.copy() for o in first]
    batch = pictures(4, seed=1)
    model.run(batch)
    batch[:] = 0
    for output, expected in zip(first, kept, strict=True):
        np.testing.assert_array_equal(output, expected)


def test_closing_frees_all_and_is_safe_twice(world: World) -> None:
    model = world.open()
    model.run(pictures(3))
    model.close()
    model.close()
    assert world.cuda.memory == {}
    assert world.cuda.streams == 0
    with pytest.raises(BackendError, match="closed"):
        model.run(pictures(1))


def test_wrong_input_is_a_shape_error(world: World) -> None:
    with pytest.raises(ShapeError, match="expected images uint8"):
        world.open().run(pictures(2).astype(np.float32))


def test_no_device_is_said_at_once(world: World) -> None:
    world.cuda.devices = 0
    with pytest.raises(BackendError, match=r"expected a CUDA device, got none.*NoDevice"):
        world.open()


@pytest.mark.parametrize("name", ["cudaMalloc", "cudaMallocHost"])
def test_memory_that_is_not_to_be_had(world: World, name: str) -> None:
    world.cuda.failing = name
    with pytest.raises(
        BackendError, match=rf"{name} failed: cudaErrorIllegalAddress, 700 in words"
    ):
        world.open()
    assert world.cuda.memory == {}
    assert world.cuda.streams == 0


def test_a_failure_on_the_device_is_said(world: World) -> None:
    model = world.open()
    world.cuda.failing = "cudaStreamSynchronize"
    with pytest.raises(BackendError, match="cudaStreamSynchronize failed"):
        model.run(pictures(2))
    model.close()
    assert world.cuda.memory == {}


def test_a_refused_run_is_said(world: World) -> None:
    model = world.open()
    assert world.engine.context is not None
    world.engine.context.refuse = True
    with pytest.raises(BackendError, match="detector model cannot run"):
        model.run(pictures(2))


def test_an_output_of_another_shape_is_an_error(world: World) -> None:
    model = world.open()
    assert world.engine.context is not None
    world.engine.context.extra_rows = 1
    with pytest.raises(BackendError, match=r"expected output boxes .* batch of 2, got \[3, 2, 4\]"):
        model.run(pictures(2))


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor("scores", TensorIOMode.OUTPUT, "uint8", (2,)),
        Tensor("score", TensorIOMode.OUTPUT, "float32", (2,)),
        Tensor("scores", TensorIOMode.INPUT, "float32", (2,)),
    ],
)
def test_an_engine_that_breaks_the_contract(world: World, tensor: Tensor) -> None:
    world.engine.tensors[2] = tensor
    with pytest.raises(BackendError, match=r"detector engine: expected the tensors"):
        world.open()
    assert world.cuda.memory == {}


def test_a_plan_that_tensorrt_refuses_names_its_reason_and_the_way_out(world: World) -> None:
    world.trt.engines[PLAN] = None
    with pytest.raises(
        BackendError, match=r"TensorRT 10\.16\.1\.11 refused it.*gone\.onnx is not beside it"
    ):
        world.open()
    device = CudaDevice(cast(CudaRuntime, world.cuda))
    with pytest.raises(BackendError, match="made by another driver"):
        TensorRtModel(world.content, world.toolkit, device)


def test_too_little_memory_is_no_reason_to_build_anew(world: World) -> None:
    world.engine.crowded = True
    with pytest.raises(BackendError, match="no execution context"):
        world.open()


@pytest.mark.needs_tensorrt
def test_without_a_gpu_the_backend_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # of no use once CUDA has begun in this process
    cache: Any = tmp_path / "cache"
    monkeypatch.setenv("POSEACT_CACHE", str(cache))
    path = make_detector(tmp_path / "d.onnx", [(0, 0, 1, 1)])
    with pytest.raises(BackendError, match=r"expected a CUDA device, got none"):
        open_model(path, task="detector", backend="tensorrt")
    assert not cache.exists()  # nothing was built for a GPU that is not there
