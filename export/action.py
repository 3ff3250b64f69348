# SPDX-License-Identifier: Apache-2.0
"""An action checkpoint of ``poseact train action`` as one ONNX file with its manifest.

The graph is written node by node, not traced: exporters differ from torch to torch, need packages
of their own, and cannot leave the number of windows of an LSTM open. What is written must give what
the torch module gives, on windows of every kind, or nothing is written (``finish``).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from export.finish import finish
from export.graph import GraphBuilder, value_info
from export.package import check_output
from export.parity.options import GateOptions
from poseact_engine.contract import IR_VERSION, OPSET, contract_of
from poseact_engine.manifest import ActionManifest

if TYPE_CHECKING:
    from export.precision import PrecisionOptions
    from poseact_engine.training.checkpoint import ActionCheckpoint

ONNX_GATES = (0, 3, 1, 2)
"""torch has an LSTM's gates as input, forget, cell, output; ONNX as input, output, forget, cell."""


def export_action(
    weights: Path,
    output: Path,
    *,
    source: str,
    licence: str,
    precision: PrecisionOptions | None = None,
    gate: GateOptions | None = None,
) -> ActionManifest:
    """Compares with the torch module and writes ``output`` (``finish``); returns its manifest.

    Raises SourceError for a checkpoint that cannot be read, ParityError past a bound,
    DependencyError without torch or ONNX Runtime.
    """
    check_output(output, weights)
    checkpoint = _load(weights)
    manifest = make_manifest(checkpoint, source=source, licence=licence)
    model = build_graph(checkpoint, manifest)
    from export.torch_model import torch_action  # imports torch

    return finish(
        model,
        manifest,
        output,
        reference=torch_action(checkpoint, manifest),
        precision=precision,
        gate=gate or GateOptions(),
    )


def make_manifest(checkpoint: ActionCheckpoint, *, source: str, licence: str) -> ActionManifest:
    """The manifest without its sha256, which ``write_model`` computes."""
    return ActionManifest(
        task="action",
        precision="fp32",
        target="any",
        source=source,
        licence=licence,
        sha256="",
        joints=checkpoint.joints,
        classes=checkpoint.classes,
        length=checkpoint.length,
        rate=checkpoint.rate,
        normalise=checkpoint.normalise,
    )


def build_graph(checkpoint: ActionCheckpoint, manifest: ActionManifest) -> onnx.ModelProto:
    """``windows`` float32 [W, T, K, 3] to ``probabilities`` float32 [W, C]; W may be 0."""
    contract = contract_of(manifest)
    b = GraphBuilder("action")
    length, joints, _ = contract.input.shape
    # ONNX Runtime 1.32 ends the process on an LSTM without windows, so one is always there.
    spare = b.constant(np.zeros((1, length, joints, 3)))
    windows = b.node("Concat", [contract.input.name, spare], axis=0)
    normalise = _body if checkpoint.normalise == "body" else _paper
    positions = b.node(
        "Reshape",
        [normalise(b, windows, length, joints), _ints(b, [-1, length, joints * 2])],
    )
    hidden = _lstm(b, _standardise(b, positions, checkpoint), checkpoint)
    weight, bias = (_array(checkpoint, f"head.{name}") for name in ("weight", "bias"))
    logits = b.node("Gemm", [hidden, b.constant(weight), b.constant(bias)], transB=1)
    probabilities = b.node("Softmax", [logits], axis=1)
    _slice(b, probabilities, 0, 0, -1, output=contract.outputs[0].name)
    graph = helper.make_graph(
        b.nodes,
        "action",
        [value_info(contract.input)],
        [value_info(contract.outputs[0])],
        b.tensors,
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )


def _paper(b: GraphBuilder, windows: str, length: int, joints: int) -> str:
    del length, joints
    return _slice(b, windows, 3, 0, 2)


def _body(b: GraphBuilder, windows: str, length: int, joints: int) -> str:
    """``training.normalise.BodyNormaliser``, line by line; its docstring tells the steps."""
    from poseact_engine.training.normalise import HIPS, LEAST_SIZE_PX, REACH

    poses = _fill_unseen(b, windows, joints)
    both_hips = _slice(b, poses, 2, HIPS[0], HIPS[1] + 1)
    hips = b.node("ReduceMean", [both_hips, _ints(b, [1, 2])], keepdims=1)
    high = b.node("ReduceMax", [poses, _ints(b, [2])], keepdims=0)
    low = b.node("ReduceMin", [poses, _ints(b, [2])], keepdims=0)
    extents = b.node("Sub", [high, low])
    heights = b.node("ReduceMax", [extents, _ints(b, [2])], keepdims=0)
    middle = length // 2
    largest, _ = b.split("TopK", [heights, _ints(b, [middle + 1])], outputs=[None, None], axis=1)
    median = _slice(b, largest, 1, middle, middle + 1)
    size = b.node("Max", [median, b.constant(LEAST_SIZE_PX)])
    size = b.node("Unsqueeze", [size, _ints(b, [2, 3])])
    positions = b.node("Div", [b.node("Sub", [poses, hips]), size])
    return b.node("Clip", [positions, b.constant(-REACH), b.constant(REACH)])


def _fill_unseen(b: GraphBuilder, windows: str, joints: int) -> str:
    """``training.normalise.fill_unseen``."""
    from poseact_engine.training.normalise import FAR_PX, HIPS, SHOULDERS, UPPER

    seen = b.node("Greater", [_slice(b, windows, 3, 2, 3), b.constant(0.0)])
    pixels = _slice(b, windows, 3, 0, 2)
    seen_or_far = b.node("Where", [seen, pixels, b.constant(-FAR_PX)])
    highest = b.node("ReduceMax", [seen_or_far, _ints(b, [1, 2])], keepdims=1)
    xy = b.node("Where", [seen, b.node("Sub", [pixels, highest]), b.constant(0.0)])
    seen_xy = (xy, b.node("Cast", [seen], to=onnx.TensorProto.FLOAT))
    middle, any_seen = _mean_seen(b, seen_xy, 0, joints)
    shoulders, has_shoulders = _mean_seen(b, seen_xy, SHOULDERS[0], SHOULDERS[1] + 1)
    hips, has_hips = _mean_seen(b, seen_xy, HIPS[0], HIPS[1] + 1)
    hips_first = b.node("Where", [has_hips, hips, middle])
    shoulders_first = b.node("Where", [has_shoulders, shoulders, middle])
    upper = b.node("Where", [has_shoulders, shoulders, hips_first])
    lower = b.node("Where", [has_hips, hips, shoulders_first])
    upper = b.node("Expand", [upper, _ints(b, [1, 1, UPPER, 1])])
    lower = b.node("Expand", [lower, _ints(b, [1, 1, joints - UPPER, 1])])
    poses = b.node("Where", [seen, xy, b.node("Concat", [upper, lower], axis=2)])
    count = b.node("Cast", [any_seen], to=onnx.TensorProto.FLOAT)
    count = b.node("ReduceSum", [count, _ints(b, [1])], keepdims=1)
    known = b.node("Where", [any_seen, poses, b.constant(0.0)])
    total = b.node("ReduceSum", [known, _ints(b, [1])], keepdims=1)
    mean_pose = b.node("Div", [total, b.node("Max", [count, b.constant(1.0)])])
    return b.node("Where", [any_seen, poses, mean_pose])


def _mean_seen(b: GraphBuilder, seen_xy: tuple[str, str], start: int, stop: int) -> tuple[str, str]:
    xy, seen = (_slice(b, name, 2, start, stop) for name in seen_xy)
    count = b.node("ReduceSum", [seen, _ints(b, [2])], keepdims=1)
    total = b.node("ReduceSum", [xy, _ints(b, [2])], keepdims=1)
    mean = b.node("Div", [total, b.node("Max", [count, b.constant(1.0)])])
    return mean, b.node("Greater", [count, b.constant(0.0)])


def _standardise(b: GraphBuilder, positions: str, checkpoint: ActionCheckpoint) -> str:
    mean, std = (b.constant(_array(checkpoint, f"standardise.{n}")) for n in ("mean", "std"))
    return b.node("Div", [b.node("Sub", [positions, mean]), std])


def _lstm(b: GraphBuilder, steps: str, checkpoint: ActionCheckpoint) -> str:
    """[W, T, F] to the last layer's last hidden state, [W, H]."""
    steps = b.node("Transpose", [steps], perm=[1, 0, 2])
    last = steps
    for layer in range(checkpoint.layers):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        w, r, wb, rb = (_gates(checkpoint, f"lstm.{name}_l{layer}") for name in names)
        tensors = [
            b.constant(w[None]),
            b.constant(r[None]),
            b.constant(np.concatenate([wb, rb])[None]),
        ]
        every, last = b.split(
            "LSTM", [steps, *tensors], outputs=[None, None], hidden_size=checkpoint.hidden
        )
        steps = b.node("Squeeze", [every, _ints(b, [1])])
    return b.node("Squeeze", [last, _ints(b, [0])])


def _gates(checkpoint: ActionCheckpoint, name: str) -> NDArray[np.float32]:
    gates = np.split(_array(checkpoint, name), 4)
    return np.concatenate([gates[i] for i in ONNX_GATES])


def _array(checkpoint: ActionCheckpoint, name: str) -> NDArray[np.float32]:
    return np.asarray(checkpoint.state[name].numpy(), dtype=np.float32)


def _ints(b: GraphBuilder, values: list[int]) -> str:
    return b.constant(values, np.int64)


def _slice(
    b: GraphBuilder, name: str, axis: int, start: int, stop: int, *, output: str | None = None
) -> str:
    ends = [_ints(b, [start]), _ints(b, [stop]), _ints(b, [axis])]
    return b.node("Slice", [name, *ends], output=output)


def _load(weights: Path) -> ActionCheckpoint:
    from poseact_engine.training.dependency import import_torch

    import_torch()
    from poseact_engine.training.checkpoint import load_checkpoint

    return load_checkpoint(weights)
