# SPDX-License-Identifier: Apache-2.0
"""A running mean of a network's weights; it is what validation looks at and what is kept."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from poseact_engine.errors import ConfigError


class WeightAverage:
    """``average = decay * average + (1 - decay) * weights`` after each step, statistics of batch
    normalisation included. Early on the mean is over fewer steps: ``(1 + n) / (10 + n)`` is the
    decay while that is less. Owns a copy of the network; ``decay`` 0 keeps the last weights.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(f"train.average: expected 0 <= average < 1, got {decay!r}")
        self.decay = decay
        self.net = copy.deepcopy(net).eval().requires_grad_(requires_grad=False)
        self.updates = 0

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mine, new in zip(
            self.net.state_dict().values(), net.state_dict().values(), strict=True
        ):
            if mine.dtype.is_floating_point:
                mine.lerp_(new, 1 - keep)
            else:
                mine.copy_(new)

    def state_dict(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.net.load_state_dict(state_dict["net"])
        self.updates = int(state_dict["updates"])
