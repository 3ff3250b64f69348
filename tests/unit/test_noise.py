# SPDX-License-Identifier: Apache-2.0
"""The made estimator: its figures against those measured on a real one, and what it promises.

MEASURED is what ``scripts/fit_noise.py`` printed for TinyPose 256 x 192: errors on COCO val2017
pictures in units of the box's longer side, scores, and joints of a person who stands still.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, ShapeError
from poseact_engine.synthetic.noise import HIDDEN, OUTSIDE, SEEN, PoseNoise, estimated

MEASURED = {
    "median error, seen": 0.0166,
    "median error, hidden": 0.054,
    "median error, below 100 px": 0.0218,
    "median error, above 200 px": 0.0147,
    "share seen off by 0.1": 0.064,  # mean of elbows, wrists, hips, knees and ankles
    "median score, error below 0.01": 0.90,
    "median score, error 0.1 to 0.3": 0.30,
    "median score, hidden": 0.48,
    "median score, lying": 0.197,
}
# An upright person, one unit from nose to ankle: x, y of COCO's joints.
UPRIGHT = np.array(
    [
        [0, 0], [-0.02, -0.03], [0.02, -0.03], [-0.05, 0], [0.05, 0], [-0.13, 0.15], [0.13, 0.15],
        [-0.17, 0.35], [0.17, 0.35], [-0.18, 0.52], [0.18, 0.52], [-0.09, 0.48], [0.09, 0.48],
        [-0.09, 0.74], [0.09, 0.74], [-0.09, 1.0], [0.09, 1.0],
    ]
)  # fmt: skip
LYING = UPRIGHT[:, ::-1]
FAULTS = (
    "spread grid astray astray_hidden jumbled swapped swapped_legs swapped_arms missed picky"
    " dropped unsteady"
)
PLAIN: dict[str, Any] = dict.fromkeys(FAULTS.split(), 0.0)
"""Nothing but the small errors."""


def _run(
    pose: NDArray[np.float64] = UPRIGHT,
    *,
    tracks: int = 1,
    side_px: float = 200,
    seconds: float = 8,
    rate_hz: float = 20,
    flag: int = SEEN,
    noise: PoseNoise | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Poses ``[N, T, 17, 3]`` of somebody who does not move, and errors ``[N, T, 17]`` in sides."""
    truth = np.tile(pose * side_px / 1.03 + [320, 100], (round(seconds * rate_hz), 1, 1))
    flags = np.full(truth.shape[:2], SEEN, np.int8)
    if flag != SEEN:
        flags[:, 7:] = flag
    found = np.stack(
        [
            estimated(
                np.random.default_rng(seed),
                truth,
                flags,
                rate_hz=rate_hz,
                size=(640, 480),
                noise=noise or PoseNoise(),
            )
            for seed in range(tracks)
        ]
    ).astype(np.float64)
    error = np.linalg.norm(found[..., :2] - truth, axis=-1) / side_px
    return found, np.where(found[..., 2] > 0, error, np.nan)


def test_errors_are_those_of_a_real_estimator() -> None:
    _, seen = _run(tracks=80, side_px=170, seconds=4)
    assert np.nanmedian(seen) == pytest.approx(MEASURED["median error, seen"], rel=0.15)
    gross = np.nanmean(seen[..., 7:] > 0.1)
    assert gross == pytest.approx(MEASURED["share seen off by 0.1"], abs=0.03)
    _, hidden = _run(tracks=80, side_px=170, seconds=4, flag=HIDDEN)
    median = np.nanmedian(hidden[..., 7:])
    assert median == pytest.approx(MEASURED["median error, hidden"], rel=0.3)
    for name, side in (("below 100 px", 75), ("above 200 px", 330)):
        _, error = _run(tracks=60, side_px=side, seconds=4)
        assert np.nanmedian(error) == pytest.approx(MEASURED[f"median error, {name}"], rel=0.15)


def test_scores_fall_with_the_error_as_they_do() -> None:
    found, error = _run(tracks=60)
    score = found[..., 2]
    small, large = error < 0.01, (error > 0.1) & (error < 0.3)
    expected = MEASURED["median score, error below 0.01"]
    assert np.median(score[small]) == pytest.approx(expected, abs=0.05)
    expected = MEASURED["median score, error 0.1 to 0.3"]
    assert np.median(score[large]) == pytest.approx(expected, abs=0.1)
    found, _ = _run(tracks=100, flag=HIDDEN)
    hidden = found[..., 7:, 2]
    expected = MEASURED["median score, hidden"]
    assert np.median(hidden[hidden > 0]) == pytest.approx(expected, abs=0.12)
    found, _ = _run(LYING, tracks=60)
    lying = found[..., 2]
    expected = MEASURED["median score, lying"]
    assert np.median(lying[lying > 0]) == pytest.approx(expected, abs=0.15)


@pytest.mark.parametrize(
    ("pose", "half", "tenth", "hundredth"),
    [(UPRIGHT, 0.0003, 0.0080, 0.0152), (LYING, 0.0015, 0.0154, 0.1718)],
    ids=["standing", "lying"],
)
def test_still_people_tremble_as_in_films(
    pose: NDArray[np.float64], half: float, tenth: float, hundredth: float
) -> None:
    """Change of a joint within 0.056 s (18 frames a second), by axis, over root 2: what half, a
    tenth and a hundredth of them exceed. The real ones hardly move, now and then by a cell, and
    jump where a pose is doubtful: within a factor, and never calmer than they."""
    found, _ = _run(pose, tracks=60, rate_hz=18)
    sure = (found[:, 1:, :, 2] > 0.3) & (found[:, :-1, :, 2] > 0.3)
    moved = np.abs(np.diff(found[..., :2], axis=1))[sure] / 200 / np.sqrt(2)
    ours = np.quantile(moved, [0.5, 0.9, 0.99])
    assert half <= ours[0] <= half + 0.004
    assert 0.6 * tenth <= ours[1] <= 1.8 * tenth
    assert 0.5 * hundredth <= ours[2] <= 2.5 * hundredth


def test_without_strength_the_truth_is_found() -> None:
    found, error = _run(noise=PoseNoise(strength=0, picky=0))
    assert np.nanmax(error) < 1e-6
    assert (found[..., 2] > 0).all()


def test_slow_errors_are_forgotten_at_their_time_constant_at_any_rate() -> None:
    """The autocorrelation of a first-order process is exp(-t / tau)."""
    for rate in (10.0, 40.0):
        noise = PoseNoise(**PLAIN, bias=0.0, slow=1.0, slow_s=0.5, small_px=0.0)
        found, _ = _run(tracks=25, seconds=40, rate_hz=rate, noise=noise)
        x = found[..., 9, 0] - found[..., 9, 0].mean()
        lag = round(0.5 * rate)
        correlation = (x[:, lag:] * x[:, :-lag]).mean() / (x**2).mean()
        assert correlation == pytest.approx(np.exp(-1), abs=0.06)


def test_variance_is_shared_out_between_bias_slow_and_fresh() -> None:
    noise = PoseNoise(**PLAIN, bias=0.5, slow=0.3, slow_s=0.3, small_px=0.0)
    found, _ = _run(tracks=200, seconds=20, rate_hz=10, noise=noise)
    x = found[..., 7, 1]  # an elbow's y
    total = x.var()
    assert x.mean(axis=1).var() / total == pytest.approx(0.5, abs=0.1)
    # Successive frames differ by the fresh part and what is forgotten of the slow one.
    changed = 2 * (0.2 + 0.3 * (1 - np.exp(-0.1 / 0.3)))
    assert (np.diff(x, axis=1) ** 2).mean() / total == pytest.approx(changed, rel=0.1)


def test_spells_have_their_share_and_their_length() -> None:
    noise = PoseNoise(**PLAIN | {"missed": 0.2}, missed_s=0.4)
    found, _ = _run(tracks=40, seconds=30, rate_hz=30, noise=noise)
    lost = (found[..., 2] == 0).all(axis=-1)
    assert lost.mean() == pytest.approx(0.2, abs=0.03)
    starts = (lost[:, 1:] & ~lost[:, :-1]).sum() + lost[:, 0].sum()
    # Segments of 0.4 s on average, of which one in five is lost; neighbours join: 0.4 / 0.8.
    assert lost.sum() / starts / 30 == pytest.approx(0.5, rel=0.15)
    assert (found[lost] == 0).all()


def test_swaps_exchange_left_and_right() -> None:
    noise = PoseNoise(**PLAIN | {"swapped": 0.3}, small=0.0, small_px=0.0)
    found, _ = _run(seconds=60, noise=noise)
    ankles = found[0, :, 15:, 0]
    swapped = ankles[:, 0] > ankles[:, 1]
    assert swapped.mean() == pytest.approx(0.3, abs=0.12)
    assert ankles[swapped][0] == pytest.approx(ankles[~swapped][0][::-1])


def test_people_of_whom_little_is_seen_are_not_found() -> None:
    truth = np.tile(UPRIGHT * 200 + [320, 100], (30, 1, 1))
    flags = np.full((30, 17), OUTSIDE, np.int8)
    flags[:15, :6] = SEEN
    flags[15:, :3] = SEEN
    found = estimated(
        np.random.default_rng(0),
        truth,
        flags,
        rate_hz=30,
        size=(640, 480),
        noise=PoseNoise(**PLAIN, least_seen=4),
    )
    assert (found[:15, :, 2] > 0).all()
    assert (found[15:] == 0).all()


def test_joints_outside_are_found_at_the_pictures_edge() -> None:
    truth = np.tile(UPRIGHT * 200 + [320, 100], (30, 1, 1))
    flags = np.full((30, 17), SEEN, np.int8)
    flags[:, 13:] = OUTSIDE
    found = estimated(
        np.random.default_rng(0),
        truth,
        flags,
        rate_hz=30,
        size=(640, 220),
        noise=PoseNoise(**PLAIN),
    )
    assert (truth[:, 13:, 1] > 240).all()
    assert (found[:, 13:, 1] < 240).all()
    assert found[:, 13:, 2].max() < found[:, :13, 2].min()


def test_the_same_seed_gives_the_same_poses() -> None:
    first, _ = _run(tracks=2)
    again, _ = _run(tracks=2)
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize(
    "wrong",
    [{"small": -0.1}, {"astray": float("nan")}, {"bias": 0.7, "slow": 0.4}, {"astray_s": 0.0}],
)
def test_wrong_figures_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="noise"):
        PoseNoise(**wrong)  # type: ignore[arg-type]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"expected joints \[T, 17, 2\]"):
        estimated(
            np.random.default_rng(0),
            np.zeros((3, 16, 2)),
            np.zeros((3, 16), np.int8),
            rate_hz=30,
            size=(64, 64),
            noise=PoseNoise(),
        )
