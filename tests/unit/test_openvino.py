# SPDX-License-Identifier: Apache-2.0
"""What is OpenVINO's own; what all backends share is in test_backend.py."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from poseact_engine.backends import registry
from poseact_engine.backends.openvino import OpenVinoModel, _precision, import_openvino
from poseact_engine.backends.registry import open_model
from poseact_engine.backends.signal_stack import keep_signal_stack
from poseact_engine.errors import BackendError, DependencyError
from poseact_engine.evaluation.made import made_pictures
from poseact_engine.manifest_io import load_model, read_manifest
from tests.models import make_detector
from tests.real_models import adapt_tinypose

pytestmark = pytest.mark.needs_openvino
SIZE = (64, 64)
BOXES = [(1, 2, 30, 40), (5, 6, 20, 60)]


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    return make_detector(tmp_path / "d.onnx", BOXES, SIZE)


@pytest.mark.needs_data
def test_fp32_is_computed_in_fp32(data_dir: Path, tmp_path: Path) -> None:
    """Where OpenVINO chooses, it takes bf16 on CPUs that have it: scores are off by 0.01 then."""
    path = adapt_tinypose(data_dir, tmp_path)
    crops = made_pictures(6, 256, 192)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"crops": crops})
    model = open_model(path, task="pose", backend="openvino", threads=2)
    (found,) = model.run(crops)
    np.testing.assert_allclose(found, expected, atol=1e-4)

    with keep_signal_stack():
        core = import_openvino().Core()
        if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            left_alone = core.compile_model(core.read_model(str(path)), "CPU")
            (coarse,) = left_alone([crops]).values()
            assert np.abs(coarse[..., 2] - expected[..., 2]).max() > 1e-3


class FakeCore:
    def __init__(self, *capabilities: str) -> None:
        self._capabilities = list(capabilities)

    def get_property(self, device: str, name: str) -> list[str]:
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return self._capabilities


def test_half_precision_only_for_files_that_have_it_and_cpus_that_can() -> None:
    able, unable = FakeCore("FP32", "BF16", "FP16", "INT8"), FakeCore("FP32", "BF16", "INT8")
    asked = {p: (_precision(p, able), _precision(p, unable)) for p in ("fp32", "fp16", "int8")}
    assert asked == {"fp32": ("f32", "f32"), "fp16": ("f16", "f32"), "int8": ("f32", "f32")}


def test_openvino_says_what_was_asked_of_it(detector: Path) -> None:
    """Its defaults here: bf16, one request, pinned threads."""
    data, _, manifest = load_model(detector)
    compiled = OpenVinoModel(data, manifest, threads=2)._compiled
    said = {
        name: compiled.get_property(name)
        for name in ("NUM_STREAMS", "INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING")
    }
    assert said == {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2, "ENABLE_CPU_PINNING": False}
    precision = compiled.get_property("INFERENCE_PRECISION_HINT")
    assert precision == import_openvino().Type.f32


def test_answers_are_the_callers_own(detector: Path) -> None:
    model = open_model(detector, task="detector", backend="openvino", threads=1)
    batch = np.zeros((1, 3, *SIZE), np.uint8)
    boxes, _ = model.run(batch)
    boxes[:] = -1
    again, _ = model.run(batch)
    np.testing.assert_array_equal(again, [BOXES])
    np.testing.assert_array_equal(boxes, np.full((1, 2, 4), -1))


@pytest.mark.parametrize("closing", ["m.close()", "run(m.close)"])
def test_a_signal_is_no_crash_whoever_closes_the_models(detector: Path, closing: str) -> None:
    """First opened, first closed, here or in another thread: see `keep_signal_stack`."""
    code = (
        "import gc, os, signal, threading\n"
        "from poseact_engine.backends.registry import open_model\n"
        "def run(call):\n"
        "    thread = threading.Thread(target=call); thread.start(); thread.join()\n"
        f"options = {{'task': 'detector', 'backend': 'openvino', 'threads': 1}}\n"
        f"models = [open_model({str(detector)!r}, **options) for _ in range(3)]\n"
        "for m in models:\n"
        f"    {closing}\n"
        "    gc.collect()\n"
        "seen = []\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "print(len(seen))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


def test_a_file_openvino_cannot_read_is_one_line(detector: Path) -> None:
    with pytest.raises(
        BackendError, match=r"^openvino: cannot load the detector model: "
    ) as caught:
        OpenVinoModel(b"no model", read_manifest(detector), threads=1)
    assert "\n" not in str(caught.value)


def test_an_error_on_the_way_leaves_no_request_at_work(
    detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _, manifest = load_model(detector)
    model = OpenVinoModel(data, manifest, threads=2)

    def fail(*_: object) -> None:
        raise RuntimeError("made\nto fail")

    batch = np.zeros((5, 3, *SIZE), np.uint8)
    with monkeypatch.context() as patch:
        patch.setattr(model, "_copy", fail)
        with pytest.raises(BackendError, match="openvino: detector model failed: made to fail"):
            model.run(batch)
    np.testing.assert_array_equal(model.run(batch)[0], [BOXES] * 5)


def test_auto_takes_it_where_there_is_no_onnxruntime(
    detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_model(detector, task="detector").backend == "onnxruntime/cpu"
    there = registry.installed_module
    monkeypatch.setattr(
        registry, "installed_module", lambda e: None if e.name == "onnxruntime" else there(e)
    )
    assert open_model(detector, task="detector").backend == "openvino/cpu"


def test_a_package_that_does_not_import_is_a_missing_one(
    detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(DependencyError, match=r"pip install 'poseact-engine\[openvino\]'"):
        open_model(detector, task="detector", backend="openvino")


def test_nothing_is_reported_to_its_maker(detector: Path, tmp_path: Path) -> None:
    """OpenVINO's telemetry starts a thread and leaves an id in the home folder when imported."""
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import sys, threading\n"
        "from poseact_engine.backends.registry import open_model\n"
        f"open_model({str(detector)!r}, task='detector', backend='openvino')\n"
        "print(threading.active_count(), 'openvino_telemetry' in sys.modules)\n"
        "import importlib.util\n"
        "print(importlib.util.find_spec('openvino_telemetry') is not None)\n"
    )
    env = {k: v for k, v in os.environ.items() if k != "CI"} | {"HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    there = importlib.util.find_spec("openvino_telemetry") is not None
    assert done.stdout.split() == ["1", "False", str(there)]
    assert done.stderr == ""
    assert list(home.iterdir()) == []
