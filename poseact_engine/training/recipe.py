# SPDX-License-Identifier: Apache-2.0
"""What ``poseact train action`` does, on sequences that are not in a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from poseact_engine.training.action import TrainConfig, training_windows
from poseact_engine.training.keypoints import PoseSequence
from poseact_engine.training.loop import Epoch, LoopConfig, Run, train
from poseact_engine.training.models.lstm import ActionLstm


def train_by_recipe(
    sequences: Sequence[PoseSequence],
    loop: LoopConfig,
    *,
    device: str,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[ActionLstm, int]:
    """The model after the last epoch, and the number of windows that it was drawn from."""
    config = TrainConfig(data=(), loop=loop)
    windows = training_windows(config, sequences)
    nothing = windows.select(np.zeros(0, dtype=np.int64))
    run = Run(device=torch.device(device))
    trained = train(windows, nothing, model=config.model, loop=loop, on_epoch=on_epoch, run=run)
    return trained.model, len(windows)


def name_windows(model: ActionLstm, poses_px: NDArray[np.float32]) -> NDArray[np.int64]:
    """Windows ``[W, T, K, 3]`` to the class of each, int64 ``[W]``."""
    said: NDArray[np.int64] = model.probabilities(torch.from_numpy(poses_px)).argmax(dim=1).numpy()
    return said
