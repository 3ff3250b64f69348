# SPDX-License-Identifier: Apache-2.0
"""Writes scenes and their truth into a folder.

videos/scene-000007.mp4         H.264
images/scene-000007_000030.jpg  every Nth frame
person_keypoints.json           COCO keypoints of those pictures (see coco.py)
gt/scene-000007.txt             MOTChallenge: frame (from 1), id, left, top, width, height,
                                1 (0: nothing of the person is seen), class 1, visible share
scenes.json                     what each scene was made from, and its falls
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from poseact_engine.config_checks import check, check_count
from poseact_engine.errors import SinkError, SourceError
from poseact_engine.files import write_atomically
from poseact_engine.synthetic.coco import CocoTruth
from poseact_engine.synthetic.scene import Scene
from poseact_engine.synthetic.truth import FrameTruth, SceneFrame
from poseact_engine.video_file import VideoFile

VIDEOS, IMAGES, TRACKS = "videos", "images", "gt"
COCO, SCENES = "person_keypoints.json", "scenes.json"
KEYPOINTS = "keypoints.npz"
"""Sequences for training; those who know that format write them beside the rest."""
JPEG_QUALITY = 95

ImageFormat = Literal["jpg", "png"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesConfig:
    """What is written."""

    folder: Path
    videos: bool = True
    images_every: int | None = None
    """Every Nth frame as a picture; None: no pictures and no COCO file."""
    image_format: ImageFormat = "jpg"

    def __post_init__(self) -> None:
        if self.images_every is not None:
            check_count("files", images_every=self.images_every)
        check(self.image_format in ("jpg", "png"), "files.image_format", "jpg or png",
              self.image_format)  # fmt: skip


def scene_name(seed: int) -> str:
    return f"scene-{seed:06d}"


class SceneFiles:
    """Writes one scene at a time, whole or not at all; ``finish`` writes what is said of all.

    Raises SinkError where a file cannot be written.
    """

    def __init__(self, config: FilesConfig) -> None:
        self._config = config
        self._coco = CocoTruth()
        self._scenes: list[dict[str, Any]] = []

    def make_folders(self) -> None:
        parts = {VIDEOS: self._config.videos, IMAGES: self._config.images_every, TRACKS: True}
        for name, wanted in parts.items():
            if wanted:
                _guard(self._config.folder / name, lambda path: path.mkdir(parents=True))

    def write(self, scene: Scene, on_frame: Callable[[], None]) -> tuple[FrameTruth, ...]:
        """The truths of the scene, by frame. ``on_frame`` is called after each; what it raises
        leaves nothing of the scene behind."""
        name = scene_name(scene.config.seed)
        made = _Made()
        with ExitStack() as undo:
            undo.callback(made.remove)
            truths = tuple(self._frames(scene, name, made, on_frame))
            tracks = self._config.folder / TRACKS / f"{name}.txt"
            made.pictures.append(tracks)
            _guard(tracks, lambda path: write_atomically(mot_lines(truths).encode(), path))
            made.publish()
            undo.pop_all()
        for picture, truth in zip(made.names, made.told, strict=True):
            self._coco.add(picture, scene.config.size, truth, scene=name)
        self._scenes.append(_describe(scene, name, len(truths)))
        return truths

    def _frames(
        self, scene: Scene, name: str, made: _Made, on_frame: Callable[[], None]
    ) -> Iterator[FrameTruth]:
        rate = Fraction(*scene.config.fps)
        if self._config.videos:
            path = self._config.folder / VIDEOS / f"{name}.mp4"
            made.open_video(path, rate=rate, size=scene.config.size)
        for truth, frame in self._rendered(scene):
            if frame is not None and made.video is not None:
                made.video.write(frame.picture, truth.index / rate)
            if frame is not None and self._is_picture(truth):
                self._picture(name, frame, made)
            yield truth
            on_frame()

    def _rendered(self, scene: Scene) -> Iterator[tuple[FrameTruth, SceneFrame | None]]:
        """Every frame's truth, and the picture of those that are written."""
        if self._config.videos:
            yield from ((frame.truth, frame) for frame in scene.frames())
            return
        pictures = scene.frames(self._config.images_every or 1)
        for truth in scene.truths():
            yield truth, next(pictures) if self._is_picture(truth) else None

    def _is_picture(self, truth: FrameTruth) -> bool:
        every = self._config.images_every
        return every is not None and truth.index % every == 0

    def _picture(self, scene: str, frame: SceneFrame, made: _Made) -> None:
        name = f"{scene}_{frame.truth.index:06d}.{self._config.image_format}"
        path = self._config.folder / IMAGES / name
        data = encode_picture(frame.picture, self._config.image_format)
        made.pictures.append(path)
        made.names.append(name)
        made.told.append(frame.truth)
        _guard(path, lambda path: write_atomically(data, path))

    def finish(self) -> list[Path]:
        """Writes what is said of all scenes; gives the files and folders there are now."""
        folder = self._config.folder
        found = [folder / SCENES, folder / TRACKS]
        _write_json(folder / SCENES, {"scenes": self._scenes})
        if self._config.videos:
            found.append(folder / VIDEOS)
        if self._config.images_every is not None:
            _write_json(folder / COCO, self._coco.content())
            found += [folder / IMAGES, folder / COCO]
        return found


def find_earlier(folder: Path) -> list[Path]:
    """What an earlier call has written, whatever its options; nothing else is in the list."""
    patterns = (
        (VIDEOS, "scene-*.mp4"), (IMAGES, "scene-*.jpg"), (IMAGES, "scene-*.png"),
        (TRACKS, "scene-*.txt"),
    )  # fmt: skip
    made = [path for part, pattern in patterns for path in (folder / part).glob(pattern)]
    return sorted(made) + [
        folder / name for name in (COCO, SCENES, KEYPOINTS) if (folder / name).exists()
    ]


def mot_lines(truths: Sequence[FrameTruth]) -> str:
    """The ground truth of one sequence in MOTChallenge's format, boxes as pixel edges from 0."""
    lines = []
    for truth in truths:
        boxes, seen = truth.boxes_px.astype(float).tolist(), truth.visible.astype(float).tolist()
        for person, (x0, y0, x1, y1), share in zip(truth.ids.tolist(), boxes, seen, strict=True):
            box = f"{x0:.2f},{y0:.2f},{x1 - x0:.2f},{y1 - y0:.2f}"
            lines.append(f"{truth.index + 1},{person},{box},{int(share > 0)},1,{share:.3f}\n")
    return "".join(lines)


def encode_picture(picture: NDArray[np.uint8], image_format: ImageFormat) -> bytes:
    import cv2

    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if image_format == "jpg" else []
    done, data = cv2.imencode(f".{image_format}", picture, options)
    if not done:
        raise SourceError(f"scene: the picture cannot be encoded as {image_format}")
    return bytes(data)


@dataclass(slots=True)
class _Made:
    """The files of a scene that is being written."""

    video: VideoFile | None = None
    _temporary: Path | None = None
    _final: Path | None = None
    pictures: list[Path] = field(default_factory=list)
    """Files under their final names."""
    names: list[str] = field(default_factory=list)
    told: list[FrameTruth] = field(default_factory=list)

    def open_video(self, path: Path, *, rate: Fraction, size: tuple[int, int]) -> None:
        self._final = path
        self._temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
        self.video = VideoFile(self._temporary, rate=rate, size=size, order="bgr24")

    def publish(self) -> None:
        if self.video is not None and self._temporary is not None and self._final is not None:
            self.video.close()
            final = self._final
            _guard(self._temporary, lambda path: path.replace(final))

    def remove(self) -> None:
        if self.video is not None and self._temporary is not None:
            try:
                self.video.close()
            finally:
                self._temporary.unlink(missing_ok=True)
        for path in self.pictures:
            path.unlink(missing_ok=True)


def _describe(scene: Scene, name: str, frames: int) -> dict[str, Any]:
    falls = [asdict(fall) for fall in scene.falls]
    config = asdict(scene.config)
    return {"name": name, "frames": frames, "falls": falls, "config": config,
            "camera": asdict(scene.camera)}  # fmt: skip


def _write_json(path: Path, content: dict[str, Any]) -> None:
    data = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    _guard(path, lambda path: write_atomically(data, path))


def _guard(path: Path, make: Callable[[Path], object]) -> None:
    try:
        make(path)
    except FileExistsError:
        if not path.is_dir():
            raise SinkError(f"{path}: expected a folder, got a file; move it away") from None
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error
