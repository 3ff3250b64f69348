# SPDX-License-Identifier: Apache-2.0
"""What a camera does to a picture: flicker, blur, noise, compression."""

from __future__ import annotations

import math
from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

from poseact_engine.synthetic.difficulty import Difficulty

_SPARE_PX = 64
_BELL = np.array([NormalDist().inv_cdf((k + 0.5) / 256) for k in range(256)], np.float32)
"""What a byte stands for: 256 equally likely values of a normal distribution."""


class Sensor:
    """One camera's faults. Owns a patch of noise; the same number gives the same noise."""

    def __init__(
        self, rng: np.random.Generator, size: tuple[int, int], difficulty: Difficulty
    ) -> None:
        low, high = difficulty.noise
        level = math.exp(rng.uniform(math.log(low), math.log(high)))
        scale = math.sqrt(size[1] / 360)
        self._blur_px = rng.uniform(*difficulty.blur_px) * scale
        self._flicker = rng.uniform(0, difficulty.flicker)
        quality = int(rng.integers(difficulty.jpeg_quality[0], difficulty.jpeg_quality[1] + 1))
        self._quality = quality if rng.random() < difficulty.compressed else None
        shape = size[1] + _SPARE_PX, size[0] + _SPARE_PX
        # Looked up by random bytes: ten times as fast as drawing from a Gaussian.
        bells = (level * _BELL)[rng.integers(0, 256, (*shape, 4), dtype=np.uint8)]
        noise = 0.85 * bells[..., 3:] + 1.2 * cv2.blur(bells[..., :3], (3, 3))
        self._noise = np.rint(noise).astype(np.int16)

    def expose(self, picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """What the camera sends of a picture; ``rng`` is that frame's own."""
        gain = 1.0 + rng.uniform(-self._flicker, self._flicker)
        blurred = cv2.GaussianBlur(picture, (0, 0), self._blur_px)
        x, y = rng.integers(0, _SPARE_PX, size=2)
        noise = self._noise[y : y + picture.shape[0], x : x + picture.shape[1]]
        noisy = cv2.add(cv2.convertScaleAbs(blurred, alpha=gain), noise, dtype=cv2.CV_8U)
        if self._quality is None:
            return np.asarray(noisy, np.uint8)
        _, packed = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
