# SPDX-License-Identifier: Apache-2.0
"""What training draws, how it changes what it drew, and how it counts: on made people."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from poseact_engine.errors import ConfigError
from poseact_engine.training.metrics import score
from tests.poses import make_poses, random_windows

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.training import report
    from poseact_engine.training.augment import AugmentConfig, augment
    from poseact_engine.training.windows import WindowSet, balance

NOTHING = {
    "graft_face": 0.0,
    "drop_eyes_and_ears": 0.0,
    "drop_face": 0.0,
    "drop_joint": 0.0,
    "miss_joint": 0.0,
    "swing_arm": 0.0,
    "mirror": 0.0,
    "rotate_deg": 0.0,
    "stretch": 0.0,
    "shape_noise": 0.0,
    "pose_noise": 0.0,
}


def window_set(labels: list[int], names: list[str]) -> WindowSet:
    return WindowSet(
        poses_px=random_windows(len(labels), seed=0),
        labels=np.array(labels),
        sequence=np.arange(len(labels)),
        end_s=np.zeros(len(labels)),
        names=tuple(names),
    )


def test_classes_are_drawn_alike_and_sources_alike_within_a_class() -> None:
    windows = window_set([0, 0, 0, 0, 2], ["a/1", "a/2", "a/3", "b/1", "a/4"])
    np.testing.assert_allclose(balance(windows), [1 / 12, 1 / 12, 1 / 12, 1 / 4, 1 / 2])


def augmented(windows: np.ndarray, seed: int = 0, **options: float) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    config = AugmentConfig(**(NOTHING | options))
    return augment(torch.from_numpy(windows), config, generator).numpy()


def test_without_any_chance_nothing_changes() -> None:
    windows = random_windows(8, seed=0)
    before = windows.copy()
    np.testing.assert_allclose(augmented(windows), windows, atol=1e-3)
    augmented(windows, **dict.fromkeys(NOTHING, 0.5))
    np.testing.assert_array_equal(windows, before)


def test_mirrored_twice_is_the_same_and_left_becomes_right() -> None:
    windows = random_windows(8, seed=1)
    once = augmented(windows, mirror=1.0)
    np.testing.assert_allclose(augmented(once, mirror=1.0), windows, atol=1e-2)
    np.testing.assert_array_equal(once[..., 9, 1], windows[..., 10, 1])  # wrists keep their height
    np.testing.assert_array_equal(once[..., 2], windows[..., [0, 2, 1, *swapped(3)], 2])


def swapped(first: int) -> list[int]:
    return [k + 1 if (k - first) % 2 == 0 else k - 1 for k in range(first, 17)]


def test_unseen_joints_stay_unseen() -> None:
    windows = random_windows(8, seed=2)
    found = augmented(windows, mirror=0.0, rotate_deg=20, stretch=0.2, shape_noise=0.1)
    unseen = windows[..., 2] == 0
    assert unseen.any()
    np.testing.assert_array_equal(found[unseen], 0)
    assert np.abs(found - windows)[~unseen].max() > 1


def test_arms_swing_about_their_shoulders_and_keep_their_lengths() -> None:
    windows = random_windows(40, seed=6)
    windows[..., 2] = 0.5
    windows[:20, :, 6] = 0  # without a shoulder the right arm stays
    found = augmented(windows, swing_arm=1.0)
    others = [k for k in range(17) if k not in (7, 8, 9, 10)]
    np.testing.assert_allclose(found[:, :, others], windows[:, :, others], atol=1e-2)
    np.testing.assert_allclose(found[:20, :, [8, 10]], windows[:20, :, [8, 10]], atol=1e-2)
    for a, b in ((5, 7), (7, 9), (5, 9)):
        lengths = [
            np.linalg.norm(w[:, :, a, :2] - w[:, :, b, :2], axis=-1) for w in (windows, found)
        ]
        np.testing.assert_allclose(lengths[1], lengths[0], atol=1e-2)
    moved = np.linalg.norm(found[20:, :, [9, 10], :2] - windows[20:, :, [9, 10], :2], axis=-1)
    assert (moved.max(axis=1) > 5).mean() > 0.9


def test_noise_is_in_pose_heights() -> None:
    times_s = np.zeros(9)
    windows = np.stack([make_poses("standing", times_s, seed=i) for i in range(200)])
    size = np.ptp(windows[..., 1], axis=(1, 2))
    moved = augmented(windows, pose_noise=0.02) - windows
    np.testing.assert_allclose((moved[..., 0] / size[:, None, None]).std(), 0.02, rtol=0.05)
    fixed = augmented(windows, shape_noise=0.02) - windows
    np.testing.assert_allclose((fixed[..., 1] / size[:, None, None]).std(), 0.02, rtol=0.05)
    np.testing.assert_allclose(np.ptp(fixed[..., :2], axis=1), 0, atol=1e-3)  # same in all poses


def test_faces_are_dropped_in_every_class_as_often_as_asked() -> None:
    windows = random_windows(3000, seed=3)
    windows[..., 2] = 0.5
    found = augmented(windows, drop_face=0.2, drop_eyes_and_ears=0.3)
    for label in range(6):  # made people come class by class in turn
        gone = found[label::6, :, :, 2] == 0
        np.testing.assert_allclose(gone[:, :, 0].mean(), 0.2, atol=0.06)
        np.testing.assert_allclose(gone[:, :, 1:5].mean(), 1 - 0.8 * 0.7, atol=0.07)
        assert not gone[:, :, 5:].any()


def test_a_bare_face_gets_the_eyes_and_ears_of_another_at_its_own_nose() -> None:
    times_s = np.zeros(9)
    bare, whole = (make_poses("standing", times_s, seed=i)[None] for i in (0, 1))
    bare[:, :, 1:5] = 0
    found = augmented(np.concatenate([bare, whole]), graft_face=1.0)
    offsets = [f[:, 1:5, :2] - f[:, :1, :2] for f in found]
    sizes = [np.ptp(w[0, :, [0, *range(5, 17)], 1]) for w in (bare, whole)]
    np.testing.assert_allclose(offsets[0] / sizes[0], offsets[1] / sizes[1], atol=0.01)
    np.testing.assert_array_equal(found[0, :, 1:5, 2], whole[0, :, 1:5, 2])
    np.testing.assert_array_equal(found[1], whole[0])


@pytest.mark.parametrize("options", [{"mirror": 1.5}, {"drop_face": -0.1}, {"pose_noise": -1}])
def test_wrong_amounts_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"augment.{next(iter(options))}"):
        AugmentConfig(**options)


# ---------------------------------------------------------------- scores


def test_scores_count_by_source() -> None:
    truth, said = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1])
    found = score(truth, said, np.array(["a", "b", "b", "a", "a"]), classes=3)
    assert found.by_source["a"].tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert found.by_source["b"].tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert found.accuracy == pytest.approx(4 / 5)
    assert found.macro == pytest.approx((2 / 3 + 1) / 2)  # class 2 has no window
    assert np.isnan(score(truth[:0], said[:0], np.array([], dtype=str), classes=3).macro)


def test_warnings_name_what_the_numbers_cannot_tell() -> None:
    windows = window_set([0, 0, 1, 2], ["a/1", "b/1", "a/2", "b/2"])
    held_out = windows.select(np.array([0, 2]))
    found = report.warnings(windows, held_out, ("zero", "one", "two", "three"))
    assert [w.split(" ")[0] for w in found] == ["one", "two", "two", "three"]
    assert "one comes from a alone" in found[0]
    assert "two has no held-out window" in found[2]
    nothing = windows.select(np.zeros(0, dtype=np.int64))
    assert "nothing was held out" in report.warnings(windows, nothing, ("zero", "one", "two"))[-1]
