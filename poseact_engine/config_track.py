# SPDX-License-Identifier: Apache-2.0
"""What a user may ask of the tracker, and what it does where nobody asks."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from poseact_engine.config_checks import FromMapping, check, check_fraction, check_seconds

TrackScores = tuple[float, float, float]
"""Low, high and new score, see ``TrackConfig``."""
TRACK_SCORES = (0.1, 0.5, 0.5)
"""Low, high and new score for detectors whose manifests say nothing of it."""
_SCORES = ("low_score", "high_score", "new_score")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackConfig(FromMapping):
    """ByteTrack; all durations are seconds of stream time."""

    high_score: float | None = None
    """Boxes from here on are matched first. How sure a detector is of what it finds differs from
    network to network, so None, here and below, is what its manifest says, else TRACK_SCORES."""
    low_score: float | None = None
    """Boxes between this and ``high_score`` may continue a track, never start one."""
    new_score: float | None = None
    """A box from here on that matches nothing starts a track."""
    match_iou: float = 0.3
    low_match_iou: float = 0.3
    new_match_iou: float = 0.3
    """Least overlap: first match, match with a weak box, second box of a new track."""
    confirm_s: float = 0.0
    """A new track is reported, and gets its id, once a strong box matches it again at least this
    long after its first one; it is dropped when the detector looks and misses it before. Tracks of
    the first frame of a stream that the detector sees are reported at once."""
    coast_s: float = 0.3
    """A track is still reported, predicted, for less than this after the first frame in which the
    detector looked for it in vain. Frames the detector skips never silence a track."""
    lost_s: float = 2.0
    """A track whose last box is longer ago than this has ended; keep it above the time between two
    frames that the detector sees."""

    def __post_init__(self) -> None:
        given = {n: getattr(self, n) for n in _SCORES if getattr(self, n) is not None}
        check_fraction(
            "track",
            **given,
            match_iou=self.match_iou,
            low_match_iou=self.low_match_iou,
            new_match_iou=self.new_match_iou,
        )
        check_seconds("track", confirm_s=self.confirm_s, coast_s=self.coast_s, lost_s=self.lost_s)
        check(
            self.low_score is None or self.high_score is None or self.low_score <= self.high_score,
            "track.high_score",
            f"low_score ({self.low_score}) or more",
            self.high_score,
        )
        check(
            self.coast_s <= self.lost_s,
            "track.coast_s",
            f"at most lost_s ({self.lost_s})",
            self.coast_s,
        )

    def options(self, scores: TrackScores | None = None) -> dict[str, float]:
        """All fields by name, without None: what ``_core.Tracker`` is made with.

        ``scores`` are the detector's own low, high and new score. One that is given here goes
        before; where only one of low and high is, the other gives way to it.
        """
        own = dict(zip(_SCORES, scores or TRACK_SCORES, strict=True))
        if self.low_score is not None:
            own["high_score"] = max(own["high_score"], self.low_score)
        if self.high_score is not None:
            own["low_score"] = min(own["low_score"], self.high_score)
        return own | {name: value for name, value in asdict(self).items() if value is not None}
