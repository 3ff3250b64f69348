# SPDX-License-Identifier: Apache-2.0
"""What a comparison found: lines for a terminal, JSON, or one HTML page."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import typer

from export.parity.action import ActionComparison
from export.parity.compare import Verdict
from export.parity.metrics import METRICS, NON_FINITE, Metric
from export.parity.options import GateOptions
from export.parity.pose import MOVED_PX, PoseComparison
from poseact_engine.errors import SinkError
from poseact_engine.files import write_atomically
from poseact_engine.manifest import Manifest, PoseManifest

SCHEMA = 1
MADE_INPUTS = (
    "The inputs were made by code: nothing in them is a person, and int8 is held to little on "
    "them. Give --data for a comparison on real ones."
)


def known_metrics(verdict: Verdict) -> list[tuple[Metric, float]]:
    """What was measured, in the order of the task's metrics."""
    every = (*METRICS[verdict.reference.task], NON_FINITE)
    return [(m, verdict.metrics[m.name]) for m in every if m.name in verdict.metrics]


def table(verdict: Verdict) -> str:
    """Lines for people: what was compared on what, every metric with its bound."""
    limits = {j.bound.metric.name: j for j in verdict.judgements}
    lines = [
        f"reference  {describe(verdict.reference)} on {verdict.backends[0]}",
        f"new        {describe(verdict.new)} on {verdict.backends[1]}",
        f"inputs     {verdict.inputs.what}",
    ]
    if not verdict.inputs.real:
        lines.append(MADE_INPUTS)
    for metric, value in known_metrics(verdict):
        judged = limits.get(metric.name)
        mark = (
            ""
            if judged is None
            else f"{judged.bound.expected:<16} " + ("met" if judged.met else "NOT MET")
        )
        lines.append(f"  {metric.name:<16} {value:>12.6g}  {mark}".rstrip())
    return "\n".join(lines)


def describe(manifest: Manifest) -> str:
    target = "" if manifest.target == "any" else f" for {manifest.target}"
    decode = ""
    if isinstance(manifest, PoseManifest):
        decode = f", {manifest.decode}{' with flip test' if manifest.flip_test else ''}"
    return f"{manifest.task} {manifest.precision}{target}{decode}, {manifest.source}"


def to_json(verdict: Verdict) -> dict[str, Any]:
    """The report as plain data; figures that are no numbers are null."""
    return {
        "schema": SCHEMA,
        "passed": verdict.passed,
        "task": verdict.reference.task,
        "inputs": {
            "what": verdict.inputs.what,
            "real": verdict.inputs.real,
            "count": len(verdict.inputs.batch),
        },
        "reference": _model(verdict.reference, verdict.backends[0]),
        "new": _model(verdict.new, verdict.backends[1]),
        "metrics": {m.name: number(value) for m, value in known_metrics(verdict)},
        "bounds": [
            {
                "metric": j.bound.metric.name,
                "kind": "at_least" if j.bound.metric.at_least else "at_most",
                "limit": j.bound.limit,
                "got": number(j.got),
                "met": j.met,
            }
            for j in verdict.judgements
        ],
        "failures": [str(j) for j in verdict.failures],
        "details": _details(verdict),
    }


def number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _model(manifest: Manifest, backend: str) -> dict[str, Any]:
    return {"backend": backend, "manifest": dataclasses.asdict(manifest)}


def _details(verdict: Verdict) -> dict[str, Any]:
    comparison = verdict.comparison
    if isinstance(comparison, PoseComparison):
        return {"joints": joint_rows(comparison)}
    if isinstance(comparison, ActionComparison):
        return {"classes": list(comparison.classes), "confusion": comparison.confusion.tolist()}
    return {}


def joint_rows(comparison: PoseComparison) -> list[dict[str, Any]]:
    """Per joint: how many were judged, and how far they are away."""
    rows = []
    for k, name in enumerate(comparison.joints):
        far = comparison.distance_px[:, k][comparison.judged[:, k]]
        empty = not far.size
        rows.append(
            {
                "joint": name,
                "judged": int(far.size),
                "median_px": None if empty else float(np.median(far)),
                "p99_px": None if empty else float(np.percentile(far, 99)),
                "share_moved": None if empty else float((far > MOVED_PX).mean()),
            }
        )
    return rows


def write_report(verdict: Verdict, path: Path) -> None:
    """JSON or HTML by the suffix; all of it or nothing. Raises SinkError, DependencyError."""
    if path.suffix.lower() == ".html":
        from export.parity.html import page

        text = page(verdict)
    else:
        text = json.dumps(to_json(verdict), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        write_atomically(text.encode(), path)
    except OSError as error:
        raise SinkError(f"{path}: cannot write the report: {error.strerror}") from error


def write(verdict: Verdict, gate: GateOptions) -> None:
    """The report that was asked for, if any."""
    if gate.report is not None:
        write_report(verdict, gate.report)
        typer.echo(f"report: {gate.report}", err=True)


def check_report_packages(path: Path) -> None:
    """Raises DependencyError where the report needs packages that are not installed."""
    if path.suffix.lower() == ".html":
        from export.parity.plots import require_plots

        require_plots()


def failed(verdict: Verdict) -> str:
    """One line that names every bound which was not met."""
    told = "; ".join(map(str, verdict.failures))
    return f"parity: the new model differs from its reference: {told}"
