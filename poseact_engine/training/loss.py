# SPDX-License-Identifier: Apache-2.0
"""What a window costs: cross-entropy, also where only what it is not is known."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from poseact_engine.training.keypoints import HARMLESS
from poseact_engine.training.paper import ABNORMAL


def action_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the windows of logits ``[B, C]`` and labels int64 ``[B]``.

    A window of an action costs its cross-entropy; one that is HARMLESS costs ``-log(1 - p)`` of
    the probability p that all abnormal classes have together.
    """
    is_harmless = labels == HARMLESS
    if not is_harmless.any():
        return nn.functional.cross_entropy(logits, labels)
    # 1 - p as the share of the other classes: it keeps its digits where p rounds to 1.
    others = [c for c in range(logits.shape[1]) if c not in ABNORMAL]
    harmless = torch.logsumexp(logits, dim=1) - torch.logsumexp(logits[:, others], dim=1)
    action = nn.functional.cross_entropy(logits, labels.clamp(min=0), reduction="none")
    return torch.where(is_harmless, harmless, action).mean()
