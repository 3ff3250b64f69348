# SPDX-License-Identifier: Apache-2.0
"""Makers of test media, by code, and what FFmpeg's command says is in them.

Clips show grey steps: frame k is all of grey level ``grey_level(k)``. The levels are GREY_STEP
apart, far enough that no lossy codec can swap two frames, so a mean says which frame one has.
Patterns show ``testsrc2``: colours and edges everywhere, so a wrong plane, row or crop is seen.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

GREY_FIRST = 24
GREY_STEP = 16
GREY_LEVELS = 13  # 24 to 216: inside video levels

EXIF_ORIENTATIONS = (
    "normal",
    "mirror_x",
    "rotate_180",
    "mirror_y",
    "transpose",
    "rotate_90",
    "transverse",
    "rotate_270",
)


def grey_level(index: int) -> int:
    return GREY_FIRST + GREY_STEP * (index % GREY_LEVELS)


def ffmpeg(*arguments: str | Path, data: bytes | None = None) -> bytes:
    """Runs FFmpeg's command; its standard output."""
    command = ["ffmpeg", "-hide_banner", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
    return done.stdout


def write_clip(
    path: Path,
    *,
    frames: int = 12,
    size: tuple[int, int] = (64, 48),
    rate: str = "25",
    codec: str = "libx264",
    options: Sequence[str] = (),
) -> Path:
    """A film of grey steps; the name's ending says the container."""
    width, height = size
    pixels = b"".join(bytes([grey_level(k)]) * (width * height) for k in range(frames))
    raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", rate, "-i", "-"]
    # Greys are full-range numbers on the way in; "in_range=tv" keeps them as they are.
    keep = ["-vf", "scale=in_range=tv:out_range=tv,format=yuv420p"]
    ffmpeg(*raw, *keep, "-c:v", codec, "-threads", "1", *options, path, data=pixels)
    return path


def write_pattern(
    path: Path,
    *,
    frames: int = 5,
    size: tuple[int, int] = (96, 64),
    rate: str = "25",
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: Sequence[str] = (),
) -> Path:
    """A film, or with ``frames=1`` a picture, of FFmpeg's colourful test pattern."""
    width, height = size
    # testsrc2 makes even sizes alone; the part that is too much is cut off.
    source = f"testsrc2=size={width + width % 2}x{height + height % 2}:rate={rate}"
    source += f",format=rgb24,crop={width}:{height}:0:0"
    made = ["-f", "lavfi", "-i", source, "-frames:v", str(frames), "-pix_fmt", pix_fmt]
    if path.suffix in {".png", ".jpg", ".bmp", ".tif", ".exr"}:
        made += ["-update", "1"]
    ffmpeg(*made, "-c:v", codec, "-threads", "1", *options, path)
    return path


def raw_frames(
    path: Path, *, pix_fmt: str | None = None, rotate: bool = False, options: Sequence[str] = ()
) -> bytes:
    """All frames as FFmpeg's command decodes them, one after the other, planes without padding."""
    turned = [] if rotate else ["-noautorotate"]
    form = [] if pix_fmt is None else ["-pix_fmt", pix_fmt]
    return ffmpeg(
        *options, *turned, "-i", path, "-map", "0:v:0", "-an", "-fps_mode", "passthrough",
        *form, "-f", "rawvideo", "-",
    )  # fmt: skip


def set_display_matrix(path: Path, matrix: Sequence[int]) -> None:
    """Writes (a, b, c, d), each -1, 0 or 1, into the track header of an MP4 file."""
    a, b, c, d = (value << 16 for value in matrix)
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # version, times, ids, duration, layer, volume
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(content))


def set_exif_orientation(path: Path, tag: int) -> None:
    """Puts an EXIF header with this orientation (1 to 8) into a JPEG file."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, tag, 0, 0)
    exif = b"Exif\0\0" + tiff
    content = path.read_bytes()
    assert content[:2] == b"\xff\xd8"
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path.write_bytes(content[:2] + segment + content[2:])


def displayed(plane: NDArray[np.uint8], orientation: str) -> NDArray[np.uint8]:
    """A stored plane as a viewer sees it (the eight EXIF orientations)."""
    turns = {
        "normal": plane,
        "mirror_x": plane[:, ::-1],
        "rotate_180": plane[::-1, ::-1],
        "mirror_y": plane[::-1],
        "transpose": plane.T,
        "rotate_90": np.rot90(plane, -1),
        "transverse": plane[::-1, ::-1].T,
        "rotate_270": np.rot90(plane, 1),
    }
    return turns[orientation]
