# SPDX-License-Identifier: Apache-2.0
"""Where training computes, and in which precision: asked for, and resolved once."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from poseact_engine.errors import ConfigError

DeviceChoice = Literal["auto", "cpu", "cuda"]
PrecisionChoice = Literal["auto", "fp32", "bf16"]
TrainPrecision = Literal["fp32", "bf16"]


def resolve_device(choice: DeviceChoice) -> torch.device:
    """``auto`` is CUDA where torch has it; ConfigError where it was asked for and is not there."""
    if choice not in get_args(DeviceChoice):
        raise ConfigError(f"--device: expected auto, cpu or cuda, got {choice!r}")
    have = torch.cuda.is_available()
    if choice == "cuda" and not have:
        raise ConfigError(
            "--device: expected a CUDA device that torch can use, got none; try --device cpu, or"
            " install torch for CUDA"
        )
    return torch.device("cuda" if have and choice != "cpu" else "cpu")


def resolve_precision(choice: PrecisionChoice, device: torch.device) -> TrainPrecision:
    """``auto`` is bf16 where a CUDA device has it, else fp32. Weights stay fp32 in any case: bf16
    needs no scaled loss, as it has fp32's exponents."""
    if choice not in get_args(PrecisionChoice):
        raise ConfigError(f"--precision: expected auto, fp32 or bf16, got {choice!r}")
    if choice != "auto":
        return choice
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
