# SPDX-License-Identifier: Apache-2.0
"""Published weights into our networks, by their own names; the configuration is read off them.

HRNet: its authors (``pose_hrnet_w32_256x192.pth``; ``checkpoint.pth`` of their training), AlphaPose
(the same names), MMPose 0.x (``backbone.*``, ``keypoint_head.*``) and 1.x (``head.*``), whose HRNet
computes the same (``mmpose/models/backbones/hrnet.py``: nearest upsampling, the same order). DARK
and UDP change decoding and crops, not the network: their files hold the same names.
YOLOX: Megvii's. Neither file says how pictures are normalised or which activation was used; the
published ones use SiLU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from poseact_engine.errors import ConfigError, SourceError
from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig
from poseact_engine.training.models.yolox import BLOCKS, STEM, YOLOX_SIZES, Yolox, YoloxConfig
from poseact_engine.training.state_dict import check_names, fill, read_state_dict

MMPOSE_BACKBONE = "backbone."
MMPOSE_PREFIXES = (MMPOSE_BACKBONE, "keypoint_head.", "head.")
HRNET_STEM = "conv1.weight"
HRNET_STAGES = ("stage2.", "stage3.", "stage4.")
HRNET_WIDTH = "stage2.0.branches.0.0.conv1.weight"
HRNET_JOINTS = "final_layer.weight"
YOLOX_STEM = "backbone.backbone.stem.conv.conv.weight"
YOLOX_BLOCKS = "backbone.backbone.dark2.1.m."
YOLOX_DEPTHWISE = "backbone.backbone.dark2.0.dconv.conv.weight"
YOLOX_CLASSES = "head.cls_preds.0.weight"


def load_hrnet(path: Path) -> Hrnet:
    """HRNet with the weights of ``path``, in evaluation mode; SourceError says what is wrong."""
    weights = read_state_dict(path)
    if _is_yolox(weights):
        raise SourceError(f"{path}: expected the weights of HRNet, got those of YOLOX")
    weights = _authors_names(path, weights)
    one, two, three = (max(1, _count_children(weights, stage)) for stage in HRNET_STAGES)
    try:
        guess = HrnetConfig(modules=(one, two, three))
        with torch.device("meta"):
            names = Hrnet(guess).state_dict()
        check_names(path, "HRNet", weights, names)
        config = HrnetConfig(
            width=_channels(path, weights, HRNET_WIDTH),
            joints=_channels(path, weights, HRNET_JOINTS),
            stem=_channels(path, weights, HRNET_STEM),
            modules=guess.modules,
        )
    except ConfigError as error:
        raise SourceError(f"{path}: {error}") from error
    with torch.device("meta"):
        model = Hrnet(config)
    fill(path, f"HRNet-W{config.width}", model, weights)
    return model.eval()


def load_yolox(path: Path) -> Yolox:
    """YOLOX with the weights of ``path``, in evaluation mode; SourceError says what is wrong."""
    weights = read_state_dict(path)
    if _is_hrnet(weights):
        raise SourceError(f"{path}: expected the weights of YOLOX, got those of HRNet")
    depthwise = YOLOX_DEPTHWISE in weights
    blocks = max(1, _count_children(weights, YOLOX_BLOCKS))
    try:
        guess = YoloxConfig(depth=blocks / BLOCKS, width=1, depthwise=depthwise)
        with torch.device("meta"):
            names = Yolox(guess).state_dict()
        check_names(path, "YOLOX", weights, names)
        config = YoloxConfig(
            depth=guess.depth,
            width=_channels(path, weights, YOLOX_STEM) / STEM,
            depthwise=depthwise,
            classes=_channels(path, weights, YOLOX_CLASSES),
        )
    except ConfigError as error:
        raise SourceError(f"{path}: {error}") from error
    config = _published(config)
    with torch.device("meta"):
        model = Yolox(config)
    fill(path, "YOLOX", model, weights)
    return model.eval()


def _is_yolox(names: Iterable[str]) -> bool:
    return any(name.startswith(("backbone.backbone.", "head.cls_preds.")) for name in names)


def _is_hrnet(names: Iterable[str]) -> bool:
    return any(name.endswith(HRNET_WIDTH) for name in names)


def _authors_names(path: Path, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MMPose's names as the authors'; names of neither stay. SourceError where two become one."""
    if not any(name.startswith(MMPOSE_BACKBONE) for name in weights):
        return dict(weights)
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        prefixes = [prefix for prefix in MMPOSE_PREFIXES if name.startswith(prefix)]
        new = name.removeprefix(prefixes[0]) if prefixes else name
        if new in renamed:
            raise SourceError(f"{path}: expected one {new}, got it under more than one prefix")
        renamed[new] = tensor
    return renamed


def _count_children(names: Iterable[str], parent: str) -> int:
    return len({name[len(parent) :].split(".")[0] for name in names if name.startswith(parent)})


def _channels(path: Path, weights: Mapping[str, Tensor], name: str) -> int:
    """Output channels of a convolution."""
    shape = tuple(weights[name].shape)
    if len(shape) != 4:
        raise SourceError(f"{path}: {name}: expected a convolution's four axes, got shape {shape}")
    return shape[0]


def _published(config: YoloxConfig) -> YoloxConfig:
    """``config`` with the published depth (0.33 for 1/3), where it is a published network."""
    for known in YOLOX_SIZES.values():
        same = (known.channels, known.blocks, known.depthwise)
        if same == (config.channels, config.blocks, config.depthwise):
            return YoloxConfig(
                depth=known.depth,
                width=known.width,
                depthwise=known.depthwise,
                classes=config.classes,
            )
    return config
