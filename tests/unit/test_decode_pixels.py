# SPDX-License-Identifier: Apache-2.0
"""Every pixel format becomes 8-bit planes by the documented rule.

Random samples of each format go through FFmpeg's command untouched (raw video in NUT); NumPy says
what they should become. The size is odd, so that rounding of half-sized planes is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine._core import Frame, Reader
from tests import media

pytestmark = pytest.mark.needs_ffmpeg_cli

W, H = 51, 37
HALF_W, HALF_H = 26, 19
WHOLE, HALF_WIDE, QUARTER = (H, W), (H, HALF_W), (HALF_H, HALF_W)
Samples = NDArray[np.int64]
Arrange = Callable[[list[Samples]], list[Samples]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A format: how its samples are stored, and which of them make our planes."""

    ours: str
    shapes: tuple[tuple[int, int], ...]
    """Rows and samples per row of each stored plane."""
    arrange: Arrange = list
    """Stored planes to ours, still at full depth."""
    depth: int = 8
    dtype: str = "u1"
    matrix: str = "bt601"


def packed(order: str) -> Arrange:
    n = len(order)
    return lambda stored: [stored[0][:, order.index(c) :: n] for c in "gbr"]


def split(order: str) -> Arrange:
    """U and V in turn, where our format keeps them apart."""
    return lambda stored: [stored[0], *(stored[1][:, order.index(c) :: 2] for c in "uv")]


def repeated(across: int, down: int) -> Arrange:
    block = np.ones((down, across), np.int64)
    return lambda stored: [stored[0], *(np.kron(c, block)[:H, :W] for c in stored[1:])]


def yuyv(stored: list[Samples]) -> list[Samples]:
    return [stored[0][:, 0::2][:, :W], stored[0][:, 1::4], stored[0][:, 3::4]]


def rgb(order: str, *, depth: int = 8, dtype: str = "u1") -> Case:
    return Case(
        ours="i444",
        shapes=((H, W * len(order)),),
        arrange=packed(order),
        depth=depth,
        dtype=dtype,
        matrix="identity",
    )


def planar(ours: str, chroma: tuple[int, int], *, depth: int = 8, dtype: str = "<u2") -> Case:
    shapes = (WHOLE, chroma, chroma)
    return Case(ours=ours, shapes=shapes, depth=depth, dtype="u1" if depth == 8 else dtype)


def grey(*, depth: int, dtype: str = "<u2") -> Case:
    return Case(ours="grey", shapes=(WHOLE,), depth=depth, dtype=dtype)


# nv16 and p010 have no name in NUT: tests/cpp/frame_maker_test.cpp has them.
SEMI = (WHOLE, (HALF_H, 2 * HALF_W))
CASES = {
    "yuv420p": planar("i420", QUARTER),
    "yuv422p": planar("i422", HALF_WIDE),
    "yuv444p": planar("i444", WHOLE),
    "yuva420p": Case(
        ours="i420", shapes=(WHOLE, QUARTER, QUARTER, WHOLE), arrange=lambda stored: stored[:3]
    ),
    "gray": grey(depth=8, dtype="u1"),
    "ya8": Case(ours="grey", shapes=((H, 2 * W),), arrange=lambda stored: [stored[0][:, ::2]]),
    "nv12": Case(ours="nv12", shapes=SEMI),
    "nv21": Case(ours="i420", shapes=SEMI, arrange=split("vu")),
    "yuv420p9le": planar("i420", QUARTER, depth=9),
    "yuv420p10le": planar("i420", QUARTER, depth=10),
    "yuv420p10be": planar("i420", QUARTER, depth=10, dtype=">u2"),
    "yuv422p10le": planar("i422", HALF_WIDE, depth=10),
    "yuv444p10le": planar("i444", WHOLE, depth=10),
    "yuv420p12le": planar("i420", QUARTER, depth=12),
    "yuv422p14le": planar("i422", HALF_WIDE, depth=14),
    "yuv444p16le": planar("i444", WHOLE, depth=16),
    "gray10le": grey(depth=10),
    "gray12le": grey(depth=12),
    "gray16le": grey(depth=16),
    "gray16be": grey(depth=16, dtype=">u2"),
    "yuv440p": Case(ours="i444", shapes=(WHOLE, (HALF_H, W), (HALF_H, W)), arrange=repeated(1, 2)),
    "yuv411p": Case(ours="i444", shapes=(WHOLE, (H, 13), (H, 13)), arrange=repeated(4, 1)),
    "yuv410p": Case(ours="i444", shapes=(WHOLE, (10, 13), (10, 13)), arrange=repeated(4, 4)),
    "yuyv422": Case(ours="i422", shapes=((H, 4 * HALF_W),), arrange=yuyv),
    "rgb24": rgb("rgb"),
    "bgr24": rgb("bgr"),
    "rgba": rgb("rgba"),
    "argb": rgb("argb"),
    "bgr0": rgb("bgr0"),
    "rgb48le": rgb("rgb", depth=16, dtype="<u2"),
    "rgb48be": rgb("rgb", depth=16, dtype=">u2"),
    "rgba64le": rgb("rgba", depth=16, dtype="<u2"),
    "gbrp": Case(ours="i444", shapes=(WHOLE,) * 3, matrix="identity"),
    "gbrp10le": Case(ours="i444", shapes=(WHOLE,) * 3, depth=10, dtype="<u2", matrix="identity"),
}


def first_frame(path: Path) -> Frame:
    reader = Reader(str(path), max_frames=1)
    reader.start()
    frame = reader.next()
    assert frame is not None, reader.error
    return frame


def write_raw(path: Path, pix_fmt: str, data: bytes) -> Path:
    media.ffmpeg(
        "-f", "rawvideo", "-pix_fmt", pix_fmt, "-s", f"{W}x{H}", "-i", "-", "-c", "copy", path,
        data=data,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("pix_fmt", CASES)
def test_pixel_format(tmp_path: Path, pix_fmt: str) -> None:
    case = CASES[pix_fmt]
    rng = np.random.default_rng(1)
    stored = [rng.integers(0, 1 << case.depth, shape, np.int64) for shape in case.shapes]
    data = b"".join(plane.astype(case.dtype).tobytes() for plane in stored)
    frame = first_frame(write_raw(tmp_path / "raw.nut", pix_fmt, data))
    assert frame.stored_size == (W, H)
    assert (frame.format, frame.matrix) == (case.ours, case.matrix)
    # RGB has no video levels, nor has grey of a codec that is lossless, as raw video is.
    limited = case.ours != "grey" and case.matrix != "identity"
    assert frame.range == ("limited" if limited else "full")
    half = (1 << case.depth - 8) >> 1
    for got, full in zip(frame.planes, case.arrange(stored), strict=True):
        np.testing.assert_array_equal(got, np.minimum(255, (full + half) >> case.depth - 8))


def test_few_bits_fill_the_scale(tmp_path: Path) -> None:
    words = np.random.default_rng(2).integers(0, 1 << 16, (H, W), np.int64)
    frame = first_frame(write_raw(tmp_path / "raw.nut", "rgb565le", words.astype("<u2").tobytes()))
    parts = ((words >> 5 & 63, 63), (words & 31, 31), (words >> 11, 31))
    for got, (value, most) in zip(frame.planes, parts, strict=True):
        np.testing.assert_array_equal(got, np.floor(value * 255 / most + 0.5))


@pytest.mark.parametrize("pix_fmt", ["monow", "monob", "pal8", "rgb24", "gray", "rgba"])
def test_png(tmp_path: Path, pix_fmt: str) -> None:
    """OpenCV reads PNG with libpng: another decoder altogether."""
    if pix_fmt == "pal8":
        path = tmp_path / "p.png"
        media.ffmpeg(
            # palettegen waits for the end of its input
            "-f", "lavfi", "-i", f"testsrc2=size={W}x{H}:duration=0.04",
            "-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse", "-update", "1", path,
        )  # fmt: skip
    else:
        codec = "png" if pix_fmt != "monow" else "tiff"
        path = media.write_pattern(
            tmp_path / f"p.{'png' if codec == 'png' else 'tif'}",
            frames=1, size=(W, H), codec=codec, pix_fmt=pix_fmt,
        )  # fmt: skip
    frame = first_frame(path)
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert bgr is not None
    assert frame.range == "full"
    if frame.format == "grey":
        np.testing.assert_array_equal(frame.planes[0], bgr[..., 0])
    else:
        assert frame.matrix == "identity"
        for plane, channel in zip(frame.planes, (1, 0, 2), strict=True):
            np.testing.assert_array_equal(plane, bgr[..., channel])


@pytest.mark.parametrize("pix_fmt", ["yuvj420p", "yuvj422p", "yuvj444p", "gray"])
def test_jpeg_and_bmp_stills(tmp_path: Path, pix_fmt: str) -> None:
    path = media.write_pattern(
        tmp_path / "p.jpg", frames=1, size=(W, H), codec="mjpeg", pix_fmt=pix_fmt
    )
    frame = first_frame(path)
    assert b"".join(p.tobytes() for p in frame.planes) == media.raw_frames(path)
    assert (frame.range, frame.siting, frame.matrix) == ("full", "center", "bt601")
    bmp = media.write_pattern(
        tmp_path / "p.bmp", frames=1, size=(W, H), codec="bmp", pix_fmt="bgr24"
    )
    picture = cv2.imread(str(bmp), cv2.IMREAD_COLOR)
    assert picture is not None
    np.testing.assert_array_equal(first_frame(bmp).planes[2], picture[..., 2])


def test_pixels_that_are_no_picture_are_refused(tmp_path: Path) -> None:
    still = media.write_pattern(
        tmp_path / "p.exr", frames=1, size=(W, H), codec="exr", pix_fmt="gbrpf32le"
    )
    reader = Reader(str(still))
    reader.start()
    assert reader.next() is None
    assert reader.error is not None
    assert "gbrpf32le" in reader.error
