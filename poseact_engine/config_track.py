# SPDX-License-Identifier: Apache-2.0
"""What a user may ask of the tracker, and what it does where nobody asks."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from poseact_engine.config_checks import FromMapping, check, check_fraction, check_seconds

TrackScores = tuple[float, float, float]
"""Low, high and new score, see ``TrackConfig``."""
TRACK_SCORES = (0.1, 0.5, 0.5)
"""Low, high and new score for detectors whose manifests say nothing of it."""
_SCORES = ("low_score", "high_score", "new_score")  # each is at least the one before


def are_track_scores(scores: tuple[float, ...]) -> bool:
    """Whether these are three numbers from 0 to 1, each at least the one before."""
    return len(scores) == 3 and bool(0 <= scores[0] <= scores[1] <= scores[2] <= 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackConfig(FromMapping):
    """ByteTrack; all durations are seconds of stream time."""

    high_score: float | None = None
    """Boxes from here on are matched first. How sure a detector is of what it finds differs from
    network to network, so None, here and below, is what its manifest says, else TRACK_SCORES."""
    low_score: float | None = None
    """Boxes between this and ``high_score`` may continue a track, never start one."""
    new_score: float | None = None
    """A box from here on that matches nothing starts a track; ``high_score`` or more."""
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
        below = ""
        for name, score in given.items():  # low, high, new
            least = given.get(below, 0.0)
            check(score >= least, f"track.{name}", f"{below} ({least}) or more", score)
            below = name
        check(
            self.coast_s <= self.lost_s,
            "track.coast_s",
            f"at most lost_s ({self.lost_s})",
            self.coast_s,
        )

    def options(self, scores: TrackScores | None = None) -> dict[str, float]:
        """All fields by name, without None: what ``_core.Tracker`` is made with.

        ``scores`` are the detector's own low, high and new score. One that is given here goes
        before, and those that are not give way, so that low <= high <= new holds.
        """
        low, high, new = scores or TRACK_SCORES
        if self.low_score is not None:
            high, new = max(high, self.low_score), max(new, self.low_score)
        if self.new_score is not None:
            low, high = min(low, self.new_score), min(high, self.new_score)
        if self.high_score is not None:
            low, new = min(low, self.high_score), max(new, self.high_score)
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return {"low_score": low, "high_score": high, "new_score": new} | given
