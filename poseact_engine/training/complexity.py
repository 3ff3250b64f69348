# SPDX-License-Identifier: Apache-2.0
"""What a network costs: parameters, and multiply-adds of its convolutions.

Published figures count differently. HRNet's paper gives these multiply-adds in units of 2**30 and
calls them GFLOPs (7.645e9 are its 7.1). YOLOX's table counts 2 x (these + biases + 2 for each
number that is normalised).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def count_parameters(model: nn.Module) -> int:
    """Learnt numbers; the running statistics of batch normalisation are not among them."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def count_conv_macs(model: nn.Module, *, height: int, width: int) -> int:
    """Multiply-adds of all Conv2d for one picture ``[1, 3, height, width]``, without biases.

    Nothing else is counted; normalisation folds into the convolutions. A model on device ``meta``
    is counted without computing anything.
    """
    macs = 0

    def count(layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        assert isinstance(layer, nn.Conv2d)
        macs += output.numel() * layer.weight[0].numel()

    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in convolutions]
    try:
        model(torch.zeros(1, 3, height, width, device=next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return macs
