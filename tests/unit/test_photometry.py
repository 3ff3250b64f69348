# SPDX-License-Identifier: Apache-2.0
"""Changes of light, colour and compression in training pictures."""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest

from poseact_engine.errors import ConfigError

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    from poseact_engine.training.photometry import PhotometryConfig, change_photometry

PLAIN = dict.fromkeys(("light", "colour", "grey", "blur", "noise", "jpeg"), 0.0)


def test_other_light_moves_nothing_and_follows_its_random_numbers() -> None:
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 2, (6, 5, 3)), np.ones((16, 16, 1))) * 160 + 40
    picture = picture.astype(np.uint8)
    everything = PhotometryConfig(light=1, colour=1, grey=0, blur=1, noise=1, jpeg=1)
    for draw in range(8):
        first, again = (
            change_photometry(picture, everything, np.random.default_rng(draw)) for _ in range(2)
        )
        np.testing.assert_array_equal(first, again)
        grey, was = (cv2.cvtColor(p, cv2.COLOR_BGR2GRAY).ravel() for p in (first, picture))
        assert np.corrcoef(grey.astype(float), was.astype(float))[0, 1] > 0.7
    nothing = change_photometry(picture, PhotometryConfig(**PLAIN), np.random.default_rng(0))
    np.testing.assert_array_equal(nothing, picture)


@pytest.mark.parametrize("wrong", [{"light": 1.5}, {"noise": -0.1}, {"gain": 2.0}])
def test_wrong_chances_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"augment.{next(iter(wrong))}"):
        PhotometryConfig(**wrong)
