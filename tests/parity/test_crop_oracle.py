# SPDX-License-Identifier: Apache-2.0
"""crop on every path against float64 NumPy: at most one grey level, everywhere."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poseact_engine._core import Frame, FrameBatch, crop, crop_paths
from tests.parity.crop_oracle import (
    FORMATS,
    MATRICES,
    RANGES,
    SHOW,
    SITINGS,
    make_frame,
    oracle,
    rounded,
)

BORDER = (7, 114, 250)
PATHS = crop_paths()


def _crop(frame: Frame, windows: NDArray[Any], height: int, width: int, path: str) -> NDArray[Any]:
    return crop(
        FrameBatch([frame]),
        np.zeros(len(windows), np.int32),
        np.asarray(windows, np.float64),
        height=height,
        width=width,
        border=BORDER,
        path=path,
    )


def _worst(frame: Frame, windows: NDArray[Any], height: int, width: int, path: str) -> int:
    got = _crop(frame, windows, height, width, path)
    wanted = np.stack([rounded(oracle(frame, w, height, width, BORDER)) for w in windows])
    return int(np.abs(got.astype(np.int16) - wanted).max())


def _formats_and_colours() -> list[tuple[str, str, str]]:
    combos = itertools.product(FORMATS, MATRICES, RANGES)
    return [c for c in combos if c[1] != "identity" or c[0] == "i444"]


# Inside; wide; partly outside; wholly outside; mirrored; within one source pixel; a letterbox.
WINDOWS = np.array(
    [
        [0.61, 11.3, 0.83, 7.7],
        [1.37, 3.21, 1.9, 0.4],
        [2.21, -31.7, 1.4, -22.2],
        [1.9, 60.5, 2.3, 70.1],
        [1.0, -500.0, 1.0, 3.0],
        [-1.3, 120.0, -0.7, 80.0],
        [0.01, 40.0, 0.02, 41.0],
        [3.7, 1.35, 3.7, -20.0],
        [7.9, -70.3, 9.1, -60.0],
    ]
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("fmt", "matrix", "colour_range"), _formats_and_colours())
def test_every_format_and_colour_is_within_one_level(
    fmt: str, matrix: str, colour_range: str, path: str
) -> None:
    rng = np.random.default_rng(5)
    frame = make_frame(rng, 173, 131, format=fmt, matrix=matrix, range=colour_range)
    assert _worst(frame, WINDOWS, 48, 70, path) <= 1


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("siting", "orientation", "fmt"),
    list(itertools.product(SITINGS, SHOW, ("nv12", "i420", "i422"))),
)
def test_every_siting_and_orientation_is_within_one_level(
    siting: str, orientation: str, fmt: str, path: str
) -> None:
    rng = np.random.default_rng(6)
    options = {"format": fmt, "matrix": "bt709", "range": "limited"}
    frame = make_frame(rng, 171, 130, siting=siting, orientation=orientation, **options)
    assert _worst(frame, WINDOWS[:4], 40, 66, path) <= 1


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("orientation", SHOW)
def test_the_whole_frame_comes_out_as_displayed(orientation: str, path: str) -> None:
    rng = np.random.default_rng(7)
    # Lossless: identity matrix, full range, no subsampling, one source pixel per crop pixel.
    options = {"format": "i444", "matrix": "identity", "range": "full"}
    frame = make_frame(rng, 97, 75, orientation=orientation, **options)
    w, h = frame.size
    got = _crop(frame, [[1.0, 0.0, 1.0, 0.0]], h, w, path)[0]
    green, blue, red = (SHOW[orientation](p) for p in frame.planes)
    np.testing.assert_array_equal(got, np.stack([red, green, blue]))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("level", [0, 1, 16, 17, 126, 128, 200, 235, 254, 255])
def test_a_flat_grey_picture_stays_exactly_grey(level: int, path: str) -> None:
    planes = [np.full((60, 90), level, np.uint8), np.full((30, 90), 128, np.uint8)]
    frame = Frame.from_planes(planes, format="nv12", matrix="bt709", range="full")
    got = _crop(frame, [[0.37, 3.3, 0.61, 2.2], [1.1, 0.0, 0.9, 0.7]], 64, 64, path)
    assert (got[0] == level).all()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("w", "h"), [(1, 1), (2, 1), (1, 3), (3, 3), (5, 2), (16, 17), (33, 9)])
@pytest.mark.parametrize("fmt", FORMATS)
def test_tiny_frames_and_crops(fmt: str, w: int, h: int, path: str) -> None:
    rng = np.random.default_rng(8)
    options = {"format": fmt, "matrix": "bt601", "range": "full", "siting": "center"}
    frame = make_frame(rng, w, h, **options)
    windows = [[0.1, -0.4, 0.2, -0.45], [-1.0, w - 1.0, 1.0, 0.0], [1.5, -3.0, 1.5, -2.0]]
    for size in ((1, 1), (7, 5), (33, 40)):
        assert _worst(frame, np.array(windows), *size, path) <= 1


numbers = st.floats(-6.0, 6.0).filter(lambda a: abs(a) > 1e-3)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    size=st.tuples(st.integers(1, 300), st.integers(1, 90)),
    fmt=st.sampled_from(FORMATS),
    siting=st.sampled_from(SITINGS),
    orientation=st.sampled_from(list(SHOW)),
    out=st.tuples(st.integers(1, 150), st.integers(1, 24)),
    ab=st.tuples(numbers, st.floats(-200, 400), numbers, st.floats(-100, 200)),
)
def test_all_paths_agree_to_the_bit_and_with_numpy(
    seed: int,
    size: tuple[int, int],
    fmt: str,
    siting: str,
    orientation: str,
    out: tuple[int, int],
    ab: tuple[float, float, float, float],
) -> None:
    options = {"format": fmt, "matrix": "bt2020", "range": "limited"}
    rng = np.random.default_rng(seed)
    frame = make_frame(rng, *size, siting=siting, orientation=orientation, **options)
    width, height = out
    assert _worst(frame, np.array([ab]), height, width, "scalar") <= 1
    expected = _crop(frame, [ab], height, width, "scalar")
    for path in PATHS[1:]:
        np.testing.assert_array_equal(_crop(frame, [ab], height, width, path), expected)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("width", [416, 443])
def test_all_paths_agree_at_every_scale_of_a_wide_frame(fmt: str, width: int) -> None:
    # From magnified to shrunk beyond what shuffles reach: every number of chunks, and the way out.
    scales = np.array(
        [0.3, 1, 1.7, 1.9, 2, 2.6, 3.8, 4, 4.6, 5.9, 6.6, 8.1, 8.15, 8.2, 8.9, 9.2, 13, 17]
    )
    rng = np.random.default_rng(9)
    frame = make_frame(rng, 1920, 20, format=fmt, matrix="bt709", range="limited")
    windows = np.array([[s * a, b, 1.0, 0.0] for a in scales for s, b in ((1, -9.3), (-1, 1925.1))])
    expected = _crop(frame, windows, 6, width, "scalar")
    for path in PATHS[1:]:
        np.testing.assert_array_equal(_crop(frame, windows, 6, width, path), expected)
