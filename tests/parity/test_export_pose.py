# SPDX-License-Identifier: Apache-2.0
"""An adapted pose network says what the foreign file and a plain decoder in float64 say."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.front import InputOptions
from export.pose import PoseOptions, export_pose
from poseact_engine.backends.base import Model
from poseact_engine.backends.registry import open_model
from poseact_engine.errors import ExportError
from tests.foreign_models import (
    foreign_heatmap,
    foreign_simcc,
    picture_heatmap,
    pictures,
    prepared,
    run,
)
from tests.parity.heatmap_oracle import decode_maps, settled
from tests.real_models import TINYPOSE, adapt_tinypose, tinypose_file

SIZE = (64, 48)
INPUT = InputOptions(
    color="rgb",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    scale=1 / 255,
    border=(0, 0, 0),
    size=None,
)
PLAIN = InputOptions(
    color="rgb", mean=(2, 2, 2), std=(1, 1, 1), scale=1.0, border=(0, 0, 0), size=SIZE
)


def options(count: int, **changes: Any) -> PoseOptions:
    made = PoseOptions(
        layout="heatmap",
        input=INPUT,
        geometry="default",
        expansion=1.25,
        joints=tuple(f"joint_{i}" for i in range(count)),
        source="made by code",
        licence="Apache-2.0",
    )
    return dataclasses.replace(made, **changes)


def decode(
    maps: NDArray[Any], size: tuple[int, int], geometry: Literal["default", "udp"] = "default"
) -> NDArray[np.float64]:
    """Joint by joint: arg max, quarter of a cell to the larger neighbour, crop pixels."""
    joints = []
    rows, columns = maps.shape[1:]
    for heat in maps.astype(np.float64):
        y, x = divmod(int(np.argmax(heat)), columns)
        score = heat[y, x]
        if score <= 0:
            joints.append((0.0, 0.0, 0.0))
            continue
        fx, fy = float(x), float(y)
        if 0 < x < columns - 1:
            fx += 0.25 * np.sign(heat[y, x + 1] - heat[y, x - 1])
        if 0 < y < rows - 1:
            fy += 0.25 * np.sign(heat[y + 1, x] - heat[y - 1, x])
        if geometry == "default":
            joints.append((fx * size[1] / columns, fy * size[0] / rows, score))
        else:
            joints.append(
                (fx * (size[1] - 1) / (columns - 1), fy * (size[0] - 1) / (rows - 1), score)
            )
    return np.array(joints)


@pytest.mark.parametrize("geometry", ["default", "udp"])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_heatmap_made_by_code(
    tmp_path: Path, geometry: Literal["default", "udp"], batch: int
) -> None:
    foreign = foreign_heatmap(tmp_path / "f.onnx", SIZE, joints=5)
    export_pose(foreign, tmp_path / "p.onnx", options(5, geometry=geometry))
    crops = pictures(batch, SIZE)
    (found,) = open_model(tmp_path / "p.onnx", task="pose").run(crops)
    for i in range(batch):
        maps = run(foreign, prepared(crops[i], INPUT))[0][0]
        expected = decode(maps, SIZE, geometry)
        np.testing.assert_allclose(found[i, :, :2], expected[:, :2], atol=1e-2)
        np.testing.assert_allclose(found[i, :, 2], expected[:, 2], atol=1e-4)


@pytest.mark.parametrize("geometry", ["default", "udp"])
def test_dark_and_flip_test_of_a_foreign_file(
    tmp_path: Path, geometry: Literal["default", "udp"]
) -> None:
    names = ("nose", "left_knee", "right_knee")
    foreign = foreign_heatmap(tmp_path / "f.onnx", SIZE, joints=3)
    wanted = options(3, geometry=geometry, joints=names, decode="dark", dark_kernel=3)
    wanted = dataclasses.replace(wanted, flip_test=True)
    written = export_pose(foreign, tmp_path / "p.onnx", wanted)
    assert (written.decode, written.flip_test) == ("dark", True)
    crops = pictures(12, SIZE)
    (found,) = open_model(tmp_path / "p.onnx", task="pose").run(crops)
    certain = np.zeros(found.shape[:2], bool)
    for i, crop in enumerate(crops):
        maps, other = (
            run(foreign, prepared(np.ascontiguousarray(c), INPUT))[0][0]
            for c in (crop, crop[:, :, ::-1])
        )
        back = other[[0, 2, 1], :, ::-1]
        if geometry == "default":
            back = np.concatenate([back[..., :1], back[..., :-1]], axis=-1)
        mean = (maps + back) / 2
        certain[i] = settled(mean, SIZE, geometry, 3, noise=1e-6)
        expected = decode_maps(mean, SIZE, geometry, 3)
        np.testing.assert_allclose(found[i][certain[i]], expected[certain[i]], atol=1e-2)
    assert certain.mean() > 0.7


@pytest.fixture(scope="module")
def picture_net(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("picture")
    foreign = picture_heatmap(folder / "f.onnx")
    export_pose(foreign, folder / "p.onnx", options(3, input=PLAIN))
    return open_model(folder / "p.onnx", task="pose", threads=1)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(1, 6))
def test_ties_borders_and_empty_maps(picture_net: Model, seed: int, levels: int) -> None:
    """Few grey levels make ties and maxima at borders; the mean of 2 makes empty maps."""
    cells = np.random.default_rng(seed).integers(0, levels, (2, 3, 16, 12), dtype=np.uint8)
    crops = np.ascontiguousarray(cells.repeat(4, axis=2).repeat(4, axis=3))
    (found,) = picture_net.run(crops)
    expected = [decode(maps.astype(int) - 2, SIZE) for maps in cells]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "neighbours", "expected"),
    [
        ((0, 0), {(1, 0): 5, (0, 1): 5}, (0, 0)),
        ((15, 11), {(14, 11): 5}, (44, 60)),
        ((3, 4), {(3, 5): 5}, (17, 12)),
        ((3, 4), {(3, 3): 5, (4, 4): 6}, (15, 13)),
        ((3, 0), {(2, 0): 6}, (0, 11)),
        ((3, 4), {}, (16, 12)),
    ],
)
def test_quarter_offset_by_hand(
    picture_net: Model,
    cell: tuple[int, int],
    neighbours: dict[tuple[int, int], int],
    expected: tuple[int, int],
) -> None:
    cells = np.zeros((1, 3, 16, 12), np.uint8)
    cells[0, 1][cell] = 9
    for place, level in neighbours.items():
        cells[0, 1][place] = level
    crops = np.ascontiguousarray(cells.repeat(4, axis=2).repeat(4, axis=3))
    (found,) = picture_net.run(crops)
    np.testing.assert_allclose(found[0, 1], (*expected, 7), atol=1e-5)
    np.testing.assert_array_equal(found[0, [0, 2]], np.zeros((2, 3)))


@pytest.mark.parametrize("y_first", [False, True])
@pytest.mark.parametrize("ratio", [1, 2])
def test_simcc_made_by_code(tmp_path: Path, y_first: bool, ratio: int) -> None:
    foreign = foreign_simcc(tmp_path / "f.onnx", SIZE, joints=4, ratio=ratio, y_first=y_first)
    export_pose(foreign, tmp_path / "p.onnx", options(4, layout="simcc"))
    crops = pictures(5, SIZE)
    (found,) = open_model(tmp_path / "p.onnx", task="pose").run(crops)
    for i, crop in enumerate(crops):
        x, y = (v[0] for v in run(foreign, prepared(crop, INPUT), ["simcc_x", "simcc_y"]))
        score = np.minimum(x.max(axis=1), y.max(axis=1))
        places = np.column_stack([x.argmax(axis=1), y.argmax(axis=1)]) / ratio
        expected = np.where(score[:, None] > 0, np.column_stack([places, score]), 0.0)
        np.testing.assert_allclose(found[i], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layout": "simcc"}, "layout simcc"),
        ({"joints": ("nose",)}, "--joints: expected 5"),
        ({"input": dataclasses.replace(INPUT, size=(64, 64))}, "--size"),
    ],
)
def test_options_that_do_not_fit_the_file(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    foreign = foreign_heatmap(tmp_path / "f.onnx", SIZE, joints=5)
    with pytest.raises(ExportError, match=words):
        export_pose(foreign, tmp_path / "p.onnx", options(5, **change))
    assert not list(tmp_path.glob("p.onnx*"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layout": "simcc", "flip_test": True}, "--flip-test: expected --layout heatmap"),
        ({"layout": "simcc", "decode": "dark"}, "--decode dark: expected --layout heatmap"),
        ({"dark_kernel": 11}, "--dark-kernel: expected --decode dark"),
    ],
)
def test_options_that_do_not_fit_each_other(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        options(5, **change)


@pytest.mark.needs_data
def test_real_tinypose(data_dir: Path, tmp_path: Path) -> None:
    file = sorted((data_dir / "coco" / "images").glob("*.jpg"))[0]
    picture = cv2.imread(str(file))
    assert picture is not None
    real = [cv2.resize(picture[:, x : x + 200, ::-1], (192, 256)) for x in range(0, 400, 100)]
    noise = pictures(2, (256, 192))
    crops = np.concatenate([np.stack(real).transpose(0, 3, 1, 2), noise])
    model = open_model(adapt_tinypose(data_dir, tmp_path), task="pose")
    (found,) = model.run(np.ascontiguousarray(crops))
    for crop, joints in zip(crops, found, strict=True):
        maps = run(tinypose_file(data_dir), prepared(crop, TINYPOSE))[0][0]
        expected = decode(maps, (256, 192))
        np.testing.assert_allclose(joints[:, :2], expected[:, :2], atol=1e-2)
        np.testing.assert_allclose(joints[:, 2], expected[:, 2], atol=1e-3)
