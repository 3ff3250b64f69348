# SPDX-License-Identifier: Apache-2.0
"""Runs an adapted graph: a batch must give what its members give one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.graph import Dims
from poseact_engine.contract import contract_of
from poseact_engine.errors import DependencyError, ExportError
from poseact_engine.manifest import Manifest

_BATCHES = (2, 5)
_TOLERANCE = 1e-3
_LEAST_SHARE = 0.95
"""Rows that must agree. Not all: sums in another order may swap scores that are almost equal."""


def open_session(model: onnx.ModelProto) -> Any:
    """The model in ONNX Runtime on the CPU; DependencyError where that is not installed."""
    try:
        import onnxruntime as ort  # type: ignore[import-untyped]
    except ImportError as error:
        raise DependencyError(
            "export: expected onnxruntime, to run what was exported, got none; "
            "install it with `pip install 'poseact-engine[cpu]'`"
        ) from error
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def output_dims(model: onnx.ModelProto, *, height: int, width: int) -> dict[str, Dims]:
    """Sizes of the network's outputs for a batch of any size, found by running it on one picture.

    Shape inference cannot see through every detector's head.
    """
    try:
        outputs = open_session(model).run(
            None, {model.graph.input[0].name: np.zeros((1, 3, height, width), np.float32)}
        )
    except Exception as error:  # ONNX Runtime's own exceptions share no public base class
        raise ExportError(
            f"export: the network does not run at {height}x{width}: {error}"
        ) from error
    names = [v.name for v in model.graph.output]
    return {n: (None, *o.shape[1:]) for n, o in zip(names, outputs, strict=True)}


def verify_batches(model: onnx.ModelProto, manifest: Manifest) -> None:
    """Raises ExportError unless batches of 2 and 5 pictures equal five single, finite runs."""
    contract = contract_of(manifest)
    shape = (max(_BATCHES), *contract.input.shape)
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    try:
        session = open_session(model)
        singles = [session.run(None, {contract.input.name: p[None]}) for p in pictures]
        batches = [session.run(None, {contract.input.name: pictures[:n]}) for n in _BATCHES]
    except Exception as error:  # see output_dims
        raise ExportError(
            f"export: the adapted graph does not run with a dynamic batch: {error}"
        ) from error
    if not all(np.isfinite(output).all() for single in singles for output in single):
        raise ExportError(
            "export: expected finite outputs, got some that are not; mean, std or scale may be "
            "wrong, or the file may decode its boxes already"
        )
    for size, batch in zip(_BATCHES, batches, strict=True):
        for i, spec in enumerate(contract.outputs):
            _compare(spec.name, batch[i], np.concatenate([s[i] for s in singles[:size]]))


def _compare(name: str, got: NDArray[Any], expected: NDArray[Any]) -> None:
    if got.shape != expected.shape:
        raise ExportError(f"export: {name}: expected shape {expected.shape}, got {got.shape}")
    rows = np.isclose(got, expected, rtol=_TOLERANCE, atol=_TOLERANCE).reshape(-1, got.shape[-1])
    share = float(np.mean(rows.all(axis=1))) if got.ndim > 2 else float(np.mean(rows))
    if share < _LEAST_SHARE:
        raise ExportError(
            f"export: {name}: expected a batch to give what single pictures give, got {share:.0%} "
            "of its rows alike; the graph mixes the pictures of a batch"
        )
