# SPDX-License-Identifier: Apache-2.0
"""Backends: what was asked for is what runs, or an error says why not."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import psutil
import pytest
from onnx import numpy_helper

from export.front import InputOptions
from export.pose import PoseOptions, export_pose
from poseact_engine.backends import registry
from poseact_engine.backends.base import Model
from poseact_engine.backends.onnxruntime import split
from poseact_engine.backends.registry import open_model
from poseact_engine.config import BackendChoice
from poseact_engine.errors import (
    BackendError,
    ConfigError,
    DependencyError,
    ManifestError,
    PoseActError,
    ShapeError,
)
from poseact_engine.manifest_io import attach, read_manifest
from tests.foreign_models import foreign_heatmap, pictures
from tests.models import make_action, make_bright_detector, make_detector, make_pose

SIZE = (64, 48)
BOXES = [(1, 2, 30, 40), (5, 6, 20, 60)]


@pytest.fixture(params=["onnxruntime", pytest.param("openvino", marks=pytest.mark.needs_openvino)])
def backend(request: pytest.FixtureRequest) -> BackendChoice:
    """Every backend that runs on a CPU."""
    name: BackendChoice = request.param
    return name


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return make_detector(tmp_path / "d.onnx", BOXES)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pose network with real work in it."""
    return adapted_network(tmp_path_factory.mktemp("net"), SIZE)


def adapted_network(folder: Path, size: tuple[int, int]) -> Path:
    foreign = foreign_heatmap(folder / "f.onnx", size, joints=5)
    plain = InputOptions(
        color="rgb", mean=(128, 128, 128), std=(60, 60, 60), scale=1.0, border=(0, 0, 0), size=None
    )
    options = PoseOptions(
        layout="heatmap",
        input=plain,
        geometry="default",
        expansion=1.25,
        joints=tuple("abcde"),
        source="made by code",
        licence="Apache-2.0",
    )
    export_pose(foreign, folder / "p.onnx", options)
    return folder / "p.onnx"


@pytest.mark.parametrize("threads", [0, -1, 1.5])
def test_threads_are_counted_from_one(detector: Path, threads: int) -> None:
    with pytest.raises(ConfigError, match=r"open_model.threads: expected a whole number"):
        open_model(detector, task="detector", threads=threads)


def images(count: int) -> np.ndarray:
    return np.zeros((count, 3, 64, 64), np.uint8)


def test_auto_is_resolved_and_logged(detector: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        model = open_model(detector, task="detector")
    assert isinstance(model, Model)
    assert model.backend == "onnxruntime/cpu"
    assert "onnxruntime, device cpu (asked: auto, auto)" in caplog.text


@pytest.mark.parametrize("batch", [0, 1, 2, 3, 7, 16])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_batch_on_any_threads(
    backend: BackendChoice, detector: Path, batch: int, threads: int
) -> None:
    model = open_model(detector, task="detector", backend=backend, threads=threads)
    boxes, scores = model.run(images(batch))
    assert boxes.dtype == scores.dtype == np.float32
    np.testing.assert_array_equal(boxes, np.tile(np.float32(BOXES), (batch, 1, 1)))
    np.testing.assert_allclose(scores, np.tile([0.9, 0.89], (batch, 1)))
    model.close()


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_and_batches_change_no_answer(
    backend: BackendChoice, network: Path, threads: int
) -> None:
    crops = pictures(13, SIZE)
    session = ort.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"crops": c[None]})[0] for c in crops])
    (found,) = open_model(network, task="pose", backend=backend, threads=threads).run(crops)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_windows_of_any_number(backend: BackendChoice, tmp_path: Path) -> None:
    model = open_model(make_action(tmp_path / "a.onnx"), task="action", backend=backend, threads=2)
    windows = np.zeros((300, 9, 17, 3), np.float32)
    windows[::2, ..., 0] = np.linspace(0, 100, 17)
    windows[1::2, ..., 1] = np.linspace(0, 100, 17)
    (found,) = model.run(windows)
    assert (found[::2].argmax(axis=1) == 5).all()
    assert (found[1::2].argmax(axis=1) == 4).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(("least", "most"), [(1, 4), (32, 128)])
@pytest.mark.parametrize("length", [1, 2, 5, 31, 64, 129, 300])
def test_split_is_whole_in_order_and_bounded(
    length: int, least: int, most: int, threads: int
) -> None:
    batch = np.arange(length)
    parts = split(batch, least, most, threads=threads)
    np.testing.assert_array_equal(np.concatenate(parts), batch)
    sizes = [len(p) for p in parts]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) >= min(threads, length // least)
    assert len(parts) == 1 or length >= 2 * least


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((2, 3, 64, 64), np.float32),
        np.zeros((2, 3, 64, 65), np.uint8),
        np.zeros((3, 64, 64), np.uint8),
        np.zeros((2, 64, 64, 3), np.uint8).transpose(0, 3, 1, 2),
        np.zeros((4, 3, 64, 64), np.uint8)[::2],
        [[1, 2, 3]],
    ],
)
def test_wrong_input_is_a_shape_error(
    backend: BackendChoice, detector: Path, batch: np.ndarray
) -> None:
    with pytest.raises(
        ShapeError, match=r"detector model: expected images uint8 \[batch, 3, 64, 64\]"
    ):
        open_model(detector, task="detector", backend=backend).run(batch)


def test_backend_outside_this_build(detector: Path) -> None:
    with pytest.raises(BackendError, match=r"auto or onnxruntime, openvino.*, got 'numpy'"):
        open_model(detector, task="detector", backend="numpy")  # type: ignore[arg-type]


def test_cuda_is_never_replaced_by_the_cpu(backend: BackendChoice, detector: Path) -> None:
    with pytest.raises(BackendError, match="'cuda'"):
        open_model(detector, task="detector", backend=backend, device="cuda")


@pytest.mark.parametrize(
    ("backend", "extra"), [("auto", "cpu"), ("onnxruntime", "cpu"), ("openvino", "openvino")]
)
def test_missing_package_names_its_install_line(
    detector: Path, backend: BackendChoice, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "installed_module", lambda _: None)
    with pytest.raises(DependencyError, match=rf"pip install 'poseact-engine\[{extra}\]'"):
        open_model(detector, task="detector", backend=backend)


def test_backends_are_imported_only_when_opened() -> None:
    code = (
        "import poseact_engine.backends.registry, sys\n"
        "sys.exit(any(name in sys.modules for name in ('onnxruntime', 'openvino')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_wrong_task_is_refused(tmp_path: Path, detector: Path) -> None:
    with pytest.raises(ManifestError, match="pose"):
        open_model(detector, task="pose")
    with pytest.raises(ManifestError, match="detector"):
        open_model(make_pose(tmp_path / "p.onnx"), task="detector")


def test_graph_that_breaks_its_declared_shape_is_an_error(
    backend: BackendChoice, tmp_path: Path, detector: Path
) -> None:
    """Declared [B, 2, 4], but one row more for every picture: seen when it runs."""
    model = onnx.load(str(detector))
    manifest = read_manifest(detector)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.shape == (1, 2, 4):
            longer = np.concatenate([values, values[:, :1]], axis=1)
            tensor.CopyFrom(numpy_helper.from_array(longer, tensor.name))
    attach(model, manifest)
    onnx.save(model, str(tmp_path / "odd.onnx"))
    with pytest.raises(PoseActError, match="detector"):
        open_model(tmp_path / "odd.onnx", task="detector", backend=backend).run(images(2))


def test_cpu_seconds_add_up_all_threads(backend: BackendChoice, network: Path) -> None:
    model = open_model(network, task="pose", backend=backend, threads=2)
    assert model.cpu_s == 0
    crops = pictures(64, SIZE)
    before = time.process_time()
    for _ in range(5):
        model.run(crops)
    spent = time.process_time() - before
    assert 0.5 * spent < model.cpu_s <= spent


def test_closed_model_is_an_error_and_closing_twice_is_not(
    backend: BackendChoice, detector: Path
) -> None:
    model = open_model(detector, task="detector", backend=backend, threads=2)
    model.close()
    model.close()
    with pytest.raises(BackendError, match="closed"):
        model.run(images(4))


def test_gil_is_released(backend: BackendChoice, tmp_path: Path) -> None:
    """Python goes on while the backend computes: a counter moves during one call into it."""
    size = (1024, 768)
    model = open_model(adapted_network(tmp_path, size), task="pose", backend=backend, threads=1)
    crops = pictures(4, size)
    count, stop = 0, threading.Event()

    def tick() -> None:
        nonlocal count
        while not stop.is_set():
            count += 1
            time.sleep(0.0005)

    with ThreadPoolExecutor(1) as pool:
        ticking = pool.submit(tick)
        before = count
        model.run(crops)
        during = count - before
        stop.set()
        ticking.result()
    assert during >= 3


def test_memory_does_not_creep_with_changing_batches(backend: BackendChoice, network: Path) -> None:
    model = open_model(network, task="pose", backend=backend, threads=2)
    crops = pictures(33, SIZE)
    sizes = np.random.default_rng(0).integers(1, 34, 150).tolist()
    for size in sizes:
        model.run(crops[:size])
    before = psutil.Process().memory_info().rss
    for size in sizes * 2:
        model.run(crops[:size])
    assert psutil.Process().memory_info().rss - before < 8 << 20


def test_bright_detector_finds_what_is_bright(tmp_path: Path) -> None:
    model = open_model(make_bright_detector(tmp_path / "b.onnx"), task="detector")
    batch = images(2)
    batch[0, 0, 10:21, 30:50] = 255
    batch[1, 2, 5:9, 1:3] = 200
    batch[1, :, 40:, 40:] = 255  # white is none of the three
    boxes, scores = model.run(batch)
    np.testing.assert_array_equal(boxes[:, 0], [(30, 10, 50, 21), (1, 5, 3, 9)])
    np.testing.assert_allclose(scores, [(0.9, 0, 0)] * 2)
