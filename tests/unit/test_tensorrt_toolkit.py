# SPDX-License-Identifier: Apache-2.0
"""Which TensorRT is taken, and what a build asks of TensorRT other than RTX (a made one)."""

from __future__ import annotations

import enum
import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

from poseact_engine.backends.base import ModelFile
from poseact_engine.backends.tensorrt_build import Recipe, build_engine
from poseact_engine.backends.tensorrt_names import TensorRt
from poseact_engine.backends.tensorrt_toolkit import MODULES, TensorRtLog, Toolkit, load_toolkit
from poseact_engine.errors import BackendError, DependencyError
from poseact_engine.manifest_io import load_model
from tests.fake_tensorrt import Logger, Severity
from tests.models import make_detector

MIB = 1 << 20


# ---------------------------------------------------------------- which one


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder to put modules in; none of TensorRT's is to be found elsewhere."""
    elsewhere = [p for p in sys.path if not any((Path(p) / name).exists() for name in MODULES)]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *elsewhere])
    known = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.modules.update(known)


def put(folder: Path, name: str, code: str) -> None:
    (folder / f"{name}.py").write_text(code)
    importlib.invalidate_caches()


def test_tensorrt_comes_before_rtx_unless_asked(modules: Path) -> None:
    put(modules, "tensorrt_rtx", "__version__ = '1.7.1'")
    assert str(load_toolkit()) == "TensorRT for RTX 1.7.1"
    put(modules, "tensorrt", "__version__ = '10.3.0'")
    assert str(load_toolkit()) == "TensorRT 10.3.0"
    assert load_toolkit("tensorrt_rtx").flavour == "tensorrt_rtx"
    assert load_toolkit().capabilities() == ()


def test_none_is_installed(modules: Path) -> None:
    assert modules.is_dir()
    with pytest.raises(DependencyError, match=r"pip install 'poseact-engine\[tensorrt\]'"):
        load_toolkit()


def test_one_that_cannot_be_imported_says_why(modules: Path) -> None:
    put(modules, "tensorrt", "raise OSError('libnvinfer.so.10: not found')")
    with pytest.raises(DependencyError, match=r"cannot be imported: libnvinfer\.so\.10: not found"):
        load_toolkit()


@pytest.mark.parametrize("version", ["8.6.1", "10.2.0.post1", "9.9"])
def test_one_that_is_too_old(modules: Path, version: str) -> None:
    put(modules, "tensorrt", f"__version__ = {version!r}")
    with pytest.raises(BackendError, match=rf"expected 10\.3 to 11, got {version}.*pip install"):
        load_toolkit()


@pytest.mark.parametrize(("version", "warns"), [("10.3.0", 0), ("11.4.0.106", 0), ("12.0.1", 1)])
def test_one_that_is_newer_than_known(modules: Path, version: str, warns: int, caplog: Any) -> None:
    put(modules, "tensorrt", f"__version__ = {version!r}")
    load_toolkit()
    assert caplog.text.count("newer than what is known to work") == warns


# ---------------------------------------------------------------- what a build asks of it


class Flag(enum.Enum):
    STRONGLY_TYPED = 1
    TF32 = 7
    WORKSPACE = 0

    def __int__(self) -> int:
        return int(self.value)


class Machine(ModuleType):
    """A TensorRT that records what is asked of it."""

    __version__ = "10.16.1.11"
    ILogger = Logger
    NetworkDefinitionCreationFlag = BuilderFlag = MemoryPoolType = Flag

    class IProgressMonitor:
        pass

    def __init__(self) -> None:
        super().__init__("tensorrt")
        self.asked: list[Any] = []
        self.caches: list[bytes] = []
        self.foreign: set[bytes] = set()
        self.plan: bytes | None = b"plan"
        self.progress_monitor: Any = None
        self.no_builder = False

    def __call__(self) -> TensorRt:
        return cast(TensorRt, self)

    # The module, and at once its builder, network, parser, config, profile and timing cache.

    def Builder(self, logger: Logger) -> Machine:
        self.logger = logger
        if self.no_builder:
            logger.log(Severity.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        return self

    def create_network(self, flags: int) -> Machine:
        self.asked.append(("network", flags))
        return self

    def OnnxParser(self, network: Machine, logger: Logger) -> Machine:
        assert network is self
        assert logger is self.logger
        return self

    def parse(self, model: bytes) -> bool:
        return len(model) > 0

    def create_builder_config(self) -> Machine:
        return self

    create_optimization_profile = create_builder_config

    def clear_flag(self, flag: Flag) -> None:
        self.asked.append(("clear", flag.name))

    def set_memory_pool_limit(self, pool: Flag, pool_size: int) -> None:
        self.asked.append((pool.name, pool_size))

    def get_input(self, index: int) -> Any:
        assert index == 0
        tensor = ModuleType("tensor")
        tensor.__dict__.update(name="images", shape=(-1, 3, 64, 64))
        return tensor

    def set_shape(self, *shapes: Any) -> None:
        self.asked.append(shapes)

    def add_optimization_profile(self, profile: Machine) -> int:
        assert profile is self
        return 0

    def create_timing_cache(self, data: bytes) -> bytes | None:
        return None if data == b"broken" else data

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.caches.append(cache)
        return cache not in self.foreign

    def get_timing_cache(self) -> Machine:
        return self

    def serialize(self) -> bytes:
        return self.caches[-1] + b"+measured"

    def build_serialized_network(self, network: Machine, config: Machine) -> bytes | None:
        assert network is config is self
        self.progress_monitor.phase_start("Building", None, 2)
        if self.plan is None:
            self.logger.log(Severity.WARNING, "no reason")
            self.logger.log(Severity.ERROR, "Could not find\n any implementation for node X")
        elif not self.progress_monitor.step_complete("Building", 0):
            return None
        self.progress_monitor.phase_finish("Building")
        return self.plan


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def toolkit(machine: Machine) -> Toolkit:
    return Toolkit(module=machine(), flavour="tensorrt")


@pytest.fixture
def file(tmp_path: Path) -> ModelFile:
    path = make_detector(tmp_path / "d.onnx", [(0, 0, 1, 1)])
    data, _, manifest = load_model(path)
    return ModelFile(path=path, data=data, manifest=manifest)


RECIPE = Recipe(profiles=((1, 1, 1), (2, 4, 8)), capabilities=("sm_90",), workspace_mib=64)


def test_a_build_is_strongly_typed_and_limited(
    machine: Machine, toolkit: Toolkit, file: ModelFile
) -> None:
    told: list[float] = []
    engine = build_engine(file, toolkit, RECIPE, report=lambda share, _: told.append(share))
    assert engine.plan == b"plan"
    assert engine.fingerprint.capabilities == ("sm_90",)
    assert engine.fingerprint.version == "10.16.1.11"
    rest = (3, 64, 64)
    assert machine.asked == [
        ("network", 1 << 1),
        ("clear", "TF32"),
        ("WORKSPACE", 64 * MIB),
        ("images", (1, *rest), (1, *rest), (1, *rest)),
        ("images", (2, *rest), (4, *rest), (8, *rest)),
    ]
    assert told == [0.0, 0.5]
    assert machine.caches == []


def test_a_timing_cache_is_made_and_used_again(
    machine: Machine, toolkit: Toolkit, file: ModelFile, tmp_path: Path
) -> None:
    path = tmp_path / "t.cache"
    build_engine(file, toolkit, RECIPE, timing_cache=path)
    assert path.read_bytes() == b"+measured"
    build_engine(file, toolkit, RECIPE, timing_cache=path)
    assert path.read_bytes() == b"+measured+measured"
    assert machine.caches == [b"", b"+measured"]


@pytest.mark.parametrize("content", [b"of another GPU", b"broken"])
def test_a_timing_cache_of_elsewhere_is_said_and_begun_anew(
    content: bytes, machine: Machine, toolkit: Toolkit, file: ModelFile, tmp_path: Path, caplog: Any
) -> None:
    path = tmp_path / "t.cache"
    path.write_bytes(content)
    machine.foreign = {content}
    build_engine(file, toolkit, RECIPE, timing_cache=path)
    assert path.read_bytes() == b"+measured"
    assert "of another TensorRT or GPU" in caplog.text


def test_a_timing_cache_that_cannot_be_read_or_written(
    toolkit: Toolkit, file: ModelFile, tmp_path: Path
) -> None:
    with pytest.raises(BackendError, match="cannot read the timing cache"):
        build_engine(file, toolkit, RECIPE, timing_cache=tmp_path)
    with pytest.raises(BackendError, match="cannot write the timing cache"):
        build_engine(file, toolkit, RECIPE, timing_cache=tmp_path / "none" / "t.cache")


def test_why_it_cannot_be_built(machine: Machine, toolkit: Toolkit, file: ModelFile) -> None:
    machine.plan = None
    with pytest.raises(BackendError) as caught:
        build_engine(file, toolkit, RECIPE)
    assert str(caught.value).endswith("build it: Could not find any implementation for node X")


def test_no_builder_without_a_gpu(machine: Machine, toolkit: Toolkit, file: ModelFile) -> None:
    machine.no_builder = True
    with pytest.raises(BackendError, match="no builder to be had: CUDA initialization failure"):
        build_engine(file, toolkit, RECIPE)


def test_messages_go_to_logging_and_errors_are_kept_to_be_raised(
    toolkit: Toolkit, caplog: Any
) -> None:
    log = TensorRtLog(toolkit)
    with caplog.at_level(logging.DEBUG):
        for severity in Severity:
            log.native.log(severity, f"{severity.name}\n said")
        log.native.log(Severity.ERROR, "x" * 1000)
    assert [r.levelname for r in caplog.records].count("INFO") == 1  # TensorRT's warning
    errors = log.take_errors()
    assert errors.startswith("INTERNAL_ERROR said; ERROR said; xxx")
    assert len(errors) < 400
    assert log.take_errors() == "no reason given"


def test_a_member_that_is_not_there_says_so(toolkit: Toolkit) -> None:
    with pytest.raises(BackendError, match=r"expected BuilderFlag\.FP16, got a module without it"):
        toolkit.member("BuilderFlag", "FP16")
