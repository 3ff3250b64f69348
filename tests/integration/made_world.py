# SPDX-License-Identifier: Apache-2.0
"""Made models and clips for whole runs: the made detector takes coloured blocks for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from poseact_engine.config import ActionConfig, DetectConfig, EngineConfig, PoseConfig
from tests.models import make_action, make_bright_detector, make_pose

RED, GREEN = (230, 20, 20), (20, 230, 20)
INPUT = (128, 160)  # the detector's height, width
SIZE = (320, 256)  # of a clip: width, height; half of it is the detector's input, edge for edge


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Three model files."""

    detector: Path
    pose: Path
    action: Path

    def config(self, **changes: Any) -> EngineConfig:
        return EngineConfig(
            detect=DetectConfig(model=self.detector),
            pose=PoseConfig(model=self.pose),
            action=ActionConfig(model=self.action),
            **changes,
        )

    @property
    def options(self) -> list[str]:
        """For the command line."""
        return [
            *("--detector", str(self.detector)),
            *("--pose", str(self.pose)),
            *("--action", str(self.action)),
        ]


def make_world(folder: Path) -> World:
    return World(
        detector=make_bright_detector(folder / "det.onnx", INPUT),
        pose=make_pose(folder / "pose.onnx", size=(64, 48)),
        action=make_action(folder / "action.onnx"),
    )


def scene(
    frames: int, *, speed: float = 1.0, start: int = 0, red_leaves_at: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """RGB pictures: a red block that walks to the right, a green one that stands."""
    for i in range(frames):
        picture = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
        x = round(20 + start + speed * i) // 2 * 2
        if red_leaves_at is None or i < red_leaves_at:
            picture[60:180, x : x + 60] = RED
        picture[40:200, 220:280] = GREEN
        yield picture


def write_scene(path: Path, frames: int, *, rate: int = 30, **options: Any) -> Path:
    """The scene, almost lossless; block edges are even, so 4:2:0 keeps the blocks' colours."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "4", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        for i, picture in enumerate(scene(frames, **options)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
