# SPDX-License-Identifier: Apache-2.0
"""Window normalisation against a float64 NumPy version with plain loops, and what it promises."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, ShapeError
from tests.poses import make_poses, random_windows

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.training.models.lstm import ActionLstm, LstmConfig
    from poseact_engine.training.normalise import (
        BodyNormaliser,
        PaperNormaliser,
        Standardise,
        make_normaliser,
    )


def numpy_pose(pose: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """One pose [17, 3] with its unseen joints filled; None where nothing was seen."""
    seen = [k for k in range(17) if pose[k, 2] > 0]
    if not seen:
        return None

    def middle(joints: list[int]) -> NDArray[np.float64] | None:
        found = [pose[k, :2] for k in joints if k in seen]
        return np.mean(found, axis=0) if found else None

    shoulders, hips, centre = middle([5, 6]), middle([11, 12]), middle(list(range(17)))
    out = np.empty((17, 2))
    for k in range(17):
        order = [shoulders, hips, centre] if k <= 10 else [hips, shoulders, centre]
        out[k] = pose[k, :2] if k in seen else next(a for a in order if a is not None)
    return out


def numpy_body(window: NDArray[np.float32]) -> NDArray[np.float64]:
    """One window [9, 17, 3] to [9, 34]."""
    poses = [numpy_pose(p) for p in window.astype(np.float64)]
    known = [p for p in poses if p is not None]
    if not known:
        return np.zeros((9, 34))
    mean_pose = np.mean(known, axis=0)
    filled = np.stack([mean_pose if p is None else p for p in poses])
    hip = filled[:, [11, 12]].mean(axis=(0, 1))
    heights = [max(np.ptp(p[:, 0]), np.ptp(p[:, 1])) for p in filled]
    return np.clip((filled - hip) / max(np.median(heights), 1.0), -3, 3).reshape(9, 34)


def body(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = BodyNormaliser()(torch.from_numpy(windows)).numpy()
    return found


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), missing=st.floats(0, 1), empty=st.floats(0, 1))
def test_it_equals_numpy_whatever_is_unseen(seed: int, missing: float, empty: float) -> None:
    rng = np.random.default_rng(seed)
    windows = random_windows(4, seed=seed)
    windows[rng.random(windows.shape[:3]) < missing] = 0
    windows[rng.random(windows.shape[:2]) < empty] = 0
    expected = np.stack([numpy_body(w) for w in windows])
    np.testing.assert_allclose(body(windows), expected, atol=2e-4)


@pytest.mark.parametrize(
    ("gone", "joint", "goes_to"),
    [
        ([9], 9, [5, 6]),  # a wrist hangs on the shoulders
        ([5, 9], 9, [6]),  # on the one that was seen
        ([5, 6, 9], 9, [11, 12]),  # else on the hips
        ([15], 15, [11, 12]),  # an ankle hangs on the hips
        ([11, 12, 15], 15, [5, 6]),  # else on the shoulders
        ([5, 6, 11, 12, 15], 15, [0, 1, 2, 3, 4, 7, 8, 9, 10, 13, 14, 16]),  # else on all
    ],
)
def test_an_unseen_joint_goes_where_the_docstring_says(
    gone: list[int], joint: int, goes_to: list[int]
) -> None:
    window = make_poses("walking", np.arange(9) / 30, seed=1)[None]
    window[:, :, gone] = 0
    xy = body(window).reshape(9, 17, 2)
    np.testing.assert_allclose(xy[:, joint], xy[:, goes_to].mean(axis=1), atol=1e-5)


def test_only_whether_a_joint_was_seen_counts_of_its_score() -> None:
    windows = random_windows(6, seed=2)
    weak = windows.copy()
    weak[..., 2] *= 0.01
    np.testing.assert_array_equal(body(windows), body(weak))


def test_an_empty_window_is_zero_and_an_empty_pose_the_mean_of_the_others() -> None:
    windows = random_windows(2, seed=5)
    windows[0] = 0
    windows[1, 4] = 0
    found = body(windows)
    assert not found[0].any()
    np.testing.assert_allclose(found[1, 4], np.delete(found[1], 4, axis=0).mean(axis=0), atol=1e-5)


def test_one_seen_joint_or_two_at_one_place_give_numbers() -> None:
    windows = np.zeros((2, 9, 17, 3), np.float32)
    windows[0, :, 3] = (1800.3, 700.7, 0.5)
    windows[1, 4, [5, 15]] = (1800.3, 700.7, 0.5)
    np.testing.assert_array_equal(body(windows), 0)


def test_who_lies_has_the_height_they_had_when_they_stood() -> None:
    times_s = np.zeros(9)
    upright = make_poses("standing", times_s, seed=4)[None]
    lying = upright.copy()
    lying[..., 0], lying[..., 1] = upright[..., 1], upright[..., 0]
    up, flat = (body(w).reshape(9, 17, 2) for w in (upright, lying))
    np.testing.assert_allclose(flat, up[..., ::-1], atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scale=st.floats(0.5, 3.0),
    shift=st.tuples(st.floats(-2000, 2000), st.floats(-2000, 2000)),
)
def test_shift_and_scale_change_no_probability(
    seed: int, scale: float, shift: tuple[float, float]
) -> None:
    torch.manual_seed(seed)
    model = ActionLstm(LstmConfig())
    with torch.no_grad():
        for weight in model.lstm.parameters():
            weight.mul_(3)  # as sharp as a trained network
    windows = random_windows(8, seed=seed)
    model.fit_standardise(torch.from_numpy(windows))
    moved = windows.copy()
    moved[..., :2] = (windows[..., :2].astype(np.float64) * scale + shift).astype(np.float32)
    moved[windows[..., 2] == 0] = 0
    before, after = (model.probabilities(torch.from_numpy(w)) for w in (windows, moved))
    assert (before - after).abs().max() <= 1e-4


def test_plain_pixels_of_the_paper_do_change() -> None:
    windows = random_windows(3, seed=0)
    found = PaperNormaliser()(torch.from_numpy(windows)).numpy()
    np.testing.assert_array_equal(found, windows[..., :2].reshape(3, 9, 34))


def test_standardise_gives_mean_0_and_deviation_1_and_spares_constants() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(3, 7, (50, 9, 4)).astype(np.float32)
    features[..., 3] = 5
    standardise = Standardise(4)
    standardise.fit(torch.from_numpy(features))
    found = standardise(torch.from_numpy(features)).numpy().reshape(-1, 4)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0), [1, 1, 1, 0], atol=1e-5)


@pytest.mark.parametrize("shape", [(9, 17, 3), (2, 8, 17, 3), (2, 9, 16, 3), (2, 9, 17, 2)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="expected windows"):
        BodyNormaliser()(torch.zeros(shape))


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="'body' or 'paper', got 'bodies'"):
        make_normaliser("bodies")
