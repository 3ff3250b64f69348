# SPDX-License-Identifier: Apache-2.0
"""Pictures of made scenes to learn from."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseact_engine.errors import ConfigError
from poseact_engine.synthetic.scene import Scene, SceneConfig

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    from poseact_engine.training.made_pictures import MadeConfig, made_pictures

SMALL: dict[str, Any] = {"seconds": 1, "pictures": 2, "size": (128, 96)}


def test_processes_draw_the_same_bytes_and_tell_how_far_they_are(tmp_path: Path) -> None:
    config = MadeConfig(scenes=3, first_seed=5, **SMALL)
    told: list[int] = []
    alone = made_pictures(config, tmp_path / "alone")
    shared = made_pictures(config, tmp_path / "shared", workers=2, on_scene=told.append)
    assert told == [1, 2, 3]
    names = sorted(path.name for path in alone.images.iterdir())
    assert len(names) == 6
    assert names == sorted(path.name for path in shared.images.iterdir())
    for name in names:
        assert (alone.images / name).read_bytes() == (shared.images / name).read_bytes()
    assert alone.truth.read_bytes() == shared.truth.read_bytes()
    assert not list(tmp_path.rglob(".scenes-*"))


def test_so_many_people_as_were_asked_for_are_in_each_scene(tmp_path: Path) -> None:
    made = made_pictures(MadeConfig(scenes=2, people=3, **SMALL), tmp_path)
    found = json.loads(made.truth.read_text())
    assert len(found["images"]) == 4
    for image in found["images"]:
        config = SceneConfig(
            seed=int(image["scene"].split("-")[-1]),
            people=3,
            seconds=1.0,
            size=(128, 96),
            fps=(2, 1),
        )
        true = list(Scene(config).truths())[image["frame"]]
        boxes = [a["bbox"] for a in found["annotations"] if a["image_id"] == image["id"]]
        expected = true.boxes_px[true.visible > 0]
        got = np.array(boxes, np.float64).reshape(-1, 4)
        np.testing.assert_allclose(got[:, :2] + got[:, 2:], expected[:, 2:], atol=0.02)
    with pytest.raises(ConfigError, match=r"scene\.people: .*21"):
        MadeConfig(scenes=1, people=21)
