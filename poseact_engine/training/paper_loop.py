# SPDX-License-Identifier: Apache-2.0
"""The training loop of "LSTM-Based Abnormal Behavior Recognition Using AlphaPose": every window
once an epoch in a new order, cross-entropy, Adam or RMSProp. No augmentation, no balance.

Batch size and learning rate are ours; the paper does not give them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from poseact_engine.errors import ConfigError
from poseact_engine.training.loop import OPTIMISERS, Optimiser
from poseact_engine.training.models.lstm import ActionLstm, LstmConfig
from poseact_engine.training.windows import WindowSet

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperConfig:
    """The paper's options; one optimiser or the other."""

    optimiser: Optimiser = "adam"
    epochs: int = 200
    batch_size: int = 128
    lr: float = 1e-3
    seed: int = 0
    device: Device = "cpu"
    """On ``cuda`` batches go there from pinned memory."""
    model: LstmConfig = field(default_factory=lambda: LstmConfig(normalise="paper"))

    def __post_init__(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise ConfigError(
                f"paper.optimiser: expected one of {', '.join(OPTIMISERS)}, got {self.optimiser!r}"
            )
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"paper.{name}: expected a whole number, 1 or more, got {value!r}"
                )
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ConfigError(f"paper.lr: expected a number above 0, got {self.lr!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperEpoch:
    """One point of each curve."""

    number: int
    """From 1."""
    train_loss: float
    """Mean over the epoch's batches, each before the step that learns from it; so the next."""
    train_accuracy: float
    test_loss: float
    test_accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTrained:
    """The model after the last epoch, on the CPU, and how it got there."""

    model: ActionLstm
    epochs: tuple[PaperEpoch, ...]


def train_paper(
    train: WindowSet,
    test: WindowSet,
    config: PaperConfig,
    *,
    on_epoch: Callable[[PaperEpoch], None] | None = None,
) -> PaperTrained:
    """Train on ``train``; ``test`` is only looked at. Both are labelled and not empty.

    The same seed gives the same model on the same machine's CPU.
    """
    for name, windows in (("train", train), ("test", test)):
        if len(windows) == 0 or (windows.labels < 0).any():
            raise ConfigError(f"paper: expected labelled {name} windows, got none or unlabelled")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = ActionLstm(config.model)
    return _Run(net, train, test, config).run(on_epoch)


class _Run:
    """One training run: owns the optimiser and the order of the windows."""

    def __init__(
        self, net: ActionLstm, train: WindowSet, test: WindowSet, config: PaperConfig
    ) -> None:
        self.config = config
        self.poses, self.labels = torch.from_numpy(train.poses_px), torch.from_numpy(train.labels)
        net.fit_standardise(self.poses)
        self.net = net.to(config.device)
        self.test_poses = torch.from_numpy(test.poses_px)
        self.test_labels = torch.from_numpy(test.labels)
        self.optimiser = OPTIMISERS[config.optimiser](net.parameters(), config.lr)
        self.generator = torch.Generator().manual_seed(config.seed)

    def run(self, on_epoch: Callable[[PaperEpoch], None] | None) -> PaperTrained:
        done = []
        for number in range(1, self.config.epochs + 1):
            train_loss, train_accuracy = self._learn()
            test_loss, test_accuracy = self._look()
            done.append(
                PaperEpoch(
                    number=number,
                    train_loss=train_loss,
                    train_accuracy=train_accuracy,
                    test_loss=test_loss,
                    test_accuracy=test_accuracy,
                )
            )
            if on_epoch is not None:
                on_epoch(done[-1])
        return PaperTrained(model=self.net.cpu().eval(), epochs=tuple(done))

    def _learn(self) -> tuple[float, float]:
        self.net.train()
        order = torch.randperm(len(self.labels), generator=self.generator)
        loss_sum, right = 0.0, 0
        for rows in torch.split(order, self.config.batch_size):
            poses, labels = self._to_device(self.poses[rows]), self._to_device(self.labels[rows])
            self.optimiser.zero_grad()
            logits = self.net(poses)
            loss = nn.functional.cross_entropy(logits, labels)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self.optimiser.step()
            loss_sum += float(loss.item()) * len(rows)
            right += int((logits.argmax(dim=1) == labels).sum().item())
        return loss_sum / len(order), right / len(order)

    @torch.no_grad()
    def _look(self) -> tuple[float, float]:
        self.net.eval()
        batches = torch.split(self.test_poses, 1024)
        logits = torch.cat([self.net(self._to_device(batch)).cpu() for batch in batches])
        loss = nn.functional.cross_entropy(logits, self.test_labels)
        right = (logits.argmax(dim=1) == self.test_labels).double().mean()
        return float(loss.item()), float(right.item())

    def _to_device(self, tensor: Tensor) -> Tensor:
        if self.config.device == "cpu":
            return tensor
        return tensor.pin_memory().to(self.config.device, non_blocking=True)
