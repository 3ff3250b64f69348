# SPDX-License-Identifier: Apache-2.0
"""Configs from plain data: parts inside parts, unknown and missing keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poseact_engine import ConfigError, EngineConfig

MODELS: dict[str, Any] = {
    "detect": {"model": "d.onnx", "min_score": 0.3},
    "pose": {"model": "p.onnx"},
    "action": {"model": "a.onnx"},
}


def test_a_whole_config_comes_from_plain_data() -> None:
    config = EngineConfig.from_mapping({**MODELS, "source": {"every": 2}, "threads": 3})
    assert config.detect.model == Path("d.onnx")
    assert (config.detect.min_score, config.source.every, config.threads) == (0.3, 2, 3)
    assert EngineConfig.from_mapping({**MODELS, "pose": config.pose}).pose is config.pose


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**MODELS, "tracker": {}}, "unknown .'tracker'"),
        ({**MODELS, "pose": {"model": "p", "batch": 3}}, "PoseConfig: .* unknown .'batch'"),
        ({**MODELS, "pose": {}}, "PoseConfig: expected the keys .'model'"),
        ({"detect": MODELS["detect"]}, "EngineConfig: expected the keys .'action', 'pose'"),
        ({**MODELS, "pose": "p.onnx"}, "engine.pose: expected a PoseConfig, got 'p.onnx'"),
        ({**MODELS, "source": {"every": 0}}, "source.every: expected a whole number, 1 or more"),
        ({**MODELS, "backend": "torch"}, "engine.backend: expected one of"),
        ({**MODELS, "threads": True}, "engine.threads"),
    ],
)
def test_wrong_data_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EngineConfig.from_mapping(values)
