# SPDX-License-Identifier: Apache-2.0
"""Every check of every config, and configs from plain data: parts inside parts, keys."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseact_engine import (
    ActionConfig,
    ConfigError,
    DetectConfig,
    EngineConfig,
    IncidentConfig,
    PoseConfig,
    SourceConfig,
    TrackConfig,
    WindowConfig,
)

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


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (SourceConfig, {"every": 0}, "source.every: expected a whole number, 1 or more, got 0"),
        (SourceConfig, {"every": 1.5}, "source.every"),
        (SourceConfig, {"max_frames": 0}, "source.max_frames"),
        (SourceConfig, {"queue_frames": -1}, "source.queue_frames"),
        (SourceConfig, {"decode_threads": True}, "source.decode_threads"),
        (SourceConfig, {"open_timeout_s": -0.1}, "open_timeout_s: expected seconds, 0 or more"),
        (SourceConfig, {"read_timeout_s": float("inf")}, "source.read_timeout_s"),
        (DetectConfig, {"model": "m", "min_score": 1.01}, "expected a number from 0 to 1, got 1.0"),
        (DetectConfig, {"model": "m", "min_score": float("nan")}, "detect.min_score"),
        (DetectConfig, {"model": "m", "min_score": "0.5"}, "detect.min_score"),
        (DetectConfig, {"model": "m", "every": 0}, "detect.every"),
        (DetectConfig, {"model": "m", "max_people": 0}, "detect.max_people"),
        (DetectConfig, {"model": "m", "max_batch": 0}, "detect.max_batch"),
        (DetectConfig, {"model": 3}, "detect.model: expected a path, got 3"),
        (PoseConfig, {"model": ""}, "pose.model: expected a path, got ''"),
        (PoseConfig, {"model": "m", "max_batch": 0}, "pose.max_batch"),
        (ActionConfig, {"model": None}, "action.model: expected a path, got None"),
        (ActionConfig, {"model": "m", "max_batch": 0}, "action.max_batch"),
        (TrackConfig, {"new_score": -0.1}, "track.new_score"),
        (TrackConfig, {"match_iou": 2}, "track.match_iou"),
        (TrackConfig, {"confirm_s": -1}, "track.confirm_s"),
        (
            TrackConfig,
            {"low_score": 0.6, "high_score": 0.5},
            "track.high_score: expected low_score .0.6. or more, got 0.5",
        ),
        (
            TrackConfig,
            {"low_score": 0.6, "new_score": 0.5},
            "track.new_score: expected low_score .0.6. or more, got 0.5",
        ),
        (TrackConfig, {"high_score": 0.6, "new_score": 0.5}, "track.new_score: expected high_sc"),
        (TrackConfig, {"coast_s": 3.0}, "coast_s: expected at most lost_s .2.0., got 3.0"),
        (WindowConfig, {"stride": 0}, "window.stride"),
        (WindowConfig, {"max_gap_s": -1}, "window.max_gap_s"),
        (WindowConfig, {"max_gap_s": 61}, "max_gap_s: expected 60 seconds or less, got 61"),
        (IncidentConfig, {"k": 7}, "incident.k: expected at most n .6., got 7"),
        (IncidentConfig, {"n": 0}, "incident.n"),
        (IncidentConfig, {"min_score": 30}, "incident.min_score: expected"),
        (IncidentConfig, {"end_s": None}, "incident.end_s"),
        (IncidentConfig, {"actions": ["falling_down"]}, "incident.actions: expected a mapping"),
        (IncidentConfig, {"actions": {"x": (0.4, 0.4)}}, "'x'.: expected .enter, leave. with"),
        (IncidentConfig, {"actions": {"x": (0.4,)}}, "0 <= leave < enter <= 1, got .0.4,"),
        (IncidentConfig, {"actions": {"x": ("a", "b")}}, "0 <= leave < enter <= 1"),
    ],
)
def test_every_check_names_the_option_and_what_was_expected(
    kind: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        kind(**options)


@pytest.mark.parametrize(
    ("given", "detectors", "expected"),
    [
        ({}, None, (0.1, 0.5, 0.5)),
        ({}, (0.25, 0.5, 0.7), (0.25, 0.5, 0.7)),
        ({"new_score": 0.6}, (0.25, 0.5, 0.7), (0.25, 0.5, 0.6)),
        ({"new_score": 0.4}, (0.25, 0.5, 0.7), (0.25, 0.4, 0.4)),
        ({"new_score": 0.2}, (0.25, 0.5, 0.7), (0.2, 0.2, 0.2)),
        ({"low_score": 0.0, "high_score": 0.3, "new_score": 1}, (0.25, 0.5, 0.7), (0.0, 0.3, 1)),
        ({"high_score": 0.2}, (0.25, 0.5, 0.7), (0.2, 0.2, 0.7)),
        ({"high_score": 0.8}, (0.25, 0.5, 0.7), (0.25, 0.8, 0.8)),
        ({"low_score": 0.6}, None, (0.6, 0.6, 0.6)),
        ({"low_score": 0.3, "new_score": 0.4}, None, (0.3, 0.4, 0.4)),
    ],
)
def test_scores_of_the_tracker_are_those_given_then_the_detectors_then_the_usual_ones(
    given: dict[str, float],
    detectors: tuple[float, float, float] | None,
    expected: tuple[float, float, float],
) -> None:
    options = TrackConfig(**given).options(detectors)
    assert tuple(options[name] for name in ("low_score", "high_score", "new_score")) == expected
    assert set(options) == {f.name for f in dataclasses.fields(TrackConfig)}
    assert options["lost_s"] == 2.0


@pytest.mark.parametrize(
    "pair", [(0.4, 0.6), (0.5, 0.5), (1.1, 0.4), (0.6, -0.1), (0.6,), 0.6, "hi"]
)
def test_thresholds_are_checked(pair: object) -> None:
    with pytest.raises(ConfigError, match="0 <= leave < enter <= 1"):
        IncidentConfig(actions={"falling_down": pair})  # type: ignore[dict-item]


def test_numbers_of_numpy_are_numbers() -> None:
    config = SourceConfig(every=np.int64(2), open_timeout_s=np.float32(0.5))  # type: ignore[arg-type]
    assert (config.every, config.open_timeout_s) == (2, 0.5)


def test_incident_actions_are_a_copy() -> None:
    mine = {"falling_down": [0.7, 0.2]}
    config = IncidentConfig.from_mapping({"actions": mine})
    mine["falling_down"] = [0.1, 0.9]
    assert config.actions == {"falling_down": (0.7, 0.2)}


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(ConfigError, match="TrackConfig: expected a mapping, got 3"):
        TrackConfig.from_mapping(3)  # type: ignore[arg-type]


def test_configs_cannot_be_changed_or_extended() -> None:
    config = WindowConfig()
    with pytest.raises(AttributeError):
        config.stride = 2  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        config.extra = 2  # type: ignore[attr-defined]
