# SPDX-License-Identifier: Apache-2.0
"""Options of commands that find and follow people: how sure the detector must be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from poseact_engine.config import DetectConfig
from poseact_engine.config_track import TrackConfig

_PANEL = "How to work"

DetScore = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="S",
        help="Least score of a person box. Weak boxes continue tracks, they never begin one. "
        "Default: 0.1, and to continue a track what the detector's manifest says.",
        rich_help_panel=_PANEL,
    ),
]
TrackScore = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="S",
        help="Score from which a box may begin a track; lower it for a small detector. Default: "
        "what the detector's manifest says, else 0.5.",
        rich_help_panel=_PANEL,
    ),
]


def detect_config(model: Path, det_score: float | None, *, every: int = 1) -> DetectConfig:
    config = DetectConfig(model=model, every=every)
    return config if det_score is None else replace(config, min_score=det_score)


def track_config(det_score: float | None, track_score: float | None) -> TrackConfig:
    """Fields that no option decides are the detector's own."""
    both = [score for score in (det_score, track_score) if score is not None]
    low = None if det_score is None else min(both)
    return TrackConfig(low_score=low, high_score=track_score, new_score=track_score)
