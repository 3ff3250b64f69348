# SPDX-License-Identifier: Apache-2.0
"""Decoding nodes against OpenCV and float64: on Gaussians with known centres, noise and hard cases;
and the flip test against one made by hand."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from export.flip import add_mirrored, merge_mirrored, mirrored_joints
from export.graph import GraphBuilder
from export.heatmap import HeatmapOptions, dark_kernel, decode_heatmaps, gaussian
from export.read_maps import mean_of_mirrored, read_maps
from export.verify import open_session
from poseact_engine.contract import IR_VERSION, OPSET
from poseact_engine.errors import ExportError
from poseact_engine.manifest import Geometry, PoseManifest
from poseact_engine.types import COCO_JOINTS
from tests.parity.heatmap_oracle import decode_maps, settled

GEOMETRIES: list[Geometry] = ["default", "udp"]
MAPS = (64, 48)


def options(
    joints: int,
    maps: tuple[int, int] = MAPS,
    *,
    geometry: Geometry = "default",
    kernel: int | None = None,
) -> HeatmapOptions:
    rows, columns = maps
    return HeatmapOptions(
        joints=joints, rows=rows, columns=columns, height=4 * rows, width=4 * columns,
        geometry=geometry, kernel=kernel,
    )  # fmt: skip


def manifest(
    how: HeatmapOptions, joints: tuple[str, ...], decode: Literal["quarter", "dark"] = "dark"
) -> PoseManifest:
    return PoseManifest(
        task="pose", precision="fp32", target="any", source="made", licence="none", sha256="",
        height=how.height, width=how.width, geometry=how.geometry, expansion=1.25,
        border=(0, 0, 0), joints=joints, decode=decode, flip_test=False,
    )  # fmt: skip


def session(builder: GraphBuilder, shape: list[Any], output: str) -> Any:
    graph = helper.make_graph(
        builder.nodes,
        "made",
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        builder.tensors,
    )
    ids = [helper.make_opsetid("", OPSET)]
    return open_session(helper.make_model(graph, opset_imports=ids, ir_version=IR_VERSION))


def decoded(maps: NDArray[np.float32], how: HeatmapOptions) -> NDArray[np.float32]:
    back = GraphBuilder("decode")
    decode_heatmaps(back, "maps", how)
    shape = ["m", how.joints, how.rows, how.columns]
    found: NDArray[np.float32] = session(back, shape, "keypoints").run(None, {"maps": maps})[0]
    return found


def peaks(centres: NDArray[np.float64], maps: tuple[int, int], sigma: float) -> NDArray[np.float32]:
    """[M, K, h, w]: Gaussians around centres [M, K, 2], x y in cells."""
    y, x = np.mgrid[: maps[0], : maps[1]]
    dx = x - centres[..., 0, None, None]
    dy = y - centres[..., 1, None, None]
    return np.exp(-(dx**2 + dy**2) / (2 * sigma**2)).astype(np.float32)


def noise(count: int, maps: tuple[int, int], seed: int) -> NDArray[np.float32]:
    """[count, 17, h, w]: smooth, some of it below zero, no map alike."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0.1, 1, (count * 17, *maps))
    smooth = [cv2.GaussianBlur(v, (0, 0), 1.5) for v in values]
    return np.asarray(smooth, np.float32).reshape(count, 17, *maps)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize(
    ("maps", "sigma", "kernel"), [((64, 48), 2, 11), ((96, 72), 3, 17), ((32, 24), 1, 3)]
)
def test_dark_finds_centres_between_cells(
    geometry: Geometry, maps: tuple[int, int], sigma: float, kernel: int
) -> None:
    """Peaks as networks are trained on, far enough from the border for the blur's zeros."""
    rng = np.random.default_rng(1)
    low, high = np.array([8, 8]), np.array([maps[1] - 9, maps[0] - 9])
    centres = rng.uniform(low, high, (20, 17, 2))
    found = {}
    for name, cells in (("dark", kernel), ("quarter", None)):
        how = options(17, maps, geometry=geometry, kernel=cells)
        keypoints = decoded(peaks(centres, maps, sigma), how)
        found[name] = np.abs(keypoints[..., :2] / how.scale - centres).max(axis=-1)
    assert found["dark"].max() < 0.05
    assert 0.2 < found["quarter"].max() <= 0.2501


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("kernel", [None, 3, 11, 17])
@pytest.mark.parametrize("batch", [1, 3])
def test_any_maps_give_what_the_formula_gives(
    geometry: Geometry, kernel: int | None, batch: int
) -> None:
    maps = noise(batch, MAPS, seed=2)
    how = options(17, geometry=geometry, kernel=kernel)
    found = decoded(maps, how)
    size = (how.height, how.width)
    certain = np.stack([settled(m, size, geometry, kernel, noise=1e-7) for m in maps])
    assert certain.mean() > 0.8
    expected = np.stack([decode_maps(m, size, geometry, kernel) for m in maps])
    np.testing.assert_allclose(found[certain], expected[certain], rtol=1e-6, atol=2e-3)
    assert np.abs(found - np.round(found)).max() > 0.2 or kernel is None
    written_again = np.stack([read_maps(m, manifest(how, COCO_JOINTS), kernel) for m in maps])
    far = np.abs(expected[..., :2]).max(axis=-1) < 4 * max(MAPS)
    np.testing.assert_allclose(written_again[far], expected[far], rtol=1e-6, atol=1e-6)


HARD = {
    "all alike": lambda m: m + 0.5,
    "all zero": lambda m: m,
    "below zero": lambda m: m - 1,
    "one cell": lambda m: m + 9 * (np.indices(m.shape).sum(axis=0) == 40),
    "a tiny peak": lambda m: m + 1e-30 * (np.arange(m.shape[1]) == 20),
    "a peak in a hole": lambda m: m + np.where(np.arange(m.shape[1]) == 20, 1, -1e6),
    "huge": lambda m: m + 1e30 * (np.arange(m.shape[1]) == 20),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_maps_without_a_clear_peak_give_finite_joints(name: str, geometry: Geometry) -> None:
    heat = HARD[name](np.zeros(MAPS)).astype(np.float32)
    how = options(1, geometry=geometry, kernel=11)
    with np.errstate(over="ignore"):
        found = decoded(heat[None, None], how)[0, 0]
    assert np.isfinite(found).all()
    assert found[2] == max(heat.max(), 0)
    assert np.abs(found[:2]).max() <= 4 * (max(MAPS) + heat.argmax())
    if heat.max() <= 0:
        np.testing.assert_array_equal(found, 0)
    if name == "all alike":
        expected = decode_maps(heat[None], (how.height, how.width), geometry, 11)[0]
        np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("at", [(0, 0), (1, 30), (2, 2), (47, 63), (46, 5), (45, 61), (20, 1)])
def test_peaks_at_the_border(geometry: Geometry, at: tuple[int, int]) -> None:
    """DARK's authors make no step from the two outer cells; UDP makes one, too."""
    centre = np.array([[[at[0] + 0.2, at[1] - 0.3]]])
    maps = peaks(centre, MAPS, 2)
    how = options(1, geometry=geometry, kernel=11)
    found = decoded(maps, how)[0]
    expected = decode_maps(maps[0], (how.height, how.width), geometry, 11)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    y, x = np.unravel_index(maps[0, 0].argmax(), MAPS)
    inner = 1 < x < MAPS[1] - 2 and 1 < y < MAPS[0] - 2
    stays = np.array_equal(found[0, :2], np.float32([x, y] * np.float64(how.scale)))
    assert stays == (geometry == "default" and not inner)


@pytest.mark.parametrize(("geometry", "clip"), [("default", 1e-10), ("udp", 1e-3)])
def test_what_is_below_the_clip_counts_as_the_clip(geometry: Geometry, clip: float) -> None:
    """Peaks so low that cells beside them are below it, one on one side alone."""
    centres = np.array([[[20.4, 30.3], [25.0, 31.45], [11.2, 40.7]]])
    maps = (peaks(centres, MAPS, 1) * clip * 1.05).astype(np.float32)
    how = options(3, geometry=geometry, kernel=3)
    found = decoded(maps, how)[0]
    size = (how.height, how.width)
    expected = decode_maps(maps[0], size, geometry, 3)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    bright = decode_maps(maps[0] / clip, size, geometry, 3)
    assert np.abs(bright - expected)[:, :2].max() > 0.1  # the clip does something


def test_the_gaussian_is_opencvs() -> None:
    for kernel in range(3, 41, 2):
        expected = cv2.getGaussianKernel(kernel, 0)[:, 0]
        np.testing.assert_allclose(gaussian(kernel), expected, atol=1e-12)


def test_the_kernel_follows_the_size_of_the_maps_or_is_asked_for() -> None:
    assert (dark_kernel(None, 64, 48), dark_kernel(None, 96, 72)) == (11, 17)
    assert dark_kernel(9, 64, 48) == 9
    with pytest.raises(ExportError, match="--dark-kernel: expected the Gaussian's cells for maps"):
        dark_kernel(None, 32, 24)
    for wrong in (1, 4, -3):
        with pytest.raises(ExportError, match="--dark-kernel: expected an odd number"):
            options(1, kernel=wrong)


# ---------------------------------------------------------------- flip test


def test_left_and_right_change_places() -> None:
    """The pairs of the COCO data set in HRNet's code."""
    pairs = [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)]
    expected = list(range(17))
    for left, right in pairs:
        expected[left], expected[right] = right, left
    assert mirrored_joints(COCO_JOINTS) == expected
    assert mirrored_joints(["hand right", "nose", "hand left"]) == [2, 1, 0]
    with pytest.raises(ExportError, match="expected joint 'right_hip' beside 'left_hip'"):
        mirrored_joints(["nose", "left_hip"])
    with pytest.raises(ExportError, match="expected joints named left"):
        mirrored_joints(["a", "b"])


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("batch", [1, 3])
def test_the_mean_with_the_mirror_image(geometry: Geometry, batch: int) -> None:
    names = ("nose", "left_hip", "right_hip")
    how = options(3, (16, 12), geometry=geometry)
    maps = np.random.default_rng(3).normal(0, 1, (2 * batch, 3, 16, 12)).astype(np.float32)
    back = GraphBuilder("decode")
    output = merge_mirrored(back, "maps", names, how)
    (found,) = session(back, ["m", 3, 16, 12], output).run(None, {"maps": maps})
    assert found.shape == (batch, 3, 16, 12)
    for i in range(batch):
        for joint, other in ((0, 0), (1, 2), (2, 1)):
            for x in range(12):
                source = x - 1 if geometry == "default" and x > 0 else x
                mirrored = maps[batch + i, other, :, 11 - source]
                expected = (maps[i, joint, :, x].astype(np.float64) + mirrored) / 2
                np.testing.assert_allclose(found[i, joint, :, x], expected, atol=1e-6)
        again = mean_of_mirrored(
            maps[i].astype(np.float64), maps[batch + i].astype(np.float64), manifest(how, names)
        )
        np.testing.assert_allclose(found[i], again, atol=1e-6)


def test_the_batch_and_its_mirror_image() -> None:
    front = GraphBuilder("front")
    add_mirrored(front, "maps", "both", width=5)
    pictures = np.random.default_rng(4).normal(0, 1, (2, 3, 4, 5)).astype(np.float32)
    (found,) = session(front, ["m", 3, 4, 5], "both").run(None, {"maps": pictures})
    np.testing.assert_array_equal(found, np.concatenate([pictures, np.flip(pictures, axis=3)]))


PLAIN = {
    "Add", "And", "ArgMax", "Cast", "Clip", "Concat", "Conv", "Div", "Equal", "GatherElements",
    "Greater", "Less", "Log", "Max", "Min", "Mod", "Mul", "Not", "ReduceMax", "ReduceSum",
    "Reshape", "Slice", "Sub", "Unsqueeze", "Where", "Sign",
}  # fmt: skip


def test_decoding_is_made_of_plain_operators() -> None:
    """None that a GPU computes in less than fp32 on the way from logarithms to a step."""
    for geometry in GEOMETRIES:
        back = GraphBuilder("decode")
        decode_heatmaps(back, "maps", options(17, geometry=geometry, kernel=11))
        ops = [n.op_type for n in back.nodes]
        assert "Conv" not in ops[ops.index("Log") :]
        assert {t.data_type for t in back.tensors} <= {TensorProto.FLOAT, TensorProto.INT64}
        assert {n.op_type for n in back.nodes} < PLAIN
