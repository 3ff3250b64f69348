# SPDX-License-Identifier: Apache-2.0
"""The one contract of each task: what goes in, what comes out; and whether a graph keeps it.

========  ==================================  =====================================================
task      input                               outputs
========  ==================================  =====================================================
detector  ``images`` uint8 [B, 3, H, W] RGB   ``boxes`` f32 [B, N, 4], ``scores`` f32 [B, N]
pose      ``crops`` uint8 [M, 3, H, W] RGB    ``keypoints`` f32 [M, K, 3]
action    ``windows`` f32 [W, T, K, 3]        ``probabilities`` f32 [W, C]
========  ==================================  =====================================================

The first axis of every tensor is dynamic, all others are fixed and follow from the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx
from onnx import TensorProto

from poseact_engine.errors import ManifestError
from poseact_engine.manifest import ActionManifest, DetectorManifest, Manifest, PoseManifest

OPSET = 19
IR_VERSION = 9

_DTYPES: dict[int, str] = {TensorProto.UINT8: "uint8", TensorProto.FLOAT: "float32"}
_HALF = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
_QUANTISERS = {"QuantizeLinear", "DequantizeLinear"}


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: name, NumPy dtype, and its shape after the batch axis."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} [batch, {', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Contract:
    """What a model of a task takes and gives, in order."""

    input: TensorSpec
    outputs: tuple[TensorSpec, ...]


def contract_of(manifest: Manifest) -> Contract:
    """The contract with the manifest's sizes filled in."""
    if isinstance(manifest, DetectorManifest):
        boxes = TensorSpec("boxes", "float32", (manifest.max_boxes, 4))
        scores = TensorSpec("scores", "float32", (manifest.max_boxes,))
        images = TensorSpec("images", "uint8", (3, manifest.height, manifest.width))
        return Contract(images, (boxes, scores))
    if isinstance(manifest, PoseManifest):
        keypoints = TensorSpec("keypoints", "float32", (len(manifest.joints), 3))
        return Contract(
            TensorSpec("crops", "uint8", (3, manifest.height, manifest.width)), (keypoints,)
        )
    if isinstance(manifest, ActionManifest):
        windows = TensorSpec("windows", "float32", (manifest.length, len(manifest.joints), 3))
        return Contract(
            windows, (TensorSpec("probabilities", "float32", (len(manifest.classes),)),)
        )
    raise ManifestError(f"contract: expected a manifest of a task, got {type(manifest).__name__}")


def check_contract(model: onnx.ModelProto, manifest: Manifest) -> None:
    """Raises ManifestError if versions, inputs, outputs or precision are not the manifest's."""
    again = f"export the {manifest.task} again with `python -m export {manifest.task}`"
    _check_versions(model, again)
    contract = contract_of(manifest)
    _check_values("inputs", list(model.graph.input), (contract.input,), again)
    _check_values("outputs", list(model.graph.output), contract.outputs, again)
    _check_precision(model, manifest, again)


def _check_versions(model: onnx.ModelProto, again: str) -> None:
    opsets = {o.domain or "ai.onnx": o.version for o in model.opset_import}
    if opsets != {"ai.onnx": OPSET}:
        raise ManifestError(
            f"graph: expected opset {OPSET} of ai.onnx alone, got {opsets}; {again}"
        )
    if model.ir_version != IR_VERSION:
        raise ManifestError(
            f"graph: expected IR version {IR_VERSION}, got {model.ir_version}; {again}"
        )


def describe(value: onnx.ValueInfoProto) -> str:
    """``name dtype [dims]`` of a graph's input or output, for messages and listings."""
    tensor = value.type.tensor_type
    dtype = _DTYPES.get(tensor.elem_type) or TensorProto.DataType.Name(tensor.elem_type).lower()
    if not tensor.HasField("shape"):
        return f"{value.name} {dtype} [unknown rank]"
    dims = [
        str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?"
        for d in tensor.shape.dim
    ]
    return f"{value.name} {dtype} [{', '.join(dims)}]"


def _keeps(value: onnx.ValueInfoProto, spec: TensorSpec) -> bool:
    tensor = value.type.tensor_type
    dims = list(tensor.shape.dim)
    return (
        value.name == spec.name
        and _DTYPES.get(tensor.elem_type) == spec.dtype
        and len(dims) == 1 + len(spec.shape)
        and not dims[0].HasField("dim_value")
        and all(
            d.HasField("dim_value") and d.dim_value == n
            for d, n in zip(dims[1:], spec.shape, strict=True)
        )
    )


def _check_values(
    what: str, values: list[onnx.ValueInfoProto], specs: tuple[TensorSpec, ...], again: str
) -> None:
    if len(values) == len(specs) and all(map(_keeps, values, specs)):
        return
    expected = "; ".join(map(str, specs))
    got = "; ".join(map(describe, values)) or "none"
    raise ManifestError(f"graph {what}: expected {expected}, got {got}; {again}")


def _check_target(model: onnx.ModelProto, manifest: Manifest, again: str) -> None:
    """An int8 graph with a uint8 zero point is for CPUs; TensorRT knows signed ones alone."""
    points = {n.input[2] for n in model.graph.node if n.op_type in _QUANTISERS and len(n.input) > 2}
    unsigned = any(
        t.name in points and t.data_type == TensorProto.UINT8 for t in model.graph.initializer
    )
    found = "cpu" if unsigned else "tensorrt"
    if manifest.target not in (found, "any"):
        raise ManifestError(
            f"manifest.target: expected what the graph's activations are for, {found}, "
            f"got {manifest.target}; {again}"
        )


def _check_precision(model: onnx.ModelProto, manifest: Manifest, again: str) -> None:
    quantised = any(n.op_type in _QUANTISERS for n in model.graph.node)
    if quantised:
        _check_target(model, manifest, again)
    half = any(t.data_type in _HALF for t in model.graph.initializer) or any(
        a.i in _HALF
        for n in model.graph.node
        if n.op_type == "Cast"
        for a in n.attribute
        if a.name == "to"
    )
    found = "int8" if quantised else "fp16" if half else "fp32"
    if found != manifest.precision:
        raise ManifestError(
            f"manifest.precision: expected what the graph computes in, {found}, "
            f"got {manifest.precision}; {again}"
        )
