# SPDX-License-Identifier: Apache-2.0
"""Heat maps to `keypoints`, as ONNX nodes in fp32.

Arg max (ties: lowest index), then to a part of a cell, then to crop pixels: ``x * W / w`` (geometry
default) or ``x * (W - 1) / (w - 1)`` (udp). The score is the maximum; 0 or less gives (0, 0, 0).

- ``quarter`` (HRNet, Sun et al. 2019): along each axis a quarter of a cell towards the larger
  neighbour, none at a border.
- ``dark`` (Zhang et al. 2020): the maps are blurred with OpenCV's Gaussian of ``kernel`` cells
  (zeros around) and brought back to their maximum; then one Newton step on their logarithm from the
  maximum of the maps as they were, none where the Hessian has no inverse, and none longer than the
  map: a Hessian of almost zero leads anywhere. How it differentiates depends on the geometry, as
  the checkpoints' authors do it: ``DARK`` for default, ``DARK_UDP`` for udp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from export.graph import GraphBuilder
from poseact_engine.errors import ExportError
from poseact_engine.manifest import Geometry

KERNELS = {(64, 48): 11, (96, 72): 17}
"""Of maps as HRNet has them: MMPose's, for targets of sigma 2 and 3. Others differ by training."""
_LEAST_RATIO = float(np.finfo(np.float32).tiny)
_SMALL_KERNELS = {
    3: (1, 2, 1),
    5: (1, 4, 6, 4, 1),
    7: (2, 7, 14, 18, 14, 7, 2),
    9: (4, 13, 30, 51, 60, 51, 30, 13, 4),
}
_CROSS = ((1, 0), (-1, 0), (0, 1), (0, -1))
_QUARTER = ((1, -1, 0, 0), (0, 0, 1, -1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Newton:
    """How one kind of DARK differentiates."""

    cells: tuple[tuple[int, int], ...]
    """Around the maximum, x and y."""
    weights: tuple[tuple[float, ...], ...]
    """Of these cells in dx, dy, dxx, dxy, dyy."""
    clip: tuple[float, float]
    border: int
    """Cells at each border from which no step is made."""
    ridge: float
    """Added to dxx and dyy."""


DARK = Newton(
    cells=((0, 0), *_CROSS, (2, 0), (-2, 0), (0, 2), (0, -2), (1, 1), (-1, -1), (1, -1), (-1, 1)),
    weights=(
        (0, 0.5, -0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0.5, -0.5, 0, 0, 0, 0, 0, 0, 0, 0),
        (-0.5, 0, 0, 0, 0, 0.25, 0.25, 0, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0.25, 0.25, -0.25, -0.25),
        (-0.5, 0, 0, 0, 0, 0, 0, 0.25, 0.25, 0, 0, 0, 0),
    ),
    clip=(1e-10, float(np.finfo(np.float32).max)),
    border=2,
    ridge=0.0,
)
"""The paper's authors (ilovepose/DarkPose, ``taylor``): second differences over two cells."""
DARK_UDP = Newton(
    cells=((0, 0), *_CROSS, (1, 1), (-1, -1)),
    weights=(
        (0, 0.5, -0.5, 0, 0, 0, 0),
        (0, 0, 0, 0.5, -0.5, 0, 0),
        (-2, 1, 1, 0, 0, 0, 0),
        (1, -0.5, -0.5, -0.5, -0.5, 0.5, 0.5),
        (-2, 0, 0, 1, 1, 0, 0),
    ),
    clip=(1e-3, 50.0),
    border=0,
    ridge=float(np.finfo(np.float32).eps),
)
"""MMPose 1.x (``refine_keypoints_dark_udp``), for UDP's checkpoints: over one cell, borders
repeated, so that a joint at a border moves, too. MMPose 0.x mirrors borders while it blurs and does
not bring the maximum back; UDP's own code blurs with 7 cells and subtracts the minimum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatmapOptions:
    """Heat maps [M, joints, rows, columns] of crops of height x width, and how they are read."""

    joints: int
    rows: int
    columns: int
    height: int
    width: int
    geometry: Geometry
    kernel: int | None
    """Cells of DARK's Gaussian; None: quarter of a cell."""

    def __post_init__(self) -> None:
        # A square of less than 2 x 2 cells has neither neighbours nor a udp scale.
        if self.rows < 2 or self.columns < 2:
            raise ExportError(
                f"heat maps: expected 2 x 2 cells or more, got {self.rows} x {self.columns}"
            )
        if self.kernel is not None and (self.kernel < 3 or self.kernel % 2 == 0):
            raise ExportError(
                f"--dark-kernel: expected an odd number, 3 or more, got {self.kernel}"
            )

    @property
    def scale(self) -> tuple[float, float]:
        """Crop pixels a cell, along x and y."""
        if self.geometry == "default":
            return self.width / self.columns, self.height / self.rows
        return (self.width - 1) / (self.columns - 1), (self.height - 1) / (self.rows - 1)


def dark_kernel(asked: int | None, rows: int, columns: int) -> int:
    """The kernel asked for, else that of maps of a published size; else ExportError."""
    found = asked if asked is not None else KERNELS.get((rows, columns))
    if found is None:
        known = ", ".join(f"{k} for {h} x {w}" for (h, w), k in KERNELS.items())
        raise ExportError(
            f"--dark-kernel: expected the Gaussian's cells for maps of {rows} x {columns}, got "
            f"none ({known}; DARK's authors have 3 for 32 x 24)"
        )
    return found


def gaussian(kernel: int) -> NDArray[np.float64]:
    """OpenCV's ``getGaussianKernel(kernel, 0)``, which DARK's authors call: [kernel], sum 1."""
    if kernel in _SMALL_KERNELS:
        values = np.asarray(_SMALL_KERNELS[kernel], np.float64)
    else:
        sigma = 0.3 * ((kernel - 1) / 2 - 1) + 0.8
        values = np.exp(-((np.arange(kernel) - (kernel - 1) / 2) ** 2) / (2 * sigma**2))
    return values / float(values.sum())


# ---------------------------------------------------------------- decoding


def decode_heatmaps(back: GraphBuilder, maps: str, options: HeatmapOptions) -> None:
    """Nodes from maps [M, K, h, w] to the output `keypoints`."""
    flat = _flat(back, maps, options)
    index, score = argmax(back, flat)
    columns = back.constant(options.columns, np.int64)
    axes = [back.node(op, [index, columns]) for op in ("Mod", "Div")]
    place = back.node("Concat", axes, axis=2)  # int64 [M, K, 2], x y
    if options.kernel is None:
        offset = _quarter(back, flat, place, options)
    else:
        offset = _newton(back, maps, place, options)
    cells = back.node("Add", [back.node("Cast", [place], to=TensorProto.FLOAT), offset])
    write_keypoints(back, back.node("Mul", [cells, back.constant(options.scale)]), score)


def write_keypoints(back: GraphBuilder, xy: str, score: str) -> None:
    """[M, K, 2] and [M, K, 1] to `keypoints`; a score of 0 or less gives (0, 0, 0)."""
    joints = back.node("Concat", [xy, score], axis=2)
    zero = back.constant(0.0)
    found = back.node("Greater", [score, zero])
    back.node("Where", [found, joints, zero], output="keypoints")


def argmax(back: GraphBuilder, values: str) -> tuple[str, str]:
    """Index (int64) and value of the maximum along the last of three axes, [M, K, 1] each."""
    index = back.node("ArgMax", [values], axis=2, keepdims=1, select_last_index=0)
    return index, back.node("GatherElements", [values, index], axis=2)


def _flat(back: GraphBuilder, maps: str, options: HeatmapOptions) -> str:
    sizes = back.constant([0, options.joints, options.rows * options.columns], np.int64)
    return back.node("Reshape", [maps, sizes])


def _around(
    back: GraphBuilder,
    flat: str,
    place: str,
    cells: Sequence[tuple[int, int]],
    options: HeatmapOptions,
) -> str:
    """Values [M, K, n] of maps [M, K, h * w] in cells around a place; borders are repeated."""
    zero = back.constant(0, np.int64)
    axes = []
    for axis, size in enumerate((options.columns, options.rows)):
        steps = back.constant([[[cell[axis] for cell in cells]]], np.int64)
        moved = back.node("Add", [_part(back, place, axis), steps])
        moved = back.node("Min", [moved, back.constant(size - 1, np.int64)])
        axes.append(back.node("Max", [moved, zero]))
    rows = back.node("Mul", [axes[1], back.constant(options.columns, np.int64)])
    return back.node("GatherElements", [flat, back.node("Add", [rows, axes[0]])], axis=2)


def _part(back: GraphBuilder, tensor: str, index: int) -> str:
    """[M, K, n] to [M, K, 1]."""
    bounds = [back.constant([v], np.int64) for v in (index, index + 1, 2)]
    return back.node("Slice", [tensor, *bounds])


def _weighted(back: GraphBuilder, values: str, weights: Sequence[Sequence[float]]) -> str:
    """[M, K, n] to its sums [M, K, len(weights)]. No MatMul: a GPU may round what that takes."""
    values = back.node("Unsqueeze", [values, back.constant([2], np.int64)])
    products = back.node("Mul", [values, back.constant(weights)])
    return back.node("ReduceSum", [products, back.constant([3], np.int64)], keepdims=0)


def _inside(back: GraphBuilder, place: str, border: int, options: HeatmapOptions) -> str:
    """Whether x and y are ``border`` cells or more from both ends, bool [M, K, 2]."""
    ends = back.constant([options.columns - border, options.rows - border], np.int64)
    after = back.node("Greater", [place, back.constant(border - 1, np.int64)])
    return back.node("And", [after, back.node("Less", [place, ends])])


def _quarter(back: GraphBuilder, flat: str, place: str, options: HeatmapOptions) -> str:
    """[M, K, 2]: a quarter towards the larger neighbour, along each axis for itself."""
    differences = _weighted(back, _around(back, flat, place, _CROSS, options), _QUARTER)
    quarter = back.node("Mul", [back.node("Sign", [differences]), back.constant(0.25)])
    inside = _inside(back, place, 1, options)
    return back.node("Where", [inside, quarter, back.constant(0.0)])


def _newton(back: GraphBuilder, maps: str, place: str, options: HeatmapOptions) -> str:
    """[M, K, 2]: ``-H^-1 g`` of the logarithm of the blurred maps."""
    kind = DARK if options.geometry == "default" else DARK_UDP
    flat = _flat(back, _modulated(back, maps, options), options)
    values = _around(back, flat, place, kind.cells, options)
    values = back.node("Clip", [values, *(back.constant(v) for v in kind.clip)])
    # All weights of a sum add up to 0, so that dividing by the middle changes nothing, but that the
    # logarithm of what is near 1 is rounded less.
    ratios = back.node("Div", [values, _part(back, values, 0)])
    logs = back.node("Log", [back.node("Max", [ratios, back.constant(_LEAST_RATIO)])])
    sums = _weighted(back, logs, kind.weights)
    dx, dy, dxx, dxy, dyy = (_part(back, sums, i) for i in range(5))
    if kind.ridge:
        dxx, dyy = (back.node("Add", [d, back.constant(kind.ridge)]) for d in (dxx, dyy))
    products = {
        name: back.node("Mul", list(pair))
        for name, pair in {
            "xx_yy": (dxx, dyy), "xy_xy": (dxy, dxy), "xy_y": (dxy, dy), "yy_x": (dyy, dx),
            "xy_x": (dxy, dx), "xx_y": (dxx, dy),
        }.items()
    }  # fmt: skip
    determinant = back.node("Sub", [products["xx_yy"], products["xy_xy"]])
    singular = back.node("Equal", [determinant, back.constant(0.0)])
    divisor = back.node("Where", [singular, back.constant(1.0), determinant])
    steps = [
        back.node("Div", [back.node("Sub", [products[a], products[b]]), divisor])
        for a, b in (("xy_y", "yy_x"), ("xy_x", "xx_y"))
    ]
    far = float(max(options.rows, options.columns))
    step = back.node("Concat", steps, axis=2)
    step = back.node("Clip", [step, back.constant(-far), back.constant(far)])
    inside = _inside(back, place, kind.border, options)
    both = back.node("And", [_part(back, inside, 0), _part(back, inside, 1)])
    both = back.node("And", [both, back.node("Not", [singular])])
    return back.node("Where", [both, step, back.constant(0.0)])


def _modulated(back: GraphBuilder, maps: str, options: HeatmapOptions) -> str:
    """[M, K, h, w] blurred with zeros around, at the maximum that it had before."""
    # By convolutions, since TensorRT for RTX multiplies no fp32 matrices on Turing.
    weights = gaussian(options.kernel or 1).astype(np.float32)
    blurred, joints, reach = maps, options.joints, len(weights) // 2
    for shape, pads in (
        ([joints, 1, 1, len(weights)], [0, reach, 0, reach]),
        ([joints, 1, len(weights), 1], [reach, 0, reach, 0]),
    ):
        kernel = back.constant(np.resize(weights, shape))
        blurred = back.node(
            "Conv", [blurred, kernel], group=joints, kernel_shape=shape[2:], pads=pads
        )
    axes, zero = back.constant([2, 3], np.int64), back.constant(0.0)
    before, after = (back.node("ReduceMax", [t, axes], keepdims=1) for t in (maps, blurred))
    divisor = back.node("Where", [back.node("Greater", [after, zero]), after, back.constant(1.0)])
    return back.node("Mul", [blurred, back.node("Div", [before, divisor])])
