# SPDX-License-Identifier: Apache-2.0
"""What a camera or an estimator may do to poses, done to windows and sequences that models are
tested on. An unseen joint is (0, 0, 0)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseact_engine.training.keypoints import PoseSequence

MIRROR = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""Where each joint goes when left and right are swapped."""
FACE, RIGHT_ARM, LEGS = (0, 1, 2, 3, 4), (8, 10), (13, 14, 15, 16)
MAX_GAP_S = 0.4
"""As the engine's windows: nothing is interpolated across a longer gap."""

Windows = NDArray[np.float32]
"""float32 ``[W, T, K, 3]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row of the robustness table."""

    kind: str
    amount: str
    apply: Callable[[Windows, NDArray[np.int64], np.random.Generator], Windows]
    """Windows, the width and height of each one's picture int64 ``[W, 2]``, chance."""


def changes() -> list[Change]:
    """All changes of windows; frame rates are changes of sequences, see ``at_rate``."""
    found = [
        Change(kind="missing joints", amount=f"{share:.0%}", apply=_dropping(share))
        for share in (0.1, 0.2, 0.3, 0.4, 0.5)
    ]
    found += [
        Change(kind="hidden", amount=name, apply=_hiding(joints))
        for name, joints in (("whole face", FACE), ("one arm", RIGHT_ARM), ("legs", LEGS))
    ]
    found += [
        Change(kind="jitter", amount=f"{share:.0%} of the height", apply=_jittering(share))
        for share in (0.01, 0.02, 0.03, 0.05)
    ]
    found.append(Change(kind="mirror", amount="left and right swapped", apply=_mirrored))
    found += [
        Change(kind="shift", amount=f"{share:+.0%} of the width", apply=_shifting(share))
        for share in (-0.25, 0.25)
    ]
    found += [
        Change(kind="scale", amount=f"x {factor:g}", apply=_scaling(factor))
        for factor in (0.5, 2.0, 3.0)
    ]
    return found


def drop_joints(windows: Windows, share: float, rng: np.random.Generator) -> Windows:
    """Each joint is unseen in the whole window, with this chance. (Joints that are missed for a
    moment are interpolated by the engine before a model sees them.)"""
    gone = rng.random((len(windows), 1, windows.shape[2], 1)) < share
    return np.where(gone, np.float32(0), windows)


def hide_joints(windows: Windows, joints: Sequence[int]) -> Windows:
    """These joints are unseen."""
    hidden = windows.copy()
    hidden[:, :, list(joints)] = 0.0
    return hidden


def jitter(windows: Windows, share: float, rng: np.random.Generator) -> Windows:
    """Each seen joint moves in each pose, in x and y, by a Gaussian whose deviation is this share
    of the window's median pose height (the larger extent of the seen joints)."""
    moved = windows.astype(np.float64)
    far = rng.normal(0.0, 1.0, moved[..., :2].shape) * share
    moved[..., :2] += far * _heights(windows)[:, None, None, None]
    return _where_seen(windows, moved)


def mirror(windows: Windows, sizes: NDArray[np.int64]) -> Windows:
    """As a mirror shows it: the picture is turned about, and left is right."""
    turned = windows[:, :, list(MIRROR)].astype(np.float64)
    turned[..., 0] = (sizes[:, 0] - 1)[:, None, None] - turned[..., 0]
    return _where_seen(windows[:, :, list(MIRROR)], turned)


def shift(windows: Windows, sizes: NDArray[np.int64], share: float) -> Windows:
    """People stand elsewhere in the picture: further right by this share of its width."""
    moved = windows.astype(np.float64)
    moved[..., 0] += share * sizes[:, 0, None, None]
    return _where_seen(windows, moved)


def scale(windows: Windows, factor: float) -> Windows:
    """The same picture at another resolution."""
    scaled = windows.astype(np.float64)
    scaled[..., :2] *= factor
    return _where_seen(windows, scaled)


def at_rate(sequence: PoseSequence, fps: float) -> PoseSequence:
    """What a camera of another frame rate would have seen.

    A slower one sees, at each of its ticks, the nearest frame, never the same twice. A faster one
    sees joints in between: the straight line between two frames at most ``MAX_GAP_S`` apart that
    both saw the joint, with the lower score; else the joint is unseen. Labels are of the nearest
    frame.
    """
    times = sequence.times_s
    ticks = times[0] + np.arange(int((times[-1] - times[0]) * fps + 1e-6) + 1) / fps
    after = np.clip(np.searchsorted(times, ticks), 1, max(1, len(times) - 1))
    if len(times) < 2:
        return sequence
    nearest = np.where(ticks - times[after - 1] <= times[after] - ticks, after - 1, after)
    if 1 / fps >= float(np.median(np.diff(times))):
        rows = np.unique(nearest)
        return replace(
            sequence,
            keypoints_px=sequence.keypoints_px[rows],
            labels=sequence.labels[rows],
            times_s=times[rows],
        )
    return replace(
        sequence,
        keypoints_px=_between(sequence, ticks, after),
        labels=sequence.labels[nearest],
        times_s=ticks,
    )


def _between(
    sequence: PoseSequence, ticks: NDArray[np.float64], after: NDArray[np.int64]
) -> NDArray[np.float32]:
    times, poses = sequence.times_s, sequence.keypoints_px.astype(np.float64)
    gap = times[after] - times[after - 1]
    part = ((ticks - times[after - 1]) / gap)[:, None, None]
    before, behind = poses[after - 1], poses[after]
    xy = before[..., :2] + part * (behind[..., :2] - before[..., :2])
    score = np.minimum(before[..., 2:], behind[..., 2:])
    seen = (score > 0) & (gap <= MAX_GAP_S)[:, None, None]
    joined = np.where(seen, np.concatenate([xy, score], axis=-1), 0.0)
    joined = np.where(part == 0, before, np.where(part == 1, behind, joined))
    return joined.astype(np.float32)


def _heights(windows: Windows) -> NDArray[np.float64]:
    """``[W]``: median over the poses that have a seen joint; 0 without one."""
    seen = windows[..., 2:] > 0
    xy = windows[..., :2].astype(np.float64)
    low = np.where(seen, xy, np.inf).min(axis=2)
    high = np.where(seen, xy, -np.inf).max(axis=2)
    extent = np.where(seen.any(axis=2), high - low, np.nan).max(axis=-1)  # [W, T]
    heights = np.zeros(len(windows))
    known = ~np.isnan(extent).all(axis=1)
    heights[known] = np.nanmedian(extent[known], axis=1)
    return heights


def _where_seen(windows: Windows, changed: NDArray[np.float64]) -> Windows:
    return np.where(windows[..., 2:] > 0, changed, windows).astype(np.float32)


def _dropping(share: float) -> Callable[..., Windows]:
    return lambda windows, _, rng: drop_joints(windows, share, rng)


def _hiding(joints: Sequence[int]) -> Callable[..., Windows]:
    return lambda windows, *_: hide_joints(windows, joints)


def _jittering(share: float) -> Callable[..., Windows]:
    return lambda windows, _, rng: jitter(windows, share, rng)


def _mirrored(windows: Windows, sizes: NDArray[np.int64], _: np.random.Generator) -> Windows:
    return mirror(windows, sizes)


def _shifting(share: float) -> Callable[..., Windows]:
    return lambda windows, sizes, _: shift(windows, sizes, share)


def _scaling(factor: float) -> Callable[..., Windows]:
    return lambda windows, *_: scale(windows, factor)
