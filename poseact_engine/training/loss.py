# SPDX-License-Identifier: Apache-2.0
"""What a window costs: cross-entropy, also where only what it is not is known."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from poseact_engine.training.keypoints import HARMLESS, NO_FALL
from poseact_engine.training.paper import ABNORMAL, FALLING


def action_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the windows of logits ``[B, C]`` and labels int64 ``[B]``.

    A window of an action costs its cross-entropy; one that is HARMLESS costs ``-log(1 - p)`` of
    the probability p that all abnormal classes have together, one that is NO_FALL the same of
    falling alone.
    """
    if (labels >= 0).all():
        return nn.functional.cross_entropy(logits, labels)
    costs = nn.functional.cross_entropy(logits, labels.clamp(min=0), reduction="none")
    for label, ruled_out in ((HARMLESS, ABNORMAL), (NO_FALL, (FALLING,))):
        costs = torch.where(labels == label, _none_of(logits, ruled_out), costs)
    return costs.mean()


def _none_of(logits: Tensor, classes: Sequence[int]) -> Tensor:
    """``-log(1 - p)`` of the probability p that ``classes`` have together."""
    # 1 - p as the share of the other classes: it keeps its digits where p rounds to 1.
    others = [c for c in range(logits.shape[1]) if c not in classes]
    return torch.logsumexp(logits, dim=1) - torch.logsumexp(logits[:, others], dim=1)
