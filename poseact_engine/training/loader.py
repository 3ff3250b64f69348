# SPDX-License-Identifier: Apache-2.0
"""Batches of made-ready examples, in an order that the seed alone decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import DataLoader

from poseact_engine.errors import ConfigError, PoseActError
from poseact_engine.training.pictures import import_cv2

Example = tuple[Tensor, ...]


class Examples(Protocol):
    """What can be learnt from, by number. Goes to other processes."""

    def __len__(self) -> int: ...

    def make(self, index: int, rng: Generator) -> Example:
        """One example, changed at random by ``rng``."""
        ...


def stack(examples: list[Example]) -> Example:
    """Each part of all examples as one tensor."""
    return tuple(torch.stack(parts) for parts in zip(*examples, strict=True))


class Loader:
    """Owns the processes that make examples (none for ``workers`` 0). Not thread-safe.

    An epoch is every example once, in its own order; a last batch that would not be full is left
    out. An example's random numbers follow from (seed, epoch, its number).
    """

    def __init__(
        self,
        examples: Examples,
        *,
        batch_size: int,
        seed: int,
        workers: int = 0,
        collate: Callable[[list[Example]], Example] = stack,
    ) -> None:
        if len(examples) == 0:
            raise ConfigError("train: expected something to learn from, got nothing")
        self._count = len(examples)
        self._batch = min(batch_size, self._count)
        self._seed, self._workers = seed, workers
        self._order = _Order()
        self._loader: DataLoader[Any] = DataLoader(
            _Keyed(examples, seed),  # type: ignore[arg-type]  # a map, as torch wants it
            batch_sampler=self._order,
            num_workers=workers,
            collate_fn=_Collate(collate),
            persistent_workers=workers > 0,
            # Forking a program that has threads, CUDA's or torch's, may hang.
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=_one_thread if workers else None,
            generator=torch.Generator(),  # or torch draws from the program's
        )

    @property
    def steps(self) -> int:
        return self._count // self._batch

    def batches(self, epoch: int, first: int = 0, *, pin: bool = False) -> Iterator[Example]:
        """From the ``first`` batch (from 0) of an epoch on; ``pin``: in page-locked memory."""
        order = np.random.default_rng((self._seed, epoch)).permutation(self._count)
        rows = order[: self.steps * self._batch].reshape(self.steps, self._batch)[first:]
        self._order.batches = [[(epoch, int(i)) for i in row] for row in rows]
        for found in self._loader:
            if isinstance(found, PoseActError):
                raise found
            yield tuple(part.pin_memory() for part in found) if pin else found


class _Order:
    """The batches of keys that torch asks for next."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class _Keyed:
    """Examples by (epoch, number). Errors are values: torch would wrap them in their traceback."""

    def __init__(self, examples: Examples, seed: int) -> None:
        self._examples, self._seed = examples, seed

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, key: tuple[int, int]) -> Example | PoseActError:
        epoch, index = key
        try:
            return self._examples.make(index, np.random.default_rng((self._seed, epoch, index)))
        except PoseActError as error:
            return error


class _Collate:
    def __init__(self, collate: Callable[[list[Example]], Example]) -> None:
        self._collate = collate

    def __call__(self, found: list[Example | PoseActError]) -> Example | PoseActError:
        examples: list[Example] = []
        for example in found:
            if isinstance(example, PoseActError):
                return example
            examples.append(example)
        return self._collate(examples)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    import_cv2().setNumThreads(1)
