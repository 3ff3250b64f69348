# SPDX-License-Identifier: Apache-2.0
"""fp16 bodies: the type at every edge, and answers against the fp32 graph in ONNX Runtime."""

from __future__ import annotations

import importlib.util
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.body import find_body
from export.package import write_model
from export.precision import PrecisionOptions, convert
from poseact_engine.backends.registry import open_model
from poseact_engine.errors import ExportError
from poseact_engine.evaluation.inputs import made_inputs
from poseact_engine.manifest import Manifest
from poseact_engine.manifest_io import load_model
from tests.precision_models import (
    decibels,
    inside,
    kinds,
    parse_with_tensorrt,
    pictures,
    small_pose,
)

if importlib.util.find_spec("torch"):
    from export.action import export_action
    from export.hrnet import HrnetOptions
    from export.hrnet import build_graph as build_hrnet
    from export.yolox import YoloxOptions
    from export.yolox import build_graph as build_yolox
    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig
    from poseact_engine.training.models.yolox import YOLOX_SIZES, Yolox
    from tests.lively import liven
    from tests.parity.test_export_action import make_checkpoint

HALF, FULL = TensorProto.FLOAT16, TensorProto.FLOAT
FP16 = PrecisionOptions(precision="fp16")
LEAST_DB = 40.0
"""Rounding to 11 bits is some 73 dB below its signal; errors of some hundred layers add up."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[onnx.ModelProto, Any]:
    return small_pose(tmp_path_factory.mktemp("small"))


def check_types(model: onnx.ModelProto, manifest: Manifest, half: onnx.ModelProto) -> None:
    """Layers of the body read and make fp16 alone, its last layers and all others fp32."""
    body, types = find_body(model, manifest.task), kinds(half)
    nodes = {n.output[0]: n for n in half.graph.node}
    for name in body.layers:
        node = nodes[name]
        assert {types[i] for i in [*node.input, name] if i} == {HALF}, name
    for name in body.last:
        assert {types[i] for i in [*nodes[name].input, name] if i} == {FULL}, name
    outside = [n for n in half.graph.node if n not in body and n.op_type != "Cast"]
    assert not [t for n in outside for t in [*n.input, *n.output] if t and types[t] == HALF]
    casts = Counter((n.input[0], n.attribute[0].i) for n in half.graph.node if n.op_type == "Cast")
    assert max(casts.values()) == 1
    assert half.graph.input == model.graph.input
    assert half.graph.output == model.graph.output


def check_noise(model: onnx.ModelProto, half: onnx.ModelProto, batch: Any, task: Any) -> None:
    ends = find_body(model, task).last
    for expected, got in zip(inside(model, ends, batch), inside(half, ends, batch), strict=True):
        assert decibels(expected, got) >= LEAST_DB


def test_small_network(small: tuple[onnx.ModelProto, Any], tmp_path: Path) -> None:
    model, manifest = small
    before = model.SerializeToString(deterministic=True)
    half, written = convert(model, manifest, FP16)
    assert model.SerializeToString(deterministic=True) == before
    check_types(model, manifest, half)
    check_noise(model, half, pictures(), "pose")
    again, _ = convert(model, manifest, FP16)
    assert again.SerializeToString(deterministic=True) == half.SerializeToString(deterministic=True)
    write_model(half, written, tmp_path / "half.onnx")
    assert open_model(tmp_path / "half.onnx", task="pose").manifest.precision == "fp16"


def test_names_and_what_must_stay(small: tuple[onnx.ModelProto, Any]) -> None:
    half, _ = convert(*small, FP16)
    tensors = {t.name: t for t in half.graph.initializer}
    assert tensors["net/scales"].data_type == FULL
    assert tensors["net/maps.weight"].data_type == FULL
    # A bound beyond fp16 becomes its largest number, not infinity and not an error.
    assert numpy_helper.to_array(tensors["net/high/half"]) == np.finfo(np.float16).max
    assert "net/stem.weight" not in tensors  # only its half is needed


def test_a_cast_inside_the_body(small: tuple[onnx.ModelProto, Any]) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(small[0])
    at = next(i for i, n in enumerate(model.graph.node) if n.name == "net/first")
    source = model.graph.node[at].input[0]
    rounded = helper.make_node(
        "Cast", [source], ["net/whole"], name="net/whole", to=TensorProto.INT64
    )
    back = helper.make_node("Cast", ["net/whole"], ["net/back"], name="net/back", to=FULL)
    model.graph.node[at].input[0] = "net/back"
    model.graph.node.insert(at, back)
    model.graph.node.insert(at, rounded)
    half, _ = convert(model, small[1], FP16)
    assert kinds(half)["net/back"] == HALF
    # It was fp32 to int64 to fp32; the way back must not lead over fp32.
    reader = next(n for n in half.graph.node if n.name == "net/first")
    assert reader.input[0] == "net/back"


def test_weight_shared_with_the_decoding(small: tuple[onnx.ModelProto, Any]) -> None:
    model = onnx.ModelProto()
    model.CopyFrom(small[0])
    # Adds 0 times a weight of the body to the scores' zero: nothing but a second reader.
    first = next(n for n in model.graph.node if n.name.startswith("decode/"))
    shared = helper.make_node(
        "ReduceSum", ["net/first.bias"], ["decode/s"], name="decode/s", keepdims=0
    )
    zero = numpy_helper.from_array(np.float32(0), "decode/nothing")
    none = helper.make_node("Mul", ["decode/s", "decode/nothing"], ["decode/n"], name="decode/n")
    added = helper.make_node("Add", [first.input[0], "decode/n"], ["decode/a"], name="decode/a")
    model.graph.initializer.append(zero)
    at = list(model.graph.node).index(first)
    first.input[0] = "decode/a"
    for node in (added, none, shared):
        model.graph.node.insert(at, node)
    half, _ = convert(model, small[1], FP16)
    tensors = {t.name: t.data_type for t in half.graph.initializer}
    assert tensors["net/first.bias"] == FULL
    assert tensors["net/first.bias/half"] == HALF
    onnx.checker.check_model(half, full_check=True)


def test_refusals(small: tuple[onnx.ModelProto, Any], caplog: pytest.LogCaptureFixture) -> None:
    model, manifest = small
    foreign = onnx.ModelProto()
    foreign.CopyFrom(model)
    for node in foreign.graph.node:
        for names in (node.input, node.output):
            names[:] = [n.replace("net/", "other/") for n in names]
    with pytest.raises(ExportError, match="expected a network's layers, named net/"):
        convert(foreign, manifest, FP16)
    for value, pattern in ((1e5, "at most 65504, got 100000 in 'net/first.weight'"), (1e-9, None)):
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        tensor = next(t for t in changed.graph.initializer if t.name == "net/first.weight")
        array = numpy_helper.to_array(tensor).copy()
        array[0, 0, 0, 0] = value
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        if pattern:
            with pytest.raises(ExportError, match=pattern):
                convert(changed, manifest, FP16)
        else:
            with caplog.at_level(logging.WARNING):
                convert(changed, manifest, FP16)
            assert "1 weights are too small" in caplog.text
    with pytest.raises(ExportError, match="expected an fp32 model"):
        convert(*convert(model, manifest, FP16), FP16)


@pytest.mark.needs_torch
@pytest.mark.parametrize("kind", ["hrnet", "flipped", "yolox"])
def test_official_networks(kind: str) -> None:
    model, manifest = official(kind)
    half, _ = convert(model, manifest, FP16)
    check_types(model, manifest, half)
    check_noise(model, half, made_inputs(manifest, count=2).batch, manifest.task)


def official(kind: str) -> tuple[onnx.ModelProto, Manifest]:
    """Narrow networks of random weights as `export hrnet` and `export yolox` build them."""
    if kind == "yolox":
        options = YoloxOptions(
            size=(64, 64), nms_iou=0.45, max_boxes=20, person_class=0, legacy=False,
            source="made", licence="none",
        )  # fmt: skip
        return build_yolox(liven(Yolox(YOLOX_SIZES["nano"])), options)
    hrnet = HrnetOptions(
        size=(64, 64), geometry="default", decode="dark", dark_kernel=5,
        flip_test=kind == "flipped", joints=None, source="made", licence="none",
    )  # fmt: skip
    return build_hrnet(liven(Hrnet(HrnetConfig(width=4))), hrnet)


@pytest.mark.needs_torch
def test_action_network(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "a.pt")
    export_action(tmp_path / "a.pt", tmp_path / "a.onnx", source="made", licence="none")
    _, model, manifest = load_model(tmp_path / "a.onnx")
    half, _ = convert(model, manifest, FP16)
    check_types(model, manifest, half)
    types = kinds(half)
    made = {n.output[0]: n.op_type for n in half.graph.node if types[n.output[0]] == HALF}
    assert set(made.values()) == {"Cast", "LSTM", "Squeeze"}
    windows = made_inputs(manifest).batch
    expected, got = (inside(m, ["probabilities"], windows)[0] for m in (model, half))
    # The checkpoint is as sure as a trained one: probabilities between 0.02 and 0.98 are rare.
    assert np.abs(expected - got).max() < 0.02
    assert np.mean(expected.argmax(1) == got.argmax(1)) > 0.98


@pytest.mark.needs_tensorrt
def test_tensorrt_parses_it(small: tuple[onnx.ModelProto, Any]) -> None:
    half, _ = convert(*small, FP16)
    assert parse_with_tensorrt(half) == []
