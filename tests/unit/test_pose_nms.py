# SPDX-License-Identifier: Apache-2.0
"""One pose a person: the Python face of pose NMS, and what the stages make of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseact_engine._core import Frame, FrameBatch, oks_nms, parametric_nms
from poseact_engine.backends.registry import open_model
from poseact_engine.cli import runner
from poseact_engine.cli.run import run_app
from poseact_engine.config import EngineConfig, PoseConfig, PoseNms, WindowConfig
from poseact_engine.errors import ConfigError, ShapeError
from poseact_engine.manifest import ActionManifest
from poseact_engine.pose import PoseStage
from poseact_engine.types import PoseBatch, Tracks
from poseact_engine.window import WindowStage
from tests.models import STANDING, make_action, make_pose

KEYPOINTS = np.full((2, 17, 3), 0.5, np.float32)
ONES = np.ones(2, np.float32)
BOXES = np.array([[0, 0, 50, 100]] * 2, np.float32)
FRAME = np.zeros(2, np.int32)

PERSON, DOUBLE, FAR = (100, 50, 180, 250), (101, 51, 181, 251), (300, 50, 380, 250)
KINDS: tuple[PoseNms, ...] = ("oks", "parametric")


# ---------------------------------------------------------------- the functions


def test_the_result_is_a_mask_of_its_own() -> None:
    for keep in (
        oks_nms(KEYPOINTS, ONES, ONES, FRAME),
        parametric_nms(KEYPOINTS, ONES, BOXES, FRAME),
    ):
        assert keep.dtype == np.bool_
        assert keep.tolist() == [True, False]
        keep[:] = False  # writable, and nobody else's


def test_nothing_in_nothing_out() -> None:
    none, frame = np.zeros(0, np.float32), np.zeros(0, np.int32)
    poses = np.zeros((0, 17, 3), np.float32)
    assert oks_nms(poses, none, none, frame).shape == (0,)
    assert parametric_nms(poses, none, np.zeros((0, 4), np.float32), frame).shape == (0,)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("keypoints", KEYPOINTS.astype(np.float64)),
        ("keypoints", KEYPOINTS[:1]),
        ("keypoints", KEYPOINTS[:, ::2]),
        ("keypoints", KEYPOINTS[..., :2]),
        ("scores", ONES[:, None]),
        ("areas", ONES[:1]),
        ("frame", FRAME.astype(np.int64)),
    ],
)
def test_refuses_wrong_arrays(name: str, wrong: Any) -> None:
    arrays = {"keypoints": KEYPOINTS, "scores": ONES, "areas": ONES, "frame": FRAME, name: wrong}
    with pytest.raises(ShapeError, match=r"oks_nms \((\w+)\): expected a C-contiguous"):
        oks_nms(**arrays)
    if name != "areas":
        del arrays["areas"]
        with pytest.raises(ShapeError, match=r"parametric_nms \((\w+)\): expected a C-contiguous"):
            parametric_nms(boxes=BOXES, **arrays)


def test_refuses_wrong_numbers() -> None:
    spoilt = KEYPOINTS.copy()
    spoilt[1, 3, 0] = np.nan
    with pytest.raises(ConfigError, match=r"oks_nms: expected finite keypoints, got nan in row 1"):
        oks_nms(spoilt, ONES, ONES, FRAME)
    with pytest.raises(ConfigError, match=r"parametric_nms: expected finite boxes, got inf in"):
        parametric_nms(KEYPOINTS, ONES, np.full_like(BOXES, np.inf), FRAME)
    with pytest.raises(ConfigError, match=r"oks_nms: expected areas above 0, got 0"):
        oks_nms(KEYPOINTS, ONES, 0 * ONES, FRAME)
    with pytest.raises(ConfigError, match=r"oks_nms: expected oks from 0 to 1, got 1\.5"):
        oks_nms(KEYPOINTS, ONES, ONES, FRAME, 1.5)
    with pytest.raises(ShapeError, match=r"oks_nms: expected a sigma for each of 17 joints, got 1"):
        oks_nms(KEYPOINTS, ONES, ONES, FRAME, sigmas=[0.1])
    with pytest.raises(ConfigError, match=r"parametric_nms: expected sigma2 above 0, got -1"):
        parametric_nms(KEYPOINTS, ONES, BOXES, FRAME, sigma2=-1)


# ---------------------------------------------------------------- the pose stage


def tracks(
    boxes: Sequence[Sequence[float]],
    scores: Sequence[float],
    frame: Sequence[int],
    observed: Sequence[bool] | None = None,
) -> Tracks:
    count = len(frame)
    return Tracks(
        boxes_px=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores, np.float32),
        ids=np.arange(1, count + 1, dtype=np.int64),
        frame=np.array(frame, np.int32),
        stream=np.zeros(count, np.int32),
        observed=np.array(observed if observed is not None else [True] * count, np.bool_),
        ended_stream=np.empty(0, np.int32),
        ended_ids=np.empty(0, np.int64),
    )


def frames(count: int, *, first: int = 0) -> FrameBatch:
    picture = np.zeros((360, 480, 3), np.uint8)
    return FrameBatch(
        [Frame.from_rgb(picture, pts=first + i, time_base=(1, 30)) for i in range(count)]
    )


def stage(path: Path, nms: PoseNms, **options: float) -> PoseStage:
    config = PoseConfig(model=path, nms=nms, **options)  # type: ignore[arg-type]
    return PoseStage(open_model(path, task="pose"), config)


def rows_with_joints(poses: PoseBatch) -> list[bool]:
    """A row has all of its joints or (0, 0, 0) for each."""
    with_joints = [bool(row.all()) for row in poses.keypoints_px[..., 2] > 0]
    rows = np.flatnonzero(np.logical_not(with_joints))
    assert not poses.keypoints_px[rows].any()
    return with_joints


@pytest.mark.parametrize("nms", KINDS)
def test_one_person_of_a_frame_has_one_pose(tmp_path: Path, nms: PoseNms) -> None:
    """The made network finds the same person in each crop, so equal boxes have equal poses."""
    path = make_pose(tmp_path / "p.onnx")
    boxes = [PERSON, DOUBLE, FAR, PERSON, FAR, DOUBLE, PERSON]
    seen = tracks(boxes, [0.5, 0.9, 0.1, 0.4, 0.9, 0.3, 0.2], [0, 0, 0, 1, 1, 1, 1])
    poses = stage(path, nms)(frames(2), seen)
    assert rows_with_joints(poses) == [False, True, True, True, True, False, False]
    plain = stage(path, "none")(frames(2), seen).keypoints_px
    assert rows_with_joints(PoseBatch(keypoints_px=plain)) == [True] * 7
    kept = [1, 2, 3, 4]
    np.testing.assert_array_equal(poses.keypoints_px[kept], plain[kept])


@pytest.mark.parametrize("nms", KINDS)
def test_who_was_seen_goes_before_who_is_predicted(tmp_path: Path, nms: PoseNms) -> None:
    seen = tracks([PERSON] * 3, [0.9, 0.2, 0.3], [0] * 3, [False, True, True])
    poses = stage(make_pose(tmp_path / "p.onnx"), nms)(frames(1), seen)
    assert rows_with_joints(poses) == [False, False, True]


@pytest.mark.parametrize("nms", KINDS)
def test_a_step_without_people(tmp_path: Path, nms: PoseNms) -> None:
    found = stage(make_pose(tmp_path / "p.onnx"), nms)(frames(1), tracks([], [], []))
    assert found.keypoints_px.shape == (0, 17, 3)


def test_the_thresholds_arrive(tmp_path: Path) -> None:
    """Equal poses have an OKS of 1; of 17 sure joints nothing is above 17 x 2.7."""
    path, twice = make_pose(tmp_path / "p.onnx"), tracks([PERSON] * 2, [0.9, 0.8], [0, 0])
    assert rows_with_joints(stage(path, "oks", nms_oks=1.0)(frames(1), twice)) == [True, True]
    none = stage(path, "parametric", nms_eta=17 * 2.7)(frames(1), twice)
    assert rows_with_joints(none) == [True, True]
    sum_of = 17 * (np.tanh(0.8 / 0.5) ** 2 + 3.0)  # joints of 0.8, in the same places
    for eta, expected in ((sum_of - 1e-4, [True, False]), (sum_of + 1e-4, [True, True])):
        options = {"nms_sigma1": 0.5, "nms_lambda": 3.0, "nms_eta": float(eta)}
        found = stage(path, "parametric", **options)(frames(1), twice)
        assert rows_with_joints(found) == expected


def test_oks_wants_the_joints_of_coco(tmp_path: Path) -> None:
    path = make_pose(tmp_path / "p.onnx", STANDING[:2], names=("head", "left_foot"))
    with pytest.raises(
        ConfigError, match=r"pose\.nms: oks expected .*17 COCO joints, got one of 2"
    ):
        stage(path, "oks")
    twice = tracks([PERSON] * 2, [0.9, 0.8], [0, 0])
    found = stage(path, "parametric", nms_eta=2.0)(frames(1), twice)
    assert rows_with_joints(found) == [True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nms": "soft"}, r"pose\.nms: expected none, oks or parametric, got 'soft'"),
        ({"nms_oks": 1.2}, r"pose\.nms_oks: expected a number from 0 to 1, got 1\.2"),
        ({"nms_eta": 0}, r"pose\.nms_eta: expected a number above 0, got 0"),
        ({"nms_sigma1": float("nan")}, r"pose\.nms_sigma1: expected a number above 0, got nan"),
        ({"nms_lambda": "1"}, r"pose\.nms_lambda: expected a number above 0, got '1'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PoseConfig.from_mapping({"model": "p.onnx", **options})


# ---------------------------------------------------------------- windows of tracks


@pytest.fixture
def windows(tmp_path: Path) -> WindowStage:
    manifest = open_model(make_action(tmp_path / "a.onnx"), task="action").manifest
    assert isinstance(manifest, ActionManifest)
    return WindowStage(WindowConfig(), manifest)


@pytest.mark.parametrize("nms", KINDS)
def test_the_double_of_a_person_gets_no_window(
    tmp_path: Path, windows: WindowStage, nms: PoseNms
) -> None:
    pose = stage(make_pose(tmp_path / "p.onnx"), nms)
    boxes, frame = [PERSON, DOUBLE, FAR] * 12, np.repeat(np.arange(12), 3)
    seen = tracks(boxes, [0.5, 0.9, 0.7] * 12, frame.tolist())
    seen.ids[:] = [1, 2, 3] * 12
    batch = frames(12)
    due = windows(seen, pose(batch, seen), batch)
    # The grid's ninth pose and on; of rows 0 to 35 those of tracks 2 and 3 in frames 8 to 11.
    assert due.row.tolist() == [25, 26, 28, 29, 31, 32, 34, 35]
    assert due.row.dtype == np.int32
    assert due.ids.tolist() == [2, 3] * 4
    assert (due.poses_px[..., 2] > 0).all()
    assert len(windows) == 2


def test_a_short_time_without_joints_is_interpolated(windows: WindowStage) -> None:
    """Joints at x = frame, none in frames 4 and 5; the window is whole all the same."""
    seen = tracks([PERSON] * 9, [0.9] * 9, list(range(9)))
    seen.ids[:] = 7
    keypoints = np.ones((9, 17, 3), np.float32)
    keypoints[..., 0] = np.arange(9)[:, None]
    keypoints[4:6] = 0
    due = windows(seen, PoseBatch(keypoints_px=keypoints), frames(9))
    assert due.row.tolist() == [8]
    np.testing.assert_allclose(
        due.poses_px[0, :, :, 0], np.tile(np.arange(9), (17, 1)).T, atol=1e-5
    )


# ---------------------------------------------------------------- the command


def test_the_option_of_run_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[EngineConfig] = []

    def keep(config: EngineConfig, *_: object, **__: object) -> int:
        given.append(config)
        return 0

    monkeypatch.setattr(runner, "run", keep)
    models = ["--detector", "d.onnx", "--pose", "p.onnx", "--action", "a.onnx"]
    for arguments in ([], ["--pose-nms", "parametric"], ["--pose-nms", "oks"]):
        out = ["--out", str(tmp_path / "r.jsonl"), "-y"]
        run_app([*models, "v.mp4", *out, *arguments], standalone_mode=False)
    assert [config.pose.nms for config in given] == ["none", "parametric", "oks"]
