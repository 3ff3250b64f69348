# SPDX-License-Identifier: Apache-2.0
"""A foreign ONNX file as it was found, as the reference of what was made of it.

One picture at a time through the original file in ONNX Runtime; what the adapted graph computes
before and behind the network is computed here by NumPy in float64, from the formulas again and not
from the graph's nodes. Slow, and independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from export.front import InputOptions
from export.heatmap import dark_kernel
from export.read_maps import mean_of_mirrored, read_maps
from export.verify import open_session
from poseact_engine.backends.base import check_input
from poseact_engine.contract import contract_of
from poseact_engine.errors import ExportError
from poseact_engine.manifest import DetectorManifest, Manifest, PoseManifest
from poseact_engine.manifest_io import load_proto


class _Foreign:
    """The original file and how its input is made. Serves ``backends.base.Model`` with `_answer`.

    Owns a session. Call it from one thread at a time.
    """

    def __init__(
        self, path: Path, manifest: Manifest, front: InputOptions, *, tap: Sequence[str] = ()
    ) -> None:
        """``tap``: tensors to read instead of the file's outputs. ExportError if it cannot load."""
        _, model = load_proto(path)
        if tap:
            del model.graph.output[:]
            model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tap)
        try:
            self._session = open_session(model)
        except Exception as error:  # ONNX Runtime's own exceptions share no public base class
            raise ExportError(f"{path}: the original does not load: {error}") from error
        self._path = path
        self._manifest = manifest
        self._front = front
        self._contract = contract_of(manifest)
        self._input = self._session.get_inputs()[0].name

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def backend(self) -> str:
        return "onnxruntime/cpu, the original file"

    @property
    def cpu_s(self) -> float:
        return 0.0

    def close(self) -> None:
        self._session = None

    def run(self, batch: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        check_input(batch, self._contract.input, self._manifest.task)
        rows = [self._answer(picture) for picture in batch]
        outputs = []
        for i, spec in enumerate(self._contract.outputs):
            made = np.asarray([row[i] for row in rows], spec.dtype)
            outputs.append(made.reshape(len(batch), *spec.shape))
        return tuple(outputs)

    def _answer(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], ...]:
        raise NotImplementedError

    def _network(self, x: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        """The network's outputs for one normalised picture [3, H, W], without the batch axis."""
        if self._session is None:
            raise ExportError(f"{self._path}: the reference is closed")
        try:
            outputs = self._session.run(None, {self._input: x[None]})
        except Exception as error:  # see __init__
            raise ExportError(f"{self._path}: the original does not run: {error}") from error
        return [np.asarray(o[0], np.float64) for o in outputs]

    def _prepare(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(grey level * scale - mean) / std`` in the network's channel order."""
        front = self._front
        levels = rgb[::-1] if front.color == "bgr" else rgb
        mean, std = (np.reshape(v, (3, 1, 1)) for v in (front.mean, front.std))
        x: NDArray[np.float32] = ((levels * front.scale - mean) / std).astype(np.float32)
        return x


# ---------------------------------------------------------------- pose


class ForeignPose(_Foreign):
    """A foreign pose network: heat maps decoded by ``read_maps``, or SimCC by ``read_simcc``."""

    def __init__(
        self,
        path: Path,
        manifest: PoseManifest,
        front: InputOptions,
        *,
        kernel: int | None = None,
    ) -> None:
        """``kernel``: cells of DARK's Gaussian, where the size of the maps does not say."""
        super().__init__(path, manifest, front)
        self._pose = manifest
        self._kernel = kernel

    def _answer(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], ...]:
        m, x = self._pose, self._prepare(picture)
        outputs = self._network(x)
        if m.decode == "simcc":
            return (read_simcc(outputs, (m.height, m.width)),)
        maps = outputs[0]
        if m.flip_test:
            mirrored = self._network(np.ascontiguousarray(x[..., ::-1]))[0]
            maps = mean_of_mirrored(maps, mirrored, m)
        cells = dark_kernel(self._kernel, *maps.shape[1:]) if m.decode == "dark" else None
        return (read_maps(maps, m, cells),)


def read_simcc(
    outputs: Sequence[NDArray[np.float64]], size: tuple[int, int]
) -> NDArray[np.float64]:
    """Two outputs [K, W * r] and [K, H * r], in either order, to keypoints [K, 3]."""
    first, second = outputs
    ratio = first.shape[1] / size[1]
    if second.shape[1] != ratio * size[0]:
        first, second = second, first
        ratio = first.shape[1] / size[1]
    score = np.minimum(first.max(axis=1), second.max(axis=1))
    place = np.stack([first.argmax(axis=1), second.argmax(axis=1)], axis=1) / ratio
    joints = np.concatenate([place, score[:, None]], axis=1)
    joints[score <= 0] = 0.0
    joints[~(np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1))] = np.nan
    return joints


# ---------------------------------------------------------------- detector


class ForeignDetector(_Foreign):
    """A foreign detector, every candidate ranked.

    A file with suppression inside is read where its boxes and scores go into that: the graph runs
    as it is, with what the toolkit chose and cut before.
    """

    def __init__(
        self,
        path: Path,
        manifest: DetectorManifest,
        front: InputOptions,
        *,
        layout: Literal["yolox", "rtmdet"],
        person_class: int | None,
    ) -> None:
        self._tapped = _suppression_inputs(path) if layout == "rtmdet" else ()
        super().__init__(path, manifest, front, tap=self._tapped)
        self._detector = manifest
        self._layout = layout
        self._person = person_class or 0

    def _answer(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.float64], ...]:
        outputs = self._network(self._prepare(picture))
        if self._layout == "yolox":
            size = (self._detector.height, self._detector.width)
            boxes, scores = read_yolox(outputs[0], size, self._person)
        else:
            boxes, scores = outputs
            # A suppression takes classes first; outputs without one have them last.
            scores = scores[self._person] if self._tapped else scores[:, self._person]
        most = self._detector.max_boxes
        best = np.argsort(-scores, kind="stable")[:most]
        ranked = np.zeros((most, 4)), np.zeros(most)  # a toolkit may have left fewer
        ranked[0][: len(best)], ranked[1][: len(best)] = boxes[best], scores[best]
        return ranked


def read_yolox(
    raw: NDArray[np.float64], size: tuple[int, int], person: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Raw [A, 5 + classes] to boxes [A, 4] and scores [A]; anchor points finest level first."""
    boxes = []
    rest = raw[:, :4]
    for stride in (8, 16, 32, 64):
        rows, columns = size[0] // stride, size[1] // stride
        level, rest = rest[: rows * columns], rest[rows * columns :]
        if not len(level):
            break
        cell = np.indices((rows, columns))[::-1].reshape(2, -1).T  # column, row
        centre = (cell + level[:, :2]) * stride
        half = np.exp(level[:, 2:]) * (stride / 2)
        boxes.append(np.concatenate([centre - half, centre + half], axis=1))
    return np.concatenate(boxes), raw[:, 4] * raw[:, 5 + person]


def _suppression_inputs(path: Path) -> tuple[str, ...]:
    """Names of boxes and scores of the file's NonMaxSuppression; empty without one."""
    _, model = load_proto(path)
    found = [n for n in model.graph.node if n.op_type == "NonMaxSuppression"]
    return tuple(found[0].input[:2]) if found else ()
