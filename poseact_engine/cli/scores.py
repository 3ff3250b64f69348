# SPDX-License-Identifier: Apache-2.0
"""Options of commands that find and follow people: how sure the detector must be."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from poseact_engine.config_track import TrackConfig


def _score(text: str) -> Any:
    return typer.Option(min=0, max=1, metavar="S", help=text, rich_help_panel="How to work")


DetScore = Annotated[
    float | None,
    _score(
        "Least score of a person box. Weak boxes continue tracks, they never begin one. "
        "Default: what the detector's manifest says, else 0.1."
    ),
]
TrackScore = Annotated[
    float | None,
    _score(
        "Score from which a box may begin a track: lower it if people get none, raise it if "
        "parts of people get one. Default: what the detector's manifest says, else 0.5."
    ),
]


def track_config(det_score: float | None, track_score: float | None) -> TrackConfig:
    """Fields that no option decides are the detector's own."""
    both = [score for score in (det_score, track_score) if score is not None]
    low = None if det_score is None else min(both)
    return TrackConfig(low_score=low, new_score=track_score)
