# SPDX-License-Identifier: Apache-2.0
"""Heat maps to joints by NumPy in float64, one map at a time: what decoding nodes are held against.

Written from the formulas again (``heatmap`` tells them), not from the nodes.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from export.flip import mirrored_joints
from export.heatmap import gaussian
from poseact_engine.manifest import PoseManifest

Maps = NDArray[np.float64]


def read_maps(maps: Maps, manifest: PoseManifest, kernel: int | None) -> NDArray[np.float64]:
    """Maps [K, h, w] to keypoints [K, 3] in crop pixels; ``kernel``: cells of DARK's Gaussian, None
    for a quarter of a cell. A map with a value that is not finite gives NaN."""
    udp = manifest.geometry == "udp"
    cells = np.array(maps.shape[:0:-1])
    pixels = np.array([manifest.width, manifest.height])
    scale = (pixels - 1) / (cells - 1) if udp else pixels / cells
    found = np.zeros((len(maps), 3))
    for joint, heat in zip(found, maps, strict=True):
        if not np.isfinite(heat).all():
            joint[:] = np.nan
        elif heat.max() > 0:
            row, column = np.unravel_index(heat.argmax(), heat.shape)
            x, y = int(column), int(row)
            if kernel is None:
                step = quarter_step(heat, x, y)
            else:
                step = (dark_udp_step if udp else dark_step)(blur(heat, kernel), x, y)
            far = max(heat.shape)
            joint[:2] = (np.array([x, y]) + np.clip(step, -far, far)) * scale
            joint[2] = heat.max()
    return found


def mean_of_mirrored(straight: Maps, mirrored: Maps, manifest: PoseManifest) -> Maps:
    """Maps [K, h, w] of a crop and of its mirror image to those of the flip test."""
    back = mirrored[mirrored_joints(manifest.joints)][:, :, ::-1].copy()
    if manifest.geometry == "default":
        back[:, :, 1:] = back[:, :, :-1].copy()
    return (straight + back) / 2


def blur(heat: NDArray[np.float64], kernel: int) -> NDArray[np.float64]:
    """Zeros around; the maximum stays what it was. Nothing to bring back where none is left."""
    weights = gaussian(kernel)
    padded = np.pad(heat, kernel // 2)
    across = sliding_window_view(padded, kernel, axis=1) @ weights
    blurred: NDArray[np.float64] = sliding_window_view(across, kernel, axis=0) @ weights
    return blurred * (heat.max() / blurred.max()) if blurred.max() > 0 else blurred


def quarter_step(heat: NDArray[np.float64], x: int, y: int) -> NDArray[np.float64]:
    """A quarter towards the larger neighbour along each axis, none at a border; [2], in cells."""
    rows, columns = heat.shape
    dx = np.sign(heat[y, x + 1] - heat[y, x - 1]) if 0 < x < columns - 1 else 0.0
    dy = np.sign(heat[y + 1, x] - heat[y - 1, x]) if 0 < y < rows - 1 else 0.0
    return np.array([dx, dy]) / 4


def dark_step(heat: NDArray[np.float64], x: int, y: int) -> NDArray[np.float64]:
    """As DARK's authors make it; [2], in cells."""
    rows, columns = heat.shape
    if not (1 < x < columns - 2 and 1 < y < rows - 2):
        return np.zeros(2)
    log = np.log(np.maximum(heat[y - 2 : y + 3, x - 2 : x + 3], 1e-10))
    dx, dy = (log[2, 3] - log[2, 1]) / 2, (log[3, 2] - log[1, 2]) / 2
    dxx = (log[2, 4] - 2 * log[2, 2] + log[2, 0]) / 4
    dyy = (log[4, 2] - 2 * log[2, 2] + log[0, 2]) / 4
    dxy = (log[3, 3] - log[1, 3] - log[3, 1] + log[1, 1]) / 4
    return _newton(np.array([dx, dy]), np.array([[dxx, dxy], [dxy, dyy]]))


def dark_udp_step(heat: NDArray[np.float64], x: int, y: int) -> NDArray[np.float64]:
    """As MMPose makes it for UDP; [2], in cells."""
    log = np.pad(np.log(np.clip(heat, 1e-3, 50)), 1, mode="edge")[y : y + 3, x : x + 3]
    dx, dy = (log[1, 2] - log[1, 0]) / 2, (log[2, 1] - log[0, 1]) / 2
    dxx = log[1, 2] - 2 * log[1, 1] + log[1, 0]
    dyy = log[2, 1] - 2 * log[1, 1] + log[0, 1]
    sides = log[1, 2] + log[2, 1] + log[1, 0] + log[0, 1]
    dxy = (log[2, 2] + log[0, 0] + 2 * log[1, 1] - sides) / 2
    hessian = np.array([[dxx, dxy], [dxy, dyy]]) + np.finfo(np.float32).eps * np.eye(2)
    return _newton(np.array([dx, dy]), hessian)


def _newton(gradient: NDArray[np.float64], hessian: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        return np.asarray(-np.linalg.solve(hessian, gradient))
    except np.linalg.LinAlgError:  # no inverse
        return np.zeros(2)
