# SPDX-License-Identifier: Apache-2.0
"""The person detector: YOLOX, from "YOLOX: Exceeding YOLO Series in 2021" (Ge et al.).

Attributes are named as in Megvii-BaseDetection/YOLOX, so that their weights load by their own
keys. ``forward`` holds no control flow on data: ``torch.fx`` can trace it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from poseact_engine.errors import ConfigError
from poseact_engine.training.models.yolox_blocks import (
    BaseConv,
    CspLayer,
    Focus,
    SpatialPyramidPool,
    make_conv,
)

STRIDES = (8, 16, 32)
STEM = 64
"""Channels of the stem at width 1; each next stage has twice as many."""
BLOCKS = 3
"""Bottlenecks of a CSP layer at depth 1."""
MOST_TIMES = 4
"""Of depth and width; the largest published network has 1.33 and 1.25."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloxConfig:
    """The network's shape; ``YOLOX_SIZES`` has the published ones."""

    depth: float
    """Times 3, rounded: bottlenecks a CSP layer."""
    width: float
    """Times 64: channels of the stem."""
    depthwise: bool = False
    classes: int = 80

    def __post_init__(self) -> None:
        _check_times("depth", self.depth)
        _check_times("width", self.width)
        if not float(self.width * STEM).is_integer():
            raise ConfigError(
                f"yolox.width: expected a multiple of 1/{STEM}, so that channels are whole numbers,"
                f" got {self.width!r}"
            )
        if self.blocks < 1:
            raise ConfigError(f"yolox.depth: expected 1/6 or more, got {self.depth!r}")
        if isinstance(self.classes, bool) or not isinstance(self.classes, int) or self.classes < 1:
            raise ConfigError(
                f"yolox.classes: expected a whole number, 1 or more, got {self.classes!r}"
            )

    @property
    def channels(self) -> int:
        """Of the stem."""
        return int(self.width * STEM)

    @property
    def blocks(self) -> int:
        """Bottlenecks of a CSP layer; the two in the middle of the backbone have three times it."""
        return round(self.depth * BLOCKS)


def _check_times(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST_TIMES:
        raise ConfigError(f"yolox.{name}: expected 0 < {name} <= {MOST_TIMES}, got {value!r}")


YOLOX_SIZES: Mapping[str, YoloxConfig] = MappingProxyType(
    {
        "nano": YoloxConfig(depth=0.33, width=0.25, depthwise=True),
        "tiny": YoloxConfig(depth=0.33, width=0.375),
        "s": YoloxConfig(depth=0.33, width=0.5),
        "m": YoloxConfig(depth=0.67, width=0.75),
        "l": YoloxConfig(depth=1.0, width=1.0),
        "x": YoloxConfig(depth=1.33, width=1.25),
    }
)


class Yolox(nn.Module):
    """Pictures f32 BGR 0-255 ``[B, 3, H, W]``, H and W multiples of 32, to raw f32
    ``[B, A, 5 + classes]``: x, y, w, h as the network says them (Megvii's
    ``decode_in_inference = False``), objectness and classes after the sigmoid.

    A = H·W (1/64 + 1/256 + 1/1024): all points of level 8, then 16, then 32, row by row.
    """

    def __init__(self, config: YoloxConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = PathAggregation(config)
        self.head = DecoupledHead(config)

    def forward(self, pictures: Tensor) -> Tensor:
        raw: Tensor = self.head(self.backbone(pictures))
        return raw

    def logits(self, pictures: Tensor) -> Tensor:
        """As ``forward``, but objectness and classes before the sigmoid: what losses are of."""
        return self.head.logits(self.backbone(pictures))


class CspDarknet(nn.Module):
    """Pictures to features at 1/8, 1/16 and 1/32, of 4, 8 and 16 times the stem's channels."""

    def __init__(self, config: YoloxConfig) -> None:
        super().__init__()
        base = config.channels
        self.stem = Focus(base)
        self.dark2 = nn.Sequential(*_dark(config, base, blocks=config.blocks))
        self.dark3 = nn.Sequential(*_dark(config, base * 2, blocks=config.blocks * 3))
        self.dark4 = nn.Sequential(*_dark(config, base * 4, blocks=config.blocks * 3))
        down, layer = _dark(config, base * 8, blocks=config.blocks, shortcut=False)
        self.dark5 = nn.Sequential(down, SpatialPyramidPool(base * 16), layer)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        at8 = self.dark3(self.dark2(self.stem(pictures)))
        at16 = self.dark4(at8)
        return at8, at16, self.dark5(at16)


class PathAggregation(nn.Module):
    """Pictures to features at 1/8, 1/16 and 1/32 that have seen each other: top down, then up."""

    def __init__(self, config: YoloxConfig) -> None:
        super().__init__()
        at8, at16, at32 = (config.channels * times for times in (4, 8, 16))
        self.backbone = CspDarknet(config)
        self.upsample = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.lateral_conv0 = BaseConv(at32, at16, 1)
        self.C3_p4 = _neck(config, 2 * at16, at16)
        self.reduce_conv1 = BaseConv(at16, at8, 1)
        self.C3_p3 = _neck(config, 2 * at8, at8)
        self.bu_conv2 = make_conv(at8, at8, stride=2, depthwise=config.depthwise)
        self.C3_n3 = _neck(config, 2 * at8, at16)
        self.bu_conv1 = make_conv(at16, at16, stride=2, depthwise=config.depthwise)
        self.C3_n4 = _neck(config, 2 * at16, at32)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        at8, at16, at32 = self.backbone(pictures)
        top = self.lateral_conv0(at32)
        middle = self.C3_p4(torch.cat([self.upsample(top), at16], dim=1))
        middle = self.reduce_conv1(middle)
        out8 = self.C3_p3(torch.cat([self.upsample(middle), at8], dim=1))
        out16 = self.C3_n3(torch.cat([self.bu_conv2(out8), middle], dim=1))
        out32 = self.C3_n4(torch.cat([self.bu_conv1(out16), top], dim=1))
        return out8, out16, out32


class DecoupledHead(nn.Module):
    """Features of the three levels to raw ``[B, A, 5 + classes]``; boxes and objectness come of
    one pair of convolutions, classes of another."""

    def __init__(self, config: YoloxConfig) -> None:
        super().__init__()
        inner = config.channels * 4
        self.cls_convs = nn.ModuleList(_pair(config, inner) for _ in STRIDES)
        self.reg_convs = nn.ModuleList(_pair(config, inner) for _ in STRIDES)
        self.cls_preds = nn.ModuleList(nn.Conv2d(inner, config.classes, 1) for _ in STRIDES)
        self.reg_preds = nn.ModuleList(nn.Conv2d(inner, 4, 1) for _ in STRIDES)
        self.obj_preds = nn.ModuleList(nn.Conv2d(inner, 1, 1) for _ in STRIDES)
        self.stems = nn.ModuleList(
            BaseConv(config.channels * times, inner, 1) for times in (4, 8, 16)
        )

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        levels = []
        for level in range(len(STRIDES)):
            box, objectness, classes = self._level(level, features[level])
            levels.append(_flat([box, objectness.sigmoid(), classes.sigmoid()]))
        return torch.cat(levels, dim=2).permute(0, 2, 1)

    def logits(self, features: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        levels = [_flat(self._level(level, features[level])) for level in range(len(STRIDES))]
        return torch.cat(levels, dim=2).permute(0, 2, 1)

    def _level(self, level: int, features: Tensor) -> list[Tensor]:
        """Box, objectness and classes, each ``[B, ., h, w]``."""
        inner = self.stems[level](features)
        of_class = self.cls_convs[level](inner)
        of_box = self.reg_convs[level](inner)
        return [
            self.reg_preds[level](of_box),
            self.obj_preds[level](of_box),
            self.cls_preds[level](of_class),
        ]


def _flat(parts: list[Tensor]) -> Tensor:
    """``[B, 5 + classes, h * w]``."""
    return torch.cat(parts, dim=1).flatten(start_dim=2)


def _dark(
    config: YoloxConfig, before: int, *, blocks: int, shortcut: bool = True
) -> tuple[nn.Module, nn.Module]:
    """Half the size, twice the channels."""
    after = before * 2
    layer = CspLayer(after, after, blocks=blocks, depthwise=config.depthwise, shortcut=shortcut)
    return make_conv(before, after, stride=2, depthwise=config.depthwise), layer


def _neck(config: YoloxConfig, before: int, after: int) -> CspLayer:
    blocks, depthwise = config.blocks, config.depthwise
    return CspLayer(before, after, blocks=blocks, depthwise=depthwise, shortcut=False)


def _pair(config: YoloxConfig, channels: int) -> nn.Sequential:
    return nn.Sequential(
        *(make_conv(channels, channels, depthwise=config.depthwise) for _ in range(2))
    )
