# SPDX-License-Identifier: Apache-2.0
"""The blocks that YOLOX is made of; attributes named as in Megvii's ``network_blocks.py``.

All take and give ``[B, C, h, w]``. Batch normalisation has Megvii's eps 1e-3 and momentum 0.03,
which their experiment files set after the model is made.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EPS = 1e-3
MOMENTUM = 0.03
POOLS = (5, 9, 13)


class BaseConv(nn.Module):
    """Convolution, batch normalisation, SiLU."""

    def __init__(
        self, before: int, after: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            before, after, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(after, eps=EPS, momentum=MOMENTUM)
        self.act = nn.SiLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.act(self.bn(self.conv(features)))
        return result


class DepthwiseConv(nn.Module):
    """A convolution per channel (which has the stride), then a 1x1 across channels."""

    def __init__(self, before: int, after: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.dconv = BaseConv(before, before, kernel, stride=stride, groups=before)
        self.pconv = BaseConv(before, after, 1)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.pconv(self.dconv(features))
        return result


def make_conv(
    before: int, after: int, *, stride: int = 1, depthwise: bool
) -> BaseConv | DepthwiseConv:
    """A 3x3 convolution of the kind that the network uses throughout."""
    if depthwise:
        return DepthwiseConv(before, after, 3, stride=stride)
    return BaseConv(before, after, 3, stride=stride)


class Focus(nn.Module):
    """``[B, 3, H, W]`` to ``[B, C, H/2, W/2]``: every 2x2 block becomes 12 channels, then 3x3."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.conv = BaseConv(12, after, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        # Column by column, not row by row: the order of the published weights.
        corners = [pictures[..., y::2, x::2] for x in (0, 1) for y in (0, 1)]
        result: Tensor = self.conv(torch.cat(corners, dim=1))
        return result


class Bottleneck(nn.Module):
    """1x1, then 3x3, and the input on top where ``shortcut`` says so."""

    def __init__(self, channels: int, *, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        self.conv1 = BaseConv(channels, channels, 1)
        self.conv2 = make_conv(channels, channels, depthwise=depthwise)
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        inner: Tensor = self.conv2(self.conv1(features))
        return inner + features if self.shortcut else inner


class CspLayer(nn.Module):
    """Cross stage partial: half the channels through ``blocks`` bottlenecks, half past them."""

    def __init__(
        self, before: int, after: int, *, blocks: int, depthwise: bool, shortcut: bool = True
    ) -> None:
        super().__init__()
        hidden = after // 2
        self.conv1 = BaseConv(before, hidden, 1)
        self.conv2 = BaseConv(before, hidden, 1)
        self.conv3 = BaseConv(2 * hidden, after, 1)
        self.m = nn.Sequential(
            *(Bottleneck(hidden, shortcut=shortcut, depthwise=depthwise) for _ in range(blocks))
        )

    def forward(self, features: Tensor) -> Tensor:
        halves = (self.m(self.conv1(features)), self.conv2(features))
        result: Tensor = self.conv3(torch.cat(halves, dim=1))
        return result


class SpatialPyramidPool(nn.Module):
    """The features beside their maxima over 5x5, 9x9 and 13x13."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.conv1 = BaseConv(channels, hidden, 1)
        self.m = nn.ModuleList(nn.MaxPool2d(size, stride=1, padding=size // 2) for size in POOLS)
        self.conv2 = BaseConv(hidden * (len(POOLS) + 1), channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.conv1(features)
        result: Tensor = self.conv2(torch.cat([inner, *(pool(inner) for pool in self.m)], dim=1))
        return result
