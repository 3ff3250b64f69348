# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files as other projects write them, and files that only look like some."""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

State = dict[str, Tensor]
Writer = Callable[[State, Path], None]


def optimiser_state() -> dict[str, Any]:
    layer = torch.nn.Linear(2, 2)
    adam = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    adam.step()
    return adam.state_dict()


def parallel(state: State) -> State:
    return OrderedDict((f"module.{name}", value) for name, value in state.items())


def bare(state: State, path: Path) -> None:
    torch.save(OrderedDict(state), path)


def old_torch(state: State, path: Path) -> None:
    """The file format before torch 1.6, and no counters: ``pose_hrnet_w32_256x192.pth``."""
    kept = OrderedDict((k, v) for k, v in state.items() if not k.endswith("num_batches_tracked"))
    torch.save(kept, path, _use_new_zipfile_serialization=False)


def authors_training(state: State, path: Path) -> None:
    """``checkpoint.pth`` of HRNet's tools/train.py; ``model`` is a name there."""
    content = {
        "epoch": 210,
        "model": "pose_hrnet",
        "state_dict": parallel(state),
        "best_state_dict": {name: value + 1 for name, value in state.items()},
        "perf": 0.744,
        "optimizer": optimiser_state(),
    }
    torch.save(content, path)


def as_mmpose(state: State, head: str) -> State:
    return OrderedDict(
        (f"{head}.{k}" if k.startswith("final_layer") else f"backbone.{k}", v)
        for k, v in state.items()
    )


def mmpose_0(state: State, path: Path) -> None:
    meta = {"env_info": "sys.platform: linux", "seed": 0, "mmpose_version": "0.29.0"}
    content = {"meta": meta, "state_dict": as_mmpose(state, "keypoint_head")}
    torch.save(content | {"optimizer": optimiser_state()}, path)


def mmpose_1_published(state: State, path: Path) -> None:
    torch.save({"meta": {"epoch": 1}, "state_dict": as_mmpose(state, "head")}, path)


def mmpose_1_training(state: State, path: Path) -> None:
    """An mmengine checkpoint: NumPy in its metadata, log buffers in its message hub."""
    named = as_mmpose(state, "head")
    meta = {
        "epoch": 3,
        "dataset_meta": {"sigmas": np.full(17, 0.05), "flip_indices": [0, 2, 1]},
        "best": np.float64(0.75),
    }
    with fake_mmengine() as buffer:
        content = {
            "meta": meta,
            "state_dict": named,
            "message_hub": {"log_scalars": OrderedDict(loss=buffer())},
            "ema_state_dict": {"steps": torch.tensor(9), **parallel(named)},
        }
        torch.save(content, path)


@contextmanager
def fake_mmengine() -> Iterator[type]:
    """mmengine's HistoryBuffer, importable while a file is written and gone when it is read."""

    class HistoryBuffer:
        def __init__(self) -> None:
            self.max_length = 1000000
            self._log_history = np.array([0.5, 0.25])
            self._count_history = np.array([1, 1])
            self._statistics_methods = {"mean": HistoryBuffer.mean}

        def mean(self) -> None: ...

    HistoryBuffer.__module__ = "mmengine.logging.history_buffer"
    HistoryBuffer.__qualname__ = "HistoryBuffer"
    HistoryBuffer.mean.__module__ = HistoryBuffer.__module__
    HistoryBuffer.mean.__qualname__ = "HistoryBuffer.mean"
    names = ["mmengine", "mmengine.logging", HistoryBuffer.__module__]
    for name in names:
        sys.modules[name] = ModuleType(name)
    vars(sys.modules[HistoryBuffer.__module__])["HistoryBuffer"] = HistoryBuffer
    try:
        yield HistoryBuffer
    finally:
        for name in names:
            del sys.modules[name]


def megvii(state: State, path: Path) -> None:
    """What Megvii's trainer saves: the averaged weights, the optimiser, scores of pycocotools."""
    content = {
        "start_epoch": 300,
        "model": OrderedDict(state),
        "optimizer": optimiser_state(),
        "best_ap": np.float64(0.405),
        "curr_ap": None,
    }
    torch.save(content, path)


def megvii_parallel(state: State, path: Path) -> None:
    torch.save({"model": parallel(state)}, path)


def old_numpy(state: State, path: Path) -> None:
    """Megvii's, written with NumPy 1, whose private module had another name."""
    content = {"model": state, "best_ap": np.float64(0.405), "history": np.arange(3)}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes().replace(b"cnumpy._core.", b"cnumpy.core."))


class Trap:
    """Runs ``call`` when it is unpickled."""

    def __init__(self, call: Callable[..., object], *args: object) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.args


def trap_zip(trap: object, path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(2)}, "meta": trap}, path)


def trap_old(trap: object, path: Path) -> None:
    torch.save({"a": trap}, path, _use_new_zipfile_serialization=False)


def trap_pickle(trap: object, path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": trap}, protocol=2))


def trap_new_pickle(trap: object, path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": trap}))
