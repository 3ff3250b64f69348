# SPDX-License-Identifier: Apache-2.0
"""An adapted detector says what the foreign file and a NumPy post-processing in float64 say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.detector import DetectorOptions, export_detector
from export.front import InputOptions
from poseact_engine.backends.registry import open_model
from poseact_engine.errors import ExportError
from tests.foreign_models import foreign_rtmdet, foreign_yolox, pictures, prepared, run
from tests.real_models import (
    RTMDET,
    adapt_rtmdet,
    adapt_yolox,
    rtmdet_file,
    yolox_file,
)

SIZE = (64, 96)
INPUT = InputOptions(
    color="bgr",
    mean=(100.0, 110.0, 120.0),
    std=(50.0, 60.0, 70.0),
    scale=1.0,
    border=(0, 0, 0),
    size=None,
)
OPTIONS = DetectorOptions(
    layout="yolox",
    input=INPUT,
    letterbox="top_left",
    nms_iou=0.5,
    max_boxes=20,
    person_class=1,
    source="made by code",
    licence="Apache-2.0",
)


def yolox_numpy(
    raw: NDArray[np.float32], size: tuple[int, int], person: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    boxes, row, out = [], 0, raw.astype(np.float64)
    for stride in (8, 16, 32):
        for y in range(size[0] // stride):
            for x in range(size[1] // stride):
                cx, cy = (out[row, 0] + x) * stride, (out[row, 1] + y) * stride
                w, h = np.exp(out[row, 2]) * stride, np.exp(out[row, 3]) * stride
                boxes.append((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
                row += 1
    assert row == len(out)
    return np.array(boxes), out[:, 4] * out[:, 5 + person]


def assert_best(
    got: tuple[NDArray[Any], ...],
    boxes: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> None:
    """``got`` is the best of the candidates, best first."""
    order = np.argsort(-scores, kind="stable")[: len(got[1])]
    np.testing.assert_allclose(got[1], scores[order], atol=1e-3)
    ranked = np.sort(scores)[::-1][: len(order) + 1]
    clear = np.diff(-ranked, prepend=-np.inf, append=np.inf)[: len(order) + 1] > 1e-5 * ranked[0]
    certain = clear[:-1] & clear[1:]  # scores this close may swap places in float32
    assert certain.sum() >= 10
    np.testing.assert_allclose(got[0][certain], boxes[order][certain], atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize(("opset", "ir"), [(11, 3), (11, 6), (16, 8)])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_yolox_made_by_code(tmp_path: Path, opset: int, ir: int, batch: int) -> None:
    foreign = foreign_yolox(tmp_path / "f.onnx", SIZE, classes=3, opset=opset, ir=ir)
    written = export_detector(foreign, tmp_path / "d.onnx", OPTIONS)
    assert (written.height, written.width) == SIZE
    rgb = pictures(batch, SIZE)
    found = open_model(tmp_path / "d.onnx", task="detector").run(rgb)
    for i in range(batch):
        raw = run(foreign, prepared(rgb[i], INPUT))[0][0]
        assert_best((found[0][i], found[1][i]), *yolox_numpy(raw, SIZE, person=1))


@pytest.mark.parametrize("suppression", [True, False])
@pytest.mark.parametrize("classes", [1, 3])
def test_rtmdet_made_by_code(tmp_path: Path, suppression: bool, classes: int) -> None:
    foreign = foreign_rtmdet(tmp_path / "f.onnx", classes=classes, suppression=suppression)
    plain = foreign_rtmdet(tmp_path / "plain.onnx", classes=classes, suppression=False)
    options = dataclasses.replace(
        OPTIONS,
        layout="rtmdet",
        input=dataclasses.replace(INPUT, size=SIZE),
        person_class=None if classes == 1 else 2,
    )
    export_detector(foreign, tmp_path / "d.onnx", options)
    model = onnx.load(str(tmp_path / "d.onnx"))
    assert not {"NonMaxSuppression", "Where"} & {n.op_type for n in model.graph.node}
    rgb = pictures(5, SIZE)
    found = open_model(tmp_path / "d.onnx", task="detector").run(rgb)
    for i in range(5):
        boxes, scores = run(plain, prepared(rgb[i], INPUT), ["boxes", "scores"])
        person = scores[0, :, 0 if classes == 1 else 2].astype(np.float64)
        assert_best((found[0][i], found[1][i]), boxes[0].astype(np.float64), person)


def test_equal_scores_come_by_lower_index(tmp_path: Path) -> None:
    foreign = foreign_yolox(tmp_path / "f.onnx", SIZE, classes=3)
    model = onnx.load(str(foreign))
    for tensor in model.graph.initializer:  # zero weights: every candidate's scores are 1/4
        tensor.raw_data = bytes(len(tensor.raw_data))
    onnx.save(model, str(foreign))
    export_detector(foreign, tmp_path / "d.onnx", OPTIONS)
    boxes, scores = open_model(tmp_path / "d.onnx", task="detector").run(pictures(1, SIZE))
    expected, _ = yolox_numpy(np.zeros((126, 8), np.float32), SIZE, person=1)
    np.testing.assert_allclose(scores, 0.25)
    np.testing.assert_allclose(boxes[0], expected[:20], atol=1e-4)


def test_what_follows_from_the_sizes_is_folded(tmp_path: Path) -> None:
    foreign = foreign_rtmdet(tmp_path / "f.onnx", classes=1)
    options = dataclasses.replace(
        OPTIONS, layout="rtmdet", input=dataclasses.replace(INPUT, size=SIZE), person_class=None
    )
    export_detector(foreign, tmp_path / "d.onnx", options)
    left = {n.op_type for n in onnx.load(str(tmp_path / "d.onnx")).graph.node}
    assert not left & {"Range", "Constant", "NonMaxSuppression"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layout": "rtmdet"}, "layout rtmdet"),
        ({"person_class": None}, "person-class"),
        ({"person_class": 3}, "person-class"),
        ({"max_boxes": 127}, "126 candidates"),
        ({"input": dataclasses.replace(INPUT, size=(32, 32))}, "--size"),
    ],
)
def test_options_that_do_not_fit_the_file(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    foreign = foreign_yolox(tmp_path / "f.onnx", SIZE, classes=3)
    with pytest.raises(ExportError, match=words):
        export_detector(foreign, tmp_path / "d.onnx", dataclasses.replace(OPTIONS, **change))
    assert not (tmp_path / "d.onnx").exists()


def test_boxes_that_are_decoded_already(tmp_path: Path) -> None:
    """Some YOLOX files decode inside; decoding twice gives exp(size in pixels)."""
    foreign = foreign_yolox(tmp_path / "f.onnx", SIZE, classes=3)
    model = onnx.load(str(foreign))
    last = model.graph.node[-1]
    scale = numpy_helper.from_array(np.float32([100, 100, 200, 200, 1, 1, 1, 1]), "decoded")
    model.graph.initializer.append(scale)
    shown = helper.make_node("Abs", [last.input[0]], ["shown"])
    scaled = helper.make_node("Mul", ["shown", "decoded"], ["scaled"])
    last.input[0] = "scaled"
    model.graph.node.insert(len(model.graph.node) - 1, shown)
    model.graph.node.insert(len(model.graph.node) - 1, scaled)
    onnx.save(model, str(foreign))
    with pytest.raises(ExportError, match="decode its boxes already"):
        export_detector(foreign, tmp_path / "d.onnx", OPTIONS)


def test_open_size_is_asked_for(tmp_path: Path) -> None:
    foreign = foreign_rtmdet(tmp_path / "f.onnx", classes=1)
    options = dataclasses.replace(OPTIONS, layout="rtmdet", person_class=None)
    with pytest.raises(ExportError, match="--size"):
        export_detector(foreign, tmp_path / "d.onnx", options)


# ---------------------------------------------------------------- real networks


def real_pictures(data: Path, size: int) -> NDArray[np.uint8]:
    """Three real pictures and one of noise, RGB, at the top left of grey squares."""
    files = sorted((data / "coco" / "images").glob("*.jpg"))[:3]
    batch = np.full((4, size, size, 3), 114, np.uint8)
    for square, file in zip(batch, files, strict=False):
        picture = cv2.imread(str(file))
        assert picture is not None
        shrunk = min(size / picture.shape[0], size / picture.shape[1])
        resized = cv2.resize(picture, None, fx=shrunk, fy=shrunk)[:size, :size, ::-1]
        square[: resized.shape[0], : resized.shape[1]] = resized
    batch[3] = np.random.default_rng(0).integers(0, 256, batch[3].shape)
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2))


@pytest.mark.needs_data
def test_real_yolox(data_dir: Path, tmp_path: Path) -> None:
    rgb = real_pictures(data_dir, 416)
    found = open_model(adapt_yolox(data_dir, tmp_path), task="detector").run(rgb)
    for i, picture in enumerate(rgb):
        raw = run(yolox_file(data_dir), picture[::-1][None].astype(np.float32))[0][0]
        assert_best((found[0][i], found[1][i]), *yolox_numpy(raw, (416, 416), person=0))


def suppress(boxes: NDArray[Any], scores: NDArray[Any], iou: float) -> list[int]:
    """Greedy suppression, best first, as ONNX's NonMaxSuppression does."""
    kept: list[int] = []
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for i in np.argsort(-scores, kind="stable").tolist():
        both = np.minimum(boxes[i, 2:], boxes[kept, 2:]) - np.maximum(boxes[i, :2], boxes[kept, :2])
        shared = np.prod(np.maximum(both, 0), axis=1)
        if not (shared / (areas[i] + areas[kept] - shared) > iou).any():
            kept.append(i)
    return kept


@pytest.mark.needs_data
def test_real_rtmdet(data_dir: Path, tmp_path: Path) -> None:
    """Against the file's own suppression, which must find the same best boxes."""
    rgb = real_pictures(data_dir, 320)
    found = open_model(adapt_rtmdet(data_dir, tmp_path), task="detector").run(rgb)
    for i, picture in enumerate(rgb):
        dets = run(rtmdet_file(data_dir), prepared(picture, RTMDET), ["dets"])[0][0]
        boxes, scores = found[0][i], found[1][i]
        kept = [k for k in suppress(boxes, scores, iou=0.6) if scores[k] > 0.05]
        same = min(len(kept), int((dets[:, 4] > scores[-1]).sum()))
        assert same > 0
        ours = np.column_stack([boxes[kept], scores[kept]])[:same]
        np.testing.assert_allclose(ours, dets[:same], atol=1e-3)
