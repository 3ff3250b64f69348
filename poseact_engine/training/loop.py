# SPDX-License-Identifier: Apache-2.0
"""The training loop: balanced draws, cross-entropy, Adam."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from poseact_engine.errors import ConfigError
from poseact_engine.training.augment import AugmentConfig, augment
from poseact_engine.training.metrics import Scores, score
from poseact_engine.training.models.lstm import ActionLstm, LstmConfig
from poseact_engine.training.windows import WindowSet

MAX_GRADIENT = 1.0
"""Longer gradients are cut to this norm."""

OnEpoch = Callable[["Epoch"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How long and how fast to learn."""

    epochs: int = 20
    epoch_windows: int = 8192
    """Windows drawn for one epoch; classes, and the sources within a class, equally often."""
    batch_size: int = 128
    lr: float = 1e-3
    """Adam's highest rate; it rises over the first tenth and falls as a cosine."""
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "epoch_windows", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(
                    f"train.{name}: expected a whole number, 1 or more, got {value!r}"
                )
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ConfigError(f"train.lr: expected a number above 0, got {self.lr!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one epoch came to."""

    number: int
    """From 1."""
    loss: float
    validation: Scores | None
    """None without a validation set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The model after the last epoch. No epoch is chosen by its held-out score, so that this score
    stays what it says; with a rate that falls to 0 the last epochs are alike in any case."""

    model: ActionLstm
    last: Epoch


def train(
    windows: WindowSet,
    validation: WindowSet,
    *,
    model: LstmConfig,
    loop: LoopConfig,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train on labelled ``windows``; the same seed gives the same model on the same machine.

    ``validation`` may be empty and changes nothing but the scores. ConfigError where a window has
    no label or there is nothing to learn from.
    """
    if len(windows) == 0 or (windows.labels < 0).any():
        raise ConfigError("train: expected labelled windows, got none or some without a label")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(loop.seed)
        net = ActionLstm(model)
        return _Loop(net, windows, loop).run(validation, on_epoch)


class _Loop:
    """One training run: owns the optimiser, its schedule and the random draws."""

    def __init__(self, net: ActionLstm, windows: WindowSet, config: LoopConfig) -> None:
        self.net, self.config = net, config
        self.poses = torch.from_numpy(windows.poses_px)
        self.labels = torch.from_numpy(windows.labels)
        self.chances = torch.from_numpy(balance(windows))
        self.generator = torch.Generator().manual_seed(config.seed)
        self.steps = math.ceil(config.epoch_windows / config.batch_size)
        self.optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, _rate(config.epochs * self.steps)
        )
        net.fit_standardise(self.poses)

    def run(self, validation: WindowSet, on_epoch: OnEpoch | None) -> Trained:
        epochs = range(1, self.config.epochs + 1)
        done = [self._epoch(number, validation, on_epoch) for number in epochs]
        return Trained(model=self.net.eval(), last=done[-1])

    def _epoch(self, number: int, validation: WindowSet, on_epoch: OnEpoch | None) -> Epoch:
        self.net.train()
        loss = sum(self._step() for _ in range(self.steps)) / self.steps
        epoch = Epoch(number=number, loss=loss, validation=evaluate(self.net, validation))
        if on_epoch is not None:
            on_epoch(epoch)
        return epoch

    def _step(self) -> float:
        rows = torch.multinomial(
            self.chances, self.config.batch_size, replacement=True, generator=self.generator
        )
        batch = augment(self.poses[rows], self.config.augment, self.generator)
        self.optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self.net(batch), self.labels[rows])
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.net.parameters(), MAX_GRADIENT)
        self.optimiser.step()
        self.schedule.step()
        return float(loss.item())


def evaluate(net: ActionLstm, windows: WindowSet) -> Scores | None:
    """Scores on labelled windows; None without windows."""
    if len(windows) == 0:
        return None
    said = net.probabilities(torch.from_numpy(windows.poses_px)).argmax(dim=1).numpy()
    return score(windows.labels, said, windows.sources(), classes=net.config.classes)


def balance(windows: WindowSet) -> NDArray[np.float64]:
    """The chance of each window to be drawn: classes weigh the same, and within a class its
    sources, so that neither the commonest class nor the largest data set wins. Sums to 1."""
    sources = windows.sources()
    weights = np.zeros(len(windows))
    for label in np.unique(windows.labels):
        of_class = windows.labels == label
        found = np.unique(sources[of_class])
        for source in found:
            rows = of_class & (sources == source)
            weights[rows] = 1.0 / (len(found) * rows.sum())
    weights /= weights.sum()
    return weights


def _rate(steps: int) -> Callable[[int], float]:
    rise = max(1, steps // 10)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return factor
