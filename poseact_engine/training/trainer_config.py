# SPDX-License-Identifier: Apache-2.0
"""How long, how fast and on what a network learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from poseact_engine.errors import ConfigError
from poseact_engine.training.device import DeviceChoice, PrecisionChoice

Optimiser = Literal["adam", "adamw", "sgd"]
Schedule = Literal["cosine", "step"]
STEPS = (0.81, 0.95)
"""Of all epochs: where ``step`` divides the rate by ten (HRNet: epochs 170 and 200 of 210)."""
LEAST_RATE = 0.02
"""Of the highest rate: where ``cosine`` ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerConfig:
    """Of a detector or a pose model."""

    epochs: int
    batch_size: int
    lr: float
    """The highest rate."""
    optimiser: Optimiser
    schedule: Schedule = "cosine"
    warm_up: float = 0.05
    """Share of all steps in which the rate rises to ``lr``."""
    weight_decay: float = 0.0
    average: float = 0.998
    """Decay of the mean of the weights, which is the model that is kept; 0: the last weights."""
    max_gradient: float = 10.0
    """Longer gradients are cut to this norm."""
    patience: int | None = None
    """Epochs without a better score on held-out pictures after which training stops; the best
    epoch's model is kept then, and not the last one's."""
    validate_every: int = 1
    """Epochs; the last one is always looked at."""
    seed: int = 0
    workers: int = 0
    """Processes that read and change pictures; 0: none but this one."""
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "validate_every"):
            self._check_whole(name, 1)
        for name in ("seed", "workers"):
            self._check_whole(name, 0)
        if self.patience is not None:
            self._check_whole("patience", 1)
        self._check_numbers()
        for name, choices in (("optimiser", Optimiser), ("schedule", Schedule)):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(
                    f"train.{name}: expected one of {', '.join(get_args(choices))},"
                    f" got {getattr(self, name)!r}"
                )

    def _check_numbers(self) -> None:
        for name in ("lr", "max_gradient"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"train.{name}: expected a number above 0, got {value!r}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ConfigError(f"train.weight_decay: expected 0 or more, got {self.weight_decay!r}")
        for name in ("warm_up", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"train.{name}: expected 0 <= {name} < 1, got {getattr(self, name)!r}"
                )

    def _check_whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(
                f"train.{name}: expected a whole number, {least} or more, got {value!r}"
            )

    def rate(self, step: int, steps: int) -> float:
        """The rate of step ``step`` (from 0) of all ``steps``."""
        rise = round(self.warm_up * steps)
        if step < rise:
            return self.lr * (step + 1) / (rise + 1)
        done = (step - rise) / max(1, steps - rise)
        if self.schedule == "step":
            return float(self.lr * 0.1 ** sum(step >= share * steps for share in STEPS))
        return self.lr * (LEAST_RATE + (1 - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * done)))
