# SPDX-License-Identifier: Apache-2.0
"""Real engines, built by TensorRT for RTX without a GPU, for every network and precision."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from export.engine import export_engine
from export.graph import GraphBuilder, value_info
from export.package import write_model
from poseact_engine.backends.base import ModelFile
from poseact_engine.backends.tensorrt_build import Recipe, build_engine, check_profiles
from poseact_engine.backends.tensorrt_toolkit import Toolkit, load_toolkit
from poseact_engine.bundled import BundledTask, bundled_model
from poseact_engine.contract import OPSET, contract_of
from poseact_engine.engine_file import read_engine
from poseact_engine.errors import BackendError, DependencyError, ExportError, PoseActError
from poseact_engine.manifest import Manifest
from poseact_engine.manifest_io import load_model, read_manifest
from tests.engine_models import NETWORKS, in_precision, quantised
from tests.models import make_action, make_detector, make_pose

pytestmark = pytest.mark.needs_tensorrt
GPUS = ("sm_75", "sm_86", "sm_89", "sm_120")


@pytest.fixture(scope="module")
def toolkit() -> Toolkit:
    return load_toolkit("tensorrt_rtx")


@pytest.fixture(scope="module")
def fp32() -> dict[str, tuple[onnx.ModelProto, Manifest]]:
    return {name: make() for name, make in NETWORKS.items()}


# Network, precision, GPUs, and the plan's size over that of fp32 weights: at least 1 if these are
# in it, less if narrower ones are (kernels take the rest). Turing multiplies no fp32 matrices in
# TensorRT for RTX, and an LSTM is made of them.
CASES = [
    ("hrnet", "fp32", GPUS, (1.0, 1.1)),
    ("hrnet", "fp16", GPUS, (0.5, 0.6)),
    ("hrnet", "int8", GPUS, (0.25, 0.75)),
    ("yolox", "fp32", GPUS, (1.0, 1.3)),
    ("yolox", "fp16", GPUS, (0.5, 0.7)),
    ("yolox", "int8", GPUS, (0.25, 1.0)),
    ("lstm", "fp32", GPUS[1:], (1.0, 10.0)),
    ("lstm", "fp16", GPUS[1:], (0.5, 10.0)),
]


@pytest.mark.needs_torch
@pytest.mark.parametrize(("name", "precision", "gpus", "sizes"), CASES)
def test_every_network_in_every_precision(
    fp32: Any, toolkit: Toolkit, tmp_path: Path, name: str, precision: str, gpus: Any, sizes: Any
) -> None:
    path = in_precision(name, *fp32[name], precision, tmp_path)
    output = path.with_suffix(".engine")
    export_engine(path, output, toolkit, gpus=gpus, profiles=((1, 4, 16),))
    engine = read_engine(output)
    made = engine.fingerprint
    assert made.onnx_name == path.name
    assert made.onnx_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert engine.manifest == read_manifest(path)
    assert (made.flavour, made.version) == ("tensorrt_rtx", toolkit.version)
    assert made.capabilities == gpus
    assert made.profiles == ((1, 4, 16),)
    assert made.precision == engine.manifest.precision == precision
    weights = 4 * sum(
        int(np.prod(t.dims))
        for t in fp32[name][0].graph.initializer
        if t.data_type == TensorProto.FLOAT
    )
    assert sizes[0] < len(engine.plan) / weights < sizes[1]


@pytest.mark.parametrize(
    ("task", "gpus"), [("detector", GPUS), ("pose", GPUS), ("action", GPUS[1:])]
)
def test_the_bundled_models_are_built_for_every_gpu(
    task: BundledTask, gpus: tuple[str, ...], toolkit: Toolkit, tmp_path: Path
) -> None:
    output = tmp_path / "x.engine"
    export_engine(bundled_model(task), output, toolkit, gpus=gpus)
    assert read_engine(output).manifest.task == task


@pytest.mark.needs_torch
def test_what_turing_cannot_do_is_said(fp32: Any, toolkit: Toolkit, tmp_path: Path) -> None:
    path = in_precision("lstm", *fp32["lstm"], "fp32", tmp_path)
    with pytest.raises(BackendError, match=r"action model .*FP32 GEMM.*sm_75: leave that out"):
        export_engine(path, tmp_path / "x.engine", toolkit, gpus=("sm_75",))
    assert not (tmp_path / "x.engine").exists()


@pytest.mark.parametrize("make", [make_pose, make_action])
def test_progress_goes_up_to_the_end(make: Any, toolkit: Toolkit, tmp_path: Path) -> None:
    data, _, manifest = load_model(make(tmp_path / "m.onnx"))
    shares: list[float] = []
    names = set()

    def report(share: float, name: str) -> None:
        shares.append(share)
        names.add(name)

    file = ModelFile(path=None, data=data, manifest=manifest)
    recipe = Recipe(profiles=((1, 2, 4),), capabilities=("sm_86",))
    engine = build_engine(file, toolkit, recipe, report=report)
    assert engine.fingerprint.onnx_name == ""
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.8 < shares[-1] <= 1
    assert len(names) >= 3


# ---------------------------------------------------------------- what cannot be built


def test_all_nodes_that_cannot_be_parsed_are_named(toolkit: Toolkit, tmp_path: Path) -> None:
    """Det and Unique are not in TensorRT's parser."""
    path = make_detector(tmp_path / "d.onnx", [(0, 0, 1, 1)])
    manifest = read_manifest(path)
    contract = contract_of(manifest)
    b = GraphBuilder("made")
    picture = b.node("Cast", ["images"], to=TensorProto.FLOAT)
    pad = b.node("Pad", [picture, b.constant([0] * 8, np.int64)])
    unique = b.node("Unique", [pad])
    det = b.node("Det", [pad])
    total = b.node("Add", [b.node("ReduceSum", [unique]), b.node("ReduceSum", [det])])
    batch = b.node("Shape", ["images"], start=0, end=1)
    for spec in contract.outputs:
        shape = b.node("Concat", [batch, b.constant(list(spec.shape), np.int64)], axis=0)
        one = b.node("Reshape", [total, b.constant([1] * (1 + len(spec.shape)), np.int64)])
        b.node("Expand", [one, shape], output=spec.name)
    graph = helper.make_graph(
        b.nodes, "detector", [value_info(contract.input)],
        [value_info(o) for o in contract.outputs], b.tensors,
    )  # fmt: skip
    write_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]), manifest, path
    )
    with pytest.raises(BackendError) as caught:
        export_engine(path, tmp_path / "d.engine", toolkit, gpus=("sm_86",))
    message = str(caught.value)
    assert "cannot parse it: " in message
    assert "Unique 'made/Unique" in message
    assert "Det 'made/Det" in message
    assert "\n" not in message


def test_int8_for_cpus_is_refused(toolkit: Toolkit, tmp_path: Path) -> None:
    """TensorRT would take these bytes for signed ones, as their zero point is 0."""
    path = quantised(tmp_path / "d.onnx", np.uint8, "cpu")
    with pytest.raises(BackendError, match=r"uint8 activations.*--precision int8 --target tensor"):
        export_engine(path, tmp_path / "d.engine", toolkit, gpus=("sm_86",))
    signed = quantised(tmp_path / "s.onnx", np.int8, "tensorrt")
    made = export_engine(signed, tmp_path / "s.engine", toolkit, gpus=("sm_86",))
    assert made.precision == "int8"


@pytest.mark.parametrize(
    ("profiles", "message"),
    [
        ((), "expected MIN,OPT,MAX"),
        (((0, 1, 2),), "expected MIN,OPT,MAX"),
        (((1, 4, 2),), "expected MIN,OPT,MAX"),
        (((2, 4, 8),), "none that serves 1"),
        (((1, 1, 2), (4, 4, 8)), "none that serves 3"),
        (((1, 1, (1 << 32) + 1),), "65536 at most"),  # 1 in TensorRT's 32 bits
    ],
)
def test_buckets_with_gaps_are_refused(profiles: Any, message: str) -> None:
    with pytest.raises(BackendError, match=message):
        check_profiles(profiles)
    check_profiles(((3, 4, 8), (1, 1, 2), (2, 2, 5)))


# ---------------------------------------------------------------- the command


def run(*arguments: object) -> Any:
    from export.cli import app

    return CliRunner().invoke(app, ["engine", *map(str, arguments)])


def test_the_command(toolkit: Toolkit, tmp_path: Path) -> None:
    path = make_detector(tmp_path / "d.onnx", [(0, 0, 1, 1)])
    (tmp_path / "other").mkdir()
    output = tmp_path / "other" / "d.engine"
    done = run(
        path, "-o", output, "--batch", "1,1,1", "--batch", "2,4,8",
        "--gpu", "sm_120, sm_86,sm_86", "--workspace-mib", "256",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert f"{toolkit}, fp32, for sm_86, sm_120" in done.output
    assert "keep d.onnx beside it" in done.output
    made = read_engine(output).fingerprint
    assert made.capabilities == ("sm_86", "sm_120")
    assert made.profiles == ((1, 1, 1), (2, 4, 8))
    assert made.workspace_mib == 256


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ([], ExportError, "--output"),
        (["-o", "none/x.engine", "--gpu", "sm_86"], ExportError, "expected a folder"),
        (["-o", "d.onnx", "--gpu", "sm_86"], ExportError, "is the file to be exported"),
        (["-o", "x", "--gpu", "sm_90"], BackendError, r"sm_75, .*got sm_90"),
        (["-o", "x", "--gpu", "86"], ExportError, "--gpu: expected names"),
        (["-o", "x", "--gpu", "sm_86", "--batch", "1,4"], ExportError, "--batch: expected MIN"),
        (["-o", "x", "--gpu", "sm_86", "--batch", "1,4,x"], ExportError, "--batch: expected MIN"),
        (["-o", "x", "--gpu", "sm_86", "--batch", "1,1,3000000000"], BackendError, "at most"),
        (["-o", "x", "--gpu", "sm_86", "--workspace-mib", "9" * 14], BackendError, "workspace-mib"),
        (["-o", "x", "--gpu", "sm_86", "--timing-cache", "t"], BackendError, "no timing cache"),
        (["-o", "x", "--flavour", "lean"], ExportError, "--flavour: expected"),
    ],
)
def test_wrong_options_are_one_line(
    options: list[str], kind: type[PoseActError], message: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    make_detector(Path("d.onnx"), [(0, 0, 1, 1)])
    with pytest.raises(kind, match=message) as caught:
        raise_from(run("d.onnx", *options))
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.onnx"]


def raise_from(done: Any) -> None:
    """What the command raised; `main` turns it into a line and an exit code."""
    assert done.exit_code != 0
    raise done.exception


def test_a_flavour_that_is_not_installed_names_its_package(tmp_path: Path) -> None:
    import importlib.util

    if importlib.util.find_spec("tensorrt"):
        pytest.skip("tensorrt is installed")
    path = make_detector(tmp_path / "d.onnx", [(0, 0, 1, 1)])
    with pytest.raises(DependencyError, match=r"pip install 'tensorrt>=10.3"):
        raise_from(run(path, "-o", tmp_path / "x", "--flavour", "tensorrt"))


@pytest.mark.needs_torch
def test_ctrl_c_ends_a_build(fp32: Any, tmp_path: Path) -> None:
    """At TensorRT's next step, that is, not once the engine is built, which takes seconds."""
    path = in_precision("hrnet", *fp32["hrnet"], "fp32", tmp_path)
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's & turns it off
        "import export.engine as e\n"
        "from export.cli import main\n"
        "import contextlib\n"
        "@contextlib.contextmanager\n"
        "def bar(name):\n"
        "    told = lambda share, at: print(share, flush=True)\n"
        "    yield told\n"
        "e._bar = bar\n"
        "main()\n"
    )
    output = tmp_path / "x.engine"
    options = ["engine", str(path), "-o", str(output), "--gpu", ",".join(GPUS)]
    program = [sys.executable, "-c", code, *options]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        assert child.stdout.readline()  # it builds
        child.send_signal(signal.SIGINT)
        shares = [float(line) for line in child.stdout.read().split()]
        assert child.wait(timeout=30) != 0
    assert max(shares, default=0) < 0.8
    assert not output.exists()
