# SPDX-License-Identifier: Apache-2.0
"""Splits of windows, and what is done to test windows, against NumPy by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.reproduce.changes import (
    MIRROR,
    at_rate,
    changes,
    drop_joints,
    hide_joints,
    jitter,
    mirror,
    scale,
    shift,
)
from poseact_engine.evaluation.reproduce.data import (
    SPAN_S,
    DataSet,
    draw,
    honest_sides,
    make_data_set,
    paper_sides,
)
from poseact_engine.training.keypoints import PoseSequence
from poseact_engine.training.windows import WindowSet
from tests.poses import CLASSES, make_poses, random_windows

SIZE = (640, 480)


def take(label: int, number: int, *, seconds: float = 1.5, fps: float = 30) -> PoseSequence:
    """Subject ``number`` does an action; a second camera sees the same."""
    times_s = np.arange(round(seconds * fps)) / fps
    return PoseSequence(
        name=f"made/{CLASSES[label]}-{number}",
        keypoints_px=make_poses(CLASSES[label], times_s, seed=100 * label + number),
        labels=np.full(len(times_s), label, dtype=np.int8),
        times_s=times_s,
        size=SIZE,
        clip=f"clip{label}-{number}",
        camera="a",
        subject=f"subject{number}",
    )


@pytest.fixture(scope="module")
def data() -> DataSet:
    takes = [take(label, number) for label in range(6) for number in range(5)]
    seen_twice = [replace(t, name=f"{t.name}-b", camera="b") for t in takes]
    strangers = [  # of the clip alone their subject can be told
        replace(t, name=f"{t.name}-c", camera="c", subject=None) for t in takes[::3]
    ]
    return make_data_set("made", [*takes, *seen_twice, *strangers], seed=0)


def keys(windows: WindowSet) -> set[tuple[str, float]]:
    names = np.array(windows.names)[windows.sequence]
    return {(str(n), float(e)) for n, e in zip(names, windows.end_s, strict=True)}


def test_the_papers_split_deals_windows_eight_to_two_and_shares_their_frames(
    data: DataSet,
) -> None:
    sides = paper_sides(data, max_windows=10_000, seed=0)
    assert len(sides.train) + len(sides.test) == len(data.windows)
    assert len(sides.test) == round(0.2 * len(data.windows))
    assert not keys(sides.train) & keys(sides.test)
    assert sides.shared() > 0.99
    again, other = (paper_sides(data, max_windows=10_000, seed=s) for s in (0, 1))
    assert keys(again.test) == keys(sides.test)
    assert keys(other.test) != keys(sides.test)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("most", [300, 10_000])
def test_nobody_and_no_clip_is_on_both_honest_sides(data: DataSet, seed: int, most: int) -> None:
    one = make_data_set("made", data.sequences, seed=seed)
    sides = honest_sides(one, max_windows=most, seed=seed)
    by_name = {s.name: s for s in one.sequences}
    subjects, clips = [], []
    for windows in (sides.train, sides.test):
        found = [by_name[windows.names[i]] for i in np.unique(windows.sequence)]
        subjects.append({s.subject for s in found if s.subject})
        clips.append({s.clip for s in found})
        assert found
    assert not subjects[0] & subjects[1]
    assert not clips[0] & clips[1]
    assert sides.shared() == 0
    assert len(sides.train) + len(sides.test) <= most


def test_shared_frames_are_counted_by_time(data: DataSet) -> None:
    sides = paper_sides(data, max_windows=200, seed=3)
    names = [np.array(w.names)[w.sequence] for w in (sides.train, sides.test)]
    shared = 0
    for name, end_s in zip(names[1], sides.test.end_s, strict=True):
        ends = sides.train.end_s[names[0] == name]
        shared += bool((np.abs(ends - end_s) <= SPAN_S).any())
    assert sides.shared() == pytest.approx(shared / len(sides.test))
    assert 0 < sides.shared() < 1


def test_rare_classes_stay_whole_when_windows_are_drawn() -> None:
    count = np.array([5, 40, 0, 400, 41, 39])
    labels = np.repeat(np.arange(6), count)
    windows = WindowSet(
        poses_px=np.zeros((len(labels), 9, 17, 3), np.float32),
        labels=labels,
        sequence=np.zeros(len(labels), dtype=np.int64),
        end_s=np.arange(len(labels), dtype=np.float64),
        names=("made/a",),
    )
    drawn = draw(windows, 200, 0)
    # 5 + 39 are fewer than an equal share; what they leave goes to the others: (200 - 44) / 4 > 40
    assert np.bincount(drawn.labels, minlength=6).tolist() == [5, 40, 0, 75, 41, 39]
    assert (np.diff(drawn.end_s) > 0).all()
    assert keys(draw(windows, 200, 0)) == keys(drawn) != keys(draw(windows, 200, 1))
    assert len(draw(windows, 1000, 0)) == len(windows)


def test_a_data_set_needs_two_actions_and_somebody_to_hold_out() -> None:
    with pytest.raises(ConfigError, match="two actions or more, got only walking in 2"):
        make_data_set("x", [take(2, 0), take(2, 1)], seed=0)
    unknown = replace(take(2, 0), labels=np.full(45, -1, dtype=np.int8))
    with pytest.raises(ConfigError, match="got no labelled window in 1 sequences"):
        make_data_set("x", [unknown], seed=0)
    with pytest.raises(ConfigError, match="can be held out; got one of each"):
        make_data_set("x", [take(1, 0), take(2, 0)], seed=0)


@pytest.fixture(scope="module")
def windows() -> NDArray[np.float32]:
    return random_windows(60, seed=5)


def sizes(count: int) -> NDArray[np.int64]:
    return np.stack([np.arange(count) + 600, np.full(count, 480)], axis=1)


def test_a_mirror_swaps_sides_and_turns_the_picture(windows: NDArray[np.float32]) -> None:
    turned = mirror(windows, sizes(len(windows)))
    for w, t, k in np.ndindex(windows.shape[:3]):
        x, y, score = windows[w, t, k]
        expected = (600 + w - 1 - x, y, score) if score > 0 else (0, 0, 0)
        np.testing.assert_allclose(turned[w, t, MIRROR[k]], expected, rtol=1e-6)
    np.testing.assert_allclose(mirror(turned, sizes(len(windows))), windows, atol=1e-3)


def test_shift_and_scale_move_what_is_seen(windows: NDArray[np.float32]) -> None:
    seen = windows[..., 2] > 0
    width = sizes(len(windows))[:, 0, None, None]
    moved = shift(windows, sizes(len(windows)), -0.25)
    expected = np.where(seen, windows[..., 0].astype(np.float64) - 0.25 * width, 0.0)
    np.testing.assert_allclose(moved[..., 0], expected, rtol=1e-6, atol=1e-4)
    np.testing.assert_array_equal(moved[..., 1:], windows[..., 1:])
    larger = scale(windows, 3.0)
    np.testing.assert_array_equal(larger[..., :2], windows[..., :2] * np.float32(3))
    np.testing.assert_array_equal(larger[..., 2], windows[..., 2])


def test_joints_are_dropped_for_whole_windows_and_hidden_by_name() -> None:
    windows = np.ones((4000, 9, 17, 3), np.float32)
    left = drop_joints(windows, 0.3, np.random.default_rng(0))[..., 2]
    assert set(np.unique(left)) == {0.0, 1.0}
    assert (left == left[:, :1]).all()
    assert 1 - left.mean() == pytest.approx(0.3, abs=4 * (0.21 / (4000 * 17)) ** 0.5)
    hidden = hide_joints(windows, (13, 16))
    assert not hidden[:, :, [13, 16]].any()
    assert hidden.sum() == 4000 * 9 * 15 * 3


def test_jitter_is_a_share_of_the_poses_height(windows: NDArray[np.float32]) -> None:
    many = np.repeat(windows[:3], 300, axis=0)
    moved = jitter(many, 0.02, np.random.default_rng(0))
    seen = many[..., 2] > 0
    assert not moved[~seen].any()
    np.testing.assert_array_equal(moved[..., 2], many[..., 2])
    for number in range(3):
        window = windows[number].astype(np.float64)
        heights = [np.ptp(p[p[:, 2] > 0, :2], axis=0).max() for p in window]
        rows = slice(300 * number, 300 * (number + 1))
        far = (moved[rows].astype(np.float64) - many[rows])[..., :2][seen[rows]]
        assert far.std() == pytest.approx(0.02 * np.median(heights), rel=0.02)
        assert abs(far.mean()) < 0.01 * far.std() * 4


def test_a_window_in_which_nobody_is_seen_survives_every_change() -> None:
    nobody = np.zeros((2, 9, 17, 3), np.float32)
    for change in changes():
        changed = change.apply(nobody, sizes(2), np.random.default_rng(0))
        assert changed.dtype == np.float32, change
        assert not changed.any(), change


def test_a_slower_camera_sees_some_of_the_frames() -> None:
    sequence = take(2, 0, seconds=3.0)
    labels = (np.arange(90) % 6).astype(np.int8)
    slower = at_rate(replace(sequence, labels=labels), 10)
    np.testing.assert_array_equal(slower.times_s, sequence.times_s[::3])
    np.testing.assert_array_equal(slower.keypoints_px, sequence.keypoints_px[::3])
    np.testing.assert_array_equal(slower.labels, labels[::3])
    uneven = at_rate(sequence, 25)
    assert set(uneven.times_s) < set(sequence.times_s)
    assert len(uneven.times_s) == 75
    assert (np.abs(uneven.times_s - np.arange(75) / 25) <= 1 / 60 + 1e-9).all()


def test_a_faster_camera_sees_straight_lines_between_frames() -> None:
    sequence = take(2, 0, seconds=1.0)
    poses = sequence.keypoints_px.copy()
    poses[10, 5] = 0  # one joint, unseen in one frame
    faster = at_rate(replace(sequence, keypoints_px=poses), 60)
    assert len(faster.times_s) == 59
    for joint in range(17):
        for axis in (0, 1):
            expected = np.interp(faster.times_s, sequence.times_s, poses[:, joint, axis])
            got = faster.keypoints_px[:, joint, axis]
            whole = np.ones(59, dtype=bool)
            if joint == 5:
                whole[[19, 20, 21]] = False
                assert not got[[19, 20, 21]].any()
            np.testing.assert_allclose(got[whole], expected[whole], rtol=1e-5)
    lower = np.minimum(poses[:-1, 0, 2], poses[1:, 0, 2])
    np.testing.assert_allclose(faster.keypoints_px[1::2, 0, 2], lower)


def test_nothing_is_made_up_across_a_long_gap() -> None:
    times_s = np.array([0.0, 0.1, 0.2, 0.3, 1.0, 1.1])
    sequence = replace(
        take(2, 0),
        keypoints_px=make_poses("walking", times_s, seed=0),
        labels=np.full(6, 2, dtype=np.int8),
        times_s=times_s,
    )
    faster = at_rate(sequence, 20)
    in_gap = (faster.times_s > 0.3 + 1e-6) & (faster.times_s < 1.0 - 1e-6)
    assert in_gap.sum() == 13
    assert not faster.keypoints_px[in_gap].any()
    assert (faster.keypoints_px[~in_gap, :, 2] > 0).all()
