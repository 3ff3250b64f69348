# SPDX-License-Identifier: Apache-2.0
"""Windows of made sequences, and their labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poseact_engine.training.windows import cut_windows, join_windows, label_windows
from tests.poses import make_sequence


def test_frames_on_the_grid_are_taken_as_they_are() -> None:
    sequence = make_sequence(np.arange(12) / 30, np.arange(12) % 6)
    windows = cut_windows([sequence])
    assert len(windows) == 4  # 12 - 9 + 1
    for w in range(4):
        np.testing.assert_allclose(windows.poses_px[w], sequence.keypoints_px[w : w + 9], atol=1e-3)
    np.testing.assert_array_equal(windows.labels, np.arange(8, 12) % 6)
    np.testing.assert_allclose(windows.end_s, np.arange(8, 12) / 30)


@pytest.mark.parametrize("step_s", [1 / 18, 1 / 25, 0.2])
def test_other_rates_are_brought_to_the_grid(step_s: float) -> None:
    sequence = make_sequence(np.arange(0, 1.6, step_s), 2)
    windows = cut_windows([sequence])
    last = sequence.times_s[-1]
    assert len(windows) == int(last * 30 + 1e-6) + 1 - 8
    grid = windows.end_s[0] + (np.arange(9) - 8) / 30
    for joint in (0, 15):
        expected = np.interp(grid, sequence.times_s, sequence.keypoints_px[:, joint, 0])
        np.testing.assert_allclose(windows.poses_px[0, :, joint, 0], expected, atol=0.02)


def test_a_frame_without_a_person_is_bridged_and_a_long_gap_is_not() -> None:
    sequence = make_sequence(np.arange(60) / 30, 4)
    sequence.keypoints_px[10:13] = 0  # 0.13 s
    assert len(cut_windows([sequence])) == 52
    assert (cut_windows([sequence]).poses_px[..., 2] > 0).all()
    sequence.keypoints_px[30:45] = 0  # 0.53 s
    assert len(cut_windows([sequence])) == (30 - 8) + (15 - 8)


@pytest.mark.parametrize(
    ("end_s", "label"), [(1.00, 0), (1.09, 0), (1.10, 0), (1.11, 1), (1.2, 1), (1.31, 2)]
)
def test_a_windows_label_is_its_last_poses(end_s: float, label: int) -> None:
    sequence = make_sequence([0.8, 1.0, 1.2, 1.4], [5, 0, 1, 2])
    found = label_windows(np.array([end_s - 0.1]), np.array([end_s]), sequence)
    assert found.tolist() == [label]


def test_a_window_that_touches_an_unknown_frame_has_no_label() -> None:
    sequence = make_sequence([0.0, 0.2, 0.4, 0.6, 0.8], [-1, 1, 1, 1, -1])
    spans = [(0.1, 0.4), (0.2, 0.4), (0.3, 0.6), (0.3, 0.61), (0.2, 0.6)]
    start, end = (np.array(side) for side in zip(*spans, strict=True))
    assert label_windows(start, end, sequence).tolist() == [-1, 1, 1, -1, 1]


def test_a_harmless_window_is_one_that_ends_so_and_shows_nothing_abnormal() -> None:
    times = np.arange(8) / 10
    sequence = make_sequence(times, [1, -2, -2, 2, -2, -2, 5, -2])
    spans = [(0.1, 0.2), (0.0, 0.2), (0.2, 0.3), (0.1, 0.5), (0.4, 0.6), (0.5, 0.7), (0.7, 0.7)]
    start, end = (np.array(side) for side in zip(*spans, strict=True))
    assert label_windows(start, end, sequence).tolist() == [-2, -1, 2, -2, 5, -1, -2]
    sequence.labels[3] = -1
    assert label_windows(start, end, sequence).tolist() == [-2, -1, -1, -1, 5, -1, -2]


def test_a_window_of_no_fall_is_one_that_shows_some_of_it_and_nothing_of_a_fall() -> None:
    sequence = make_sequence(np.arange(8) / 10, [1, -3, -3, 5, 5, 1, -3, -1])
    spans = [(0.1, 0.2), (0.0, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (0.6, 0.7)]
    start, end = (np.array(side) for side in zip(*spans, strict=True))
    assert label_windows(start, end, sequence).tolist() == [-3, -1, -3, 5, 1, -1, -1]


def test_labels_of_random_windows_are_those_found_frame_by_frame() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.3, 200))
    sequence = make_sequence(times, rng.choice([-2, -2, -2, -1, 1, 2, 2, 5, -3], 200))
    start = rng.uniform(times[0], times[-1] - 1, 500)
    end = start + rng.uniform(0, 1, 500)
    for s, e, found in zip(start, end, label_windows(start, end, sequence), strict=True):
        rows = range((times <= s).nonzero()[0][-1], (times >= e).nonzero()[0][0] + 1)
        labels = sequence.labels[list(rows)].tolist()
        last = int(sequence.labels[np.abs(times - e).argmin()])
        unclear = -1 in labels or (last == -2 and {1, 5} & set(labels)) or {1, -3} <= set(labels)
        assert found == (-1 if unclear else -3 if -3 in labels else last)


def test_known_windows_are_those_of_an_action_and_of_what_is_ruled_out() -> None:
    times = np.arange(80) / 30
    sequence = make_sequence(times, np.repeat([2, -2, -1, -3], 20))
    windows = cut_windows([sequence])
    assert set(windows.labels) == {2, -2, -1, -3}
    assert set(windows.labelled().labels) == {2}
    assert set(windows.known().labels) == {2, -2, -3}
    assert windows.labels_by_name() == {"made/one": {2, -2, -1, -3}}
    assert cut_windows([]).labels_by_name() == {}
    few = cut_windows([sequence, replace(sequence, name="made/two")], every=5)
    assert len(few) == 2 * 15
    np.testing.assert_array_equal(few.end_s[:15], windows.end_s[::5])
    np.testing.assert_array_equal(few.poses_px[15:], windows.poses_px[::5])


def test_an_unknown_frame_without_a_person_counts_too() -> None:
    sequence = make_sequence(np.arange(12) / 30, 3)
    sequence.labels[4] = -1
    sequence.keypoints_px[4] = 0
    assert cut_windows([sequence]).labels.tolist() == [-1, -1, -1, -1]
    sequence.labels[4], sequence.labels[1] = 3, -1
    assert cut_windows([sequence]).labels.tolist() == [-1, -1, 3, 3]


def test_thinning_keeps_the_labels_and_the_span() -> None:
    sequence = make_sequence(np.arange(60) / 30, np.repeat([2, 4], 30))
    whole, thin = (cut_windows([sequence], thin_s=t, seed=1) for t in (None, (0.1, 0.2)))
    common = np.isin(whole.end_s.round(6), thin.end_s.round(6))
    assert len(thin) > 40
    np.testing.assert_array_equal(thin.labels, whole.labels[common])
    assert np.abs(thin.poses_px[..., :2] - whole.poses_px[common][..., :2]).max() > 1
    again = cut_windows([sequence], thin_s=(0.1, 0.2), seed=1)
    np.testing.assert_array_equal(thin.poses_px, again.poses_px)


def test_sets_are_joined_and_chosen_by_name() -> None:
    times = np.arange(12) / 30
    a, b = (make_sequence(times, i, name=f"s{i}/x") for i in (0, 1))
    both = join_windows([cut_windows([a]), cut_windows([b]), cut_windows([a])])
    assert both.sources().tolist() == ["s0"] * 4 + ["s1"] * 4 + ["s0"] * 4
    assert both.of(["s1/x"]).labels.tolist() == [1] * 4
    assert len(cut_windows([])) == 0
