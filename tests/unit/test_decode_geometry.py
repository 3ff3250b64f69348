# SPDX-License-Identifier: Apache-2.0
"""Cropping, rotation and colour labels: what a stream says of its pixels reaches the Frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from poseact_engine._core import Frame, Reader
from tests import media

pytestmark = pytest.mark.needs_ffmpeg_cli


def first_frame(path: Path) -> Frame:
    reader = Reader(str(path), max_frames=1)
    reader.start()
    frame = reader.next()
    assert frame is not None, reader.error
    return frame


def test_1080_lines_are_coded_as_1088_and_cropped(tmp_path: Path) -> None:
    clip = media.write_pattern(tmp_path / "hd.mp4", frames=1, size=(1920, 1080))
    frame = first_frame(clip)
    assert frame.stored_size == (1920, 1080)
    assert frame.matrix == "bt709"
    assert b"".join(p.tobytes() for p in frame.planes) == media.raw_frames(clip)


@pytest.mark.parametrize(("codec", "bitstream"), [("libx264", "h264"), ("libx265", "hevc")])
def test_every_edge_is_cropped_to_the_pixel(tmp_path: Path, codec: str, bitstream: str) -> None:
    quiet = ["-x265-params", "log-level=none"] if codec == "libx265" else []
    whole = media.write_pattern(
        tmp_path / "whole.mp4", frames=1, size=(128, 96), codec=codec, options=quiet
    )
    edges = "crop_left=6:crop_right=10:crop_top=4:crop_bottom=2"
    cut = tmp_path / "cut.mp4"
    media.ffmpeg("-i", whole, "-c", "copy", "-bsf:v", f"{bitstream}_metadata={edges}", cut)
    frame = first_frame(cut)
    assert frame.stored_size == (112, 90)
    y, u, v = frame.planes
    whole_y, whole_u, whole_v = first_frame(whole).planes
    np.testing.assert_array_equal(y, whole_y[4:94, 6:118])
    np.testing.assert_array_equal(u, whole_u[2:47, 3:59])
    np.testing.assert_array_equal(v, whole_v[2:47, 3:59])


# (a, b, c, d) of the track header: shown x = a x + c y, shown y = b x + d y.
MATRICES = {
    "normal": (1, 0, 0, 1),
    "mirror_x": (-1, 0, 0, 1),
    "rotate_180": (-1, 0, 0, -1),
    "mirror_y": (1, 0, 0, -1),
    "transpose": (0, 1, 1, 0),
    "rotate_90": (0, 1, -1, 0),
    "transverse": (0, -1, -1, 0),
    "rotate_270": (0, -1, 1, 0),
}


@pytest.mark.parametrize("orientation", MATRICES)
def test_display_matrix_is_shown_as_ffmpeg_shows_it(tmp_path: Path, orientation: str) -> None:
    clip = media.write_pattern(tmp_path / "turned.mp4", frames=1, size=(64, 48))
    media.set_display_matrix(clip, MATRICES[orientation])
    frame = first_frame(clip)
    assert frame.orientation == orientation
    shown = media.displayed(frame.planes[0], frame.orientation)
    assert frame.size == shown.shape[::-1]
    expected = np.frombuffer(media.raw_frames(clip, pix_fmt="gray", rotate=True), np.uint8)
    # "gray" is full range: FFmpeg stretches video levels on the way, so ranks are compared.
    stretched = np.clip(np.rint((shown.astype(float) - 16) * 255 / 219), 0, 255)
    assert np.abs(stretched - expected.reshape(shown.shape)).max() <= 1
    assert Reader(str(clip)).info["size"] == frame.size


@pytest.mark.parametrize("tag", range(1, 9))
def test_exif_orientation_is_shown_as_opencv_shows_it(tmp_path: Path, tag: int) -> None:
    still = media.write_pattern(
        tmp_path / "turned.jpg", frames=1, size=(64, 48), codec="mjpeg", pix_fmt="gray"
    )
    media.set_exif_orientation(still, tag)
    frame = first_frame(still)
    assert frame.orientation == media.EXIF_ORIENTATIONS[tag - 1]
    shown = media.displayed(frame.planes[0], frame.orientation)
    expected = cv2.imread(str(still), cv2.IMREAD_GRAYSCALE)  # honours EXIF
    assert expected is not None
    assert np.abs(shown.astype(int) - expected).max() <= 2  # two JPEG decoders round differently


COLOURS = [
    ([], "bt601", "limited", "left"),
    (["-colorspace", "bt709"], "bt709", "limited", "left"),
    (["-colorspace", "smpte170m"], "bt601", "limited", "left"),
    (["-colorspace", "bt470bg"], "bt601", "limited", "left"),
    (["-colorspace", "smpte240m"], "smpte240m", "limited", "left"),
    (["-colorspace", "fcc"], "fcc", "limited", "left"),
    (["-colorspace", "bt2020nc"], "bt2020", "limited", "left"),
    (["-color_range", "pc"], "bt601", "full", "left"),
    (["-chroma_sample_location", "center"], "bt601", "limited", "center"),
    (["-chroma_sample_location", "topleft"], "bt601", "limited", "topleft"),
    (["-chroma_sample_location", "top"], "bt601", "limited", "top"),
    (["-chroma_sample_location", "bottomleft"], "bt601", "limited", "bottomleft"),
    (["-chroma_sample_location", "bottom"], "bt601", "limited", "bottom"),
]


@pytest.mark.parametrize(("options", "matrix", "range_", "siting"), COLOURS)
def test_colour_labels(
    tmp_path: Path, options: list[str], matrix: str, range_: str, siting: str
) -> None:
    if "-chroma_sample_location" in options:  # x264 takes it only as a parameter of its own
        number = ["left", "center", "topleft", "top", "bottomleft", "bottom"].index(options[1])
        options = ["-x264-params", f"chromaloc={number}"]
    clip = media.write_pattern(tmp_path / "c.mp4", frames=1, options=options)
    frame = first_frame(clip)
    assert (frame.matrix, frame.range, frame.siting) == (matrix, range_, siting)


@pytest.mark.parametrize(("lines", "matrix"), [(718, "bt601"), (720, "bt709")])
def test_unlabelled_colour_goes_by_the_number_of_lines(
    tmp_path: Path, lines: int, matrix: str
) -> None:
    clip = media.write_pattern(tmp_path / "c.mp4", frames=1, size=(64, lines))
    assert first_frame(clip).matrix == matrix


def test_unlabelled_colour_goes_by_stored_lines(tmp_path: Path) -> None:
    clip = media.write_pattern(tmp_path / "c.mp4", frames=1, size=(720, 64))
    media.set_display_matrix(clip, MATRICES["rotate_90"])
    frame = first_frame(clip)
    assert frame.size == (64, 720)
    assert frame.matrix == "bt601"


def test_ycgco_is_refused_not_misread(tmp_path: Path) -> None:
    clip = media.write_pattern(tmp_path / "c.mp4", frames=1, options=["-colorspace", "ycgco"])
    reader = Reader(str(clip))
    reader.start()
    assert reader.next() is None
    assert reader.error is not None
    assert "ycgco" in reader.error
