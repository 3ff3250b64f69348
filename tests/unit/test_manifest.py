# SPDX-License-Identifier: Apache-2.0
"""A model file is read strictly: what is missing, wrong or changed is refused in helpful words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from poseact_engine.errors import ManifestError
from poseact_engine.manifest import ActionManifest, DetectorManifest, PoseManifest
from poseact_engine.manifest_io import KEY, from_json, initialiser_sha256, read_manifest, to_json
from tests.models import make_action, make_detector, make_pose

Make = Callable[[Path], Path]


def detector(path: Path) -> Path:
    return make_detector(path, [(1, 2, 30, 40), (5, 6, 20, 60)])


MAKERS: dict[str, Make] = {"detector": detector, "pose": make_pose, "action": make_action}


@pytest.fixture(params=list(MAKERS))
def model_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return MAKERS[request.param](tmp_path / "model.onnx")


def edit_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    model = onnx.load(str(path))
    prop = next(p for p in model.metadata_props if p.key == KEY)
    values = json.loads(prop.value)
    change(values)
    prop.value = json.dumps(values)
    onnx.save(model, str(path))


def edit_graph(path: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    model = onnx.load(str(path))
    change(model)
    onnx.save(model, str(path))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    read = read_manifest(detector(tmp_path / "d.onnx"))
    assert isinstance(read, DetectorManifest)
    assert (read.height, read.width, read.border, read.nms_iou) == (64, 64, (114, 114, 114), None)
    pose = read_manifest(make_pose(tmp_path / "p.onnx"), task="pose")
    assert isinstance(pose, PoseManifest)
    assert (pose.expansion, pose.geometry, len(pose.joints)) == (1.25, "default", 17)
    action = read_manifest(make_action(tmp_path / "a.onnx"), task="action")
    assert isinstance(action, ActionManifest)
    assert (action.length, action.rate) == (9, (30, 1))


def test_onnx_runtime_sees_the_same_manifest(model_file: Path) -> None:
    session = ort.InferenceSession(str(model_file), providers=["CPUExecutionProvider"])
    assert from_json(session.get_modelmeta().custom_metadata_map[KEY]) == read_manifest(model_file)


def test_every_key_is_needed(model_file: Path) -> None:
    whole = model_file.read_bytes()
    for key in json.loads(to_json(read_manifest(model_file))):
        model_file.write_bytes(whole)
        edit_manifest(model_file, lambda values, key=key: values.pop(key))
        with pytest.raises(ManifestError, match=key):
            read_manifest(model_file)


def test_unknown_key_is_refused(model_file: Path) -> None:
    edit_manifest(model_file, lambda values: values.update(colour="rgb"))
    with pytest.raises(ManifestError, match="colour"):
        read_manifest(model_file)


@pytest.mark.parametrize(
    ("task", "key", "value"),
    [
        ("detector", "height", "64"),
        ("detector", "height", 64.0),
        ("detector", "height", True),
        ("detector", "height", 0),
        ("detector", "placement", "middle"),
        ("detector", "border", [0, 0]),
        ("detector", "border", [0, 0, 256]),
        ("detector", "nms_iou", 0),
        ("detector", "nms_iou", "none"),
        ("detector", "max_boxes", 301),
        ("detector", "precision", "fp16"),
        ("detector", "precision", "int8"),
        ("detector", "licence", " "),
        ("detector", "task", "pose"),
        ("detector", "task", None),
        ("detector", "schema", 2),
        ("detector", "track_scores", [0.1, 0.5]),
        ("detector", "track_scores", [0.5, 0.1, 0.7]),
        ("detector", "track_scores", [0.1, 0.5, 1.1]),
        ("detector", "track_scores", 0.5),
        ("detector", "target", "cpu"),
        ("detector", "target", "gpu"),
        ("pose", "decode", "none"),
        ("pose", "flip_test", 0),
        ("pose", "expansion", float("nan")),
        ("pose", "geometry", "UDP"),
        ("pose", "joints", ["nose", "nose"]),
        ("pose", "joints", ["nose"]),
        ("action", "rate", [30]),
        ("action", "rate", [30, 0]),
        ("action", "classes", []),
        ("action", "length", 10),
        ("action", "normalise", "none"),
    ],
)
def test_wrong_value_is_refused(tmp_path: Path, task: str, key: str, value: object) -> None:
    path = MAKERS[task](tmp_path / "model.onnx")
    edit_manifest(path, lambda values: values.update({key: value}))
    with pytest.raises(ManifestError):
        read_manifest(path)


def test_wrong_task_names_both_and_the_command(tmp_path: Path) -> None:
    path = make_pose(tmp_path / "pose.onnx")
    with pytest.raises(ManifestError, match=r"(?s)detector.*pose.*python -m export detector"):
        read_manifest(path, task="detector")


def test_file_without_manifest_names_the_command(model_file: Path) -> None:
    edit_graph(model_file, lambda model: model.ClearField("metadata_props"))
    with pytest.raises(ManifestError, match="python -m export pose"):
        read_manifest(model_file, task="pose")


def test_changed_weight_is_refused(model_file: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
        array = numpy_helper.to_array(tensor).copy()
        array.flat[0] = np.nextafter(array.flat[0], np.float32(9), dtype=np.float32)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    edit_graph(model_file, change)
    with pytest.raises(ManifestError, match="sha256"):
        read_manifest(model_file)


def test_checksum_by_its_definition(model_file: Path) -> None:
    model = onnx.load(str(model_file))
    digest = hashlib.sha256()
    for tensor in sorted(model.graph.initializer, key=lambda t: t.name):
        kind = TensorProto.DataType.Name(tensor.data_type)
        sizes = ",".join(str(d) for d in tensor.dims)
        digest.update(f"{tensor.name}\0{kind}\0{sizes}\0".encode())
        digest.update(numpy_helper.to_array(tensor).tobytes())
    assert read_manifest(model_file).sha256 == digest.hexdigest()


def test_checksum_does_not_depend_on_order_or_storage(model_file: Path) -> None:
    model = onnx.load(str(model_file))
    before = initialiser_sha256(model)
    tensors = list(model.graph.initializer)[::-1]
    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor)
            tensor.ClearField("raw_data")
            tensor.float_data.extend(values.ravel().tolist())
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensors)
    assert initialiser_sha256(model) == before


def _static_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def _wrong_width(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 7


def _float_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64


def _renamed(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "result"


def _one_more(model: onnx.ModelProto) -> None:
    model.graph.output.append(helper.make_tensor_value_info("labels", TensorProto.INT64, ["n"]))


def _opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 17


def _domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def _ir(model: onnx.ModelProto) -> None:
    model.ir_version = 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_static_batch, "inputs"),
        (_wrong_width, "inputs"),
        (_float_input, "inputs"),
        (_renamed, "outputs"),
        (_one_more, "outputs"),
        (_opset, "opset 19"),
        (_domain, "com.microsoft"),
        (_ir, "IR version 9"),
    ],
)
def test_graph_outside_the_contract_is_refused(
    model_file: Path, change: Callable[[onnx.ModelProto], None], words: str
) -> None:
    task = read_manifest(model_file).task
    edit_graph(model_file, change)
    with pytest.raises(ManifestError, match=words) as caught:
        read_manifest(model_file)
    assert f"python -m export {task}" in str(caught.value)
    assert str(model_file) in str(caught.value)


def test_half_weights_do_not_pass_as_fp32(model_file: Path) -> None:
    half = numpy_helper.from_array(np.zeros(2, np.float16), "half")
    edit_graph(model_file, lambda model: model.graph.initializer.append(half))
    with pytest.raises(ManifestError, match="fp16"):
        read_manifest(model_file)


@pytest.mark.parametrize("content", [b"", b"hello, this is no model\n" * 40, b"\x08\x09"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=r"x\.onnx: expected an ONNX file"):
        read_manifest(path)


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        read_manifest(tmp_path / "none.onnx")
    with pytest.raises(ManifestError, match="directory"):
        read_manifest(tmp_path)


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_is_a_manifest_or_a_manifest_error(text: str) -> None:
    with pytest.raises(ManifestError):
        from_json(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(
    key=st.sampled_from(
        ["height", "border", "nms_iou", "max_boxes", "track_scores", "task", "placement", "schema"]
    ),
    value=JSON,
)
def test_a_value_of_any_kind_is_kept_or_refused(key: str, value: object) -> None:
    values: dict[str, Any] = {
        "schema": 3, "task": "detector", "precision": "fp32", "target": "any",
        "source": "s", "licence": "l", "sha256": "", "height": 8, "width": 8,
        "placement": "center", "border": [0, 0, 0], "nms_iou": None, "max_boxes": 3,
        "track_scores": None,
    }  # fmt: skip
    values[key] = value
    try:
        read = from_json(json.dumps(values))
    except ManifestError:
        return
    assert json.loads(to_json(read)) == values
