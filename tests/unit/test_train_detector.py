# SPDX-License-Identifier: Apache-2.0
"""Training of the detector: assignment and loss against NumPy, boxes on their pictures."""

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

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.training import detector_assign as simota
    from poseact_engine.training import detector_data as data
    from poseact_engine.training.detector import (
        DetectorConfig,
        DetectorJob,
        make_network,
    )
    from poseact_engine.training.detector_loss import (
        IGNORED,
        NOBODY,
        PERSON,
        detector_losses,
        encode_boxes,
    )
    from poseact_engine.training.models.yolox import YoloxConfig
    from poseact_engine.training.photometry import PhotometryConfig
    from poseact_engine.training.pictures import LabelledPicture, PictureSet, PictureStore
    from poseact_engine.training.trainer import Trainer, Watch
    from poseact_engine.training.trainer_config import TrainerConfig
    from tests.official_networks import one_thread

    one_thread = pytest.fixture(autouse=True, scope="module")(one_thread)

Array = NDArray[np.float64]
SIZE = (96, 128)


def iou(a: Array, b: Array) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    area = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b))
    return float(both / (area - both))


def log_sigmoid(x: float) -> float:
    return float(-np.logaddexp(0, -x))


def draw_case(seed: int, people: int) -> dict[str, Array]:
    """Boxes near the grid's points, and people, some of them overlapping."""
    rng = np.random.default_rng(seed)
    grid = simota.make_grid(*SIZE, torch.device("cpu"))
    centers = grid.centers_px.numpy().astype(np.float64)
    sides = rng.uniform(10, 60, (len(centers), 2))
    middles = centers + rng.normal(0, 6, centers.shape)
    corners = rng.uniform(0, 60, (people, 2))
    return {
        "boxes": np.concatenate([middles - sides / 2, middles + sides / 2], axis=1),
        "object": rng.normal(0, 2, len(centers)),
        "person": rng.normal(0, 2, len(centers)),
        "people": np.concatenate([corners, corners + rng.uniform(15, 60, (people, 2))], axis=1),
        "centers": centers,
        "strides": grid.strides_px.numpy().astype(np.float64),
    }


def brute_force(case: dict[str, Array]) -> dict[int, int]:
    """Point to person, written out from the paper with loops."""
    costs: dict[tuple[int, int], float] = {}
    overlaps: dict[tuple[int, int], float] = {}
    candidates = set()
    for g, a in itertools.product(range(len(case["people"])), range(len(case["centers"]))):
        (x, y), box = case["centers"][a], case["people"][g]
        inside = box[0] < x < box[2] and box[1] < y < box[3]
        reach = 2.5 * case["strides"][a]
        near = max(abs(x - (box[0] + box[2]) / 2), abs(y - (box[1] + box[3]) / 2)) < reach
        if inside or near:
            candidates.add(a)
        overlaps[g, a] = iou(case["boxes"][a], box)
        say = -0.5 * (log_sigmoid(case["object"][a]) + log_sigmoid(case["person"][a]))
        far = 0.0 if inside and near else 1e5
        costs[g, a] = say - 3 * np.log(overlaps[g, a] + 1e-8) + far
    wanted: dict[int, list[int]] = {}
    for g in range(len(case["people"])):
        best = sorted((overlaps[g, a] for a in candidates), reverse=True)[:10]
        count = max(1, int(sum(best)))
        for a in sorted(candidates, key=lambda a, g=g: costs[g, a])[:count]:
            wanted.setdefault(a, []).append(g)
    return {
        a: min(range(len(case["people"])), key=lambda g, a=a: costs[g, a]) if len(gs) > 1 else gs[0]
        for a, gs in wanted.items()
    }


@pytest.mark.parametrize(("seed", "people"), [(0, 1), (1, 2), (2, 5), (3, 12), (4, 30)])
def test_assignment_is_simota(seed: int, people: int) -> None:
    case = draw_case(seed, people)
    tensors = {name: torch.from_numpy(value) for name, value in case.items()}
    grid = simota.Grid(centers_px=tensors["centers"], strides_px=tensors["strides"])
    found = simota.assign(
        tensors["boxes"], tensors["object"], tensors["person"], tensors["people"], grid
    )
    want = brute_force(case)
    assert len(want) >= people // 2
    assert dict(zip(found.points.tolist(), found.people.tolist(), strict=True)) == want
    for point, person, value in zip(found.points, found.people, found.ious, strict=True):
        assert value == pytest.approx(iou(case["boxes"][point], case["people"][person]))


def test_nobody_gets_no_point() -> None:
    case = {name: torch.from_numpy(value) for name, value in draw_case(0, 1).items()}
    grid = simota.Grid(centers_px=case["centers"], strides_px=case["strides"])
    found = simota.assign(case["boxes"], case["object"], case["person"], torch.zeros(0, 4), grid)
    assert len(found.points) == 0


def test_boxes_are_decoded_as_megvii_writes_them_and_back() -> None:
    grid = simota.make_grid(*SIZE, torch.device("cpu"))
    raw = torch.randn(len(grid.strides_px), 4)
    boxes = simota.decode_boxes(raw, grid).numpy()
    want = []
    for stride in (8, 16, 32):
        for y, x in itertools.product(range(SIZE[0] // stride), range(SIZE[1] // stride)):
            said = raw[len(want)].numpy().astype(np.float64)
            middle, side = (said[:2] + np.array([x, y])) * stride, np.exp(said[2:]) * stride
            want.append(np.concatenate([middle - side / 2, middle + side / 2]))
    np.testing.assert_allclose(boxes, want, rtol=1e-4, atol=1e-3)
    back = encode_boxes(torch.from_numpy(boxes), grid, torch.arange(len(boxes)))
    torch.testing.assert_close(back, raw, rtol=1e-3, atol=2e-3)


def bce(x: float, target: float) -> float:
    return -target * log_sigmoid(x) - (1 - target) * log_sigmoid(-x)


@pytest.mark.parametrize("distances", [False, True])
def test_losses_are_those_of_the_paper(distances: bool) -> None:
    grid = simota.make_grid(*SIZE, torch.device("cpu"))
    generator = torch.Generator().manual_seed(5)
    raw = 0.7 * torch.randn(2, len(grid.strides_px), 6, generator=generator)
    raw[..., 2:4] += 1.2  # boxes of some size, so that several points answer for a person
    people = torch.tensor(
        [[[20.0, 10, 60, 90], [70, 20, 100, 70]], [[5, 5, 50, 60], [60, 0, 120, 90]]]
    )
    kinds = torch.tensor([[PERSON, NOBODY], [PERSON, IGNORED]])
    got = detector_losses(raw, people, kinds, grid, distances=distances)
    said = simota.decode_boxes(raw[..., :4], grid)
    want = {"iou": 0.0, "object": 0.0, "class": 0.0, "l1": 0.0}
    matched = 0
    for b in range(2):
        found = simota.assign(said[b], raw[b, :, 4], raw[b, :, 5], people[b, :1], grid)
        points = found.points.tolist()
        matched += len(points)
        box = people[b, 0].double().numpy()
        for a in range(len(grid.strides_px)):
            x, y = grid.centers_px[a].tolist()
            ignored = b == 1 and 60 < x < 120 and 0 < y < 90 and a not in points
            want["object"] += 0 if ignored else bce(float(raw[b, a, 4]), float(a in points))
        for a in points:
            overlap = iou(said[b, a].double().numpy(), box)
            want["iou"] += 5 * (1 - overlap**2)
            want["class"] += bce(float(raw[b, a, 5]), overlap)
            stride, (x, y) = float(grid.strides_px[a]), grid.centers_px[a].tolist()
            middle = np.array([(box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 2 - y]) / stride + 0.5
            side = np.log([(box[2] - box[0]) / stride, (box[3] - box[1]) / stride])
            off = raw[b, a, :4].double().numpy() - np.concatenate([middle, side])
            want["l1"] += np.abs(off).sum()
    assert matched > 3
    assert set(got) == ({*want} if distances else {*want} - {"l1"})
    for name, value in got.items():
        assert float(value) == pytest.approx(want[name] / matched, rel=1e-4), name


# ---------------------------------------------------------------- pictures


def write_blocks(folder: Path, count: int, *, seed: int = 0) -> list[LabelledPicture]:
    """Bright blocks as people, on dark pictures of several shapes."""
    rng = np.random.default_rng(seed)
    found = []
    for n in range(count):
        w, h = (160, 90) if n % 2 else (120, 100)
        picture = rng.integers(0, 40, (h, w, 3), dtype=np.uint8)
        x, y = rng.integers(5, w - 55), rng.integers(5, h - 65)
        box = np.array([x, y, x + rng.integers(20, 40), y + rng.integers(35, 60)])
        picture[box[1] : box[3], box[0] : box[2]] = (250, 240, 230)
        path = folder / f"{n}.png"
        cv2.imwrite(str(path), picture)
        found.append(
            LabelledPicture(
                path=path,
                id=n,
                boxes_px=box[None].astype(np.float32),
                crowd=np.zeros(1, np.bool_),
                joints_px=np.zeros((1, 17, 3), np.float32),
                areas_px=np.prod(box[2:] - box[:2], keepdims=True).astype(np.float32),
            )
        )
    return found


def examples(pictures: list[LabelledPicture], augment: Any) -> data.DetectorExamples:
    store = PictureStore(paths=[p.path for p in pictures])
    return data.DetectorExamples(pictures, size=SIZE, augment=augment, store=store)


PLAIN: dict[str, float] = dict.fromkeys(("light", "colour", "grey", "blur", "noise", "jpeg"), 0.0)


@pytest.mark.parametrize("moved", [False, True])
def test_boxes_stay_on_what_they_were_drawn_around(tmp_path: Path, moved: bool) -> None:
    pictures = write_blocks(tmp_path, 4)
    augment = data.DetectorAugment(light=PhotometryConfig(**PLAIN)) if moved else None
    made = examples(pictures, augment)
    kinds_seen = set()
    for index, draw in itertools.product(range(4), range(12 if moved else 1)):
        image, boxes, kinds = made.make(index, np.random.default_rng((index, draw)))
        kinds_seen |= set(kinds.tolist())
        bright = (image[0] > 200).numpy()
        if not bright.any():
            assert len(boxes) == 0 or float((boxes[:, 2:] - boxes[:, :2]).min()) < 2
            continue
        rows, columns = bright.any(axis=1).nonzero()[0], bright.any(axis=0).nonzero()[0]
        want = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(boxes[0].numpy(), want, atol=1.6)
    assert PERSON in kinds_seen


def test_unmoved_pictures_are_letterboxed_as_the_engine_does(tmp_path: Path) -> None:
    pictures = write_blocks(tmp_path, 2)
    image, boxes, _ = examples(pictures, None).make(0, np.random.default_rng(0))
    window = geometry.letterbox(
        np.array([[120, 100]]), height=SIZE[0], width=SIZE[1], placement="top_left"
    )
    back = geometry.boxes_from_letterbox(boxes.numpy(), window, np.array([[120, 100]]))
    np.testing.assert_allclose(back, pictures[0].boxes_px, atol=1e-3)
    assert (image[:, :, -1] == 114).all()  # 115 of 128 columns are the picture


def test_crowds_and_tiny_people_are_not_learnt_from() -> None:
    boxes = np.array([[0, 0, 50, 50], [10, 10, 40, 60], [5, 5, 7, 8], [300, 0, 340, 50]])
    crowd = np.array([True, False, False, False])
    window = np.array([1.0, 0, 1, 0])
    placed, kinds = data.place_boxes(boxes.astype(np.float32), crowd, window, SIZE, None)
    assert kinds.tolist() == [IGNORED, PERSON, IGNORED]
    np.testing.assert_allclose(placed[1], [10, 10, 40, 60])


@pytest.mark.parametrize(
    "wrong", [{"scale": (0, 1)}, {"scale": (2, 1)}, {"shift": 2}, {"least_px": -1}]
)
def test_wrong_augmentation_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"augment.{next(iter(wrong))}"):
        data.DetectorAugment(**wrong)


# ---------------------------------------------------------------- the whole


def test_a_handful_of_pictures_is_learnt_by_heart(tmp_path: Path) -> None:
    pictures = tuple(write_blocks(tmp_path, 6))
    some = PictureSet(file=tmp_path / "x.json", sha256="", pictures=pictures)
    trainer = TrainerConfig(
        epochs=50, batch_size=6, lr=5e-3, optimiser="adamw", validate_every=50, average=0.8
    )
    config = DetectorConfig(
        network=YoloxConfig(depth=0.33, width=0.125, classes=1),
        size=SIZE,
        trainer=trainer,
        augment=data.DetectorAugment(scale=(0.9, 1.1), shift=0.05, light=PhotometryConfig(**PLAIN)),
    )
    net = make_network(config.network, 0)
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 0.3  # Megvii's 0.03 wants more steps than these
    job = DetectorJob(net, [some], config, validation=some)
    job.score = "recall"
    outcome = Trainer(job, trainer, state_path=tmp_path / "s", options={}).run(Watch())
    assert outcome.scores["recall"] == 1.0
    first, last = (outcome.history[k]["losses"] for k in (0, 43))  # before L1 joins in
    assert last["loss"] < 0.5 * first["loss"]
