# SPDX-License-Identifier: Apache-2.0
"""The action model: an LSTM over nine poses, many to one, as in "LSTM-Based Abnormal Behavior
Recognition Using AlphaPose"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from poseact_engine.errors import ConfigError
from poseact_engine.training.normalise import Standardise, make_normaliser
from poseact_engine.training.paper import CLASSES, HIDDEN, JOINTS, LAYERS

NormaliseMode = Literal["body", "paper"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LstmConfig:
    """The network's shape. The defaults are the paper's, but for dropout, of which it is silent."""

    hidden: int = HIDDEN
    layers: int = LAYERS
    dropout: float = 0.0
    """Between layers, while training."""
    normalise: NormaliseMode = "body"
    classes: int = len(CLASSES)

    def __post_init__(self) -> None:
        for name in ("hidden", "layers", "classes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"lstm.{name}: expected a whole number, 1 or more, got {value!r}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"lstm.dropout: expected 0 <= dropout < 1, got {self.dropout!r}")
        make_normaliser(self.normalise)


class ActionLstm(nn.Module):
    """Windows ``[W, T, 17, 3]`` (x, y in frame pixels, score) to logits ``[W, C]``.

    normalise → standardise → LSTM layers → the last step's hidden state → one linear layer.
    """

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        self.config = config
        features = JOINTS * 2
        self.normalise = make_normaliser(config.normalise)
        self.standardise = Standardise(features)
        self.lstm = nn.LSTM(
            features,
            config.hidden,
            config.layers,
            batch_first=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.head = nn.Linear(config.hidden, config.classes)

    def forward(self, windows: Tensor) -> Tensor:
        steps, _ = self.lstm(self.standardise(self.normalise(windows)))
        logits: Tensor = self.head(steps[:, -1])
        return logits

    @torch.no_grad()
    def fit_standardise(self, windows: Tensor) -> None:
        """Fix the standardisation from the training windows ``[W, T, 17, 3]``."""
        self.standardise.fit(self.normalise(windows))

    @torch.no_grad()
    def probabilities(self, windows: Tensor, *, batch: int = 1024) -> Tensor:
        """Probabilities ``[W, C]``, without gradients and in evaluation mode."""
        was_training = self.training
        self.eval()
        parts = [torch.softmax(self(part), dim=1) for part in torch.split(windows, batch)]
        self.train(was_training)
        return torch.cat(parts) if parts else windows.new_zeros((0, self.config.classes))
