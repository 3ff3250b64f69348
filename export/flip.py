# SPDX-License-Identifier: Apache-2.0
"""The flip test inside the graph: crops and their mirror images in one batch, the mean of maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.graph import GraphBuilder
from export.heatmap import HeatmapOptions
from poseact_engine.errors import ExportError


def mirrored_joints(names: Sequence[str]) -> list[int]:
    """For each joint the index of the one that a mirror makes of it: left and right change."""
    order = []
    for name in names:
        swapped = name.replace("left", "\0").replace("right", "left").replace("\0", "right")
        if swapped not in names:
            raise ExportError(
                f"--flip-test: expected joint {swapped!r} beside {name!r}, got {', '.join(names)}"
            )
        order.append(names.index(swapped))
    if order == list(range(len(names))):
        raise ExportError(
            "--flip-test: expected joints named left … and right …, to change them in the mirror, "
            f"got {', '.join(names)}"
        )
    return order


def add_mirrored(front: GraphBuilder, pictures: str, output: str, *, width: int) -> None:
    """[M, C, H, W] to ``output`` [2 M, C, H, W]: all pictures, then all of them mirrored."""
    columns = front.constant(np.arange(width)[::-1], np.int64)
    mirrored = front.node("Gather", [pictures, columns], axis=3)
    front.node("Concat", [pictures, mirrored], output=output, axis=0)


def merge_mirrored(
    back: GraphBuilder, maps: str, names: Sequence[str], options: HeatmapOptions
) -> str:
    """Maps [2 M, K, h, w] of ``add_mirrored`` to the mean of both [M, K, h, w].

    The mirrored ones are mirrored back, left and right joints change places, and with geometry
    default they move one cell to the right (HRNet's ``SHIFT_HEATMAP``: cell ``x`` is pixel ``4 x``,
    so that they are 3/4 of a cell too far to the left); udp's lie where they should.
    """
    shape = [2, -1, options.joints, options.rows, options.columns]
    pairs = back.node("Reshape", [maps, back.constant(shape, np.int64)])
    straight, mirrored = (
        back.node("Gather", [pairs, back.constant(i, np.int64)], axis=0) for i in (0, 1)
    )
    shift = 1 if options.geometry == "default" else 0
    columns = options.columns - 1 - np.maximum(np.arange(options.columns) - shift, 0)
    joints = back.constant(mirrored_joints(names), np.int64)
    mirrored = back.node("Gather", [mirrored, back.constant(columns, np.int64)], axis=3)
    mirrored = back.node("Gather", [mirrored, joints], axis=1)
    total = back.node("Add", [straight, mirrored])
    return back.node("Mul", [total, back.constant(0.5)])
