# SPDX-License-Identifier: Apache-2.0
"""Heat maps to joints in float64 with OpenCV, from the papers' formulas, one joint at a time."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def decode_maps(
    maps: NDArray[np.floating], size: tuple[int, int], geometry: str, kernel: int | None
) -> NDArray[np.float64]:
    """Maps [K, h, w] of a crop of ``size`` (height, width) to [K, 3]; ``kernel``: DARK's, or None
    for a quarter of a cell."""
    joints = []
    rows, columns = maps.shape[1:]
    for heat in maps.astype(np.float64):
        y, x = divmod(int(np.argmax(heat)), columns)
        if heat[y, x] <= 0:
            joints.append((0.0, 0.0, 0.0))
            continue
        if kernel is None:
            step = _quarter(heat, x, y)
        else:
            step = (_dark if geometry == "default" else _dark_udp)(modulate(heat, kernel), x, y)
        fx, fy = x + step[0], y + step[1]
        if geometry == "default":
            fx, fy = fx * size[1] / columns, fy * size[0] / rows
        else:
            fx, fy = fx * (size[1] - 1) / (columns - 1), fy * (size[0] - 1) / (rows - 1)
        joints.append((fx, fy, heat[y, x]))
    return np.array(joints)


def modulate(heat: NDArray[np.float64], kernel: int) -> NDArray[np.float64]:
    """Blurred with zeros around, brought back to the maximum (DARK, section 3.2)."""
    edge = kernel // 2
    blurred = cv2.GaussianBlur(np.pad(heat, edge), (kernel, kernel), 0)[edge:-edge, edge:-edge]
    top = blurred.max()
    return np.asarray(blurred * heat.max() / top if top > 0 else blurred)


def _quarter(heat: NDArray[np.float64], x: int, y: int) -> tuple[float, float]:
    rows, columns = heat.shape
    dx = 0.25 * np.sign(heat[y, x + 1] - heat[y, x - 1]) if 0 < x < columns - 1 else 0.0
    dy = 0.25 * np.sign(heat[y + 1, x] - heat[y - 1, x]) if 0 < y < rows - 1 else 0.0
    return float(dx), float(dy)


def _dark(heat: NDArray[np.float64], x: int, y: int) -> tuple[float, float]:
    rows, columns = heat.shape
    if not (1 < x < columns - 2 and 1 < y < rows - 2):
        return 0.0, 0.0
    log = np.log(np.maximum(heat, 1e-10))
    # First differences of central differences: what two-cell second differences are.
    gx, gy = np.zeros_like(log), np.zeros_like(log)
    gx[:, 1:-1] = (log[:, 2:] - log[:, :-2]) / 2
    gy[1:-1] = (log[2:] - log[:-2]) / 2
    xx = (gx[y, x + 1] - gx[y, x - 1]) / 2
    yy = (gy[y + 1, x] - gy[y - 1, x]) / 2
    xy = (gx[y + 1, x] - gx[y - 1, x]) / 2
    return _newton(gx[y, x], gy[y, x], xx, xy, yy)


def _dark_udp(heat: NDArray[np.float64], x: int, y: int) -> tuple[float, float]:
    log = np.log(np.clip(heat, 1e-3, 50))
    rows, columns = log.shape

    def at(dx: int, dy: int) -> float:
        return float(log[min(max(y + dy, 0), rows - 1), min(max(x + dx, 0), columns - 1)])

    eps = float(np.finfo(np.float32).eps)
    xx = at(1, 0) - 2 * at(0, 0) + at(-1, 0) + eps
    yy = at(0, 1) - 2 * at(0, 0) + at(0, -1) + eps
    corners = at(1, 1) - at(1, 0) - at(0, 1) + at(0, 0)
    opposite = at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1)
    xy = (corners + opposite) / 2
    return _newton((at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2, xx, xy, yy)


def _newton(gx: float, gy: float, xx: float, xy: float, yy: float) -> tuple[float, float]:
    if xx * yy - xy * xy == 0:
        return 0.0, 0.0
    x, y = -(np.linalg.inv([[xx, xy], [xy, yy]]) @ [gx, gy])
    return float(x), float(y)


def settled(
    maps: NDArray[np.floating],
    size: tuple[int, int],
    geometry: str,
    kernel: int | None,
    *,
    noise: float,
) -> NDArray[np.bool_]:
    """[K]: joints that stay where they are, within 2e-4 px, whatever noise of ``noise`` times the
    largest value is on the maps. What does not, ties of cells, of neighbours, or a Hessian of
    almost zero, tells of rounding alone."""
    rng = np.random.default_rng(0)
    known = decode_maps(maps, size, geometry, kernel)
    same = np.ones(len(maps), bool)
    for _ in range(3):
        moved = maps + noise * np.abs(maps).max() * rng.choice([-1.0, 1.0], maps.shape)
        other = decode_maps(moved, size, geometry, kernel)
        same &= np.abs(other - known)[:, :2].max(axis=1) < 2e-4
    return same
