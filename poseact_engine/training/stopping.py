# SPDX-License-Identifier: Apache-2.0
"""When to stop: the score on held-out data has not become better for some epochs."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

from poseact_engine.errors import ConfigError

Mode = Literal["max", "min"]


class EarlyStopping:
    """The best score so far, and how long ago that was. Owns three numbers. Not thread-safe.

    ``patience`` None: never stops, only knows the best. NaN is never better.
    """

    def __init__(self, patience: int | None = None, mode: Mode = "max") -> None:
        if patience is not None and (isinstance(patience, bool) or patience < 1):
            raise ConfigError(f"patience: expected a whole number, 1 or more, got {patience!r}")
        if mode not in get_args(Mode):
            raise ConfigError(f"mode: expected max or min, got {mode!r}")
        self.patience, self.mode = patience, mode
        self.best = math.nan
        self.best_epoch = 0
        """0: no score yet."""
        self._since = 0

    def update(self, score: float, epoch: int) -> bool:
        """Whether this epoch (from 1) is the best so far."""
        better = score > self.best if self.mode == "max" else score < self.best
        if better or (math.isnan(self.best) and not math.isnan(score)):
            self.best, self.best_epoch, self._since = float(score), epoch, 0
            return True
        self._since += 1
        return False

    @property
    def stop(self) -> bool:
        return self.patience is not None and self._since >= self.patience

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "best_epoch": self.best_epoch, "since": self._since}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = float(state_dict["best"])
        self.best_epoch, self._since = int(state_dict["best_epoch"]), int(state_dict["since"])
