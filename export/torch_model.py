# SPDX-License-Identifier: Apache-2.0
"""A network in torch as the reference of what was exported from it.

The network is the one whose checkpoint was given; what the graph computes before and behind it is
computed here by NumPy in float64, from the formulas again and not from the graph's nodes. Slow,
and independent.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.foreign_model import read_yolox
from export.front import InputOptions
from export.heatmap import dark_kernel
from export.options import CheckpointOptions
from export.read_maps import mean_of_mirrored, read_maps
from poseact_engine.backends.base import check_input, check_output
from poseact_engine.contract import contract_of
from poseact_engine.errors import BackendError, ConfigError
from poseact_engine.manifest import ActionManifest, DetectorManifest, Manifest, PoseManifest
from poseact_engine.training.checkpoint import ActionCheckpoint, load_checkpoint
from poseact_engine.training.network_checkpoint import read_info
from poseact_engine.training.official import load_hrnet, load_yolox

Answer = Callable[[NDArray[Any]], tuple[NDArray[Any], ...]]
_AT_ONCE = {"detector": 2, "pose": 4, "action": 1024}
"""Most inputs that the network sees in one call: larger ones take longer an input on a CPU."""


class TorchModel:
    """Serves ``backends.base.Model`` on a CPU. Owns the network. One thread at a time."""

    def __init__(self, manifest: Manifest, answer: Answer) -> None:
        self._manifest = manifest
        self._contract = contract_of(manifest)
        self._answer: Answer | None = answer
        self._cpu_s = 0.0

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def backend(self) -> str:
        return "torch/cpu"

    @property
    def cpu_s(self) -> float:
        return self._cpu_s

    def close(self) -> None:
        self._answer = None

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        check_input(batch, self._contract.input, self._manifest.task)
        if self._answer is None:
            raise BackendError(f"torch: the {self._manifest.task} model is closed")
        before = time.process_time()
        step = _AT_ONCE[self._manifest.task]
        with torch.inference_mode():
            parts = [self._answer(batch[i : i + step]) for i in range(0, len(batch), step)]
        outputs = []
        for i, spec in enumerate(self._contract.outputs):
            rows = [np.asarray(part[i], spec.dtype) for part in parts]
            outputs.append(np.concatenate([np.empty((0, *spec.shape), spec.dtype), *rows]))
            check_output("torch: " + self._manifest.task, outputs[-1], spec, len(batch))
        self._cpu_s += time.process_time() - before
        return tuple(outputs)


def torch_pose(
    network: nn.Module, manifest: PoseManifest, front: InputOptions, kernel: int | None = None
) -> TorchModel:
    """``kernel``: cells of DARK's Gaussian, where the size of the maps does not say."""

    def answer(crops: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        x = _prepare(crops, front)
        maps = network(torch.from_numpy(x)).double().numpy()
        if manifest.flip_test:
            mirrored = network(torch.from_numpy(x[..., ::-1].copy())).double().numpy()
            pairs = zip(maps, mirrored, strict=True)
            maps = [mean_of_mirrored(a, b, manifest) for a, b in pairs]
        cells = dark_kernel(kernel, *maps[0].shape[1:]) if manifest.decode == "dark" else None
        return (np.stack([read_maps(one, manifest, cells) for one in maps]),)

    return TorchModel(manifest, answer)


def torch_detector(
    network: nn.Module, manifest: DetectorManifest, front: InputOptions, person: int
) -> TorchModel:
    """``person``: index of the class."""

    def answer(images: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        raw = network(torch.from_numpy(_prepare(images, front))).numpy()
        boxes, scores = [], []
        for one in raw:
            # float32, as in the graph: in float64 other candidates would tie.
            score = one[:, 4] * one[:, 5 + person]
            best = np.argsort(-score, kind="stable")[: manifest.max_boxes]
            size = (manifest.height, manifest.width)
            boxes.append(read_yolox(one.astype(np.float64), size, person)[0][best])
            scores.append(score[best])
        return np.stack(boxes), np.stack(scores)

    return TorchModel(manifest, answer)


def torch_action(checkpoint: ActionCheckpoint, manifest: ActionManifest) -> TorchModel:
    network = checkpoint.make_model()
    return TorchModel(
        manifest, lambda windows: (network.probabilities(torch.from_numpy(windows)).numpy(),)
    )


def open_torch(
    path: Path, manifest: Manifest, options: CheckpointOptions | None = None
) -> TorchModel:
    """A checkpoint as ``manifest`` has it, that of a file exported from it.

    ``options``: what a manifest does not say; None: as `python -m export` takes it where it is not
    told otherwise. Raises SourceError (the file), ConfigError where the manifest is of another
    network or the options do not fit it.
    """
    options = options or CheckpointOptions()
    options.check(manifest.task)
    if isinstance(manifest, PoseManifest):
        return _open_hrnet(path, manifest, options)
    if isinstance(manifest, DetectorManifest):
        return _open_yolox(path, manifest, options)
    checkpoint = load_checkpoint(path)
    if not isinstance(manifest, ActionManifest):
        raise ConfigError(f"{path}: expected a manifest of a known task, got {manifest.task}")
    for name in ("joints", "classes", "length", "rate", "normalise"):
        _same(path, name, getattr(manifest, name), getattr(checkpoint, name))
    return torch_action(checkpoint, manifest)


def _open_hrnet(path: Path, manifest: PoseManifest, options: CheckpointOptions) -> TorchModel:
    from export.hrnet import ALPHAPOSE_FRONT, FRONT, name_own

    network, kernel = load_hrnet(path), options.dark_kernel
    _same(path, "joints", len(manifest.joints), network.config.joints)
    if kernel is not None and manifest.decode != "dark":
        raise ConfigError(f"--dark-kernel: expected decode dark, got {manifest.decode}")
    if manifest.decode == "dark":
        if kernel is None and (own := read_info(path)) is not None:
            kernel = name_own(own).dark_kernel
        # ExportError, before all the work, where it is not known.
        kernel = dark_kernel(kernel, manifest.height // 4, manifest.width // 4)
    front = ALPHAPOSE_FRONT if options.alphapose else FRONT
    return torch_pose(network, manifest, front, kernel)


def _open_yolox(path: Path, manifest: DetectorManifest, options: CheckpointOptions) -> TorchModel:
    from export.yolox import FRONT, LEGACY_FRONT

    network, person = load_yolox(path), options.person_class
    if not 0 <= person < network.config.classes:
        raise ConfigError(
            f"--person-class: expected 0 to {network.config.classes - 1}, got {person}"
        )
    front = LEGACY_FRONT if options.legacy else FRONT
    return torch_detector(network, manifest, front, person)


def _same(path: Path, what: str, expected: object, got: object) -> None:
    if expected != got:
        raise ConfigError(f"{path}: expected {what} as in the other model, {expected}, got {got}")


def _prepare(rgb: NDArray[np.uint8], front: InputOptions) -> NDArray[np.float32]:
    """``(grey level * scale - mean) / std`` in the network's channel order, [N, 3, H, W]."""
    levels = rgb[:, ::-1] if front.color == "bgr" else rgb
    mean, std = (np.reshape(v, (3, 1, 1)) for v in (front.mean, front.std))
    return np.asarray((levels * front.scale - mean) / std, np.float32)
