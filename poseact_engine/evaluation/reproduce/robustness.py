# SPDX-License-Identifier: Apache-2.0
"""How well models do on windows of people held out, when camera or estimator do worse."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from poseact_engine.evaluation.reproduce.baselines import Namer
from poseact_engine.evaluation.reproduce.changes import at_rate, changes
from poseact_engine.evaluation.reproduce.data import DataSet, draw
from poseact_engine.evaluation.reproduce.results import FALL, RobustRow
from poseact_engine.training.metrics import share
from poseact_engine.training.windows import WindowSet, cut_windows

RATES = (10, 15, 20, 25, 30, 60)


def measure_robustness(
    data: DataSet,
    test: WindowSet,
    namers: Mapping[str, Namer],
    *,
    seed: int,
) -> list[RobustRow]:
    """Rows of the table: unchanged, changed windows, other frame rates (of each as many
    windows as ``test`` has at most)."""
    sizes = np.array([s.size for s in data.sequences], dtype=np.int64)[test.sequence]
    rows = [_row("nothing", "as it is", test.poses_px, test.labels, namers=namers)]
    for number, change in enumerate(changes()):
        rng = np.random.default_rng([seed, number])
        poses = change.apply(test.poses_px, sizes, rng)
        rows.append(_row(change.kind, change.amount, poses, test.labels, namers=namers))
    held_out = [s for s in data.sequences if s.name in set(data.split.validation)]
    for fps in RATES:
        seen = cut_windows([at_rate(s, fps) for s in held_out]).labelled()
        part = draw(seen, len(test), seed)
        rows.append(_row("frame rate", f"{fps} fps", part.poses_px, part.labels, namers=namers))
    return rows


def _row(
    kind: str,
    amount: str,
    poses: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    namers: Mapping[str, Namer],
) -> RobustRow:
    is_fall = labels == FALL
    results = {}
    for model, namer in namers.items():
        said = namer(poses) if len(poses) else labels
        right = said == labels
        results[model] = (
            share(int(right.sum()), len(right)),
            share(int(right[is_fall].sum()), int(is_fall.sum())),
        )
    return RobustRow(
        kind=kind, amount=amount, windows=len(labels), falls=int(is_fall.sum()), results=results
    )
