# SPDX-License-Identifier: Apache-2.0
"""The pose model: HRNet, from "Deep High-Resolution Representation Learning for Human Pose
Estimation" (Sun, Xiao, Liu, Wang, CVPR 2019).

Figures of the authors' configuration files (``experiments/coco/hrnet/w32_256x192_adam_lr1e-3.yaml``
of leoxiaobin/deep-high-resolution-net.pytorch), attributes named as theirs, so that their weights
load by their own keys. ``forward`` holds no control flow on data: ``torch.fx`` can trace it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor, nn

from poseact_engine.errors import ConfigError

STEM = 64
EXPANSION = 4
"""layer1 gives this many times the stem's channels, whatever the width."""
BLOCKS = 4
"""Residual blocks in layer1, and in each branch of a module."""
MODULES = (1, 4, 3)
"""Of stages 2, 3 and 4, which have 2, 3 and 4 branches."""
MOST_MODULES = 8
LIMITS = MappingProxyType({"width": (4, 128), "joints": (1, 512), "stem": (4, 128)})


@dataclass(frozen=True, slots=True, kw_only=True)
class HrnetConfig:
    """The network's shape. The paper's widths are 32 and 48; narrower ones are for edge boxes."""

    width: int = 32
    """Channels of the branch at 1/4; each next branch has half the size and twice the channels."""
    joints: int = 17
    stem: int = STEM
    """Channels at 1/2 and 1/4, before layer1. All published networks have 64."""
    modules: tuple[int, int, int] = MODULES
    """Modules of stages 2, 3 and 4. All published networks have 1, 4 and 3."""

    def __post_init__(self) -> None:
        if len(self.modules) != 3 or not all(
            type(count) is int and 1 <= count <= MOST_MODULES for count in self.modules
        ):
            raise ConfigError(
                f"hrnet.modules: expected three whole numbers from 1 to {MOST_MODULES},"
                f" got {self.modules!r}"
            )
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ConfigError(
                    f"hrnet.{name}: expected a whole number from {low} to {high}, got {value!r}"
                )


class Hrnet(nn.Module):
    """Normalised pictures f32 ``[M, 3, H, W]``, H and W multiples of 32, to heat maps f32
    ``[M, K, H/4, W/4]``.

    stem (1/4) → layer1 → stages 2, 3, 4, each with one more branch at half the size of the last
    (1/4 to 1/32); all branches are fused after each module, the last into 1/4 alone → 1x1 conv.
    """

    def __init__(self, config: HrnetConfig) -> None:
        super().__init__()
        self.config = config
        stem = config.stem
        widths = [config.width << branch for branch in range(4)]
        self.conv1 = nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.conv2 = nn.Conv2d(stem, stem, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(
            *(Bottleneck(stem if n == 0 else stem * EXPANSION, stem) for n in range(BLOCKS))
        )
        self.transition1 = _transition([stem * EXPANSION], widths[:2])
        self.stage2 = _stage(widths[:2], config.modules[0])
        self.transition2 = _transition(widths[:2], widths[:3])
        self.stage3 = _stage(widths[:3], config.modules[1])
        self.transition3 = _transition(widths[:3], widths)
        self.stage4 = _stage(widths, config.modules[2], last_fused=1)
        self.final_layer = nn.Conv2d(config.width, config.joints, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        stem = self.relu(self.bn1(self.conv1(pictures)))  # [M, stem, H/2, W/2]
        stem = self.relu(self.bn2(self.conv2(stem)))  # [M, stem, H/4, W/4]
        first = self.layer1(stem)  # [M, 4 stem, H/4, W/4]
        branches = self.stage2([move(first) for move in self.transition1])
        branches = self.stage3(_widen(branches, self.transition2))
        branches = self.stage4(_widen(branches, self.transition3))
        heatmaps: Tensor = self.final_layer(branches[0])  # [M, K, H/4, W/4]
        return heatmaps


class BasicBlock(nn.Module):
    """``[M, C, h, w]`` to the same: two 3x3 convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.relu(self.bn1(self.conv1(features)))
        result: Tensor = self.relu(self.bn2(self.conv2(inner)) + features)
        return result


class Bottleneck(nn.Module):
    """``[M, channels, h, w]`` to ``[M, 4 inner, h, w]``: 1x1 to ``inner``, 3x3, 1x1 to four times
    that, and a shortcut, itself a 1x1 convolution where the channels change."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        after = inner * EXPANSION
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if channels != after:
            self.downsample = _conv_bn(channels, after, 1)

    def forward(self, features: Tensor) -> Tensor:
        inner = self.relu(self.bn1(self.conv1(features)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        result: Tensor = self.relu(self.bn3(self.conv3(inner)) + self.downsample(features))
        return result


class HighResolutionModule(nn.Module):
    """Branches ``[M, widths[i], h >> i, w >> i]``, each through its blocks, then the first
    ``fused`` of them as the sum over all branches, each brought to that size and width."""

    def __init__(self, widths: Sequence[int], *, fused: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(BLOCKS))) for width in widths
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse(widths, source=j, target=i) for j in range(len(widths)))
            for i in range(fused)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        inner = [blocks(branch) for blocks, branch in zip(self.branches, branches, strict=True)]
        return [self.relu(_fused_sum(row, inner)) for row in self.fuse_layers]


def _fused_sum(row: nn.Module, inner: list[Tensor]) -> Tensor:
    # Left to right, as the authors add: other orders round differently.
    parts = [fuse(branch) for fuse, branch in zip(row.children(), inner, strict=True)]
    total: Tensor = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _fuse(widths: Sequence[int], *, source: int, target: int) -> nn.Module:
    """From branch ``source`` to the size and width of branch ``target``."""
    if source == target:
        return nn.Identity()
    if source > target:
        up = nn.Upsample(scale_factor=float(1 << (source - target)), mode="nearest")
        return nn.Sequential(*_conv_bn(widths[source], widths[target], 1), up)
    steps = [
        _conv_bn(widths[source], widths[source], 3, stride=2, relu=True)
        for _ in range(target - source - 1)
    ]
    return nn.Sequential(*steps, _conv_bn(widths[source], widths[target], 3, stride=2))


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """One module a branch of ``after``; the last one's input is the lowest branch of ``before``."""
    kept = [
        nn.Identity() if old == new else _conv_bn(old, new, 3, relu=True)
        for old, new in zip(before, after, strict=False)
    ]
    added = nn.Sequential(_conv_bn(before[-1], after[-1], 3, stride=2, relu=True))
    return nn.ModuleList([*kept, added])


def _widen(branches: list[Tensor], transition: nn.ModuleList) -> list[Tensor]:
    sources = [*branches, branches[-1]]
    return [move(source) for move, source in zip(transition, sources, strict=True)]


def _stage(widths: Sequence[int], modules: int, *, last_fused: int | None = None) -> nn.Sequential:
    fused = [len(widths)] * modules
    fused[-1] = last_fused or len(widths)
    return nn.Sequential(*(HighResolutionModule(widths, fused=count) for count in fused))


def _conv_bn(
    before: int, after: int, kernel: int, *, stride: int = 1, relu: bool = False
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(after),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)
