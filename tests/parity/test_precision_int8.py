# SPDX-License-Identifier: Apache-2.0
"""int8 graphs: the formula against NumPy in float64, both targets, the search, the refusals."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from export.body import find_body
from export.finish import finish
from export.int8_prepare import fold_into_convolutions
from export.package import write_model
from export.parity.options import GateOptions
from export.precision import NOTES, PrecisionOptions, check_apart, convert
from poseact_engine.backends.registry import open_model
from poseact_engine.errors import ExportError, ParityError
from poseact_engine.evaluation.inputs import DataOptions
from poseact_engine.manifest import ActionManifest
from tests.precision_models import (
    LAYERS,
    decibels,
    inside,
    kinds,
    parse_with_tensorrt,
    pictures,
    small_pose,
    write_pictures,
)

Small = tuple[onnx.ModelProto, Any]
TARGETS = ("cpu", "tensorrt")
RUN_HERE = (pytest.param("cpu", marks=pytest.mark.needs_vnni), "tensorrt")
"""For tests that compare what ONNX Runtime computes."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return small_pose(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> DataOptions:
    folder = write_pictures(tmp_path_factory.mktemp("seen") / "pictures", pictures(16, seed=11))
    return DataOptions(data=(folder,))


def int8(target: Any, seen: DataOptions, **options: Any) -> PrecisionOptions:
    return PrecisionOptions(
        precision="int8", target=target, calibration=seen, **{"least_db": 0.0, **options}
    )


def constants(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def notes(model: onnx.ModelProto) -> dict[str, Any]:
    found: dict[str, Any] = json.loads({p.key: p.value for p in model.metadata_props}[NOTES])
    return found


# ---------------------------------------------------------------- the formula


@pytest.mark.parametrize("target", RUN_HERE)
def test_a_layer_by_the_formula(small: Small, seen: DataOptions, target: Any) -> None:
    """The first convolution, stride 2, in float64 over the very steps of the file."""
    model, _ = convert(*small, int8(target, seen))
    values, batch = constants(model), pictures(2)
    source = next(n for n in small[0].graph.node if n.name == "net/stem").input[0]
    x = inside(small[0], [source], batch)[0].astype(np.float64)
    step, zero = (values[f"{source}/{n}"] for n in ("scale", "zero"))
    limits = np.iinfo(zero.dtype)
    q = np.clip(np.rint(x / np.float64(step)) + zero, limits.min, limits.max) - zero
    weight = constants(small[0])["net/stem.weight"].astype(np.float64)
    steps = np.abs(weight).max(axis=(1, 2, 3)) / 127
    rounded = np.rint(weight / steps[:, None, None, None])
    assert np.abs(rounded - values["net/stem.weight/quantised"]).max() == 0
    np.testing.assert_allclose(values["net/stem.weight/scale"], steps, rtol=1e-6)

    bias = constants(small[0])["net/stem.bias"].astype(np.float64)
    if target == "cpu":
        bias = np.rint(bias / (step * steps)) * step * steps
        assert values["net/stem.bias/quantised"].dtype == np.int32
    padded = np.pad(q, ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
    total = np.einsum("ncyxij,kcij->nkyx", views, rounded) * (step * steps)[:, None, None]
    expected = np.maximum(total + bias[:, None, None], 0)
    if target == "tensorrt":  # what the next layer reads is rounded there
        got = inside(model, ["net/stem.relu"], batch)[0]
        np.testing.assert_allclose(got, expected, atol=1e-4)
        return
    step, zero = (float(values[f"net/stem.relu/{n}"]) for n in ("scale", "zero"))
    assert zero == 0  # else ONNX Runtime could not drop the ReLU
    got = inside(model, ["net/stem.relu/dequantised"], batch)[0] / step
    expected = np.clip(np.rint(expected / step), 0, 255)
    assert np.abs(got - expected).max() <= 1.01  # a step where float32 and float64 round apart
    assert np.mean(np.abs(got - expected) > 0.5) < 1e-3


def test_folding_changes_no_answer(small: Small) -> None:
    model, manifest = small
    folded = fold_into_convolutions(model, find_body(model, "pose"))
    left = Counter(n.op_type for n in folded.graph.node if n.name.startswith("net/"))
    assert "BatchNormalization" not in left
    assert left["Add"] == 1  # the residual sum
    expected, got = (inside(m, ["net/maps"], pictures())[0] for m in (model, folded))
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert manifest.precision == "fp32"


# ---------------------------------------------------------------- both targets


@pytest.mark.parametrize("target", RUN_HERE)
def test_whole_file(small: Small, seen: DataOptions, target: Any, tmp_path: Path) -> None:
    model, manifest = small
    quantised, written = convert(model, manifest, int8(target, seen))
    again, _ = convert(model, manifest, int8(target, seen))
    assert quantised.SerializeToString(deterministic=True) == again.SerializeToString(
        deterministic=True
    )
    assert (written.precision, written.target) == ("int8", target)
    write_model(quantised, written, tmp_path / "m.onnx")
    assert open_model(tmp_path / "m.onnx", task="pose").manifest.target == target
    assert {o.domain for o in quantised.opset_import} == {""}
    expected, got = (inside(m, ["net/maps"], pictures())[0] for m in (model, quantised))
    assert decibels(expected, got) > 20
    types = kinds(quantised)
    assert types["net/maps.weight"] == types["net/maps"] == TensorProto.FLOAT
    readers = {i for n in quantised.graph.node for i in n.input}
    assert not [t.name for t in quantised.graph.initializer if t.name not in readers]


def test_cpu_is_int8_in_onnx_runtime(small: Small, seen: DataOptions, tmp_path: Path) -> None:
    quantised, _ = convert(*small, int8("cpu", seen))
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(quantised.SerializeToString(), options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimised.onnx").graph.node
    kinds = Counter(n.op_type for n in nodes)
    assert kinds["QLinearConv"] == LAYERS
    assert kinds["QLinearAdd"] == kinds["QLinearMul"] == kinds["QLinearSigmoid"] == 1
    assert kinds["Conv"] == 1  # the last one


def test_tensorrt_is_symmetric(small: Small, seen: DataOptions) -> None:
    quantised, _ = convert(*small, int8("tensorrt", seen))
    zeros = {n: v for n, v in constants(quantised).items() if n.endswith("/zero")}
    assert zeros
    assert all(v.dtype == np.int8 and not v.any() for v in zeros.values())
    assert not [n for n, v in constants(quantised).items() if v.dtype == np.int32]
    convs = [n for n in quantised.graph.node if n.op_type == "Conv"]
    assert all(n.input[1].endswith("/dequantised") for n in convs if n.name != "net/maps")
    residual = next(n for n in quantised.graph.node if n.name == "net/sum")
    # `each` is fused with the sum, so only the other side is rounded.
    assert [i.endswith("/dequantised") for i in residual.input] == [False, True]


@pytest.mark.needs_tensorrt
def test_tensorrt_parses_it(small: Small, seen: DataOptions) -> None:
    quantised, _ = convert(*small, int8("tensorrt", seen))
    assert parse_with_tensorrt(quantised) == []


# ---------------------------------------------------------------- layers that stay


def test_a_kept_layer_computes_in_fp32(small: Small, seen: DataOptions) -> None:
    """Also in ONNX Runtime, which rounds weights unasked behind a tensor with one scale."""
    quantised, _ = convert(*small, int8("cpu", seen, keep="^net/(first|half)$"))
    assert notes(quantised)["kept"] == ["net/first", "net/half"]
    node = next(n for n in quantised.graph.node if n.name == "net/first")
    weight, bias = (constants(quantised)[i].astype(np.float64) for i in node.input[1:])
    x = inside(quantised, [node.input[0]], pictures(2))[0].astype(np.float64)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    expected = np.einsum("ncyxij,kcij->nkyx", views, weight) + bias[:, None, None]
    rounded = inside(quantised, ["net/first.relu/dequantised"], pictures(2))[0]
    values = constants(quantised)
    step = float(values["net/first.relu/scale"])
    top = 255 * step
    # Half a step of the rounding behind it, and nothing of its own.
    assert np.abs(rounded - np.clip(expected, 0, top)).max() <= step / 2 + 1e-4


def test_search_finds_the_layer_that_hurts(small: Small, seen: DataOptions) -> None:
    """One channel a thousand times the others makes int8 of its tensor useless."""
    model = onnx.ModelProto()
    model.CopyFrom(small[0])
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if tensor.name == "net/gate.weight":
            values[0] *= 1e4
        elif tensor.name == "net/last.weight":
            values[:, 0] *= 1e-4
        else:
            continue
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    plain, _ = convert(model, small[1], int8("cpu", seen, most_kept=0.0))
    found, _ = convert(model, small[1], int8("cpu", seen, least_db=24.0, most_kept=0.5))
    assert notes(plain)["kept"] == []
    assert notes(plain)["db"] < 12
    assert notes(found)["db"] >= 24
    assert notes(found)["db_all_int8"] == notes(plain)["db"]
    assert {"net/gate", "net/last"} <= set(notes(found)["kept"])
    assert len(notes(found)["kept"]) <= LAYERS / 2
    expected, got = (inside(m, ["net/maps"], pictures(seed=5))[0] for m in (model, found))
    assert decibels(expected, got) > 20  # on pictures that neither calibration nor search saw


def test_bound_out_of_reach_is_said(
    small: Small, seen: DataOptions, caplog: pytest.LogCaptureFixture
) -> None:
    model, _ = convert(*small, int8("cpu", seen, least_db=90.0, most_kept=0.3))
    assert "expected 90.0 dB" in caplog.text
    assert notes(model)["db"] < 90


def test_silu_needs_no_range_far_below_0(small: Small, seen: DataOptions) -> None:
    """Weights times 100: sums reach some hundreds below 0, where x * sigmoid(x) is 0 already."""
    model = onnx.ModelProto()
    model.CopyFrom(small[0])
    tensor = next(t for t in model.graph.initializer if t.name == "net/gate.weight")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 100, tensor.name))
    assert inside(model, ["net/gate"], pictures())[0].min() < -100
    values = constants(convert(model, small[1], int8("cpu", seen))[0])
    scale, zero = (float(values[f"net/gate/{n}"]) for n in ("scale", "zero"))
    assert -8 - scale <= -zero * scale <= -8 + scale


# ---------------------------------------------------------------- data and refusals


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_hardly_any_data(small: Small, tmp_path: Path, count: int, grey: int) -> None:
    images = np.full((count, 3, 64, 64), grey, np.uint8)
    folder = write_pictures(tmp_path / "constant", images)
    model, _ = convert(*small, int8("cpu", DataOptions(data=(folder,))))
    for output in inside(model, ["keypoints"], pictures()):
        assert np.isfinite(output).all()


def test_options_that_do_not_fit() -> None:
    data = DataOptions(data=(Path("a.png"),))
    for options, pattern in (
        ({"precision": "int8", "calibration": data}, "--target: expected cpu"),
        ({"precision": "int8", "target": "cpu"}, "--calibrate: expected images"),
        ({"precision": "fp16", "target": "cpu"}, "expected int8 with --target"),
        (
            {"precision": "int8", "target": "cpu", "calibration": data, "most_kept": 2},
            "--most-kept",
        ),
    ):
        with pytest.raises(ExportError, match=pattern):
            PrecisionOptions(**options)


def test_refusals(small: Small, seen: DataOptions) -> None:
    for keep, pattern in (("(", "a regular expression"), ("nothing", "named as net/stem")):
        with pytest.raises(ExportError, match=pattern):
            convert(*small, int8("cpu", seen, keep=keep))
    action = ActionManifest(
        task="action", precision="fp32", target="any", source="made", licence="none", sha256="",
        joints=("a",), classes=("b",), length=9, rate=(30, 1), normalise="body",
    )  # fmt: skip
    with pytest.raises(ExportError, match="ONNX has no LSTM in int8"):
        convert(small[0], action, int8("cpu", seen))


def test_never_on_what_it_is_scored_on(small: Small, seen: DataOptions, tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes((seen.data[0] / "003.png").read_bytes())
    other = write_pictures(tmp_path / "other", pictures(1, seed=99))
    check_apart(seen, DataOptions(data=(other,)))
    with pytest.raises(ExportError, match="expected other data than what the model is scored on"):
        check_apart(seen, DataOptions(data=(other, copy)))
    model, manifest = small
    write_model(model, manifest, tmp_path / "reference.onnx")
    reference = open_model(tmp_path / "reference.onnx", task="pose")
    output = tmp_path / "new.onnx"
    for data, error in ((copy, ExportError), (other / "000.png", ParityError)):
        gate = GateOptions(data=DataOptions(data=(data,)), bounds=(("median_px", -1.0),))
        with pytest.raises(error):
            finish(
                model, manifest, output, reference=reference, precision=int8("cpu", seen), gate=gate
            )
        assert not output.exists()
