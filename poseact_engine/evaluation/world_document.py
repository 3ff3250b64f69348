# SPDX-License-Identifier: Apache-2.0
"""All that `poseact eval world` found, as plain data for a JSON file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from poseact_engine.evaluation.incident_scores import IncidentScores, join_incidents
from poseact_engine.evaluation.world import (
    Figure,
    WorldEvalConfig,
    WorldReport,
    figures,
)
from poseact_engine.evaluation.world_engine import EngineReport
from poseact_engine.evaluation.world_scene import SceneScores
from poseact_engine.evaluation.world_sequences import SequencesReport
from poseact_engine.types import ACTIONS, COCO_JOINTS

SCHEMA = 1


def document(
    report: WorldReport,
    config: WorldEvalConfig,
    *,
    command: Sequence[str],
    machine: Mapping[str, Any],
) -> dict[str, Any]:
    """Figures, and what they were made from; numbers that are none are None."""
    content = {
        "schema": SCHEMA,
        "command": list(command),
        "machine": dict(machine),
        "models": _models(report, config),
        "world": {
            "scenes": config.scenes,
            "seconds": config.seconds,
            "first_seed": config.first_seed,
            "size": list(config.size),
            "sequences_hours": config.sequences_hours,
            "noise": asdict(config.noise),
        },
        "figures": {
            part: {figure.name: _figure(figure) for figure in found}
            for part, found in figures(report).items()
        },
        "engine": None if report.engine is None else _engine(report.engine),
        "sequences": None if report.sequences is None else _sequences(report.sequences),
    }
    plain: dict[str, Any] = _plain(content)
    return plain


def _models(report: WorldReport, config: WorldEvalConfig) -> dict[str, Any]:
    files: dict[str, Path | None] = {"action": config.action}
    if report.engine is not None:
        files = {"detector": config.detector, "pose": config.pose, **files}
    sha256: dict[Any, str] = {}
    backends: dict[Any, str] = {}
    if report.sequences is not None:
        sha256["action"], backends["action"] = report.sequences.sha256, report.sequences.backend
    if report.engine is not None:
        sha256, backends = sha256 | report.engine.sha256, backends | report.engine.backends
    return {
        task: "truth"
        if path is None
        else {"file": path.name, "sha256": sha256.get(task), "backend": backends.get(task)}
        for task, path in files.items()
    }


def _figure(figure: Figure) -> dict[str, Any]:
    rule = None if figure.rule is None else {figure.rule[0]: figure.rule[1]}
    return {"value": figure.value, "aim": rule, "met": figure.met, "note": figure.note}


def _engine(report: EngineReport) -> dict[str, Any]:
    scenes = report.scenes
    near, posed = (
        sum(getattr(s, name) for s in scenes) for name in ("joints_near", "joints_posed")
    )
    with np.errstate(invalid="ignore"):
        by_joint = np.asarray(near) / np.asarray(posed)
    return {
        "classes": list(ACTIONS),
        "confusion": sum(s.confusion for s in scenes),
        "harmless": sum(s.harmless for s in scenes),
        "windows_of_nobody": sum(s.windows_of_nobody for s in scenes),
        "pck_by_joint": dict(zip(COCO_JOINTS, by_joint.tolist(), strict=True)),
        "incidents": _incidents(join_incidents(s.incidents for s in scenes)),
        "scenes": [_scene(s) for s in scenes],
    }


def _scene(s: SceneScores) -> dict[str, Any]:
    return {
        "name": s.name,
        "frames": s.frames,
        "people": s.people,
        "detected": s.detected,
        "tracked": s.tracked,
        "joints": int(s.joints.sum()),
        "joints_posed": int(s.joints_posed.sum()),
        "joints_near": int(s.joints_near.sum()),
        "mot": asdict(s.mot),
        "idf1": s.mot.idf1,
        "windows": int(s.confusion.sum()),
        "windows_right": int(np.trace(s.confusion)),
        "falls": len(s.incidents.falls),
        "falls_reported": sum(f.falling_s is not None for f in s.incidents.falls),
        "false_incidents": len(s.incidents.false),
    }


def _sequences(report: SequencesReport) -> dict[str, Any]:
    return {
        "sequences": report.sequences,
        "hours": report.hours,
        "classes": list(ACTIONS),
        "confusion": report.confusion,
        "harmless": report.harmless,
        "falls_unseen": report.falls_unseen,
        "incidents": _incidents(report.incidents),
    }


def _incidents(scores: IncidentScores) -> dict[str, Any]:
    return {
        "told": scores.told,
        "right": scores.named_right,
        "hours": scores.hours,
        "falls": [asdict(f) | {"delay_s": f.delay_s} for f in scores.falls],
        "false": [asdict(f) for f in scores.false],
        "false_falls_during": scores.false_during("falling_down"),
        "false_lying_during": scores.false_during("lying_down"),
    }


def _plain(value: Any) -> Any:
    """JSON knows no NaN and no arrays."""
    if isinstance(value, Mapping):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value
