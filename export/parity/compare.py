# SPDX-License-Identifier: Apache-2.0
"""Runs two models on the same inputs and holds what they say against the bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from export.parity.action import ActionComparison, compare_actions
from export.parity.detector import DetectorComparison, DetectorOutputs, compare_boxes
from export.parity.metrics import NON_FINITE, Bound
from export.parity.options import GateOptions
from export.parity.pose import PoseComparison, compare_poses, open_truth, precision_metrics
from poseact_engine.backends.base import Model
from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.inputs import Inputs, inputs_for
from poseact_engine.manifest import ActionManifest, DetectorManifest, Manifest, PoseManifest

Comparison = PoseComparison | DetectorComparison | ActionComparison

_PART = 32
"""Inputs of one call."""
_ALIKE = {
    "detector": ("height", "width", "placement", "border"),
    "pose": ("height", "width", "geometry", "expansion", "border", "joints"),
    "action": ("joints", "classes", "length", "rate"),
}
"""What two models of a task must share, for the same inputs to mean the same to both."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A bound and what was measured."""

    bound: Bound
    got: float

    @property
    def met(self) -> bool:
        return self.bound.holds(self.got)

    def __str__(self) -> str:
        return f"{self.bound.metric.name}: expected {self.bound.expected}, got {self.got:.6g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a comparison found."""

    reference: Manifest
    new: Manifest
    backends: tuple[str, str]
    """Of reference and new model, as ``onnxruntime/cpu``."""
    inputs: Inputs
    comparison: Comparison
    metrics: dict[str, float]
    """Only what could be measured."""
    judgements: tuple[Judgement, ...]

    @property
    def failures(self) -> tuple[Judgement, ...]:
        return tuple(j for j in self.judgements if not j.met)

    @property
    def passed(self) -> bool:
        return not self.failures


def check_alike(reference: Manifest, new: Manifest) -> None:
    """Raises ConfigError unless both take the same inputs and mean the same by their outputs."""
    if reference.task != new.task:
        raise ConfigError(
            f"parity: expected two models of one task, got {reference.task} and {new.task}"
        )
    for field in _ALIKE[reference.task]:
        a, b = getattr(reference, field), getattr(new, field)
        if a != b:
            raise ConfigError(
                f"parity: expected the same {field} in both models, got {_short(a)} and {_short(b)}"
            )


def _short(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def load_inputs(manifest: Manifest, options: GateOptions) -> Inputs:
    """What both models are run on. Raises ConfigError (options that do not fit), SourceError."""
    data = options.data
    if not data.data and (data.truth or data.detector):
        raise ConfigError("parity: expected pictures (--data) with --truth or --detector, got none")
    if manifest.task != "pose" and (data.truth or data.detector):
        raise ConfigError(
            f"parity: expected --truth and --detector for pose models alone, got a {manifest.task}"
        )
    if isinstance(manifest, PoseManifest) and data.truth is not None:
        open_truth(data.truth, manifest.joints)  # what is wrong with it is said at once
    inputs = inputs_for(manifest, data)
    _check_measurable(inputs, options)
    return inputs


def compare(
    reference: Model, new: Model, inputs: Inputs, options: GateOptions, bounds: Sequence[Bound]
) -> Verdict:
    """Runs both and judges; bounds on what these inputs cannot tell are left out.

    Raises ConfigError (models that differ in kind), SourceError (the truth), BackendError.
    """
    check_alike(reference.manifest, new.manifest)
    typer.echo(f"comparing {reference.backend} with {new.backend} on {inputs.what}", err=True)
    comparison, broken = _measure(reference, new, inputs, options)
    metrics = dict(comparison.metrics)
    manifest, truth = reference.manifest, options.data.truth
    if isinstance(comparison, PoseComparison) and truth is not None and not broken:
        metrics.update(precision_metrics(comparison, inputs, truth))
    metrics[NON_FINITE.name] = float(broken)
    return Verdict(
        reference=manifest,
        new=new.manifest,
        backends=(reference.backend, new.backend),
        inputs=inputs,
        comparison=comparison,
        metrics=metrics,
        judgements=_judge(metrics, bounds),
    )


def _check_measurable(inputs: Inputs, options: GateOptions) -> None:
    have = {"frame_": inputs.windows is not None, "ap_": options.data.truth is not None}
    for name, _ in options.bounds:
        if not all(ok for prefix, ok in have.items() if name.startswith(prefix)):
            raise ConfigError(
                f"--bound {name}: expected inputs to measure it on (--data, and --truth for ap_*), "
                f"got {inputs.what}"
            )


def _judge(metrics: dict[str, float], bounds: Sequence[Bound]) -> tuple[Judgement, ...]:
    found = [Judgement(Bound(NON_FINITE, 0.0), metrics[NON_FINITE.name])]
    found += [Judgement(b, metrics[b.metric.name]) for b in bounds if b.metric.name in metrics]
    return tuple(found)


def _measure(
    reference: Model, new: Model, inputs: Inputs, options: GateOptions
) -> tuple[Comparison, int]:
    """The comparison, and how many values of either are not finite."""
    manifest, batch = reference.manifest, inputs.batch
    a, b = run(reference, batch), run(new, batch)
    broken = sum(int((~np.isfinite(part)).sum()) for part in (*a, *b))
    if isinstance(manifest, ActionManifest):
        return compare_actions(a[0], b[0], classes=manifest.classes), broken
    nudged = nudge(batch)
    if isinstance(manifest, PoseManifest):
        (wandered,) = run(reference, nudged)
        poses = compare_poses(a[0], wandered, b[0], manifest=manifest, windows=inputs.windows)
        return poses, broken
    sides = [
        DetectorOutputs(
            outputs=(outputs[0], outputs[1]),
            nudged=run(model, nudged),  # type: ignore[arg-type]
            nms_iou=_nms_iou(model.manifest),
        )
        for model, outputs in ((reference, a), (new, b))
    ]
    return compare_boxes(sides[0], sides[1], min_score=options.data.min_score), broken


def _nms_iou(manifest: Manifest) -> float | None:
    return manifest.nms_iou if isinstance(manifest, DetectorManifest) else None


def run(model: Model, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """The model's outputs over a batch of any size, in calls of a few dozen."""
    parts = [model.run(batch[i : i + _PART]) for i in range(0, len(batch), _PART)]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def nudge(batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every value changed by -1, 0 or 1 grey level at random, always alike."""
    change = np.random.default_rng(1).integers(-1, 2, batch.shape, dtype=np.int16)
    moved: NDArray[np.uint8] = np.clip(batch + change, 0, 255).astype(np.uint8)
    return moved
