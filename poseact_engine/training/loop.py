# SPDX-License-Identifier: Apache-2.0
"""The training loop: balanced draws, the loss of a window, an optimiser, held-out scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from poseact_engine.errors import ConfigError
from poseact_engine.training.augment import AugmentConfig, augment
from poseact_engine.training.loss import action_loss
from poseact_engine.training.metrics import Scores, score
from poseact_engine.training.models.lstm import ActionLstm, LstmConfig
from poseact_engine.training.session import load_state, save_state
from poseact_engine.training.stopping import EarlyStopping
from poseact_engine.training.windows import WindowSet, balance

MAX_GRADIENT = 1.0
"""Longer gradients are cut to this norm."""
MOST_STANDARDISE = 200_000
"""Windows, evenly chosen, that mean and standard deviation are taken of."""
MOMENTUM = 0.9
"""Of SGD."""

Optimiser = Literal["adam", "rmsprop", "sgd"]
OPTIMISERS: dict[str, Callable[[Any, float], torch.optim.Optimizer]] = {
    "adam": lambda weights, lr: torch.optim.Adam(weights, lr=lr),
    "rmsprop": lambda weights, lr: torch.optim.RMSprop(weights, lr=lr),
    "sgd": lambda weights, lr: torch.optim.SGD(weights, lr=lr, momentum=MOMENTUM),
}
OnEpoch = Callable[["Epoch"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How long and how fast to learn."""

    epochs: int = 20
    epoch_windows: int = 8192
    """Windows drawn for one epoch; classes, and the sources within a class, equally often. What
    is harmless is drawn as often as a class."""
    no_fall_share: float = 1.0
    """How often what is no fall is drawn, against a class: more, and fewer falls are false; less,
    and fewer are missed."""
    batch_size: int = 128
    lr: float = 1e-3
    """The optimiser's highest rate; it rises over the first tenth and falls as a cosine."""
    optimiser: Optimiser = "adam"
    patience: int | None = None
    """Stop when the mean accuracy of the held-out classes has not risen for so many epochs, and
    keep the weights of the best. None: learn to the end and keep the last."""
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
        if not (math.isfinite(self.no_fall_share) and self.no_fall_share >= 0):
            raise ConfigError(
                f"train.no_fall_share: expected a number, 0 or more, got {self.no_fall_share!r}"
            )
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"train.seed: expected 0 to 2**63 - 1, got {self.seed!r}")
        if self.optimiser not in OPTIMISERS:
            raise ConfigError(
                f"train.optimiser: expected {', '.join(OPTIMISERS)}, got {self.optimiser!r}"
            )
        EarlyStopping(self.patience)


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
    """The model after its last epoch, on the CPU. Unless there was patience, no epoch is chosen by
    its held-out score, so that this score stays what it says; with a rate that falls to 0 the last
    epochs are alike in any case."""

    model: ActionLstm
    last: Epoch
    """The epoch that the weights are of."""
    epochs: int
    """Those that were learnt as a whole."""
    finished: bool = True
    """False: the run was asked to stop, and its state waits to be gone on with; there is no model
    to keep yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Where a training run computes, and how it can be broken off and gone on with."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    """On CUDA, batches go there from pinned memory."""
    state: Path | None = None
    """File to keep the state of the last whole epoch in; None: it is kept nowhere."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for, as plain data: ``state`` is only gone on with under the same."""
    resume: bool = False
    """Go on from ``state``."""
    should_stop: Callable[[], bool] = lambda: False
    """Asked before every step."""


def train(
    windows: WindowSet,
    validation: WindowSet,
    *,
    model: LstmConfig,
    loop: LoopConfig,
    on_epoch: OnEpoch | None = None,
    weights: Mapping[str, Tensor] | None = None,
    run: Run | None = None,
) -> Trained:
    """Train on known ``windows``; the same seed gives the same model on the same
    machine, also if the run was broken off and gone on with.

    ``validation`` may be empty and changes nothing but the scores, unless there is patience.
    ``weights`` are those to begin with, standardisation included. ConfigError where a window is
    unknown or there is nothing to learn from.
    """
    if len(windows.labelled()) == 0 or len(windows.known()) < len(windows):
        raise ConfigError("train: expected labelled windows, got none or some without a label")
    if loop.patience is not None and len(validation.labelled()) == 0:
        raise ConfigError("train.patience: expected held-out windows to go by, got none")
    run = run or Run()
    with torch.random.fork_rng(devices=[] if run.device.type == "cpu" else [run.device]):
        torch.manual_seed(loop.seed)
        net = ActionLstm(model)
        if weights is None:
            some = math.ceil(len(windows) / MOST_STANDARDISE)  # many hours of windows are gigabytes
            net.fit_standardise(torch.from_numpy(windows.poses_px[::some]))
        else:
            net.load_state_dict(dict(weights))
        return _Loop(net.to(run.device), windows, loop, run).run(validation, on_epoch)


class _Loop:
    """One training run: owns the optimiser, its schedule and the random draws."""

    def __init__(self, net: ActionLstm, windows: WindowSet, config: LoopConfig, run: Run) -> None:
        self.net, self.config, self.place = net, config, run
        self.poses = torch.from_numpy(windows.poses_px)
        self.labels = torch.from_numpy(windows.labels)
        self.chances = torch.from_numpy(balance(windows, no_fall=config.no_fall_share))
        self.generator = torch.Generator().manual_seed(config.seed)
        self.steps = math.ceil(config.epoch_windows / config.batch_size)
        self.optimiser = OPTIMISERS[config.optimiser](net.parameters(), config.lr)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, _rate(config.epochs * self.steps)
        )
        self.stopping = EarlyStopping(config.patience)
        self.losses: list[float] = []
        self.best: dict[str, Tensor] = {}

    def run(self, validation: WindowSet, on_epoch: OnEpoch | None) -> Trained:
        if self.place.resume:
            self._load()
        else:
            self._save()
        epoch = None
        while len(self.losses) < self.config.epochs and not self.stopping.stop:
            epoch = self._epoch(validation)
            if epoch is None:
                return self._stopped()
            self._save()
            if on_epoch is not None:
                on_epoch(epoch)
        if epoch is None or self.best:  # gone on with after its last epoch, or an earlier is better
            number = self.stopping.best_epoch if self.best else len(self.losses)
            self.net.load_state_dict(self.best or self.net.state_dict())
            scores = evaluate(self.net, validation)
            epoch = Epoch(number=number, loss=self.losses[number - 1], validation=scores)
        return Trained(model=self.net.cpu().eval(), last=epoch, epochs=len(self.losses))

    def _stopped(self) -> Trained:
        done = len(self.losses)
        last = Epoch(number=done, loss=self.losses[-1] if done else math.nan, validation=None)
        return Trained(model=self.net.cpu().eval(), last=last, epochs=done, finished=False)

    def _epoch(self, validation: WindowSet) -> Epoch | None:
        """None: stopped within it; the state is that of the epoch before."""
        self.net.train()
        total = torch.zeros((), dtype=torch.float64, device=self.place.device)
        for _ in range(self.steps):
            if self.place.should_stop():
                return None
            total += self._step()
        loss, number = float(total) / self.steps, len(self.losses) + 1
        if not math.isfinite(loss):
            raise ConfigError(f"train: the loss became {loss} in epoch {number}; try a smaller lr")
        self.losses.append(loss)
        scores = evaluate(self.net, validation)
        by_score = scores if self.config.patience is not None else None
        if by_score is not None and self.stopping.update(by_score.macro, number):
            self.best = {k: v.detach().clone() for k, v in self.net.state_dict().items()}
        return Epoch(number=number, loss=self.losses[-1], validation=scores)

    def _step(self) -> Tensor:
        rows = torch.multinomial(
            self.chances, self.config.batch_size, replacement=True, generator=self.generator
        )
        batch = self._moved(augment(self.poses[rows], self.config.augment, self.generator))
        self.optimiser.zero_grad()
        loss = action_loss(self.net(batch), self._moved(self.labels[rows]))
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.net.parameters(), MAX_GRADIENT)
        self.optimiser.step()
        self.schedule.step()
        return loss.detach()

    def _moved(self, batch: Tensor) -> Tensor:
        if self.place.device.type == "cpu":
            return batch
        return batch.pin_memory().to(self.place.device, non_blocking=True)

    def _parts(self) -> dict[str, Any]:
        return {
            "net": self.net,
            "optimiser": self.optimiser,
            "schedule": self.schedule,
            "stopping": self.stopping,
        }

    def _save(self) -> None:
        if self.place.state is not None:
            save_state(
                self.place.state,
                options=self.place.options,
                values={"losses": self.losses, "best": self.best},
                parts=self._parts(),
                generators={"draws": self.generator},
            )

    def _load(self) -> None:
        if self.place.state is None:
            raise ConfigError("train: expected a state to go on from, got none")
        values = load_state(
            self.place.state,
            options=self.place.options,
            parts=self._parts(),
            generators={"draws": self.generator},
        )
        self.losses, self.best = values["losses"], values["best"]


def evaluate(net: ActionLstm, windows: WindowSet) -> Scores | None:
    """Scores on known windows; None without windows."""
    if len(windows) == 0:
        return None
    device = net.head.weight.device
    poses = torch.from_numpy(windows.poses_px).to(device)
    said = net.probabilities(poses).argmax(dim=1).cpu().numpy()
    return score(windows.labels, said, windows.sources(), classes=net.config.classes)


def _rate(steps: int) -> Callable[[int], float]:
    rise = max(1, steps // 10)

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))

    return factor
