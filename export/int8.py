# SPDX-License-Identifier: Apache-2.0
"""Quantised graphs: QuantizeLinear and DequantizeLinear at the places of a plan.

``q = clip(round(x / scale) + zero, least, largest)``, ties to even. Activations: one scale a
tensor, uint8 with a zero point (cpu) or int8 without (tensorrt). Weights: int8 within ±127, one
scale for each output channel, no zero point. Biases: int32 in steps of activation scale x weight
scale (cpu; ONNX Runtime has no other), fp32 (tensorrt).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from export.calibration import Ranges
from export.graph import initialisers, prune
from export.int8_plan import Int8Target, Plan

_LEAST_SCALE = 1e-12
"""Of a tensor that is 0 throughout."""
_OVERREACHED = {"Conv", "ConvTranspose", "Gemm"}
_BIAS_STEPS = 2**30
"""Most steps of a bias: int32 with room for the sum it starts."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How numbers become int8: one scale, or one for each channel along ``axis``."""

    scale: NDArray[np.float32]
    zero: NDArray[np.generic]
    axis: int | None = None


def activation_steps(low: float, high: float, target: Int8Target) -> Steps:
    """Of a tensor with values from low to high; 0 is always one of the steps."""
    low, high = min(low, 0.0), max(high, 0.0)
    if target == "tensorrt":
        scale = max(-low, high) / 127
        return Steps(np.array(max(scale, _LEAST_SCALE), np.float32), np.array(0, np.int8))
    scale = max((high - low) / 255, _LEAST_SCALE)
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return Steps(np.array(scale, np.float32), np.array(zero, np.uint8))


def weight_steps(weight: NDArray[np.float32], axis: int, least: NDArray[np.float64]) -> Steps:
    """Per channel along ``axis``; ``least`` is the least scale of each."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight.astype(np.float64)).max(axis=others, initial=0.0)
    scale = np.maximum(np.maximum(largest / 127, least), _LEAST_SCALE).astype(np.float32)
    return Steps(scale, np.zeros(len(scale), np.int8), axis)


def round_weight(weight: NDArray[np.float32], steps: Steps) -> NDArray[np.int8]:
    shape = [1] * weight.ndim
    shape[steps.axis or 0] = -1
    ratio = weight.astype(np.float64) / steps.scale.astype(np.float64).reshape(shape)
    return np.clip(np.rint(ratio), -127, 127).astype(np.int8)


def quantise(
    model: onnx.ModelProto, plan: Plan, ranges: Ranges, target: Int8Target
) -> onnx.ModelProto:
    """A copy with Q/DQ pairs as planned; ``ranges`` has those of the plan's sources."""
    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    del quantised.graph.value_info[:]
    _Quantiser(quantised.graph, plan, ranges, target).run()
    return quantised


def channel_axis(node: onnx.NodeProto) -> int:
    """The axis of a layer's weight that counts its outputs."""
    if node.op_type == "MatMul":
        return 1
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else 1


def _input_channels(node: onnx.NodeProto, weight: onnx.TensorProto) -> int:
    if node.op_type == "Gemm":
        return int(weight.dims[1 - channel_axis(node)])
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    return int(weight.dims[1] * groups if node.op_type == "Conv" else weight.dims[0])


class _Quantiser:
    """One walk over a graph, in place."""

    def __init__(
        self, graph: onnx.GraphProto, plan: Plan, ranges: Ranges, target: Int8Target
    ) -> None:
        self._graph = graph
        self._plan = plan
        self._target: Int8Target = target
        self._layers = set(plan.layers)
        self._constants = initialisers(graph)
        self._uses = Counter(i for n in graph.node for i in n.input)
        self._steps = {t: activation_steps(*ranges[s], target) for t, s in plan.sources.items()}
        self._nodes: list[onnx.NodeProto] = []
        self._made: set[str] = set()

    def run(self) -> None:
        nodes = list(self._graph.node)
        for value in self._graph.input:
            self._round(value.name)
        for node in nodes:
            source = node.input[0] if node.input else ""
            for place, name in enumerate(node.input):
                if (node.output[0], place) in self._plan.reads:
                    node.input[place] = self._read(node, name)
            if node.output[0] in self._layers:
                self._layer(node, source)
            self._nodes.append(node)
            for output in node.output:
                self._round(output)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        prune(self._graph)

    def _round(self, tensor: str) -> None:
        """The Q/DQ pair behind a tensor, if it is to have one."""
        steps = self._steps.get(tensor)
        if steps is None:
            return
        names = [self._tensor(f"{tensor}/scale", steps.scale)]
        names.append(self._tensor(f"{tensor}/zero", steps.zero))
        rounded = f"{tensor}/quantised"
        self._add("QuantizeLinear", [tensor, *names], rounded)
        self._add("DequantizeLinear", [rounded, *names], f"{tensor}/dequantised")

    def _read(self, node: onnx.NodeProto, tensor: str) -> str:
        """What a node reads in place of a quantised tensor.

        ONNX Runtime (1.32's WeightBiasQuantization) rounds the weights of every layer that reads
        a tensor with one scale, per tensor, asked or not. It leaves a layer alone that reads one
        scale a channel, so layers kept in fp32 read that, all scales alike.
        """
        if self._target != "cpu" or node.op_type not in _OVERREACHED:
            return f"{tensor}/dequantised"
        if node.output[0] in self._layers or node.input[1] not in self._constants:
            return f"{tensor}/dequantised"
        output = f"{tensor}/channels"
        if output not in self._made:
            self._made.add(output)
            channels = _input_channels(node, self._constants[node.input[1]])
            steps = self._steps[tensor]
            names = [
                f"{tensor}/quantised",
                self._tensor(f"{output}/scale", np.repeat(steps.scale, channels)),
                self._tensor(f"{output}/zero", np.repeat(steps.zero, channels)),
            ]
            self._add("DequantizeLinear", names, output, axis=1)
        return output

    def _layer(self, node: onnx.NodeProto, source: str) -> None:
        axis = channel_axis(node)
        weight = numpy_helper.to_array(self._constants[node.input[1]])
        step = float(self._steps[source].scale)
        bias = None
        least = np.zeros(weight.shape[axis])
        if self._target == "cpu" and len(node.input) > 2 and node.input[2]:
            bias = numpy_helper.to_array(self._constants[node.input[2]]).astype(np.float64)
            least = np.abs(bias) / (step * _BIAS_STEPS)
        steps = weight_steps(weight, axis, least)
        name = self._own(node, 1)
        node.input[1] = self._dequantised(name, round_weight(weight, steps), steps)
        if bias is not None:
            scale = (step * steps.scale.astype(np.float64)).astype(np.float32)
            rounded = np.rint(bias / scale.astype(np.float64)).astype(np.int32)
            zero = np.zeros(len(scale), np.int32)
            name = self._own(node, 2)
            node.input[2] = self._dequantised(name, rounded, Steps(scale, zero, 0))

    def _own(self, node: onnx.NodeProto, place: int) -> str:
        """The constant's name, or one of the layer's own where others read it, too."""
        name = str(node.input[place])
        return name if self._uses[name] == 1 else f"{node.output[0]}/{name.rpartition('/')[2]}"

    def _dequantised(self, name: str, values: NDArray[np.generic], steps: Steps) -> str:
        names = [
            self._tensor(f"{name}/quantised", values),
            self._tensor(f"{name}/scale", steps.scale),
            self._tensor(f"{name}/zero", steps.zero),
        ]
        return self._add("DequantizeLinear", names, f"{name}/dequantised", axis=steps.axis)

    def _tensor(self, name: str, values: NDArray[np.generic]) -> str:
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def _add(self, op: str, inputs: list[str], output: str, *, axis: int | None = None) -> str:
        node = helper.make_node(op, inputs, [output], name=output)
        if axis is not None:
            node.attribute.append(helper.make_attribute("axis", axis))
        self._nodes.append(node)
        return output
