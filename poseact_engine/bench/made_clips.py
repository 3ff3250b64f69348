# SPDX-License-Identifier: Apache-2.0
"""Clips by code for `poseact-bench pipeline`, both H.264 of 1080p at 30 frames/s."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from poseact_engine.bench.harness import need

CLIP_FRAMES = 120
SIZE, RATE = (1920, 1080), 30


def make_clip(path: Path) -> Path:
    """1080p H.264 of a texture that drifts: a decoder has about as much to do as with CCTV."""
    av = need("av")
    random = np.random.default_rng(0)
    coarse = random.integers(40, 200, (68, 120), dtype=np.uint8)
    picture = np.kron(coarse, np.ones((16, 16), np.uint8))[:1080]
    picture = picture + random.integers(0, 12, picture.shape, dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for i in range(CLIP_FRAMES):
            moved = np.roll(picture, (i, 3 * i), axis=(0, 1))
            frame = av.VideoFrame.from_ndarray(moved, format="gray").reformat(format="yuv420p")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def make_scene(path: Path, *, people: int, seed: int, frames: int) -> Path:
    """A scene with that many people; where they go and what they do depends on the seed."""
    need("cv2", "opencv-python-headless")
    need("av")
    from poseact_engine.synthetic.scene import Scene, SceneConfig
    from poseact_engine.video_file import VideoFile

    config = SceneConfig(people=people, seed=seed, seconds=frames / RATE, size=SIZE, fps=(RATE, 1))
    video = VideoFile(path, rate=RATE, size=SIZE, order="bgr24")
    try:
        for i, frame in enumerate(Scene(config).frames()):
            video.write(frame.picture, Fraction(i, RATE))
    finally:
        video.close()
    return path
