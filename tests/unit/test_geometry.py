# SPDX-License-Identifier: Apache-2.0
"""geometry against OpenCV, the published transforms, and itself there and back."""

from __future__ import annotations

import doctest

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from poseact_engine import geometry
from poseact_engine.errors import ConfigError, ShapeError
from poseact_engine.geometry import (
    boxes_from_letterbox,
    keypoints_from_crops,
    letterbox,
    pose_crops,
)

side = st.integers(1, 5000)
extent = st.integers(16, 1280)
placements = st.sampled_from(["top_left", "center"])
coordinate = st.floats(-500, 4000)


def test_docstrings_are_true() -> None:
    assert doctest.testmod(geometry).failed == 0
    assert doctest.testmod(geometry).attempted >= 4


def _sample(
    window: NDArray[np.float64], image: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """OpenCV's warpAffine of the same source = a * d + b."""
    ax, bx, ay, by = window
    matrix = np.array([[ax, 0, bx], [0, ay, by]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize("placement", ["top_left", "center"])
@pytest.mark.parametrize(("w", "h"), [(64, 36), (36, 64), (50, 50), (7, 90)])
def test_a_letterbox_is_resize_and_border(placement: str, w: int, h: int) -> None:
    rng = np.random.default_rng(1)
    image = rng.random((h, w)).astype(np.float32)
    size = 96
    scale = min(size / w, size / h)
    new_w, new_h = int(w * scale + 1e-9), int(h * scale + 1e-9)
    resized = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    left = (size - new_w) // 2 if placement == "center" else 0
    top = (size - new_h) // 2 if placement == "center" else 0
    window = letterbox(np.array([[w, h]]), height=size, width=size, placement=placement)[0]
    warped = _sample(window, image, size)
    # warpAffine may round positions to 1/32 pixel.
    inner = warped[top : top + new_h, left : left + new_w]
    np.testing.assert_allclose(inner, resized, atol=2.5 / 32)
    # Exactly the pixels of the picture lie inside the frame, by the rule of csrc/crop/crop.h.
    x = window[0] * np.arange(size) + window[1]
    y = window[2] * np.arange(size) + window[3]
    columns = np.flatnonzero((x >= -0.5) & (x <= w - 0.5))
    rows = np.flatnonzero((y >= -0.5) & (y <= h - 0.5))
    assert (columns[0], columns[-1] + 1) == (left, left + new_w)
    assert (rows[0], rows[-1] + 1) == (top, top + new_h)


@given(w=side, h=side, height=extent, width=extent, placement=placements)
def test_a_letterbox_holds_the_whole_frame_and_boxes_return(
    w: int, h: int, height: int, width: int, placement: str
) -> None:
    sizes = np.array([[w, h]])
    window = letterbox(sizes, height=height, width=width, placement=placement)
    a, b = window[0, [0, 2]], window[0, [1, 3]]
    edges = np.array([[0.0, 0.0], [w, h]])  # of the frame
    placed = (edges - 0.5 - b) / a + 0.5  # in the letterbox
    assert (placed >= -1e-6).all()
    assert (placed <= np.array([width, height]) + 1e-6).all()
    # One side is filled (as far as whole pixels go).
    filled = placed[1] - placed[0]
    assert (filled >= np.array([width, height]) - 1e-6).any()
    back = boxes_from_letterbox(placed.reshape(1, 4), window, sizes)
    np.testing.assert_allclose(back, [[0, 0, w, h]], atol=1e-3)


def test_boxes_are_clipped_to_their_own_frame() -> None:
    sizes = np.array([[100, 50], [40, 80]])
    windows = letterbox(sizes, height=64, width=64, placement="center")
    boxes = np.array([[-9, -9, 90, 90], [-9, -9, 90, 90]], np.float32)
    back = boxes_from_letterbox(boxes, windows, sizes)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, [[0, 0, 100, 50], [0, 0, 40, 80]])


def _hrnet_transform(box: list[float], w: int, h: int, expansion: float) -> NDArray[np.float64]:
    """Crop to frame: HRNet's get_affine_transform (rotation 0), three points through OpenCV."""
    x0, y0, x1, y1 = box
    center = np.array([x0 + x1, y0 + y1]) / 2
    aspect = w / h
    source_w = max(x1 - x0, (y1 - y0) * aspect) * expansion
    up, left = np.array([0, -source_w / 2]), np.array([-source_w / 2, -source_w / 2])
    source = np.stack([center, center + up, center + left])
    target = np.array([[w / 2, h / 2], [w / 2, h / 2 - w / 2], [0, h / 2 - w / 2]])
    return cv2.getAffineTransform(target.astype(np.float32), source.astype(np.float32))


@pytest.mark.parametrize("box", [[10, 20, 110, 420], [300.5, 40.25, 700, 90], [-40, -10, 60, 200]])
def test_default_crops_are_hrnets(box: list[float]) -> None:
    ax, bx, ay, by = pose_crops(
        np.array([box]), height=256, width=192, expansion=1.25, geometry="default"
    )[0]
    wanted = _hrnet_transform(box, 192, 256, 1.25)
    np.testing.assert_allclose([[ax, 0, bx], [0, ay, by]], wanted, atol=1e-4)


def test_udp_maps_the_corner_pixels_onto_the_box() -> None:
    # Unbiased: pixel 0 and pixel W - 1 are the two ends of the (3:4, unexpanded) box.
    ax, bx, ay, by = pose_crops(
        np.array([[30.0, 40.0, 90.0, 120.0]]), height=256, width=192, expansion=1.0, geometry="udp"
    )[0]
    np.testing.assert_allclose([bx, ax * 191 + bx], [30, 90])
    np.testing.assert_allclose([by, ay * 255 + by], [40, 120])


@given(
    boxes=st.lists(st.tuples(*[coordinate] * 4), min_size=1, max_size=5),
    expansion=st.floats(0.5, 3),
    kind=st.sampled_from(["default", "udp"]),
)
def test_pose_crops_hold_their_boxes_and_joints_return(
    boxes: list[tuple[float, ...]], expansion: float, kind: str
) -> None:
    array = np.array(boxes)
    low, high = np.minimum(array[:, :2], array[:, 2:]), np.maximum(array[:, :2], array[:, 2:])
    array = np.concatenate([low, high], axis=1)
    windows = pose_crops(array, height=64, width=48, expansion=expansion, geometry=kind)
    # Joints at the frame positions of the box's corners, into the crop and back.
    a, b = windows[:, None, [0, 2]], windows[:, None, [1, 3]]
    joints = (array.reshape(-1, 2, 2) - b) / a
    scored = np.concatenate([joints, np.ones((len(array), 2, 1))], axis=2)
    back = keypoints_from_crops(scored, windows)
    np.testing.assert_allclose(back[:, :, :2], array.reshape(-1, 2, 2), atol=1e-2, rtol=1e-5)
    if expansion >= 1:
        last = np.array([48, 64]) - (1 if kind == "udp" else 0)
        assert (joints >= -1e-6).all()
        assert (joints <= last + 1e-6).all()


def test_a_joint_that_was_not_found_stays_zero() -> None:
    joints = np.array([[[5, 6, 0.0], [5, 6, -0.1], [5, 6, np.nan], [0, 0, 0.3]]], np.float32)
    back = keypoints_from_crops(joints, np.array([[2.0, 10.0, 3.0, 20.0]]))
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back[0, :3], np.zeros((3, 3)))
    np.testing.assert_allclose(back[0, 3], [10, 20, 0.3])


@pytest.mark.parametrize("kind", ["default", "udp"])
@pytest.mark.parametrize("box", [[50, 60, 50, 60], [50, 60, 20, 10], [50, 60, 50, 90]])
def test_a_degenerate_box_gives_a_small_finite_window(box: list[float], kind: str) -> None:
    window = pose_crops(np.array([box]), height=64, width=48, expansion=1.25, geometry=kind)[0]
    assert np.isfinite(window).all()
    assert (window[[0, 2]] > 0).all()


def test_no_rows_are_no_rows() -> None:
    none = np.zeros((0, 4))
    assert pose_crops(none, height=64, width=48, expansion=1.0, geometry="udp").shape == (0, 4)
    assert boxes_from_letterbox(none, none, np.zeros((0, 2))).shape == (0, 4)
    assert keypoints_from_crops(np.zeros((0, 17, 3)), none).shape == (0, 17, 3)
    assert letterbox(np.zeros((0, 2)), height=8, width=8, placement="center").shape == (0, 4)


def test_wrong_arguments_are_named() -> None:
    boxes = np.array([[0.0, 0.0, np.nan, 5.0]])
    with pytest.raises(ConfigError, match=r"pose_crops: expected finite boxes, got row 0"):
        pose_crops(boxes, height=64, width=48, expansion=1.0, geometry="udp")
    with pytest.raises(ConfigError, match="expansion"):
        pose_crops(boxes, height=64, width=48, expansion=0.0, geometry="udp")
    with pytest.raises(ConfigError, match="default or udp"):
        pose_crops(boxes, height=64, width=48, expansion=1.0, geometry="other")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="2 px or more"):
        pose_crops(boxes, height=1, width=48, expansion=1.0, geometry="udp")
    with pytest.raises(ShapeError, match=r"boxes \[N, 4\], got \[1, 3\]"):
        pose_crops(boxes[:, :3], height=64, width=48, expansion=1.0, geometry="udp")
    with pytest.raises(ConfigError, match="top_left or center"):
        letterbox(np.array([[4, 4]]), height=8, width=8, placement="left")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="1 px or more"):
        letterbox(np.array([[0, 4]]), height=8, width=8, placement="center")
    with pytest.raises(ShapeError, match="as many rows"):
        boxes_from_letterbox(np.zeros((2, 4)), np.ones((1, 4)), np.ones((2, 2)))
    with pytest.raises(ShapeError, match=r"keypoints \[M, K, 3\]"):
        keypoints_from_crops(np.zeros((2, 4)), np.ones((2, 4)))
