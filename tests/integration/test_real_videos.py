# SPDX-License-Identifier: Apache-2.0
"""Real networks on real films: the engine's joints against OpenCV's warpAffine and PyAV's RGB;
falls and daily life of the University of Rzeszow set, by the bundled action model, which saw
neither."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from poseact_engine import (
    ActionConfig,
    DetectConfig,
    Engine,
    EngineConfig,
    PoseConfig,
    SourceConfig,
)
from poseact_engine.bench.plain_loop import PlainLoop
from poseact_engine.bundled import bundled_model
from tests.models import make_action
from tests.real_models import adapt_rtmdet, adapt_tinypose

FRAMES = 10


@pytest.mark.needs_data
def test_joints_equal_a_plain_loop_on_shop_cctv(data_dir: Path, tmp_path: Path) -> None:
    film = data_dir / "videos" / "retail_h264_1080p.mp4"
    detector, pose = adapt_rtmdet(data_dir, tmp_path), adapt_tinypose(data_dir, tmp_path)
    action = make_action(tmp_path / "action.onnx")
    config = EngineConfig(
        detect=DetectConfig(model=detector),
        pose=PoseConfig(model=pose),
        action=ActionConfig(model=action),
        source=SourceConfig(max_frames=FRAMES),
    )
    with Engine(config) as engine:
        results = [result for step in engine.run(film) for result in step.results()]
    loop = PlainLoop(detector, pose, action, threads=1)
    with av.open(str(film)) as container:
        frames = [f for f, _ in zip(container.decode(video=0), range(FRAMES), strict=False)]
    # The film does not say its matrix: BT.709 from 720 lines up.
    pictures = [f.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray() for f in frames]
    assert {r.frame_index for r in results} == set(range(FRAMES))
    far_px, scores = [], []
    for result in results:
        expected = loop.find_pose(pictures[result.frame_index], np.array(result.box_px))
        got = result.keypoints_px
        sure = expected[:, 2] > 0.3
        far_px.extend(np.hypot(*(got - expected)[sure, :2].T).tolist())
        scores.extend(np.abs(got - expected)[sure, 2].tolist())
    assert len(far_px) > 100
    # A heat-map pixel is 4 crop pixels; half of one is where two neighbours may change places.
    assert np.median(far_px) < 0.5
    assert np.mean(np.array(far_px) > 8) < 0.02
    assert np.median(scores) < 0.01


@pytest.mark.needs_data
def test_real_falls_are_reported_and_daily_life_mostly_is_not(
    data_dir: Path, tmp_path: Path
) -> None:
    films = sorted((data_dir / "videos").glob("urfd_*.mp4"))
    falls = {film.stem for film in films if "fall" in film.stem}
    assert (len(films), len(falls)) == (12, 7)
    config = EngineConfig(
        detect=DetectConfig(model=adapt_rtmdet(data_dir, tmp_path)),
        pose=PoseConfig(model=adapt_tinypose(data_dir, tmp_path)),
        action=ActionConfig(model=bundled_model("action")),
    )
    told = set()
    with Engine(config) as engine:
        for step in engine.run(films):
            told |= {(films[e.stream].stem, e.action) for e in step.events if e.kind == "new"}
    assert len({film for film, action in told if action == "falling_down"} & falls) >= 6
    assert len({film for film, _ in told} - falls) <= 2
