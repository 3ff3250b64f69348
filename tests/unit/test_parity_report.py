# SPDX-License-Identifier: Apache-2.0
"""Reports of the parity gate: stable JSON, and a page that needs nothing else."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from export.parity.compare import Verdict, check_alike, compare, load_inputs, nudge
from export.parity.metrics import METRICS, bounds_for
from export.parity.options import GateOptions
from export.parity.report import table, write_report
from poseact_engine.errors import ConfigError, ManifestError, SinkError
from poseact_engine.evaluation.inputs import DataOptions
from poseact_engine.manifest import ActionManifest, DetectorManifest, Manifest, PoseManifest
from poseact_engine.types import COCO_JOINTS
from tests.coco_files import person, write_truth
from tests.pages import Page

Answer = Callable[[NDArray[Any]], tuple[NDArray[Any], ...]]
COMMON: dict[str, Any] = {
    "precision": "fp32", "target": "any", "source": "made <by> code", "licence": "none",
    "sha256": "",
}  # fmt: skip
POSE = PoseManifest(
    task="pose", height=64, width=48, geometry="default", expansion=1.25, border=(0, 0, 0),
    joints=COCO_JOINTS, decode="quarter", flip_test=False, **COMMON,
)  # fmt: skip
DETECTOR = DetectorManifest(
    task="detector", height=64, width=96, placement="top_left", border=(0, 0, 0), nms_iou=0.5,
    max_boxes=5, track_scores=None, **COMMON,
)  # fmt: skip
ACTION = ActionManifest(
    task="action", joints=COCO_JOINTS, classes=("walk", "fall", "<lie>"), length=9, rate=(30, 1),
    normalise="paper", **COMMON,
)  # fmt: skip


class Made:
    """A model whose answer is a function."""

    def __init__(self, manifest: Manifest, answer: Answer) -> None:
        self.manifest = manifest
        self.backend = "made/here"
        self.cpu_s = 0.0
        self.run = answer

    def close(self) -> None:
        pass


def pose_answer(step: float) -> Answer:
    """Joints along a diagonal that follows the picture's mean a little."""

    def answer(crops: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        line = np.linspace(4, 40, 17)
        poses = np.stack([line, line + 5, np.full(17, 0.8)], axis=1)
        found = np.repeat(poses[None], len(crops), axis=0).astype(np.float32)
        found[..., 0] += np.float32(step) * np.arange(17, dtype=np.float32)
        return (found,)

    return answer


def box_answer(step: float) -> Answer:
    def answer(images: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        boxes = np.tile(np.array([8.0, 8, 40, 56], np.float32), (len(images), 5, 1))
        boxes[:, :, [0, 2]] += np.arange(5, dtype=np.float32)[None, :, None] * 60 + np.float32(step)
        return boxes, np.tile(np.linspace(0.9, 0.5, 5, dtype=np.float32), (len(images), 1))

    return answer


def action_answer(step: float) -> Answer:
    def answer(windows: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        logits = np.stack([windows[:, 0, 0, 0], windows[:, 4, 3, 1], windows[:, 8, 9, 0]], axis=1)
        logits = logits / 500 + np.array([0, step, 0])
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return ((e / e.sum(axis=1, keepdims=True)).astype(np.float32),)

    return answer


CASES = {"pose": (POSE, pose_answer), "detector": (DETECTOR, box_answer),
         "action": (ACTION, action_answer)}  # fmt: skip


def judged(task: str, step: float) -> Verdict:
    manifest, answer = CASES[task]
    options = GateOptions()
    return compare(
        Made(manifest, answer(0.0)),
        Made(manifest, answer(step)),
        load_inputs(manifest, options),
        options,
        bounds_for(manifest.task, "fp32"),
    )


@pytest.mark.parametrize("step", [0.0, 9.0])
@pytest.mark.parametrize("task", list(CASES))
def test_json(tmp_path: Path, task: str, step: float) -> None:
    verdict = judged(task, step)
    assert verdict.passed is (step == 0.0)
    write_report(verdict, tmp_path / "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    assert list(report) == [
        "schema", "passed", "task", "inputs", "reference", "new", "metrics", "bounds",
        "failures", "details",
    ]  # fmt: skip
    assert report["schema"] == 1
    assert report["passed"] is verdict.passed
    assert report["inputs"] == {
        "what": verdict.inputs.what, "real": False, "count": len(verdict.inputs.batch),
    }  # fmt: skip
    assert report["reference"]["manifest"]["task"] == task
    names = [m.name for m in METRICS[verdict.reference.task]]
    assert set(report["metrics"]) <= {*names, "non_finite"}
    assert {b["metric"] for b in report["bounds"]} <= set(report["metrics"])
    for bound in report["bounds"]:
        assert set(bound) == {"metric", "kind", "limit", "got", "met"}
        sign = 1 if bound["kind"] == "at_most" else -1
        assert bound["met"] is (sign * bound["got"] <= sign * bound["limit"])
    missed = [b["metric"] for b in report["bounds"] if not b["met"]]
    assert [f.split(":")[0] for f in report["failures"]] == missed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.json"]


def test_figures_that_are_no_numbers_are_null_and_fail(tmp_path: Path) -> None:
    def broken(crops: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        return (np.full((len(crops), 17, 3), np.nan, np.float32),)

    options = GateOptions(bounds=(("compared", 0.0),))
    verdict = compare(
        Made(POSE, pose_answer(0.0)),
        Made(POSE, broken),
        load_inputs(POSE, options),
        options,
        bounds_for("pose", "int8", options.bounds),
    )
    write_report(verdict, tmp_path / "r.json")
    write_report(verdict, tmp_path / "r.html")
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["metrics"]["median_px"] is None
    assert report["metrics"]["non_finite"] == 32 * 17 * 3
    assert "non_finite: expected at most 0, got 1632" in report["failures"]


@pytest.mark.parametrize(("task", "plots"), [("pose", 4), ("detector", 3), ("action", 2)])
def test_the_page_needs_nothing_else(tmp_path: Path, task: str, plots: int) -> None:
    step = {"pose": 9.0, "detector": 40.0, "action": 9.0}[task]
    write_report(judged(task, step), tmp_path / "r.html")
    content = (tmp_path / "r.html").read_text(encoding="utf-8")
    page = Page(content)
    page.check_pictures(plots)
    text = page.text
    assert "made by code" in text
    assert "made <by> code" in text  # escaped in the page, whole for the reader
    for judgement in judged(task, step).failures:
        assert str(judgement) in text


def test_drawn_crops_have_both_skeletons(tmp_path: Path) -> None:
    write_report(judged("pose", 1.0), tmp_path / "r.html")
    data = re.findall(r'base64,([^"]+)"', (tmp_path / "r.html").read_text())[-1]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    for color in ((60, 200, 60), (60, 60, 230)):  # BGR
        assert (np.abs(picture.astype(int) - color).max(axis=2) < 8).sum() > 200


def test_the_table_says_what_the_inputs_are() -> None:
    text = table(judged("pose", 9.0))
    assert "Give --data" in text
    assert re.search(r"median_px +72 +at most 0\.01 +NOT MET", text)
    assert re.search(r"found_differs +0 +at most 0\.002 +met", text)


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "r.json").mkdir()
    with pytest.raises(SinkError, match="cannot write the report"):
        write_report(judged("action", 0.0), tmp_path / "r.json")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.json"]


def test_the_nudge_is_one_grey_level_and_always_alike() -> None:
    batch = np.tile(np.arange(256, dtype=np.uint8), (50, 1))
    moved = nudge(batch)
    change = moved.astype(int) - batch
    assert set(np.unique(change)) == {-1, 0, 1}
    assert (nudge(batch) == moved).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"height": 128}, "same height in both models, got 64 and 128"),
        ({"geometry": "udp"}, "same geometry .*default and udp"),
        ({"border": (1, 1, 1)}, "same border"),
        ({"joints": COCO_JOINTS[::-1]}, "same joints"),
        ({"expansion": 1.2}, "same expansion"),
    ],
)
def test_models_that_mean_different_things(changes: dict[str, Any], words: str) -> None:
    other = dataclasses.replace(POSE, **changes)
    with pytest.raises(ConfigError, match=words):
        check_alike(POSE, other)
    with pytest.raises(ConfigError, match="one task, got pose and action"):
        check_alike(POSE, ACTION)


@pytest.mark.parametrize(
    ("data", "bounds", "words"),
    [
        (DataOptions(truth=Path("t.json")), (), "--data"),
        (DataOptions(), (("ap_drop", 1.0),), "--bound ap_drop: .*--truth"),
        (DataOptions(), (("frame_max_px", 1.0),), "--bound frame_max_px"),
    ],
)
def test_what_these_inputs_cannot_tell(
    data: DataOptions, bounds: tuple[tuple[str, float], ...], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        load_inputs(POSE, GateOptions(data=data, bounds=bounds))


def test_truth_is_for_poses_alone(tmp_path: Path) -> None:
    data = DataOptions(data=(tmp_path,), truth=tmp_path / "t.json")
    with pytest.raises(ConfigError, match="pose models alone, got a detector"):
        load_inputs(DETECTOR, GateOptions(data=data))


def test_a_truth_of_other_joints_is_said_at_once(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "t.json", {"a.png": 1}, [person(1, (0, 0, 9, 9))])
    other = dataclasses.replace(POSE, joints=("a", "b"))
    options = GateOptions(data=DataOptions(data=(tmp_path / "a.png",), truth=truth))
    with pytest.raises(ManifestError, match="expected a pose model of its joints"):
        load_inputs(other, options)
