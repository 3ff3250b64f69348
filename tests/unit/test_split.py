# SPDX-License-Identifier: Apache-2.0
"""The split by subject and clip: nothing that hangs together is on both sides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from poseact_engine.errors import ConfigError
from poseact_engine.training.keypoints import (
    read_sequences,
)
from poseact_engine.training.split import group_of, groups_of, split_by_group
from poseact_engine.training.windows import cut_windows
from tests.poses import make_sequence


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("utkinect/s03_e01_walk", "utkinect/s03"),
        ("upfall/activity11_subject1_trial2cam1", "upfall/subject1_trial2"),
        ("upfall/activity6_subject1_trial2cam2", "upfall/subject1_trial2"),
        ("urfd/fall-07", "urfd/fall-07"),
        ("site/worker7-cam2", "site/worker7"),
        ("site/worker7_camera12", "site/worker7"),
        ("site/fall/Trial1Camera2", "site/fall/Trial1"),
        ("site/fall/cam2", "site/fall"),
    ],
)
def test_groups(name: str, group: str) -> None:
    assert group_of(name) == group


def test_groups_are_what_hangs_together_by_subject_or_clip() -> None:
    """Against the connected components of SciPy's graphs."""
    rng = np.random.default_rng(1)
    for count in (10, 40, 200):
        clips, subjects = rng.integers(0, count, (2, count)), rng.integers(0, 3 * count, count)
        known = rng.random((2, count)) < 0.8
        sequences = [
            replace(
                make_sequence([0.0], 0, name=f"s{i % 3}/take{i:03}-cam{i % 2}"),
                clip=str(clips[0, i]) if known[0, i] else None,
                subject=str(subjects[i]) if known[1, i] else None,
            )
            for i in range(count)
        ]
        same = np.zeros((count, count), dtype=bool)
        for i, a in enumerate(sequences):
            for j, b in enumerate(sequences):
                shared = [
                    x is not None and x == y for x, y in ((a.clip, b.clip), (a.subject, b.subject))
                ]
                bare = {a.clip, a.subject, b.clip, b.subject} == {None}
                same[i, j] = any(shared) or (bare and group_of(a.name) == group_of(b.name))
        _, expected = connected_components(csr_array(same), directed=False)
        found = groups_of(sequences)
        assert list(found) == [s.name for s in sequences]
        _, numbers = np.unique(list(found.values()), return_inverse=True)
        pairs = set(zip(expected.tolist(), numbers.tolist(), strict=True))
        assert len(pairs) == len(set(expected.tolist())) == len(set(numbers.tolist()))
        labels = {s.name: {i % 6} for i, s in enumerate(sequences)}
        split = split_by_group(labels, validation=0.3, seed=0, groups=found)
        assert not {found[n] for n in split.train} & {found[n] for n in split.validation}
        assert set(split.train) | set(split.validation) == set(labels)


def test_groups_of_what_tells_nothing_are_those_of_the_names() -> None:
    names = ["utkinect/s03_e01_walk", "utkinect/s03_e02_sit", "site/w-cam1", "site/w-cam2", "a/b"]
    found = groups_of([make_sequence([0.0], 0, name=n) for n in names])
    assert found == {n: group_of(n) for n in names}


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
