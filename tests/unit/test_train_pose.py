# SPDX-License-Identifier: Apache-2.0
"""Training of the pose model: targets and loss against NumPy, joints on their pictures."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine import geometry
from poseact_engine.errors import ConfigError
from poseact_engine.types import COCO_SIGMAS

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.training import pose_data as data
    from poseact_engine.training.augment import MIRROR
    from poseact_engine.training.models.hrnet import HrnetConfig
    from poseact_engine.training.photometry import PhotometryConfig
    from poseact_engine.training.pictures import LabelledPicture, PictureSet, PictureStore
    from poseact_engine.training.pose import (
        PoseConfig,
        PoseJob,
        make_network,
        mean_oks,
        pck,
    )
    from poseact_engine.training.pose_target import heatmap_loss, make_targets
    from poseact_engine.training.trainer import Trainer, Watch
    from poseact_engine.training.trainer_config import TrainerConfig
    from tests.official_networks import one_thread

    one_thread = pytest.fixture(autouse=True, scope="module")(one_thread)

SIZE = (96, 64)
PLAIN = dict.fromkeys(("light", "colour", "grey", "blur", "noise", "jpeg"), 0.0)


def test_targets_are_gaussians_around_the_joints() -> None:
    joints = torch.tensor([[[17.0, 30.5, 2], [-3, 200, 2]]])
    maps = make_targets(joints, height=12, width=8, sigma=1.5).numpy()
    for k, y, x in itertools.product(range(2), range(12), range(8)):
        off = (x - float(joints[0, k, 0]) / 4) ** 2 + (y - float(joints[0, k, 1]) / 4) ** 2
        assert maps[0, k, y, x] == pytest.approx(np.exp(-off / (2 * 1.5**2)), abs=1e-6)


def test_the_loss_is_the_squared_error_of_known_joints() -> None:
    rng = np.random.default_rng(2)
    maps, targets = rng.normal(0, 1, (2, 3, 4, 6, 5))
    weights = rng.choice([0.0, 0.5, 1.0], (3, 4))
    want = ((maps - targets) ** 2).sum(axis=(2, 3))
    got = heatmap_loss(*(torch.from_numpy(v) for v in (maps, targets, weights)))
    assert float(got) == pytest.approx((want * weights).sum() / weights.sum(), rel=1e-5)
    nothing = heatmap_loss(*(torch.from_numpy(v) for v in (maps, targets, 0 * weights)))
    assert float(nothing) == 0


def test_hidden_joints_weigh_less_and_joints_outside_leave_no_mark(tmp_path: Path) -> None:
    pictures = write_dots(tmp_path, 1)
    config = PoseConfig(
        network=HrnetConfig(width=4), size=SIZE, hidden_weight=0.25,
        trainer=TrainerConfig(epochs=1, batch_size=1, lr=1e-3, optimiser="adam"),
    )  # fmt: skip
    some = PictureSet(file=tmp_path / "x", sha256="", pictures=tuple(pictures))
    job = PoseJob(make_network(config.network, 0), [some], config)
    nothing: Any = lambda crops: torch.zeros(len(crops), 17, SIZE[0] // 4, SIZE[1] // 4)  # noqa: E731
    job.net = nothing
    crops = torch.zeros(1, 3, *SIZE, dtype=torch.uint8)
    joints = torch.zeros(1, 17, 3)
    joints[0, 0] = torch.tensor([32.0, 40, 2])  # seen
    joints[0, 1] = torch.tensor([20.0, 60, 1])  # hidden
    joints[0, 2] = torch.tensor([90.0, 60, 2])  # seen, outside the crop
    joints[0, 3] = torch.tensor([20.0, 20, 0])  # not known
    of_one = sum(
        np.exp(-((x - 8) ** 2 + (y - 10) ** 2) / 2) ** 2
        for y, x in itertools.product(range(24), range(16))
    )
    of_other = sum(
        np.exp(-((x - 5) ** 2 + (y - 15) ** 2) / 2) ** 2
        for y, x in itertools.product(range(24), range(16))
    )
    got = job.losses((crops, joints), 1)["heatmap"]
    assert float(got) == pytest.approx((of_one + 0.25 * of_other) / 2.25, rel=1e-4)


# ---------------------------------------------------------------- pictures


def colour(joint: int) -> NDArray[np.uint8]:
    """BGR, far apart: three levels a channel, never black."""
    level = joint + 1
    return np.array([level % 3, level // 3 % 3, level // 9], np.uint8) * 120


def write_dots(folder: Path, count: int, *, seed: int = 0) -> list[LabelledPicture]:
    """People of 17 dots, each joint in its colour."""
    rng = np.random.default_rng(seed)
    found = []
    for n in range(count):
        picture = np.zeros((200, 240, 3), np.uint8)
        cells = rng.permutation(30)[:17]
        joints = np.stack([70 + 20 * (cells % 5), 30 + 24 * (cells // 5)], axis=1)
        joints = joints + rng.integers(-3, 4, joints.shape)
        for k, (x, y) in enumerate(joints.tolist()):
            cv2.circle(picture, (x, y), 5, colour(k).tolist(), -1)
        path = folder / f"{n}.png"
        cv2.imwrite(str(path), picture)
        found.append(
            LabelledPicture(
                path=path,
                id=n,
                boxes_px=np.array([[60, 15, 165, 170]], np.float32),
                crowd=np.zeros(1, np.bool_),
                joints_px=np.column_stack([joints, np.full(17, 2)])[None].astype(np.float32),
                areas_px=np.array([105 * 155], np.float32),
            )
        )
    return found


def examples(pictures: list[LabelledPicture], augment: Any, size: tuple[int, int]) -> Any:
    store = PictureStore(paths=[p.path for p in pictures])
    return data.PoseExamples(data.list_people(pictures), size=size, augment=augment, store=store)


@pytest.mark.parametrize("moved", [False, True])
def test_joints_stay_on_their_dots(tmp_path: Path, moved: bool) -> None:
    pictures = write_dots(tmp_path, 3)
    light = PhotometryConfig(**PLAIN)
    augment = data.PoseAugment(light=light, cover=0.0) if moved else None
    size = (192, 160)
    made = examples(pictures, augment, size)
    found = 0
    for index, draw in itertools.product(range(3), range(12 if moved else 1)):
        crop, joints = made.make(index, np.random.default_rng((index, draw)))
        bgr = crop.numpy()[::-1].transpose(1, 2, 0).astype(int)
        right = mirrored = 0
        for k, (x, y, _) in enumerate(joints.tolist()):
            if not (6 < x < size[1] - 7 and 6 < y < size[0] - 7):
                continue
            at = bgr[round(y), round(x)]
            right += bool(np.abs(at - colour(k)).max() < 50)
            mirrored += bool(np.abs(at - colour(MIRROR[k])).max() < 50)
            found += 1
            assert (np.abs(at - colour(k)).max() < 50) or (
                np.abs(at - colour(MIRROR[k])).max() < 50
            )
            near = np.abs(bgr - at).max(axis=2) < 50
            ys, xs = np.nonzero(near & _disc(size, x, y, 14))
            assert abs(xs.mean() - x) < 1.0
            assert abs(ys.mean() - y) < 1.0
        # A mirrored person's left is where the right was: all joints at once, or none.
        assert max(right, mirrored) >= 3 if moved else right == 17, (index, draw)
    assert found > 40


def _disc(size: tuple[int, int], x: float, y: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: size[0], : size[1]]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 < radius**2)


def test_crops_are_the_engines(tmp_path: Path) -> None:
    picture = write_dots(tmp_path, 1)[0]
    _, joints = examples([picture], None, SIZE).make(0, np.random.default_rng(0))
    window = geometry.pose_crops(
        picture.boxes_px, height=SIZE[0], width=SIZE[1], expansion=1.25, geometry="default"
    )
    back = geometry.keypoints_from_crops(joints.numpy()[None], window)
    np.testing.assert_allclose(back[0, :, :2], picture.joints_px[0, :, :2], atol=1e-3)


def test_turning_scaling_and_mirroring_keep_the_middle_and_are_what_they_say() -> None:
    matrix = data.crop_matrix(np.array([60, 15, 165, 170], np.float32), SIZE)
    turned = data.turned(matrix, SIZE, angle_rad=np.deg2rad(30), scale=1.2, mirror=True)
    middle = np.array([SIZE[1] / 2, SIZE[0] / 2, 1])
    np.testing.assert_allclose(turned @ middle, matrix @ middle)
    area = np.linalg.det(turned[:, :2]) / np.linalg.det(matrix[:, :2])
    assert area == pytest.approx(-1.44)
    step = turned[:, :2] @ [-1, 0]  # mirrored: the crop's left is the picture's right
    assert np.degrees(np.arctan2(step[1], step[0])) == pytest.approx(30)


def test_covered_joints_are_hidden_and_nothing_else_changes(tmp_path: Path) -> None:
    pictures = write_dots(tmp_path, 1)
    light = PhotometryConfig(**PLAIN)
    still = {"rotate": 0, "scale": 0, "shift": 0, "mirror": 0, "half_body": 0, "light": light}
    plain, joints = examples(pictures, None, SIZE).make(0, np.random.default_rng(0))
    hidden = 0
    for draw in range(10):
        made = examples(pictures, data.PoseAugment(**still, cover=1.0), SIZE)
        crop, covered = made.make(0, np.random.default_rng(draw))
        torch.testing.assert_close(covered[:, :2], joints[:, :2])
        changed = (crop != plain).any(dim=0).numpy()
        for (x, y, flag), k in zip(covered.tolist(), range(17), strict=True):
            column, row = round(x), round(y)
            if flag == 2 and 0 <= row < SIZE[0] and 0 <= column < SIZE[1]:
                assert not changed[row, column], k
            hidden += flag == 1
    assert hidden > 5


# ---------------------------------------------------------------- scores


def test_pck_and_oks_are_what_coco_says() -> None:
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(3)
    people, poses = [], []
    for _ in range(6):
        joints = np.column_stack([rng.uniform(0, 100, (17, 2)), rng.choice([0, 1, 2], 17)])
        box = np.array([0, 0, 80, 100], np.float32)
        people.append(
            data.Person(picture=0, box_px=box, joints_px=joints.astype(np.float32), area_px=4000.0)
        )
        pose = joints + rng.normal(0, 8, joints.shape)
        poses.append(np.column_stack([pose[:, :2], np.ones(17)]))
    found = np.array(poses, np.float32)
    want = []
    for pose, person in zip(found, people, strict=True):
        truth = {"keypoints": person.joints_px.ravel().tolist(), "bbox": [0, 0, 80, 100]}
        truth |= {"area": 4000.0, "id": 1}
        said = {"keypoints": pose.ravel().tolist(), "score": 1.0, "id": 1}
        judge = COCOeval(iouType="keypoints")
        judge.params.kpt_oks_sigmas = np.array(COCO_SIGMAS)
        judge._gts[1, 1], judge._dts[1, 1] = [truth], [said]
        want.append(float(judge.computeOks(1, 1)[0, 0]))
    assert mean_oks(found, people) == pytest.approx(np.mean(want), rel=1e-5)
    near = seen = 0
    for (pose, person), k in itertools.product(zip(found, people, strict=True), range(17)):
        if person.joints_px[k, 2] == 2:
            seen += 1
            near += bool(np.hypot(*(pose[k, :2] - person.joints_px[k, :2])) <= 10)
    assert pck(found, people) == pytest.approx(near / seen)


@pytest.mark.parametrize(
    "wrong",
    [{"rotate": 2}, {"scale": 1.0}, {"rotate_deg": 200}, {"cover_side": (0.5, 0.2)}],
)
def test_wrong_augmentation_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"augment.{next(iter(wrong))}"):
        data.PoseAugment(**wrong)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), 24.5, 1e7])
def test_targets_wider_than_the_map_are_refused(sigma: float) -> None:
    trainer = TrainerConfig(epochs=1, batch_size=1, lr=1e-3, optimiser="adam")
    with pytest.raises(ConfigError, match=r"--sigma: expected a number above 0, 24 at most"):
        PoseConfig(network=HrnetConfig(width=4), size=SIZE, sigma=sigma, trainer=trainer)


# ---------------------------------------------------------------- the whole


def test_a_handful_of_people_is_learnt_by_heart(tmp_path: Path) -> None:
    # A network of 8 channels cannot tell 17 joints apart, so four are known.
    pictures = write_dots(tmp_path, 3, seed=7)
    for picture in pictures:
        picture.joints_px[:, 4:] = 0
    some = PictureSet(file=tmp_path / "x.json", sha256="", pictures=tuple(pictures))
    trainer = TrainerConfig(
        epochs=40, batch_size=3, lr=1e-2, optimiser="adam", validate_every=40, average=0.8
    )
    still = data.PoseAugment(
        rotate=0, scale=0.05, shift=0.01, mirror=0, half_body=0, cover=0,
        light=PhotometryConfig(**PLAIN),
    )  # fmt: skip
    network = HrnetConfig(width=8, stem=8, modules=(1, 1, 1))
    config = PoseConfig(network=network, size=SIZE, trainer=trainer, augment=still)
    job = PoseJob(make_network(network, 0), [some], config, validation=some)
    outcome = Trainer(job, trainer, state_path=tmp_path / "state", options={}).run(Watch())
    assert outcome.scores["pck"] == 1.0
    assert outcome.history[-1]["losses"]["loss"] < 0.2 * outcome.history[0]["losses"]["loss"]
