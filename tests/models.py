# SPDX-License-Identifier: Apache-2.0
"""Tiny model files, made by code, that keep the contracts; answers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper

from export.graph import GraphBuilder, value_info
from export.package import write_model
from poseact_engine.config_track import TrackScores
from poseact_engine.contract import OPSET, contract_of
from poseact_engine.manifest import (
    ActionManifest,
    DetectorManifest,
    Manifest,
    Placement,
    PoseManifest,
)
from poseact_engine.types import COCO_JOINTS

ACTIONS = ("carrying", "falling_down", "walking", "lifting", "standing", "lying_down")

STANDING: NDArray[np.float32] = np.array(
    [
        (0.50, 0.18), (0.53, 0.16), (0.47, 0.16), (0.56, 0.18), (0.44, 0.18), (0.62, 0.30),
        (0.38, 0.30), (0.66, 0.42), (0.34, 0.42), (0.66, 0.53), (0.34, 0.53), (0.57, 0.53),
        (0.43, 0.53), (0.57, 0.71), (0.43, 0.71), (0.57, 0.88), (0.43, 0.88),
    ],
    np.float32,
)  # fmt: skip
"""An upright person's joints in COCO's order, as shares of the crop's width and height."""
MADE: dict[str, Any] = {
    "precision": "fp32",
    "target": "any",
    "source": "made by code",
    "licence": "Apache-2.0",
    "sha256": "",
}


def _finish(builder: GraphBuilder, manifest: Manifest, path: Path) -> Path:
    contract = contract_of(manifest)
    graph = helper.make_graph(
        builder.nodes,
        manifest.task,
        [value_info(contract.input)],
        [value_info(o) for o in contract.outputs],
        builder.tensors,
    )
    write_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]), manifest, path
    )
    return path


def _detector_manifest(
    size: tuple[int, int],
    boxes: int,
    placement: Placement,
    nms_iou: float | None,
    track_scores: TrackScores | None = None,
) -> DetectorManifest:
    return DetectorManifest(
        task="detector",
        height=size[0],
        width=size[1],
        placement=placement,
        border=(114, 114, 114),
        nms_iou=nms_iou,
        max_boxes=boxes,
        track_scores=track_scores,
        **MADE,
    )


def _repeat(builder: GraphBuilder, value: str, like: str, rank: int, output: str) -> None:
    """``value`` [1, ...] once per item of the batch of ``like``."""
    batch = builder.node("Shape", [like], start=0, end=1)
    ones = builder.constant([1] * (rank - 1), np.int64)
    shape = builder.node("Concat", [batch, ones], axis=0)
    builder.node("Expand", [value, shape], output=output)


def make_detector(
    path: Path,
    boxes: ArrayLike,
    size: tuple[int, int] = (64, 64),
    *,
    scores: Sequence[float] | None = None,
    placement: Placement = "top_left",
    nms_iou: float | None = None,
    track_scores: TrackScores | None = None,
) -> Path:
    """A detector that gives the same boxes [N, 4] (input pixels, best first) for every picture.

    Scores are 0.9, 0.89, ... unless given.
    """
    fixed = np.asarray(boxes, np.float32).reshape(1, -1, 4)
    count = fixed.shape[1]
    chosen = scores if scores is not None else [0.9 - 0.01 * i for i in range(count)]
    builder = GraphBuilder("made")
    _repeat(builder, builder.constant(fixed), "images", 3, "boxes")
    _repeat(builder, builder.constant([chosen]), "images", 2, "scores")
    return _finish(builder, _detector_manifest(size, count, placement, nms_iou, track_scores), path)


def make_bright_detector(
    path: Path,
    size: tuple[int, int] = (64, 64),
    *,
    placement: Placement = "top_left",
    least: int = 128,
) -> Path:
    """A detector that finds up to three things: what is pure red, pure green and pure blue.

    A pixel counts where its own channel is at least ``least`` and both others are below. The box
    spans all such pixels, edge to edge; its score is 0.9, or 0 (and an empty box) without any.
    """
    b = GraphBuilder("made")
    bright = b.node("GreaterOrEqual", ["images", b.constant(least, np.uint8)])
    bright = b.node("Cast", [bright], to=TensorProto.FLOAT)
    total = b.node("ReduceSum", [bright, b.constant([1], np.int64)], keepdims=1)
    alone = b.node("Equal", [total, b.constant(1.0)])
    mask = b.node("Mul", [bright, b.node("Cast", [alone], to=TensorProto.FLOAT)])
    found = b.node("ReduceMax", [mask, b.constant([2, 3], np.int64)], keepdims=0)
    edges = []
    for axis in (2, 3):  # along x the rows are merged, along y the columns
        line = b.node("ReduceMax", [mask, b.constant([axis], np.int64)], keepdims=0)
        for last in (0, 1):
            at = b.node("ArgMax", [line], axis=2, keepdims=0, select_last_index=last)
            at = b.node("Cast", [at], to=TensorProto.FLOAT)
            edges.append(b.node("Add", [at, b.constant(float(last))]))
    corners = [edges[0], edges[2], edges[1], edges[3]]
    axis = b.constant([2], np.int64)
    boxes = b.node("Concat", [b.node("Unsqueeze", [c, axis]) for c in corners], axis=2)
    boxes = b.node("Mul", [boxes, b.node("Unsqueeze", [found, axis])])
    scores = b.node("Mul", [found, b.constant(0.9)])
    _, order = b.split(
        "TopK", [scores, b.constant([3], np.int64)], outputs=["scores", None], axis=1
    )
    order = b.node("Expand", [b.node("Unsqueeze", [order, axis]), b.constant([1, 1, 4], np.int64)])
    b.node("GatherElements", [boxes, order], output="boxes", axis=1)
    return _finish(b, _detector_manifest(size, 3, placement, None), path)


def make_pose(
    path: Path,
    joints: ArrayLike = STANDING,
    size: tuple[int, int] = (256, 192),
    *,
    score: float = 0.8,
    names: tuple[str, ...] = COCO_JOINTS,
) -> Path:
    """A pose network that sees the same joints [K, 2] (shares of the crop) in every crop."""
    places = np.asarray(joints, np.float32) * np.array([size[1] - 1, size[0] - 1], np.float32)
    fixed = np.concatenate([places, np.full((len(places), 1), score, np.float32)], axis=1)
    builder = GraphBuilder("made")
    _repeat(builder, builder.constant(fixed[None]), "crops", 3, "keypoints")
    manifest = PoseManifest(
        task="pose",
        height=size[0],
        width=size[1],
        geometry="default",
        expansion=1.25,
        border=(0, 0, 0),
        joints=names,
        decode="quarter",
        flip_test=False,
        **MADE,
    )
    return _finish(builder, manifest, path)


def make_action(
    path: Path,
    classes: tuple[str, ...] = ACTIONS,
    *,
    length: int = 9,
    rate: tuple[int, int] = (30, 1),
    names: tuple[str, ...] = COCO_JOINTS,
) -> Path:
    """An action model that goes by the spread of the last pose's joints.

    Wider than high: ``lying_down``; higher than wide: ``standing``; both must be in ``classes``.
    With r = (width - height) / (width + height), the probability of lying is sigmoid(20 r).
    """
    b = GraphBuilder("made")
    last = [b.constant([v], np.int64) for v in (length - 1, length, 1)]
    pose = b.node("Slice", ["windows", *last])
    spreads = []
    for axis in (0, 1):
        bounds = [b.constant([v], np.int64) for v in (axis, axis + 1, 3)]
        line = b.node("Slice", [pose, *bounds])
        ends = [b.constant([1, 2, 3], np.int64)]
        high, low = (b.node(op, [line, *ends], keepdims=0) for op in ("ReduceMax", "ReduceMin"))
        spreads.append(b.node("Sub", [high, low]))
    total = b.node("Max", [b.node("Add", spreads), b.constant(1e-6)])
    ratio = b.node("Div", [b.node("Sub", spreads), total])
    lying = b.node("Sigmoid", [b.node("Mul", [ratio, b.constant(20.0)])])
    standing = b.node("Sub", [b.constant(1.0), lying])
    columns = [b.node("Unsqueeze", [v, b.constant([1], np.int64)]) for v in (lying, standing)]
    known = np.zeros((2, len(classes)), np.float32)
    known[0, classes.index("lying_down")] = known[1, classes.index("standing")] = 1
    chances = b.node("Concat", columns, axis=1)
    b.node("MatMul", [chances, b.constant(known)], output="probabilities")
    manifest = ActionManifest(
        task="action",
        joints=names,
        classes=classes,
        length=length,
        rate=rate,
        normalise="body",
        **MADE,
    )
    return _finish(b, manifest, path)
