# SPDX-License-Identifier: Apache-2.0
"""Keypoint files, windows and their labels, and the split: on made sequences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.files import file_sha256
from poseact_engine.training.keypoints import (
    PoseSequence,
    exclude_sequences,
    read_sequences,
)
from poseact_engine.training.split import group_of, split_by_group
from poseact_engine.training.windows import cut_windows, join_windows, label_windows
from tests.poses import make_poses, write_sequences


def make_sequence(
    times_s: Any, labels: Any, *, name: str = "made/one", action: str = "walking"
) -> PoseSequence:
    times = np.asarray(times_s, dtype=np.float64)
    return PoseSequence(
        name=name,
        keypoints_px=make_poses(action, times, seed=0),
        labels=np.broadcast_to(np.asarray(labels, dtype=np.int8), times.shape).copy(),
        times_s=times,
        size=(640, 480),
    )


# ---------------------------------------------------------------- files


def test_what_was_written_is_read(tmp_path: Path) -> None:
    arrays = write_sequences(tmp_path / "a.npz", takes=1)
    sequences = read_sequences([tmp_path / "a.npz"])
    assert [s.name for s in sequences] == sorted({k.rsplit("/", 1)[0] for k in arrays})
    first = sequences[0]
    assert (first.name, first.source, first.size) == ("made/carrying-0", "made", (640, 480))
    np.testing.assert_array_equal(first.keypoints_px, arrays["made/carrying-0/keypoints"])
    np.testing.assert_array_equal(first.labels, 0)
    assert len(file_sha256(tmp_path / "a.npz")) == 64


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("labels", None, "array made/walking-0/labels, it is missing"),
        ("labels", lambda a: a.astype(np.int64), "expected labels int8 .* got int64"),
        ("labels", lambda a: a + np.int8(6), "expected labels from -1 to 5, got"),
        ("labels", lambda a: a[:, None], "expected keypoints float32"),
        (
            "keypoints",
            lambda a: a[:, :16],
            r"float32 \[45, 17, 3\], got float32",
        ),
        ("keypoints", lambda a: a.astype(np.float64), "got float64"),
        ("keypoints", lambda a: a * np.nan, "keypoints must be finite"),
        ("keypoints", lambda a: -a, "scores of 0 or more"),
        ("times_s", lambda a: a[:-1], r"expected times_s float64 \[45\], got float64 \[44\]"),
        ("times_s", lambda a: a[::-1].copy(), "strictly increasing"),
        ("times_s", lambda a: a * np.inf, "must be finite"),
        ("size", lambda a: a * np.int32(0), "width and height of 1 or more"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_wrong_sequence_is_named(tmp_path: Path, field: str, change: Any, message: str) -> None:
    arrays = write_sequences(tmp_path / "good.npz", takes=1)
    key = f"made/walking-0/{field}"
    if change is None:
        del arrays[key]
    else:
        arrays[key] = change(arrays[key])
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(SourceError, match=message) as error:
        read_sequences([tmp_path / "bad.npz"])
    assert "bad.npz, sequence 'made/walking-0'" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_nobody_is_told_to_load_it_unsafely(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="got a file that is none") as error:
        read_sequences([path])
    assert "pickle" not in str(error.value)
    with pytest.raises(SourceError, match="cannot read it: Is a directory"):
        read_sequences([tmp_path])


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_keypoint_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=re.escape(str(path))):
        read_sequences([path])


def test_a_lone_array_an_empty_archive_and_no_file_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "none.npz")
    for name, message in (("one.npy", "npz"), ("none.npz", "no sequence"), ("gone", "no such")):
        with pytest.raises(SourceError, match=message):
            read_sequences([tmp_path / name])


def test_two_files_must_not_share_a_sequence(tmp_path: Path) -> None:
    write_sequences(tmp_path / "a.npz", takes=1)
    write_sequences(tmp_path / "b.npz", takes=1, source="other")
    assert len(read_sequences([tmp_path / "a.npz", tmp_path / "b.npz"])) == 12
    with pytest.raises(ConfigError, match="in two files"):
        read_sequences([tmp_path / "a.npz", tmp_path / "a.npz"])


def test_excluding_leaves_out_what_matches_and_refuses_what_matches_nothing() -> None:
    names = ["urfd/fall-01", "urfd/fall-02", "urfd/adl-01"]
    sequences = [make_sequence([0.0], 0, name=n) for n in names]
    left = exclude_sequences(sequences, ["urfd/fall-*", "urfd/fall-01"])
    assert [s.name for s in left] == ["urfd/adl-01"]
    with pytest.raises(ConfigError, match=r"'urfd/fal-01' matches none of 3.*urfd/fall-01"):
        exclude_sequences(sequences, ["urfd/fal-01"])


# ---------------------------------------------------------------- windows


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


# ---------------------------------------------------------------- split


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("utkinect/s03_e01_walk", "utkinect/s03"),
        ("upfall/activity11_subject1_trial2cam1", "upfall/subject1_trial2"),
        ("upfall/activity6_subject1_trial2cam2", "upfall/subject1_trial2"),
        ("urfd/fall-07", "urfd/fall-07"),
        ("site/worker7-cam2", "site/worker7"),
        ("site/worker7_camera12", "site/worker7"),
    ],
)
def test_groups(name: str, group: str) -> None:
    assert group_of(name) == group


def made_labels() -> dict[str, set[int]]:
    labels: dict[str, set[int]] = {}
    for subject in range(1, 9):
        for take in (1, 2):
            for action, label in (("carry", 0), ("walk", 2), ("sit", None)):
                name = f"utkinect/s{subject:02}_e{take:02}_{action}"
                labels[name] = set() if label is None else {label}
    for trial in (1, 2):
        for camera in (1, 2):
            for activity, label in ((6, 2), (7, 4)):
                labels[f"upfall/activity{activity}_subject1_trial{trial}cam{camera}"] = {label}
    for clip in range(1, 21):
        labels[f"urfd/fall-{clip:02}"] = {1, 5}
    labels["urfd/adl-01"] = {5}
    return labels


@pytest.mark.parametrize("seed", range(8))
def test_no_subject_or_trial_is_on_both_sides_and_every_stratum_is(seed: int) -> None:
    labels = made_labels()
    split = split_by_group(labels, validation=0.25, seed=seed)
    sides = {side: {group_of(n) for n in getattr(split, side)} for side in ("train", "validation")}
    assert not sides["train"] & sides["validation"]
    assert set(split.train) | set(split.validation) == {n for n, found in labels.items() if found}
    for side in ("train", "validation"):
        strata = {(n.split("/")[0], v) for n in getattr(split, side) for v in labels[n]}
        assert strata == {
            ("utkinect", 0), ("utkinect", 2), ("upfall", 2), ("upfall", 4), ("urfd", 1), ("urfd", 5)
        }  # fmt: skip
    assert len([g for g in sides["validation"] if g.startswith("utkinect")]) == 2
    assert split == split_by_group(labels, validation=0.25, seed=seed)


def test_a_group_that_is_alone_in_its_stratum_is_trained_on() -> None:
    split = split_by_group({"a/x": {0}, "b/y-cam1": {1}, "b/y-cam2": {1}}, validation=0.5, seed=0)
    assert split.validation == ()


def test_nothing_is_held_out_when_nothing_is_asked_for() -> None:
    assert split_by_group(made_labels(), validation=0, seed=0).validation == ()
    with pytest.raises(ConfigError, match="validation"):
        split_by_group(made_labels(), validation=1, seed=0)


def test_the_real_data_is_split_by_person_with_every_class_on_both_sides(data_dir: Path) -> None:
    sequences = read_sequences([data_dir / "keypoints" / "real_poses.npz"])
    assert len(sequences) == 254
    windows = cut_windows(sequences).labelled()
    labels: dict[str, set[int]] = {name: set() for name in windows.names}
    for index, label in np.unique(np.stack([windows.sequence, windows.labels]), axis=1).T:
        labels[windows.names[index]].add(int(label))
    split = split_by_group(labels, validation=0.25, seed=0)
    assert not {group_of(n) for n in split.train} & {group_of(n) for n in split.validation}
    for side in (split.train, split.validation):
        assert {v for n in side for v in labels[n]} == set(range(6))
    cameras = [
        {n[-4:] for n in side if n.startswith("upfall/")}
        for side in (split.train, split.validation)
    ]
    assert cameras == [{"cam1", "cam2"}] * 2
