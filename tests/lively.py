# SPDX-License-Identifier: Apache-2.0
"""Networks with random weights whose normalisation does something."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def liven(network: Network, seed: int = 0) -> Network:
    """The network in evaluation mode: fresh statistics are 0 and 1, as if there were none."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):  # He's: signals neither fade nor grow
                fan = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1, generator=generator)
            if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
                module.running_mean.normal_(0, 0.1, generator=generator)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 1.5, generator=generator)
                if module.affine:
                    module.weight.uniform_(0.5, 1.5, generator=generator)
                    module.bias.normal_(0, 0.1, generator=generator)
    return network.eval()


def scale(network: nn.Module, ends: Iterable[nn.Module], inputs: Tensor, spread: float) -> None:
    """Brings what these last convolutions give for the inputs to a standard deviation: signals
    grow on their way, how much depends on the weights."""
    spreads: dict[nn.Module, Tensor] = {}
    hooks = [
        end.register_forward_hook(lambda module, _, out: spreads.update({module: out.std()}))
        for end in ends
    ]
    with torch.no_grad():
        network(inputs)
        for end, found in spreads.items():
            end.weight.mul_(spread / found)  # type: ignore[operator]
    for hook in hooks:
        hook.remove()
