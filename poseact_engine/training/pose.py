# SPDX-License-Identifier: Apache-2.0
"""Training of the pose model: HRNet with heat maps of 17 joints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseact_engine.errors import ConfigError
from poseact_engine.training.loader import Loader
from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig
from poseact_engine.training.network_checkpoint import POSE_INPUT
from poseact_engine.training.pictures import PictureSet, PictureStore
from poseact_engine.training.pose_data import (
    Person,
    PoseAugment,
    PoseExamples,
    crop_matrix,
    list_people,
)
from poseact_engine.training.pose_decode import decode_maps, kernel_for
from poseact_engine.training.pose_target import STRIDE, heatmap_loss, make_targets
from poseact_engine.training.trainer import Batch, Scores
from poseact_engine.training.trainer_config import TrainerConfig
from poseact_engine.types import COCO_JOINTS, COCO_SIGMAS

STEP = 32
SIGMA_AT = 128
"""Crop height at which a target's sigma is one cell; HRNet has 2 at 256 and 3 at 384."""
PCK = 0.1
AT_ONCE = 64
SPREAD = 0.001
"""Standard deviation of the last layer's untrained weights, as HRNet's authors have it."""

PoseScorer = Callable[[NDArray[np.float32], list[int]], Scores]
"""Poses [M, 17, 3] in pixels of their pictures, the pictures' ids: to COCO's figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseConfig:
    """What is learnt, and how."""

    network: HrnetConfig
    size: tuple[int, int]
    """Height, width of the crops."""
    trainer: TrainerConfig
    sigma: float | None = None
    """Of the targets, in cells; None: by the size (``SIGMA_AT``)."""
    hidden_weight: float = 1.0
    """Of joints that are known but not seen."""
    augment: PoseAugment = field(default_factory=PoseAugment)

    def __post_init__(self) -> None:
        if any(type(side) is not int or side < STEP or side % STEP for side in self.size):
            raise ConfigError(f"--size: expected multiples of {STEP}, got {self.size!r}")
        if self.network.joints != len(COCO_JOINTS):
            raise ConfigError(
                f"pose: expected a network of {len(COCO_JOINTS)} joints, got {self.network.joints}"
            )
        most = max(self.size) // STRIDE
        if self.sigma is not None and not 0 < self.sigma <= most:
            raise ConfigError(
                f"--sigma: expected a number above 0, {most} at most (the map's cells), got"
                f" {self.sigma!r}"
            )
        if not 0 <= self.hidden_weight <= 1:
            raise ConfigError(f"--hidden-weight: expected 0 to 1, got {self.hidden_weight!r}")

    @property
    def sigma_cells(self) -> float:
        return max(1.0, self.size[0] / SIGMA_AT) if self.sigma is None else self.sigma

    @property
    def dark_kernel(self) -> int:
        """Cells of the Gaussian by which maps of this training are read."""
        return kernel_for(self.sigma_cells)


def make_network(config: HrnetConfig, seed: int) -> Hrnet:
    """Untrained; the same seed gives the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Hrnet(config)
        nn.init.normal_(net.final_layer.weight, std=SPREAD)
        nn.init.zeros_(net.final_layer.get_parameter("bias"))
    return net


class PoseJob:
    """Serves ``trainer.Job``. Owns the network and the pictures that are kept in memory."""

    def __init__(
        self,
        net: Hrnet,
        sets: Sequence[PictureSet],
        config: PoseConfig,
        *,
        validation: PictureSet | None = None,
        scorer: PoseScorer | None = None,
    ) -> None:
        pictures = [p for s in sets for p in s.pictures]
        trainer = config.trainer
        self.net: nn.Module = net
        self._config, self._scorer = config, scorer
        self.score = "ap" if scorer else "pck"
        self._loader = Loader(
            PoseExamples(
                list_people(pictures),
                size=config.size,
                augment=config.augment,
                store=PictureStore(paths=[p.path for p in pictures]),
            ),
            batch_size=trainer.batch_size,
            seed=trainer.seed,
            workers=trainer.workers,
        )
        held_out = list(validation.pictures) if validation else []
        self._people = list_people(held_out)
        self._ids = [held_out[person.picture].id for person in self._people]
        self._store = PictureStore(paths=[p.path for p in held_out])

    @property
    def steps(self) -> int:
        return self._loader.steps

    def batches(self, epoch: int, first: int, *, pin: bool) -> Iterator[Batch]:
        return self._loader.batches(epoch, first, pin=pin)

    def losses(self, batch: Batch, _epoch: int) -> dict[str, Tensor]:
        crops, joints = batch
        maps = self.net(normalise(crops))
        height, width = maps.shape[2:]
        targets = make_targets(joints, height=height, width=width, sigma=self._config.sigma_cells)
        flags = joints[..., 2]
        weights = (flags > 1).float() + self._config.hidden_weight * (flags == 1).float()
        inside = _is_inside(joints, self._config.size)
        return {"heatmap": heatmap_loss(maps, targets * inside[..., None, None], weights)}

    def validate(self, net: nn.Module, device: torch.device) -> Scores:
        """PCK@0.1 (of the box's longer side) of seen joints, mean OKS, and COCO's figures."""
        if not self._people:
            return {}
        poses = find_poses(net, self._people, self._store, self._config, device)
        scores = {"pck": pck(poses, self._people), "oks": mean_oks(poses, self._people)}
        return scores | (self._scorer(poses, self._ids) if self._scorer else {})


def normalise(crops: Tensor) -> Tensor:
    """uint8 RGB ``[M, 3, H, W]`` as the network has them."""
    mean, std = (
        torch.tensor(v, device=crops.device).view(1, 3, 1, 1)
        for v in (POSE_INPUT.mean, POSE_INPUT.std)
    )
    normal = (crops.float() * POSE_INPUT.scale - mean) / std
    return normal.contiguous(memory_format=torch.channels_last)


def _is_inside(joints_px: Tensor, size: tuple[int, int]) -> Tensor:
    """f32 ``[M, K]``: 0 for joints outside the crop, whose maps are to be empty."""
    x, y = joints_px[..., 0], joints_px[..., 1]
    half = 0.5 * STRIDE
    inside = (x >= -half) & (x < size[1] - half) & (y >= -half) & (y < size[0] - half)
    return inside.float()


def find_poses(
    net: nn.Module,
    people: Sequence[Person],
    store: PictureStore,
    config: PoseConfig,
    device: torch.device,
) -> NDArray[np.float32]:
    """float32 ``[M, 17, 3]`` in pixels of their pictures, in true boxes."""
    size, kernel = config.size, config.dark_kernel
    examples = PoseExamples(people, size=size, augment=None, store=store)
    unused = np.random.default_rng(0)
    found = np.zeros((len(people), len(COCO_JOINTS), 3), np.float32)
    for start in range(0, len(people), AT_ONCE):
        rows = range(start, min(start + AT_ONCE, len(people)))
        crops = torch.stack([examples.make(row, unused)[0] for row in rows])
        with torch.no_grad():
            maps = net(normalise(crops.to(device)))
        for row, pose in zip(rows, decode_maps(maps, kernel=kernel), strict=True):
            matrix = crop_matrix(people[row].box_px, size)
            place = pose[:, :2].astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
            found[row] = np.where(pose[:, 2:] > 0, np.column_stack([place, pose[:, 2]]), 0)
    return found


def pck(poses_px: NDArray[np.float32], people: Sequence[Person]) -> float:
    """Share of seen joints that are off by at most a tenth of the box's longer side."""
    right = seen = 0
    for pose, person in zip(poses_px, people, strict=True):
        box = person.box_px
        off = np.linalg.norm(pose[:, :2] - person.joints_px[:, :2], axis=1)
        counted = person.joints_px[:, 2] == 2
        near = (off <= PCK * (box[2:] - box[:2]).max()) & (pose[:, 2] > 0)
        right, seen = right + int((near & counted).sum()), seen + int(counted.sum())
    return right / seen if seen else math.nan


def mean_oks(poses_px: NDArray[np.float32], people: Sequence[Person]) -> float:
    """COCO's object keypoint similarity to the own truth, its mean over people."""
    spread = (2 * np.array(COCO_SIGMAS)) ** 2
    values = []
    for pose, person in zip(poses_px, people, strict=True):
        known = person.joints_px[:, 2] > 0
        off = ((pose[:, :2] - person.joints_px[:, :2]).astype(np.float64) ** 2).sum(axis=1)
        likeness = np.exp(-off / (2 * spread * max(person.area_px, 1.0)))
        values.append(float(likeness[known].mean()))
    return float(np.mean(values)) if values else math.nan
