# SPDX-License-Identifier: Apache-2.0
"""`poseact-bench precision`: a network that sees something, and an honest report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine.bench import made_hrnet
from poseact_engine.bench.main import app
from tests.cpu import sums_int8_exactly

pytestmark = pytest.mark.needs_torch


def test_pictures_have_a_dot_at_its_centre() -> None:
    pictures, centres = made_hrnet.dotted_pictures(4, seed=3)
    away = np.abs(pictures - made_hrnet.COLOUR[:, None, None]).sum(axis=1)  # [N, H, W]
    y, x = np.unravel_index(away.reshape(4, -1).argmin(axis=1), away.shape[1:])
    assert np.abs(np.stack([x, y], axis=1) - centres).max() <= 2


def test_the_network_finds_most_dots_it_was_not_fitted_on() -> None:
    import torch

    pictures, centres = made_hrnet.dotted_pictures(16, seed=5)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    fed = (pictures / 255 - mean[:, None, None]) / std[:, None, None]
    with torch.inference_mode():
        maps = made_hrnet.make_network(8)(torch.from_numpy(fed.astype(np.float32)))[:, 0].numpy()
    y, x = np.unravel_index(maps.reshape(16, -1).argmax(axis=1), maps.shape[1:])
    away = np.hypot(x * 4 - centres[:, 0], y * 4 - centres[:, 1])
    assert np.median(away) <= 12  # a picture is 256 x 192


def test_report(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    args = ["precision", "--width", "4", "--threads", "1", "--repeats", "1", "--batch", "1"]
    done = CliRunner().invoke(app, [*args, "--json", str(path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads(path.read_text())
    assert [row["variant"].split("(")[1][:4] for row in report["rows"]] == ["fp32", "fp16", "int8"]
    joints = report["summary"]["joints_against_fp32"]
    assert joints["fp16"]["median_px"] <= joints["int8"]["median_px"]
    if sums_int8_exactly():
        assert joints["int8"]["median_px"] <= 4
    assert joints["fp16"]["share_moved"] < 0.2
