# SPDX-License-Identifier: Apache-2.0
"""Options of commands that find and follow people: how sure the detector must be."""

from __future__ import annotations

from typing import Annotated

import typer

from poseact_engine.config_track import TrackConfig

_PANEL = "How to work"

DetScore = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="S",
        help="Least score of a person box. Weak boxes continue tracks, they never begin one. "
        "Default: what the detector's manifest says, else 0.1.",
        rich_help_panel=_PANEL,
    ),
]
TrackScore = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="S",
        help="Score from which a box may begin a track: lower it if people get none, raise it if "
        "parts of people get one. Default: what the detector's manifest says, else 0.5.",
        rich_help_panel=_PANEL,
    ),
]


def track_config(det_score: float | None, track_score: float | None) -> TrackConfig:
    """Fields that no option decides are the detector's own."""
    both = [score for score in (det_score, track_score) if score is not None]
    low = None if det_score is None else min(both)
    return TrackConfig(low_score=low, new_score=track_score)
