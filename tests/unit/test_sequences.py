# SPDX-License-Identifier: Apache-2.0
"""Made pose sequences: what hides joints (against rays in space), and what a sequence promises."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.synthetic import FIRST_EVALUATION_SEED
from poseact_engine.synthetic.area import Area
from poseact_engine.synthetic.camera import Camera, random_camera
from poseact_engine.synthetic.motion import make_take
from poseact_engine.synthetic.noise import PoseNoise
from poseact_engine.synthetic.occlusion import hidden_by_body, hidden_by_things
from poseact_engine.synthetic.rig import HARMLESS, NO_FALL, RATE_HZ, RIG_JOINTS, Bone, Take
from poseact_engine.synthetic.scene import REPORTED_AFTER_S
from poseact_engine.synthetic.sequences import (
    MadeSequence,
    SequencesConfig,
    joints_at,
    pose_sequences,
)
from poseact_engine.training.keypoints import read_sequences, write_sequences
from poseact_engine.training.made_sequences import as_pose_sequence, training_sequences
from poseact_engine.types import ACTIONS, COCO_JOINTS

QUIET = SequencesConfig(noise=PoseNoise(strength=0, picky=0, least_seen=0))
Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def made() -> list[MadeSequence]:
    return list(pose_sequences(FIRST_EVALUATION_SEED, count=24))


@pytest.fixture(scope="module")
def take() -> Take:
    return make_take(np.random.default_rng(11), seconds=10, area=Area(-2, 2, -2, 2))


def _hidden_by_ray(bone: Bone, joints: Array, eye: Array, target: Array) -> bool:
    """Whether the way from the eye to a joint, without its last centimetres, enters a capsule."""
    share = np.linspace(0, 1, 400)[:, None]
    line = eye + share * (target - eye)
    line = line[np.linalg.norm(line - target, axis=1) > 0.02]
    a, b = joints[bone.a], joints[bone.b]
    along = np.clip((line - a) @ (b - a) / max(float((b - a) @ (b - a)), 1e-12), 0, 1)
    off = np.linalg.norm(line - a - along[:, None] * (b - a), axis=1)
    radius = bone.radius_a_m + along * (bone.radius_b_m - bone.radius_a_m)
    return bool((off < radius).any())


def _own(bone: Bone, joint: str) -> bool:
    """Bones that a joint is a part of, or lies on: no ray leaves it without crossing them."""
    ends = {RIG_JOINTS[bone.a], RIG_JOINTS[bone.b]}
    if joint in ends:
        return True
    trunk = bone.part in ("torso", "neck")
    return (trunk or bone.part == "head") and joint in (*COCO_JOINTS[:7], "left_hip", "right_hip")


def test_limbs_hide_what_lies_behind_them(take: Take) -> None:
    """Arms and legs (the joints from the elbows on, hips left out) against rays through all bones;
    the picture's capsules are not quite those in space, so nine of ten must agree both ways."""
    rng = np.random.default_rng(2)
    both = ours_alone = rays_alone = 0
    for _ in range(6):
        camera = random_camera(rng, (640, 480), Area(-2, 2, -2, 2))
        joints = take.joints_m[rng.integers(0, len(take.joints_m), 12)].astype(np.float64)
        xy, depth = camera.project(joints)
        ours = hidden_by_body(take.body.bones, xy, depth, focal_px=camera.focal_px)
        eye = np.array(camera.position_m)
        for t, pose in enumerate(joints):
            for k in (7, 8, 9, 10, 13, 14, 15, 16):
                ray = any(
                    _hidden_by_ray(bone, pose, eye, pose[k])
                    for bone in take.body.bones
                    if not _own(bone, COCO_JOINTS[k])
                )
                both += ray and ours[t, k]
                ours_alone += ours[t, k] and not ray
                rays_alone += ray and not ours[t, k]
    assert both > 20
    assert ours_alone <= 0.2 * both
    assert rays_alone <= 0.35 * both


def test_a_far_shoulder_is_hidden_from_the_side_and_none_from_the_front(take: Take) -> None:
    """Whoever stands with the left side to the camera shows the left arm."""
    upright = take.joints_m[0].astype(np.float64)
    across = upright[5, :2] - upright[6, :2]
    left = across / np.linalg.norm(across)
    seen: dict[str, NDArray[np.bool_]] = {}
    for name, direction in (("left", left), ("right", -left)):
        eye = upright[:17, :2].mean(axis=0) + 6 * direction
        camera = Camera(
            position_m=(float(eye[0]), float(eye[1]), 1.2),
            yaw_rad=float(np.arctan2(direction[0], -direction[1])),
            pitch_rad=0.0,
            roll_rad=0.0,
            focal_px=600.0,
            size=(640, 480),
        )
        xy, depth = camera.project(upright[None])
        assert depth.min() > 5
        hidden = hidden_by_body(take.body.bones, xy, depth, focal_px=600.0)[0]
        seen[name] = ~hidden
    assert seen["left"][5]
    assert seen["right"][6]
    assert seen["left"][5:11:2].sum() + seen["right"][6:11:2].sum() >= 5


def test_things_hide_the_lower_part_or_a_stripe() -> None:
    xy = np.tile(np.stack([np.linspace(0, 40, 17), np.linspace(0, 200, 17)], axis=1), (50, 1, 1))
    xy[..., 0] += np.linspace(0, 300, 50)[:, None]
    shares = []
    for seed in range(200):
        hidden = hidden_by_things(np.random.default_rng(seed), xy)
        shares.append(hidden.mean())
        assert hidden.shape == (50, 17)
    assert 0.02 < np.mean(shares) < 0.5
    assert np.max(shares) < 0.95


def test_joints_between_samples_lie_on_straight_lines(take: Take) -> None:
    times = np.array([0.0, 1.0 / RATE_HZ, 1.25 / RATE_HZ, take.seconds])
    joints = joints_at(take, times)
    np.testing.assert_allclose(joints[0], take.joints_m[0], atol=1e-6)
    np.testing.assert_allclose(joints[1], take.joints_m[1], atol=1e-6)
    between = 0.75 * take.joints_m[1].astype(float) + 0.25 * take.joints_m[2].astype(float)
    np.testing.assert_allclose(joints[2], between, atol=1e-6)
    np.testing.assert_allclose(joints[3], take.joints_m[-1], atol=1e-6)


def test_sequences_are_what_a_keypoint_file_holds(made: list[MadeSequence], tmp_path: Path) -> None:
    write_sequences(tmp_path / "made.npz", [as_pose_sequence(s) for s in made])
    again = {s.name: s for s in read_sequences([tmp_path / "made.npz"])}
    assert len(again) == len(made)
    for sequence in made:
        np.testing.assert_array_equal(again[sequence.name].keypoints_px, sequence.keypoints_px)
        assert again[sequence.name].clip == sequence.clip
        assert again[sequence.name].camera == sequence.camera
        assert again[sequence.name].subject == sequence.subject


def test_sequences_vary_and_keep_to_their_ranges(made: list[MadeSequence]) -> None:
    config = SequencesConfig()
    for s in made:
        rate = 1 / np.diff(s.times_s).mean()
        assert min(abs(rate - r) for r in config.rates_hz) < 1e-6
        assert config.seconds[0] - 0.2 <= s.seconds <= config.seconds[1]
        assert s.size in config.sizes
        assert set(s.labels.tolist()) <= {HARMLESS, NO_FALL, *range(len(ACTIONS))}
        missed = (s.keypoints_px[..., 2] == 0).all(axis=1)
        assert (s.keypoints_px[missed] == 0).all()
    assert len({s.size for s in made}) >= 3
    assert len({round(1 / np.diff(s.times_s).mean(), 2) for s in made}) >= 5
    assert len({s.clip for s in made}) == len(made) / config.cameras
    found = np.concatenate([(s.keypoints_px[..., 2] > 0).any(axis=1) for s in made])
    assert found.mean() > 0.8  # people are mostly in the picture


def test_falls_have_the_label_and_time_to_be_reported(made: list[MadeSequence]) -> None:
    falls = [(s, fall) for s in made for fall in s.falls]
    assert falls
    falling = ACTIONS.index("falling_down")
    for s, fall in falls:
        assert 0 <= fall.start_s < fall.end_s <= s.times_s[-1] - REPORTED_AFTER_S
        step = s.times_s[1]
        inside = (s.times_s > fall.start_s + step) & (s.times_s < fall.end_s - step)
        assert (s.labels[inside] == falling).all()


def test_a_seed_gives_the_same_sequences_however_many_are_asked_for() -> None:
    few, more = (list(pose_sequences(7, count=count)) for count in (3, 5))
    for a, b in zip(few, more, strict=False):
        assert (a.name, a.size) == (b.name, b.size)
        np.testing.assert_array_equal(a.keypoints_px, b.keypoints_px)
    (other,) = pose_sequences(8, count=1)
    assert (
        other.keypoints_px.shape != few[0].keypoints_px.shape
        or (other.keypoints_px != few[0].keypoints_px).any()
    )


def test_hours_are_made_of_whole_sequences() -> None:
    made = list(pose_sequences(3, hours=0.03))
    seconds = [s.seconds for s in made]
    assert sum(seconds[:-1]) < 0.03 * 3600 <= sum(seconds)


def test_cameras_see_one_take() -> None:
    """The same labels at the same times, from different places."""
    a, b = islice(pose_sequences(5, count=2, config=QUIET), 2)
    assert a.clip == b.clip
    assert a.camera != b.camera
    at = [np.searchsorted(s.times_s, 3.0) for s in (a, b)]
    near = abs(a.times_s[at[0]] - b.times_s[at[1]])
    assert near < 0.11
    assert a.falls == b.falls or a.falls[: len(b.falls)] == b.falls


def test_training_seeds_end_where_those_for_measuring_begin() -> None:
    assert len(list(training_sequences(5, hours=0.002))) == 1
    with pytest.raises(ConfigError, match="are for measuring"):
        training_sequences(FIRST_EVALUATION_SEED, hours=0.002)


@pytest.mark.parametrize("wrong", [{}, {"count": 1, "hours": 1.0}, {"count": -1}, {"hours": -1.0}])
def test_wrong_amounts_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="pose_sequences"):
        pose_sequences(0, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": (5.0, 4.0)},
        {"rates_hz": (120.0,)},
        {"rates_hz": ()},
        {"cameras": 0},
        {"overhead": 1.5},
        {"distance_m": (0.0, 3.0)},
    ],
)
def test_wrong_ranges_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="sequences"):
        SequencesConfig(**wrong)
