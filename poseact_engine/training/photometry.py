# SPDX-License-Identifier: Apache-2.0
"""Other light, other cameras, other compression: changes of pictures that move nothing."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from poseact_engine.training.pictures import import_cv2

Picture = NDArray[np.uint8]
LEVELS = np.arange(256, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotometryConfig:
    """Chances are per picture; what happens is drawn evenly up to the bound beside it."""

    light: float = 0.8
    gain: float = 0.35
    """Grey levels times 1 ± this, all channels."""
    cast: float = 0.1
    """Grey levels times 1 ± this, each channel."""
    offset: float = 20.0
    """Grey levels plus or minus this."""
    gamma: float = 0.3
    """Of the power 2 ** ± this."""
    colour: float = 0.5
    hue_deg: float = 12.0
    saturation: float = 0.5
    """Times 1 ± this."""
    grey: float = 0.05
    blur: float = 0.2
    blur_px: float = 1.2
    """Standard deviation."""
    noise: float = 0.25
    noise_levels: float = 12.0
    """Standard deviation."""
    jpeg: float = 0.15
    jpeg_least: int = 25
    """Quality, to 90."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value >= 0:
                raise ConfigError(f"augment.{field.name}: expected 0 or more, got {value!r}")
        for name in ("light", "colour", "grey", "blur", "noise", "jpeg", "gain", "cast"):
            if getattr(self, name) > 1:
                raise ConfigError(f"augment.{name}: expected 0 to 1, got {getattr(self, name)!r}")


def change_photometry(picture: Picture, config: PhotometryConfig, rng: Generator) -> Picture:
    """A changed copy of ``picture`` (BGR), or itself where nothing was drawn."""
    cv2 = import_cv2()
    for chance, change in (
        (config.light, _light),
        (config.colour, _colour),
        (config.grey, _grey),
        (config.blur, _blur),
        (config.noise, _noise),
        (config.jpeg, _jpeg),
    ):
        if rng.random() < chance:
            picture = change(cv2, picture, config, rng)
    return picture


def _light(cv2: Any, picture: Picture, config: PhotometryConfig, rng: Generator) -> Picture:
    gain = (1 + rng.uniform(-config.gain, config.gain)) * (
        1 + rng.uniform(-config.cast, config.cast, 3)
    )
    power = 2.0 ** rng.uniform(-config.gamma, config.gamma)
    offset = rng.uniform(-config.offset, config.offset)
    curve = 255.0 * (LEVELS / 255.0) ** power
    table = np.clip(curve[:, None] * gain + offset + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table[None]))


def _colour(cv2: Any, picture: Picture, config: PhotometryConfig, rng: Generator) -> Picture:
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    hue = np.uint8(round(rng.uniform(-config.hue_deg, config.hue_deg) / 2) % 180)
    factor = 1 + rng.uniform(-config.saturation, config.saturation)
    hues = ((np.arange(256) + hue) % 180).astype(np.uint8)
    strengths = np.clip(LEVELS * factor, 0, 255).astype(np.uint8)
    table = np.stack([hues, strengths, LEVELS.astype(np.uint8)], axis=-1)
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, table[None]), cv2.COLOR_HSV2BGR))


def _grey(cv2: Any, picture: Picture, _c: PhotometryConfig, _r: Generator) -> Picture:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def _blur(cv2: Any, picture: Picture, config: PhotometryConfig, rng: Generator) -> Picture:
    sigma = rng.uniform(0.2, max(0.2, config.blur_px))
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma))


def _noise(_cv2: Any, picture: Picture, config: PhotometryConfig, rng: Generator) -> Picture:
    # The sum of two bytes is bell-shaped enough, and ten times as fast as normal numbers.
    pair = rng.integers(0, 256, (2, *picture.shape), dtype=np.uint8)
    noise = pair[0].astype(np.float32) + pair[1] - 255.0
    noise *= rng.uniform(0, config.noise_levels) / 104.5
    noise += picture
    noisy: Picture = np.clip(noise + 0.5, 0, 255).astype(np.uint8)
    return noisy


def _jpeg(cv2: Any, picture: Picture, config: PhotometryConfig, rng: Generator) -> Picture:
    quality = int(rng.integers(config.jpeg_least, 91))
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", picture, flags)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
