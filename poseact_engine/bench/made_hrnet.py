# SPDX-License-Identifier: Apache-2.0
"""HRNet with random weights that sees something, for `poseact-bench precision`.

He's weights, the normalisation's statistics taken from made pictures, and a last layer fitted to
find a bright dot in them: without that, heat maps are flat and their arg max says nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.evaluation.made import made_pictures
from poseact_engine.types import COCO_JOINTS

if TYPE_CHECKING:
    from poseact_engine.training.models.hrnet import Hrnet

SIZE = (256, 192)
CELL_PX = 4
DOT_PX = 7.0
"""Standard deviation of a dot."""
MARGIN_PX = 24
COLOUR = np.array([255.0, 230.0, 40.0])
FITTED = 32
"""Pictures that the statistics and the last layer come from."""
_RIDGE = 1e-3


def dotted_pictures(count: int, *, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """uint8 [N, 3, H, W] with a dot each, and its centres [N, 2] (x, y px)."""
    height, width = SIZE
    rng = np.random.default_rng(seed)
    pictures = made_pictures(count, height, width, seed=seed) * 0.6
    low, high = MARGIN_PX, np.array([width, height]) - MARGIN_PX
    centres = rng.uniform(low, high, (count, 2))
    share = _dots(centres, 1, DOT_PX)[:, None]
    pictures = pictures * (1 - share) + COLOUR[:, None, None] * share
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8), centres


def _dots(centres: NDArray[np.float64], cell_px: int, size_px: float) -> NDArray[np.float64]:
    """Gaussians [N, h, w] of height 1 at the centres, seen in cells of so many pixels."""
    y, x = np.mgrid[: SIZE[0] : cell_px, : SIZE[1] : cell_px]
    away = (x - centres[:, 0, None, None]) ** 2 + (y - centres[:, 1, None, None]) ** 2
    dots: NDArray[np.float64] = np.exp(-away / (2 * size_px**2))
    return dots


def make_network(width: int) -> Hrnet:
    """The network in evaluation mode; DependencyError without torch."""
    from poseact_engine.training.dependency import import_torch

    torch = import_torch()
    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig

    pictures, centres = dotted_pictures(FITTED, seed=0)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = Hrnet(HrnetConfig(width=width))
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the plain mean over all batches
        batches = torch.from_numpy(_normalised(pictures)).split(8)
        for batch in batches:
            network.train()(batch)
        features: list[Any] = []
        hook = network.final_layer.register_forward_pre_hook(lambda _, x: features.append(x[0]))
        for batch in batches:
            network.eval()(batch)
        hook.remove()
        weight, bias = _fit(torch.cat(features).numpy(), centres)
        last = network.final_layer.state_dict()  # shares its memory
        last["weight"].copy_(torch.from_numpy(weight[None, :, None, None]))
        last["bias"].fill_(bias)
    return network


def _normalised(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    from export.hrnet import FRONT

    mean, std = (np.reshape(v, (3, 1, 1)) for v in (FRONT.mean, FRONT.std))
    return np.asarray((pictures * FRONT.scale - mean) / std, np.float32)


def _fit(
    features: NDArray[np.float32], centres: NDArray[np.float64]
) -> tuple[NDArray[np.float32], float]:
    """Ridge regression from features [N, C, h, w] to a Gaussian at each dot: weights [C] and a
    bias. Cells at a dot weigh more, as there are few."""
    channels = features.shape[1]
    target = _dots(centres, CELL_PX, 2.0 * CELL_PX).ravel()
    rows = features.transpose(0, 2, 3, 1).reshape(-1, channels).astype(np.float64)
    rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    weights = (1 + 20 * target)[:, None]
    square = rows.T @ (rows * weights) + _RIDGE * len(rows) * np.eye(channels + 1)
    found = np.linalg.solve(square, rows.T @ (target[:, None] * weights)).ravel()
    return found[:-1].astype(np.float32), float(found[-1])


def write_pictures(folder: Path, pictures: NDArray[np.uint8], expansion: float) -> Path:
    """Each as a PNG of the folder, and the COCO JSON (returned) whose boxes make them the crops."""
    from poseact_engine.bench.harness import need

    cv2 = need("cv2", "opencv-python-headless")
    folder.mkdir()
    images, people = [], []
    height, width = SIZE
    w, h = width / expansion, height / expansion
    for number, picture in enumerate(pictures):
        name = f"{number:03}.png"
        bgr = np.ascontiguousarray(picture.transpose(1, 2, 0)[:, :, ::-1])
        cv2.imwrite(str(folder / name), bgr)
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        box = [(width - w) / 2, (height - h) / 2, w, h]
        joints = [width / 2, height / 2, 2] * len(COCO_JOINTS)
        people.append(
            {"id": number, "image_id": number, "category_id": 1, "bbox": box, "area": w * h,
             "iscrowd": 0, "keypoints": joints, "num_keypoints": len(COCO_JOINTS)}
        )  # fmt: skip
    person = {"id": 1, "name": "person", "keypoints": list(COCO_JOINTS)}
    truth = folder / "truth.json"
    truth.write_text(
        json.dumps({"images": images, "annotations": people, "categories": [person]}),
        encoding="utf-8",
    )
    return truth
