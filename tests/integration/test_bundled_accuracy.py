# SPDX-License-Identifier: Apache-2.0
"""The bundled models through the whole engine, against what is true of scenes they never saw.

Bounds were set from three blocks of six scenes and half an hour of poses, two of which run here:
the worst of them, and some room. `poseact eval world` measures the same on a hundred scenes.
"""

from __future__ import annotations

import pytest

from poseact_engine.bundled import BUNDLED_TASKS, bundled_model
from poseact_engine.evaluation.walk import Where
from poseact_engine.evaluation.world import WorldEvalConfig, WorldReport, evaluate_world, figures

BLOCKS = (1_300_000, 1_400_000)
SCENES = 6
MEGABYTES = 12
AT_LEAST = {
    "detector recall, IoU 0.5": 0.9,
    "pose PCK@0.1 of the box": 0.84,
    "pose AP (COCO)": 0.47,
    "IDF1": 0.84,
    "MOTA": 0.82,
    "window accuracy": 0.86,
    "falls reported as falling or lying": 0.75,
}
AT_MOST = {"id switches": 12, "median delay of a fall's report": 0.8}
SEQUENCES_AT_LEAST = {"falls reported": 0.97, "window accuracy": 0.89}
SEQUENCES_AT_MOST = {"median delay of a fall's report": 0.64, "false falls an hour": 6}


@pytest.fixture(scope="module", params=BLOCKS)
def world(request: pytest.FixtureRequest) -> WorldReport:
    config = WorldEvalConfig(
        detector=bundled_model("detector"),
        pose=bundled_model("pose"),
        action=bundled_model("action"),
        scenes=SCENES,
        first_seed=request.param,
        sequences_hours=0.5,
        where=Where(backend="onnxruntime", device="cpu", threads=2),
    )
    return evaluate_world(config)


def test_they_are_a_few_megabytes() -> None:
    sizes = [bundled_model(task).stat().st_size for task in BUNDLED_TASKS]
    assert sum(sizes) < MEGABYTES * 1e6


def test_the_whole_engine_keeps_its_accuracy(world: WorldReport) -> None:
    found = {figure.name: figure.value for figure in figures(world)["engine"]}
    low = {name: found[name] for name, bound in AT_LEAST.items() if not found[name] >= bound}
    high = {name: found[name] for name, bound in AT_MOST.items() if not found[name] <= bound}
    assert not low | high, found


def test_the_action_model_keeps_its_accuracy_on_poses_alone(world: WorldReport) -> None:
    found = {figure.name: figure.value for figure in figures(world)["sequences"]}
    low = {n: found[n] for n, bound in SEQUENCES_AT_LEAST.items() if not found[n] >= bound}
    high = {n: found[n] for n, bound in SEQUENCES_AT_MOST.items() if not found[n] <= bound}
    assert not low | high, found
