# SPDX-License-Identifier: Apache-2.0
"""What a pose estimator makes of true joints: how far off, for how long, and how sure of itself.

The figures of :class:`PoseNoise` were read off a real estimator (TinyPose 256 x 192 on COCO
val2017 pictures, and its poses in films of people who stand, walk and lie) by
``scripts/fit_noise.py --data DIR --pose FILE``. Errors are in units of the person's size: the
longer side of the box around its true joints.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, ShapeError
from poseact_engine.types import COCO_JOINTS

Array = NDArray[np.float64]
SEEN, HIDDEN, OUTSIDE = 2, 1, 0
"""COCO's flags of a joint, as ``FrameTruth`` has them."""

_SHOULDERS, _ARMS, _HIPS, _LEGS = [5, 6], [7, 8, 9, 10], [11, 12], [13, 14, 15, 16]
_ANKLES = [15, 16]
_MIRRORED = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
_NEXT = np.array([1, 0, 0, 1, 2, 7, 8, 5, 6, 7, 8, 13, 14, 15, 16, 13, 14])
"""The joint beside each on its own limb, that an estimator may take for it."""
_SCALE = np.array([0.6] * 5 + [1.15] * 2 + [1.2] * 2 + [1.1] * 2 + [2.0] * 2 + [1.2] * 4)
"""Median error of each joint over the median of all (hips are hard to see under clothes)."""
_ASTRAY = np.array([0.2] * 5 + [0.5] * 2 + [0.9] * 2 + [1.3] * 2 + [1.2] * 2 + [1.5] * 4)
"""How often a joint goes astray, over the mean of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseNoise:
    """How a made estimator errs. All shares are 0 to 1; ``strength`` 0 leaves the truth."""

    strength: float = 1.0
    """Multiplies all errors and their shares."""
    small: float = 0.0115
    """Standard deviation by axis of a seen joint that was found, of an average joint."""
    small_px: float = 1.0
    """The same in pixels, whatever the size: small figures suffer from it."""
    spread: float = 0.35
    """Tracks differ: standard deviation of the logarithm of ``small`` from track to track."""
    bias: float = 0.55
    """Share of the variance that is constant over a track."""
    slow: float = 0.4
    """Share of the variance that changes slowly; what is left is new each frame."""
    slow_s: float = 0.5
    """Its time constant."""
    grid: float = 0.01
    """Largest step of the grid of heat maps that joints are rounded to (half a cell)."""
    hidden: float = 1.8
    """Multiplies ``small`` for joints that something hides."""
    astray: float = 0.07
    """Share of seen joints that are on something else."""
    astray_hidden: float = 0.55
    """The same of hidden joints."""
    astray_off: float = 0.1
    """Standard deviation by axis of how far off they are then."""
    astray_s: float = 0.5
    """Mean time for which they are."""
    snapped: float = 0.3
    """Share of joints astray that sit on the next joint or on the other side's."""
    lying: float = 6.0
    """Multiplies the shares of what goes wrong for a body that is not upright in the picture:
    estimators have seen few of them."""
    lying_sure: float = 0.45
    """Multiplies its scores."""
    jumbled: float = 0.05
    """Share of time in which the pose of a lying body makes no sense at all."""
    jumbled_s: float = 0.15
    swapped: float = 0.005
    """Share of time with left and right of the whole body exchanged."""
    swapped_legs: float = 0.015
    swapped_arms: float = 0.006
    swapped_s: float = 0.25
    missed: float = 0.012
    """Share of time in which the whole person is not found."""
    missed_s: float = 0.15
    least_seen: int = 4
    """With fewer joints seen the person is not found."""
    sure: float = 0.95
    """Score of a joint without error; with an error of ``sure_off`` it is half of that."""
    sure_off: float = 0.1
    unsteady: float = 0.9
    """Standard deviation of the scores' logits."""
    picky: float = 0.25
    """Share of tracks of an estimator that leaves out joints of low score."""
    picky_below: tuple[float, float] = (0.05, 0.4)
    dropped: float = 0.003
    """Share of joints that any estimator leaves out."""

    def __post_init__(self) -> None:
        for field in fields(self):
            values = getattr(self, field.name)
            for value in values if isinstance(values, tuple) else (values,):
                if not (np.isfinite(value) and value >= 0):
                    raise ConfigError(f"noise.{field.name}: expected 0 or more, got {value}")
        if self.bias + self.slow > 1:
            raise ConfigError(
                f"noise: expected bias + slow of at most 1, got {self.bias} + {self.slow}"
            )
        times = (self.slow_s, self.astray_s, self.jumbled_s, self.swapped_s, self.missed_s)
        if min(*times, self.sure_off) == 0:
            raise ConfigError("noise: expected times and sure_off above 0")


def estimated(
    rng: np.random.Generator,
    truth_px: Array,
    flags: NDArray[np.int8],
    *,
    rate_hz: float,
    size: tuple[int, int],
    noise: PoseNoise,
) -> NDArray[np.float32]:
    """float32 ``[T, 17, 3]``: one track as an estimator would give it, frame by frame.

    Args:
        rng: decides everything; a track after another, so order matters.
        truth_px: float64 ``[T, 17, 2]``, true joints, also those that are not seen.
        flags: int8 ``[T, 17]``: SEEN, HIDDEN or OUTSIDE.
        rate_hz: frames per second.
        size: width and height of the picture.
        noise: how the estimator errs.

    A joint that was left out, and each joint of a person that was not found, is (0, 0, 0).
    """
    count = len(COCO_JOINTS)
    if truth_px.shape != (len(flags), count, 2) or flags.shape != (len(flags), count):
        raise ShapeError(
            f"noise: expected joints [T, {count}, 2] and flags [T, {count}], got "
            f"{list(truth_px.shape)} and {list(flags.shape)}"
        )
    track = _Track(rng, truth_px, flags, rate_hz, noise)
    found = track.positions(size)
    score = track.scores(np.linalg.norm(found - track.reachable(size), axis=-1))
    poses = np.concatenate([found, score[..., None]], axis=-1).astype(np.float32)
    poses[score == 0] = 0.0
    poses[track.missed()] = 0.0
    return poses


class _Track:
    """One track's truth, and the draws that errors are made of. Each method draws once."""

    def __init__(
        self,
        rng: np.random.Generator,
        truth_px: Array,
        flags: NDArray[np.int8],
        rate_hz: float,
        noise: PoseNoise,
    ) -> None:
        self._rng, self._truth, self._flags = rng, truth_px, flags
        self._step_s, self._noise = 1.0 / rate_hz, noise
        self._side = np.maximum(np.ptp(truth_px, axis=1).max(axis=1), 1.0)  # [T]
        self._tilt = _tilt(truth_px)  # [T]
        self._trouble = 1 + (noise.lying - 1) * self._tilt
        self._quality = np.exp(rng.normal(0, noise.spread))

    def positions(self, size: tuple[int, int]) -> Array:
        """float64 ``[T, 17, 2]``."""
        found = self.reachable(size) + self._small()
        found = np.where(self._is_astray()[..., None], self._lost(), found)
        found = self._swap(self._jumble(found))
        step = self._rng.uniform(0, self._noise.grid) * self._noise.strength * np.median(self._side)
        return found if step == 0 else np.round(found / step) * step

    def reachable(self, size: tuple[int, int]) -> Array:
        """The truth, outside the picture pulled to its edge: nobody can know more."""
        reach = 0.05 * self._side[:, None, None]
        inside = np.clip(self._truth, -reach, np.array(size) - 1 + reach)
        return np.where((self._flags == OUTSIDE)[..., None], inside, self._truth)

    def scores(self, off_px: Array) -> Array:
        """float64 ``[T, 17]`` of errors in pixels; 0: left out."""
        n, rng = self._noise, self._rng
        off = off_px / self._side[:, None]
        mean = n.sure / (1 + off / n.sure_off)
        mean *= np.array([0.3, 0.8, 1.0])[self._flags]
        mean *= 1 - (1 - n.lying_sure) * self._tilt[:, None]
        logit = np.log(mean / (1 - mean))
        shape = logit.shape
        for share, draws in ((0.4, (1, 1)), (0.3, (1, shape[1])), (0.3, shape)):
            logit += rng.normal(0, n.unsteady * np.sqrt(share), draws)
        score = 1 / (1 + np.exp(-logit))
        below = rng.uniform(*n.picky_below) if rng.random() < n.picky else 0.0
        left_out = (score < below) | (rng.random(shape) < n.dropped * n.strength)
        return np.where(left_out, 0.0, score)

    def missed(self) -> NDArray[np.bool_]:
        """bool ``[T]``: the whole person was not found."""
        n = self._noise
        share = n.missed * n.strength * self._trouble
        seen = (self._flags == SEEN).sum(axis=1)
        lost = self._held(1, n.missed_s)[:, 0] < share
        gone: NDArray[np.bool_] = lost | (seen < n.least_seen)
        return gone

    def _small(self) -> Array:
        n, shape = self._noise, self._truth.shape
        sigma = np.hypot(n.small * self._side * self._quality, n.small_px)[:, None] * _SCALE
        sigma = sigma * np.where(self._flags == SEEN, 1.0, n.hidden) * n.strength
        sigma *= np.sqrt(self._trouble)[:, None]
        fresh = 1 - n.bias - n.slow
        unit = np.sqrt(n.bias) * self._rng.normal(size=(1, *shape[1:]))
        unit = unit + np.sqrt(n.slow) * self._slow(shape)
        unit += np.sqrt(fresh) * self._rng.normal(size=shape)
        small: Array = sigma[..., None] * unit
        return small

    def _slow(self, shape: tuple[int, ...]) -> Array:
        """Unit variance, forgotten with the time constant ``slow_s``."""
        kept = np.exp(-self._step_s / self._noise.slow_s)
        values = self._rng.normal(size=shape)
        values[1:] *= np.sqrt(1 - kept**2)
        for t in range(1, len(values)):
            values[t] += kept * values[t - 1]
        return values

    def _is_astray(self) -> NDArray[np.bool_]:
        n = self._noise
        share = np.where(self._flags == SEEN, n.astray, n.astray_hidden) * _ASTRAY
        # Most tracks are easy and some are hard; the mean stays.
        share = share * self._rng.gamma(0.7, 1 / 0.7) * n.strength * self._trouble[:, None]
        astray: NDArray[np.bool_] = self._held(len(COCO_JOINTS), n.astray_s) < np.minimum(
            share, 0.7
        )
        return astray

    def _lost(self) -> Array:
        """Where joints astray are: at a place that moves along, or on another joint."""
        n, rng, (frames, joints, _) = self._noise, self._rng, self._truth.shape
        offset = np.stack([self._drawn(joints, n.astray_s) for _ in range(2)], axis=-1)
        place = self._truth + offset * (n.astray_off * self._side)[:, None, None]
        other = np.where(rng.random(joints) < 0.5, _NEXT, _MIRRORED)
        on_other = self._held(joints, n.astray_s) < n.snapped
        near = self._truth[:, other] + 0.02 * self._side[:, None, None] * rng.normal(
            size=(frames, joints, 2)
        )
        lost: Array = np.where(on_other[..., None], near, place)
        return lost

    def _jumble(self, found: Array) -> Array:
        """Turns and shrinks whole poses about their middle, as if another body lay there."""
        n = self._noise
        starts = self._starts(1, n.jumbled_s)[:, 0]
        shape = (len(found), 1, 1)
        draws, angle, scale = self._rng.random((3, *shape))[:, starts]
        middle = found.mean(axis=1, keepdims=True)
        angle, scale = 2 * np.pi * angle, 0.3 + 0.8 * scale
        x, y = np.split(found - middle, 2, axis=-1)
        turned = np.concatenate(
            [x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)], axis=-1
        )
        share = n.jumbled * n.strength * self._tilt[:, None, None]
        jumbled: Array = np.where(draws < share, middle + scale * turned, found)
        return jumbled

    def _swap(self, found: Array) -> Array:
        n = self._noise
        for share, joints in (
            (n.swapped, np.arange(1, len(COCO_JOINTS))),
            (n.swapped_legs, np.array(_HIPS + _LEGS)),
            (n.swapped_arms, np.array(_SHOULDERS + _ARMS)),
        ):
            chance = share * n.strength * self._trouble
            rows = np.flatnonzero(self._held(1, n.swapped_s)[:, 0] < chance)
            found[np.ix_(rows, joints)] = found[np.ix_(rows, _MIRRORED[joints])]
        return found

    def _held(self, series: int, mean_s: float) -> Array:
        """float64 ``[T, series]``, 0 to 1: drawn anew after ``mean_s`` on average."""
        draws = self._rng.random((len(self._truth), series))
        return np.take_along_axis(draws, self._starts(series, mean_s), axis=0)

    def _drawn(self, series: int, mean_s: float) -> Array:
        """As :meth:`_held`, normal."""
        draws = self._rng.normal(size=(len(self._truth), series))
        return np.take_along_axis(draws, self._starts(series, mean_s), axis=0)

    def _starts(self, series: int, mean_s: float) -> NDArray[np.intp]:
        frames = len(self._truth)
        anew = self._rng.random((frames, series)) < 1 - np.exp(-self._step_s / mean_s)
        at = np.where(anew, np.arange(frames)[:, None], 0)
        starts: NDArray[np.intp] = np.maximum.accumulate(at, axis=0)
        return starts


def _tilt(truth_px: Array) -> Array:
    """float64 ``[T]``: 0 for a body upright in the picture, 1 for one that lies or hangs. Who bends
    down is upright: estimators know that well."""
    up = truth_px[:, _SHOULDERS].mean(axis=1) - truth_px[:, _ANKLES].mean(axis=1)
    cosine = -up[:, 1] / np.maximum(np.hypot(up[:, 0], up[:, 1]), 1e-6)
    tilt: Array = np.clip(1 - (cosine - 0.2) / 0.6, 0, 1)
    return tilt
