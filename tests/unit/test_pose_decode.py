# SPDX-License-Identifier: Apache-2.0
"""Joints off heat maps in training: against the joints the maps were made of, and OpenCV."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.training.pose_decode import decode_maps, kernel_for
    from poseact_engine.training.pose_target import make_targets
    from tests.parity import heatmap_oracle as oracle

SIZE = (96, 64)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0])
def test_targets_decode_back_to_the_joints(sigma: float) -> None:
    rng = np.random.default_rng(0)
    joints = rng.uniform([28, 28], [36, 64], (40, 3, 2))
    maps = make_targets(torch.from_numpy(joints), height=24, width=16, sigma=sigma)
    found = decode_maps(maps, kernel=kernel_for(sigma))
    # The logarithm of a Gaussian that was blurred by one is a parabola, but for the kernel's end.
    assert np.abs(found[..., :2] - joints).max() <= 0.05 * 4
    assert (found[..., 2] > 0.75).all()


def test_maps_are_blurred_as_wide_as_opencv_comes_to_the_targets() -> None:
    for sigma in np.linspace(0.5, 6, 111):
        cells = np.arange(3, 61, 2)
        wide = 0.3 * ((cells - 1) * 0.5 - 1) + 0.8  # OpenCV's getGaussianKernel without a sigma
        assert abs(wide - sigma).min() == pytest.approx(
            abs(0.3 * ((kernel_for(sigma) - 1) * 0.5 - 1) + 0.8 - sigma)
        )
    assert [kernel_for(sigma) for sigma in (2, 3)] == [11, 17]  # DARK's authors


@pytest.mark.parametrize("kernel", [3, 7, 9, 11])
def test_maps_are_decoded_as_the_exported_model_decodes_them(kernel: int) -> None:
    rng = np.random.default_rng(1)
    smooth = make_targets(
        torch.from_numpy(rng.uniform(-8, [72, 104], (20, 17, 2))), height=24, width=16, sigma=1.5
    ).numpy()
    maps = (smooth + rng.normal(0, 0.02, smooth.shape)).astype(np.float32)
    maps[0, 0] = -1
    maps[1, :, 0, 3] = 9
    maps[2, :, 5, 15] = 9
    maps[3, :2] = 0.5
    found = decode_maps(torch.from_numpy(maps), kernel=kernel)
    want = np.stack([oracle.decode_maps(one, SIZE, "default", kernel) for one in maps])
    sure = np.stack([oracle.settled(m, SIZE, "default", kernel, noise=1e-7) for m in maps])
    assert sure.mean() > 0.9
    np.testing.assert_allclose(found[sure], want[sure], atol=1e-3)
    assert not found[0, 0].any()
