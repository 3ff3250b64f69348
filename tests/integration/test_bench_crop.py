# SPDX-License-Identifier: Apache-2.0
"""poseact-bench crop and letterbox: both sides do the same work, and the report is whole."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine._core import crop
from poseact_engine.bench import crop as bench
from poseact_engine.bench.main import app


@pytest.mark.parametrize("layout", ["nv12", "i420"])
def test_the_baselines_make_the_pictures_that_ours_makes(layout: bench.Layout) -> None:
    # Smooth, so that OpenCV's nearest chroma sample differs little from the interpolated one.
    ramp = np.linspace(16, 235, bench.WIDTH, dtype=np.uint8)
    picture = np.empty((bench.HEIGHT * 3 // 2, bench.WIDTH), np.uint8)
    picture[: bench.HEIGHT] = ramp
    picture[bench.HEIGHT :] = 110
    batch = bench._batches([picture], layout)[0]
    opencv = bench._OpenCv(cv2=cv2, layout=layout)
    cases = [
        (bench._pose_windows(3)[0], 256, 192, [opencv.crop_whole, opencv.crop_region]),
        (
            bench._letterbox_windows(416)[0],
            416,
            416,
            [opencv.letterbox_whole, opencv.letterbox_region],
        ),
    ]
    for windows, height, width, ways in cases:
        rows = np.zeros(len(windows), np.int32)
        ours = crop(batch, rows, windows, height=height, width=width, border=bench.BORDER)
        for way in ways:
            theirs = np.zeros_like(ours)
            way(picture, windows, theirs)
            assert np.abs(ours.astype(int) - theirs).mean() < 1.5


@pytest.mark.parametrize(("command", "cases"), [("crop", 6), ("letterbox", 4)])
def test_the_report_names_every_case_and_the_worst_ratio(
    command: str, cases: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "FRAMES", 3)  # enough to run, not to measure
    path = tmp_path / "report.json"
    result = CliRunner().invoke(app, [command, "--repeats", "2", "--json", str(path)])
    assert result.exit_code == 0, result.output
    report = json.loads(path.read_text())
    assert report["benchmark"] == command
    assert len({row["case"] for row in report["rows"]}) == cases
    ratios = [row["ratio"] for row in report["rows"] if row["ratio"] is not None]
    assert report["summary"]["ratio"] == min(ratios) > 0
    assert set(report["machine"]["versions"]) >= {"numpy", "opencv-python-headless"}
