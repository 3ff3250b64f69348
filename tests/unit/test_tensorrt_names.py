# SPDX-License-Identifier: Apache-2.0
"""Every TensorRT and CUDA name that the backend touches, held against the real modules.

TensorRT for RTX is imported as it is. Of TensorRT 10 and 11 only the bindings are to be had; they
import beside three stub libraries with the nine C entry points that they link to (`nm -D`).
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from poseact_engine.backends import tensorrt_names as names
from poseact_engine.backends.tensorrt_toolkit import MODULES
from tests.conftest import BINDINGS, ROOT
from tests.tensorrt_probe import overloads, probe

VERSIONS = ("10.3.0", "10.16.1.11", "11.4.0.106")
LIBRARIES = ("libnvinfer", "libnvonnxparser", "libnvinfer_plugin")
ENTRY_POINTS = (
    "createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry", "getNvOnnxParserVersion", "getPluginRegistry",
    "initLibNvInferPlugins",
)  # fmt: skip
# Our annotations, and pybind11's words for the same.
TYPES = {
    "int": {"int", "typing.SupportsInt", "SupportsInt", "typing.SupportsIndex"},
    "str": {"str"},
    "bool": {"bool"},
    "bytes": {"buffer", "typing_extensions.Buffer", "collections.abc.Buffer"},
    "None": {"None"},
    "Shape": {"tuple", "Dims"},
    "Sequence[int]": {"Dims"},
    "list[Sequence[int]]": {"list[Dims]", "List[Dims]"},
}

Probed = dict[str, Any]


# ---------------------------------------------------------------- the comparison


def short(kind: str) -> str:
    """``tensorrt_bindings.tensorrt.Dims`` and ``nvinfer1::IDims`` without where they are from."""
    return re.sub(r"(?:\w+(?:\.|::))+(?=[A-Z])", "", kind)


def same_type(ours: str, theirs: str) -> bool:
    ours = ours.removesuffix(" | None")
    if ours == "object":  # a member of an enum, or a logger
        return True
    return theirs in TYPES.get(ours, ()) or short(theirs) in {
        ours,
        f"I{ours}",
        *TYPES.get(ours, ()),
    }


def takes(overload: dict[str, Any], ours: inspect.Signature) -> bool:
    """Whether a call with our parameters, by position, is one of this overload."""
    wanted = [p for p in ours.parameters.values() if p.name != "self"]
    theirs = overload["parameters"]
    if len(theirs) < len(wanted) or not all(p["default"] for p in theirs[len(wanted) :]):
        return False
    pairs = zip(wanted, theirs, strict=False)
    return all(p.name == t["name"] and same_type(p.annotation, t["type"]) for p, t in pairs) and (
        same_type(ours.return_annotation, overload["returns"])
    )


def protocol_faults(name: str, ours: type, probed: Probed) -> Iterator[str]:
    """How a class of the table differs from the class of that name in the module."""
    theirs = probed["classes"].get(name)
    if theirs is None:
        yield f"no class {name}"
        return
    fields = {
        n for k in ours.__mro__ for n in vars(k).get("__annotations__", {}) if k is not Protocol
    }
    members = {n for k in ours.__mro__ if k.__module__ == ours.__module__ for n in vars(k)}
    for member in sorted(n for n in fields | members if not n.startswith("_")):
        found = theirs.get(member)
        static = inspect.getattr_static(ours, member, None)
        if found is None:
            yield f"{name}: no {member}"
        elif member in fields:
            if found["kind"] != "property" or not found["writable"]:
                yield f"{name}.{member}: expected a property that can be set"
        elif isinstance(static, property):
            if found["kind"] != "property":
                yield f"{name}.{member}: expected a property"
        elif not any(takes(o, inspect.signature(static)) for o in found.get("overloads", ())):
            yield f"{name}.{member}: expected {inspect.signature(static)}, got {found}"


def called_faults(probed: Probed) -> Iterator[str]:
    """Constructors, and methods that TensorRT calls on classes of ours."""
    calls = {(name, "__init__"): p for name, p in names.CONSTRUCTORS.items()} | {
        (name, method): p
        for name, methods in names.CALLBACKS.items()
        for method, p in methods.items()
    }
    for (name, method), parameters in calls.items():
        found = probed["classes"].get(name, {}).get(method, {}).get("overloads", [])
        if not any(tuple(p["name"] for p in o["parameters"]) == parameters for o in found):
            yield f"{name}.{method}: expected {parameters}, got {found}"


def faults(probed: Probed) -> list[str]:
    found = [f for k in names.CLASSES for f in protocol_faults(k.__name__, k, probed)]
    found += called_faults(probed)
    for enum, members in names.ENUMS.items():
        theirs = probed["classes"].get(enum, {})
        found += [f"no {enum}.{m}" for m in members if theirs.get(m, {}).get("kind") != "member"]
    found += [f"no ILogger.{s}" for s in names.SEVERITIES if s not in probed["severities"]]
    # Shapes are read as sequences.
    found += [
        f"Dims: no {m}" for m in ("__len__", "__getitem__") if m not in probed["classes"]["Dims"]
    ]
    return found


# ---------------------------------------------------------------- the modules


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Libraries that export the entry points and do nothing, under both versions' names."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler is not None, "a C compiler is needed"
    folder = tmp_path_factory.mktemp("stubs")
    code = "\n".join(f"void *{name}(void) {{ return 0; }}" for name in ENTRY_POINTS)
    (folder / "stub.c").write_text(code)
    for library in LIBRARIES:
        for version in (10, 11):
            soname = f"{library}.so.{version}"
            options = ["-shared", "-fPIC", f"-Wl,-soname,{soname}", "-o", soname]
            subprocess.run([compiler, *options, "stub.c"], cwd=folder, check=True)
    return folder


def probe_bindings(version: str, stubs: Path) -> Probed:
    paths = {"LD_LIBRARY_PATH": str(stubs), "PYTHONPATH": str(BINDINGS / version)}
    program = [sys.executable, str(ROOT / "tests" / "tensorrt_probe.py"), "tensorrt_bindings"]
    done = subprocess.run(program, env={**os.environ, **paths}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: Probed = json.loads(done.stdout)
    return found


@pytest.mark.needs_tensorrt_bindings
@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_is_in_the_bindings(version: str, stubs: Path) -> None:
    probed = probe_bindings(version, stubs)
    assert probed["version"] == version
    assert faults(probed) == []
    assert "ComputeCapability" not in probed["classes"]  # of RTX alone, as the backend takes it


@pytest.mark.needs_tensorrt
def test_every_name_is_in_tensorrt_for_rtx() -> None:
    module = importlib.import_module("tensorrt_rtx_bindings")
    probed = probe(module)
    assert faults(probed) == []
    rtx = [f for n, k in names.RTX_CLASSES.items() for f in protocol_faults(n, k, probed)]
    assert rtx == []
    assert {"SM75", "SM86", "SM89", "SM120"} <= set(module.ComputeCapability.__members__)


@pytest.mark.needs_tensorrt
def test_every_cuda_name() -> None:
    runtime: Any = importlib.import_module("cuda.bindings.runtime")
    for enum, members in names.CUDA_MEMBERS.items():
        assert set(members) <= set(getattr(runtime, enum).__members__)
    assert isinstance(runtime.cudaStreamNonBlocking, int)
    for name, ours in inspect.getmembers(names.CudaRuntime, inspect.isfunction):
        if name.startswith("cuda"):
            theirs = list(inspect.signature(getattr(runtime, name)).parameters)
            assert ["self", *theirs] == list(inspect.signature(ours).parameters), name


def test_every_member_that_is_fetched_by_name_is_in_the_table() -> None:
    code = "".join(p.read_text() for p in (ROOT / "poseact_engine/backends").glob("tensorrt*.py"))
    fetched = set(re.findall(r'member\(\s*"(\w+)", "(\w+)"\s*\)', code))
    assert fetched  # else the pattern is out of date
    assert fetched <= {(enum, m) for enum, members in names.ENUMS.items() for m in members}
    cuda = set(re.findall(r"\b(cuda[A-Z]\w+)", code))
    known = {n for n in dir(names.CudaRuntime) if n.startswith("cuda")} | {"cudaStreamNonBlocking"}
    known |= {*names.CUDA_MEMBERS, *(m for ms in names.CUDA_MEMBERS.values() for m in ms)}
    assert cuda <= known
    assert set(MODULES.values()) == {"tensorrt", "tensorrt_rtx"}


# ---------------------------------------------------------------- the comparison can fail

DOC = """run(*args, **kwargs)
Overloaded function.

1. run(self: m.a.Box, name: str, shape: m.a.Dims = <Dims: 0>) -> m.a.IThing

2. run(self: m.a.Box, count: typing.SupportsInt) -> bool
"""


class Box(Protocol):
    size: int

    def run(self, name: str) -> IThing: ...


class IThing(Protocol): ...


class WrongName(Protocol):
    def run(self, label: str) -> IThing: ...


class WrongType(Protocol):
    def run(self, name: bytes) -> IThing: ...


class WrongReturn(Protocol):
    def run(self, name: str) -> bool: ...


class TooMany(Protocol):
    def run(self, name: str, shape: Sequence[int], more: int) -> IThing: ...  # noqa: F821


class TooFew(Protocol):
    def run(self) -> IThing: ...


class Unknown(Protocol):
    def walk(self) -> None: ...


def made(*, writable: bool = True) -> Probed:
    run = {"kind": "method", "overloads": overloads("run", DOC)}
    return {"classes": {"Box": {"run": run, "size": {"kind": "property", "writable": writable}}}}


def test_what_is_alike_is_no_fault() -> None:
    assert list(protocol_faults("Box", Box, made())) == []


@pytest.mark.parametrize("ours", [WrongName, WrongType, WrongReturn, TooMany, TooFew, Unknown])
def test_what_differs_is_a_fault(ours: type) -> None:
    assert len(list(protocol_faults("Box", ours, made()))) == 1


def test_a_missing_class_and_a_fixed_property_are_faults() -> None:
    assert list(protocol_faults("Bag", Box, made())) == ["no class Bag"]
    assert len(list(protocol_faults("Box", Box, made(writable=False)))) == 1
