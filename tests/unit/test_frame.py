# SPDX-License-Identifier: Apache-2.0
"""Frames: planes without a copy, lifetimes, shapes, time."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine._core import Frame, FrameBatch
from poseact_engine.errors import ConfigError, ShapeError

# Odd sizes: chroma rounds up.
HEIGHT, WIDTH = 5, 7
PLANES = {
    "nv12": [(5, 7), (3, 8)],
    "i420": [(5, 7), (3, 4), (3, 4)],
    "i422": [(5, 7), (5, 4), (5, 4)],
    "i444": [(5, 7), (5, 7), (5, 7)],
    "grey": [(5, 7)],
}


class Owned(np.ndarray[Any, Any]):
    """An array that can be watched by a weak reference."""


def planes_of(format_: str) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(7)
    return [rng.integers(0, 256, shape, np.uint8) for shape in PLANES[format_]]


def frame_of(planes: Any, format_: Any, **more: Any) -> Frame:
    return Frame.from_planes(planes, format=format_, matrix="bt709", range="limited", **more)


@pytest.mark.parametrize("format_", PLANES)
def test_planes_are_the_callers_memory(format_: str) -> None:
    planes = planes_of(format_)
    frame = frame_of(planes, format_)
    assert frame.format == format_
    assert frame.stored_size == (WIDTH, HEIGHT)
    for given, seen in zip(planes, frame.planes, strict=True):
        assert np.shares_memory(given, seen)
        np.testing.assert_array_equal(given, seen)
        assert not seen.flags.writeable


def test_bottom_up_and_padded_planes_are_read_where_they_are() -> None:
    padded = np.arange(4 * 32, dtype=np.uint8).reshape(4, 32)
    plane = padded[::-1, 3:11]
    seen = frame_of([plane], "grey").planes[0]
    assert np.shares_memory(padded, seen)
    np.testing.assert_array_equal(seen, plane)


def test_one_pixel_wide_planes_of_any_stride() -> None:
    wide = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(frame_of([wide[:, ::4]], "grey").planes[0], wide[:, ::4])


def test_frame_keeps_its_arrays_and_lets_them_go() -> None:
    plane = np.zeros((4, 4), np.uint8).view(Owned)
    watch = weakref.ref(plane)
    frame = frame_of([plane], "grey")
    batch = FrameBatch([frame])
    del plane, frame
    gc.collect()
    assert watch() is not None
    seen = batch[0].planes[0]
    del batch
    gc.collect()
    assert watch() is not None  # the view holds the frame
    assert int(seen.sum()) == 0
    del seen
    gc.collect()
    assert watch() is None


def test_frame_outlives_the_list_it_was_made_from() -> None:
    planes: list[NDArray[np.uint8]] = [np.full((4, 4), 9, np.uint8).view(Owned)]
    watch = weakref.ref(planes[0])
    frame = frame_of(planes, "grey")
    planes.clear()
    gc.collect()
    assert watch() is not None
    assert int(frame.planes[0].sum()) == 16 * 9


def test_planes_outlive_the_frame_from_rgb() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (6, 4, 3), np.uint8)
    green, blue, red = Frame.from_rgb(rgb).planes
    gc.collect()
    np.testing.assert_array_equal(np.stack([red, green, blue], axis=-1), rgb)


@pytest.mark.parametrize(
    ("planes", "format_", "message"),
    [
        ([np.zeros((5, 7), np.uint8)], "i420", "expected 3 planes for i420, got 1"),
        ([np.zeros((5, 7), np.float32)], "grey", r"plane 0 as uint8 \[5, 7\].*got float32"),
        ([np.zeros((5, 7, 1), np.uint8)], "grey", r"\[height, width\], 1 to 65536 each, got"),
        ([np.zeros((0, 7), np.uint8)], "grey", r"1 to 65536 each, got \(0, 7\)"),
        ([np.zeros((1, 65537), np.uint8)], "grey", r"1 to 65536 each, got \(1, 65537\)"),
        ([np.zeros((7, 5), np.uint8).T], "grey", "contiguous rows"),
        ([np.zeros((5, 7), np.uint8), np.zeros((2, 8), np.uint8)], "nv12", r"uint8 \[3, 8\]"),
        ([[[1, 2], [3, 4]]], "grey", "planes as NumPy arrays, got <class 'list'>"),
    ],
)
def test_wrong_planes_are_refused(planes: Any, format_: str, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        frame_of(planes, format_)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"siting": "middle"}, "Frame siting: expected one of left, center.*got 'middle'"),
        ({"orientation": "rotate_45"}, "Frame orientation: expected one of normal"),
        ({"time_base": (1, 0)}, "time base of two positive numbers, got 1/0"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        frame_of([np.zeros((2, 2), np.uint8)], "grey", **options)


def test_identity_matrix_is_for_rgb_planes_only() -> None:
    with pytest.raises(ConfigError, match=r"expected format i444 .* matrix identity, got grey"):
        Frame.from_planes(
            [np.zeros((2, 2), np.uint8)], format="grey", matrix="identity", range="full"
        )


@pytest.mark.parametrize(
    ("orientation", "size"), [("normal", (7, 5)), ("rotate_180", (7, 5)), ("rotate_90", (5, 7))]
)
def test_size_is_as_displayed(orientation: str, size: tuple[int, int]) -> None:
    frame = frame_of(planes_of("nv12"), "nv12", orientation=orientation)
    assert (frame.stored_size, frame.size) == ((7, 5), size)


def made_batch() -> FrameBatch:
    plane = [np.zeros((2, 4), np.uint8)]
    return FrameBatch(
        [
            frame_of(plane, "grey", pts=1001 * i, time_base=(1, 30000), stream=i % 2, index=i)
            for i in range(3)
        ]
    )


def test_batch_gives_columns() -> None:
    batch = made_batch()
    assert len(batch) == 3
    np.testing.assert_array_equal(batch.stream, np.array([0, 1, 0], np.int32), strict=True)
    np.testing.assert_array_equal(batch.index, np.arange(3, dtype=np.int64), strict=True)
    np.testing.assert_array_equal(batch.pts, 1001 * np.arange(3, dtype=np.int64), strict=True)
    np.testing.assert_array_equal(batch.size, np.full((3, 2), (4, 2), np.int32), strict=True)
    np.testing.assert_array_equal(batch.time_base[2], [1, 30000])
    np.testing.assert_allclose(batch.pts_s, np.arange(3) * 1001 / 30000, rtol=1e-15)


def test_batch_is_a_sequence_and_selects() -> None:
    batch = made_batch()
    assert [f.index for f in batch] == [0, 1, 2]  # type: ignore[attr-defined]
    assert batch[-1].index == 2
    chosen = batch.select(np.array([2, 0, 2], np.int32))
    assert chosen.index.tolist() == [2, 0, 2]
    assert np.shares_memory(chosen[0].planes[0], batch[2].planes[0])
    for wrong in (3, -4):
        with pytest.raises(IndexError, match=f"index below 3, got {wrong}"):
            batch[wrong]
    with pytest.raises(ShapeError, match=r"FrameBatch.select: expected .*int32.*got int64"):
        batch.select(np.array([0]))  # type: ignore[arg-type]


def test_empty_batch() -> None:
    batch = FrameBatch([])
    assert (len(batch), batch.pts_s.shape, batch.size.shape) == (0, (0,), (0, 2))
