# SPDX-License-Identifier: Apache-2.0
"""The definition of csrc/crop/crop.h in float64 NumPy, by its own formulas; and made frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import Frame

FORMATS = ("nv12", "i420", "i422", "i444", "grey")
MATRICES = ("bt601", "bt709", "bt2020", "smpte240m", "fcc", "identity")
RANGES = ("limited", "full")
SITINGS = ("left", "center", "topleft", "top", "bottomleft", "bottom")
# Displayed from stored, as NumPy: EXIF tag 1 to 8.
SHOW = {
    "normal": lambda p: p,
    "mirror_x": lambda p: p[:, ::-1],
    "rotate_180": lambda p: p[::-1, ::-1],
    "mirror_y": lambda p: p[::-1],
    "transpose": lambda p: p.T,
    "rotate_90": lambda p: np.rot90(p, -1),
    "transverse": lambda p: np.rot90(p, 2).T,
    "rotate_270": lambda p: np.rot90(p, 1),
}
_CHROMA_X = {"left": 0.0, "topleft": 0.0, "bottomleft": 0.0}  # others: half a luma pixel right
_CHROMA_Y = {"topleft": 0.0, "top": 0.0, "bottomleft": 1.0, "bottom": 1.0}  # others: 0.5
# H.273 table 4: luma weights of red and blue.
_WEIGHTS = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}
_BLOCK = {"nv12": (2, 2), "i420": (2, 2), "i422": (2, 1), "i444": (1, 1)}


def make_frame(rng: np.random.Generator, width: int, height: int, **options: Any) -> Frame:
    """Noise over the whole byte range: neighbours differ wildly, so that every error of
    position, weight or tap shows."""
    fmt = options["format"]
    bw, bh = _BLOCK.get(fmt, (1, 1))
    cw, ch = -(-width // bw), -(-height // bh)
    shapes = {
        "nv12": [(height, width), (ch, 2 * cw)],
        "grey": [(height, width)],
    }.get(fmt, [(height, width), (ch, cw), (ch, cw)])
    planes = []
    for h, w in shapes:
        # 0 and 255 often: the extremes are where 16-bit arithmetic could overflow.
        noise = rng.integers(-80, 336, (h, w)).clip(0, 255).astype(np.uint8)
        padded = np.empty((h, w + int(rng.integers(0, 9))), np.uint8)
        padded[:, :w] = noise
        plane = padded[:, :w]
        if rng.integers(0, 2):  # bottom-up in memory: a negative stride
            plane = np.ascontiguousarray(plane[::-1])[::-1]
        planes.append(plane)
    return Frame.from_planes(planes, **options)


def _bilinear(plane: NDArray[Any], y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float64]:
    """At every (y, x), clamped to the plane."""
    p = plane.astype(np.float64)
    y = np.clip(y, 0, p.shape[0] - 1)
    x = np.clip(x, 0, p.shape[1] - 1)
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    y1, x1 = np.minimum(y0 + 1, p.shape[0] - 1), np.minimum(x0 + 1, p.shape[1] - 1)
    fy, fx = (y - y0)[:, None], (x - x0)[None, :]
    top = p[np.ix_(y0, x0)] * (1 - fx) + p[np.ix_(y0, x1)] * fx
    bottom = p[np.ix_(y1, x0)] * (1 - fx) + p[np.ix_(y1, x1)] * fx
    return top * (1 - fy) + bottom * fy


def _chroma(frame: Frame) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    if frame.format == "nv12":
        return frame.planes[1][:, 0::2], frame.planes[1][:, 1::2]
    return frame.planes[1], frame.planes[2]


def _stored_samples(frame: Frame, y: NDArray[Any], x: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Y, U, V at stored positions."""
    luma = _bilinear(frame.planes[0], y, x)
    if frame.format == "grey":
        return [luma, np.full_like(luma, 128.0), np.full_like(luma, 128.0)]
    bw, bh = _BLOCK[frame.format]
    cx = (x - _CHROMA_X.get(frame.siting, 0.5)) / 2 if bw == 2 else x
    cy = (y - _CHROMA_Y.get(frame.siting, 0.5)) / 2 if bh == 2 else y
    u, v = _chroma(frame)
    return [luma, _bilinear(u, cy, cx), _bilinear(v, cy, cx)]


def _to_rgb(frame: Frame, y: NDArray[Any], u: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
    black, luma_span, chroma_span = (16, 219, 224) if frame.range == "limited" else (0, 255, 255)
    if frame.matrix == "identity":
        return (np.stack([v, y, u]) - black) * 255 / luma_span
    kr, kb = _WEIGHTS[frame.matrix]
    light = (y - black) * 255 / luma_span
    cb, cr = (u - 128) * 255 / chroma_span, (v - 128) * 255 / chroma_span
    red, blue = light + 2 * (1 - kr) * cr, light + 2 * (1 - kb) * cb
    return np.stack([red, (light - kr * red - kb * blue) / (1 - kr - kb), blue])


def _stored_axes(
    frame: Frame, x: NDArray[Any], y: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], bool]:
    """Stored x and y positions of displayed ones, and whether the crop comes out transposed."""
    w, h = frame.stored_size
    at = {
        "normal": (x, y),
        "mirror_x": (w - 1 - x, y),
        "rotate_180": (w - 1 - x, h - 1 - y),
        "mirror_y": (x, h - 1 - y),
        "transpose": (y, x),
        "rotate_90": (y, h - 1 - x),
        "transverse": (w - 1 - y, h - 1 - x),
        "rotate_270": (w - 1 - y, x),
    }[frame.orientation]
    return (
        at[0],
        at[1],
        frame.size != frame.stored_size
        or frame.orientation
        in (
            "transpose",
            "rotate_90",
            "transverse",
            "rotate_270",
        ),
    )


def oracle(
    frame: Frame, window: NDArray[Any], height: int, width: int, border: tuple[int, int, int]
) -> NDArray[np.float64]:
    """float64 ``[3, H, W]``, clipped, not rounded; NaN-free."""
    # The definition counts a and b in steps of 2^-32 (which decides ties at the hard edge).
    ax, bx, ay, by = np.round(np.asarray(window, np.float64) * 2.0**32) / 2.0**32
    x, y = ax * np.arange(width) + bx, ay * np.arange(height) + by
    w, h = frame.size
    inside = ((y >= -0.5) & (y <= h - 0.5))[:, None] & ((x >= -0.5) & (x <= w - 0.5))[None, :]
    sx, sy, transposed = _stored_axes(frame, x, y)
    planes = _stored_samples(frame, sy, sx)
    if transposed:
        planes = [p.T for p in planes]
    rgb = np.clip(_to_rgb(frame, *planes), 0, 255)
    return np.where(inside, rgb, np.asarray(border, np.float64)[:, None, None])


def rounded(rgb: NDArray[np.float64]) -> NDArray[np.int16]:
    """Half up."""
    return np.floor(rgb + 0.5).astype(np.int16)
