# SPDX-License-Identifier: Apache-2.0
"""Training of the person detector: YOLOX with one class."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from poseact_engine import geometry
from poseact_engine._core import nms
from poseact_engine.errors import ConfigError
from poseact_engine.training.detector_assign import decode_boxes, make_grid, pairwise_iou
from poseact_engine.training.detector_data import (
    PLACEMENT,
    DetectorAugment,
    DetectorExamples,
    collate,
)
from poseact_engine.training.detector_loss import detector_losses
from poseact_engine.training.loader import Loader
from poseact_engine.training.models.yolox import STRIDES, Yolox, YoloxConfig
from poseact_engine.training.pictures import LabelledPicture, PictureSet, PictureStore
from poseact_engine.training.trainer import Batch, Scores
from poseact_engine.training.trainer_config import TrainerConfig

PRIOR = 0.01
"""What an untrained network says of objects and people (focal loss, Lin et al. 2017)."""
NMS_IOU = 0.45
SURE = 0.3
"""Recall counts boxes of this score or more."""
LEAST_SCORE = 0.01
MOST_BOXES = 100
LAST_EPOCHS = 0.1
"""Share of the epochs, at the end, in which distances of boxes count, too."""

BoxScorer = Callable[[NDArray[np.float32], NDArray[np.float32], list[int]], Scores]
"""Boxes [N, 4] in pixels of their pictures, scores [N], the pictures' ids: to COCO's figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """What is learnt, and how."""

    network: YoloxConfig
    size: tuple[int, int]
    """Height, width of the input."""
    trainer: TrainerConfig
    augment: DetectorAugment = field(default_factory=DetectorAugment)

    def __post_init__(self) -> None:
        step = STRIDES[-1]
        if any(type(side) is not int or side < step or side % step for side in self.size):
            raise ConfigError(f"--size: expected multiples of {step}, got {self.size!r}")
        if self.network.classes != 1:
            raise ConfigError(f"detector: expected one class, got {self.network.classes}")


def make_network(config: YoloxConfig, seed: int) -> Yolox:
    """Untrained; the same seed gives the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Yolox(config)
    for predictions in (net.head.obj_preds, net.head.cls_preds):
        for layer in predictions:
            nn.init.constant_(layer.get_parameter("bias"), -math.log((1 - PRIOR) / PRIOR))
    return net


class DetectorJob:
    """Serves ``trainer.Job``. Owns the network and the pictures that are kept in memory."""

    score = "ap"

    def __init__(
        self,
        net: Yolox,
        sets: Sequence[PictureSet],
        config: DetectorConfig,
        *,
        validation: PictureSet | None = None,
        scorer: BoxScorer | None = None,
    ) -> None:
        pictures = [p for s in sets for p in s.pictures]
        trainer = config.trainer
        self.net: nn.Module = net
        self._yolox, self._config = net, config
        self._loader = Loader(
            DetectorExamples(
                pictures,
                size=config.size,
                augment=config.augment,
                store=PictureStore(paths=[p.path for p in pictures]),
            ),
            batch_size=trainer.batch_size,
            seed=trainer.seed,
            workers=trainer.workers,
            collate=collate,
        )
        self._held_out = list(validation.pictures) if validation else []
        self._held_out_store = PictureStore(paths=[p.path for p in self._held_out])
        self._scorer = scorer

    @property
    def steps(self) -> int:
        return self._loader.steps

    def batches(self, epoch: int, first: int, *, pin: bool) -> Iterator[Batch]:
        return self._loader.batches(epoch, first, pin=pin)

    def losses(self, batch: Batch, epoch: int) -> dict[str, torch.Tensor]:
        pictures, boxes, kinds = batch
        inputs = pictures.float().contiguous(memory_format=torch.channels_last)
        raw = self._yolox.logits(inputs)
        grid = make_grid(*self._config.size, raw.device)
        last = epoch > self._config.trainer.epochs * (1 - LAST_EPOCHS)
        return detector_losses(raw, boxes, kinds, grid, distances=last)

    def validate(self, net: nn.Module, device: torch.device) -> Scores:
        """COCO's figures and the share of people that sure boxes find at IoU 0.5."""
        if not self._held_out:
            return {}
        boxes, scores, ids, found, people = [], [], [], 0, 0
        for some, said, sure in find_people(
            net, self._held_out, self._held_out_store, self._config, device
        ):
            boxes.append(said)
            scores.append(sure)
            ids += [some.id] * len(said)
            truth = some.boxes_px[~some.crowd]
            people += len(truth)
            found += _count_found(truth, said[sure >= SURE])
        recall = {"recall": found / people if people else math.nan}
        if self._scorer is None:
            return recall
        return recall | self._scorer(np.concatenate(boxes), np.concatenate(scores), ids)


def find_people(
    net: nn.Module,
    pictures: Sequence[LabelledPicture],
    store: PictureStore,
    config: DetectorConfig,
    device: torch.device,
) -> Iterator[tuple[LabelledPicture, NDArray[np.float32], NDArray[np.float32]]]:
    """Boxes [N, 4] (pixels of the picture, clipped to it) and scores [N] of each picture, as the
    exported model and the engine would find them."""
    examples = DetectorExamples(pictures, size=config.size, augment=None, store=store)
    grid = make_grid(*config.size, device)
    unused = np.random.default_rng(0)
    for index, picture in enumerate(pictures):
        image, _, _ = examples.make(index, unused)
        with torch.no_grad():
            raw = net(image[None].to(device).float())[0]  # [A, 6]
        said = decode_boxes(raw[:, :4], grid).cpu().numpy()[None]
        sure = (raw[:, 4] * raw[:, 5]).cpu().numpy()[None]
        kept, scores, _ = nms(
            np.ascontiguousarray(said), np.ascontiguousarray(sure),
            min_score=LEAST_SCORE, iou=NMS_IOU, max_boxes=MOST_BOXES,
        )  # fmt: skip
        yield picture, _in_picture(kept, store.read(index), config.size), scores


def _in_picture(
    boxes: NDArray[np.float32], picture: NDArray[np.uint8], size: tuple[int, int]
) -> NDArray[np.float32]:
    of = np.array([[picture.shape[1], picture.shape[0]]])
    window = geometry.letterbox(of, height=size[0], width=size[1], placement=PLACEMENT)
    rows = np.zeros(len(boxes), np.int64)
    return geometry.boxes_from_letterbox(boxes, window[rows], of[rows])


def _count_found(truth: NDArray[np.float32], said: NDArray[np.float32]) -> int:
    """People with a box of their own at IoU 0.5 or more, best overlaps first."""
    if not len(truth) or not len(said):
        return 0
    ious = pairwise_iou(torch.from_numpy(truth), torch.from_numpy(said)).numpy()
    count = 0
    while ious.max() >= 0.5:
        row, column = np.unravel_index(int(ious.argmax()), ious.shape)
        ious[row], ious[:, column] = 0, 0
        count += 1
    return count


def person_alone(net: Yolox, person: int = 0) -> Yolox:
    """A trained network with one class: of several, COCO's first."""
    if net.config.classes == 1:
        return net
    state = {
        name: value[person : person + 1] if name.startswith("head.cls_preds.") else value
        for name, value in net.state_dict().items()
    }
    alone = Yolox(dataclasses.replace(net.config, classes=1))
    alone.load_state_dict(state)
    return alone
