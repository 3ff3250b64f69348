# SPDX-License-Identifier: Apache-2.0
"""`poseact synth` and `synthetic://` with real scenes, read back by those who know the formats."""

from __future__ import annotations

import contextlib
import io
import json
import signal
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from typer.testing import CliRunner

from poseact_engine import Engine
from poseact_engine.cli.synth import synth_app
from poseact_engine.errors import ConfigError, SinkError
from poseact_engine.evaluation.coco_file import read_coco
from poseact_engine.sinks.video import frame_rgb
from poseact_engine.sources import open_source
from poseact_engine.synthetic.files import SceneFiles
from poseact_engine.synthetic.scene import Scene, SceneConfig
from poseact_engine.training.keypoints import read_sequences
from tests.integration.made_world import World

SIZE, FPS, SECONDS = (128, 96), (10, 1), 1.5
FRAMES = 15
SEEDS = (3, 4)
OPTIONS = ("--size", "128x96", "--fps", "10", "--seconds", "1.5", "--people", "2")
URL = "synthetic://?size=128x96&fps=10&seconds=1.5&people=2&seed=3"


def scene(seed: int) -> Scene:
    return Scene(SceneConfig(people=2, seconds=SECONDS, seed=seed, size=SIZE, fps=FPS))


def synth(folder: Path, *options: str) -> Any:
    line = ["-o", str(folder), "--scenes", "2", "--first-seed", str(SEEDS[0]), *OPTIONS, *options]
    return CliRunner().invoke(synth_app, line)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synth") / "new" / "scenes"
    done = synth(path, "--images-every", "5", "--image-format", "png")
    assert done.exit_code == 0, done.output
    assert f"poseact train action {path / 'keypoints.npz'}" in done.output
    return path


def test_nobody_is_told_to_train_on_scenes_for_measuring(tmp_path: Path) -> None:
    done = synth(tmp_path / "a", "--first-seed", "999999", "--no-videos")
    assert done.exit_code == 0, done.output
    assert "from 1000000 on are for measuring, never to train on" in done.output
    assert "poseact train" not in done.output


def test_videos_have_every_frame_at_its_time(folder: Path) -> None:
    for seed in SEEDS:
        with av.open(str(folder / "videos" / f"scene-{seed:06d}.mp4")) as container:
            frames = list(container.decode(video=0))
        assert [float(f.pts * f.time_base) for f in frames] == pytest.approx(np.arange(15) / 10)
        for frame, made in zip(frames, scene(seed).frames(), strict=True):
            decoded = frame.to_ndarray(format="bgr24").astype(float)
            # The next frame or another scene would be off by far more.
            assert np.abs(decoded - made.picture).mean() < 10


def test_pictures_and_coco_agree_with_the_truth(folder: Path) -> None:
    path = folder / "person_keypoints.json"
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(path)
    ours = read_coco(path)
    assert len(coco.getImgIds()) == len(ours.pictures) == 6
    found = 0
    for seed in SEEDS:
        for made in scene(seed).frames(5):
            name = f"scene-{seed:06d}_{made.truth.index:06d}.png"
            (image,) = [i for i in coco.dataset["images"] if i["file_name"] == name]
            np.testing.assert_array_equal(cv2.imread(str(folder / "images" / name)), made.picture)
            people = coco.loadAnns(coco.getAnnIds(image["id"]))
            seen = np.flatnonzero(made.truth.visible > 0)
            assert [p["track_id"] for p in people] == made.truth.ids[seen].tolist()
            for person, row in zip(people, seen, strict=True):
                x, y, w, h = person["bbox"]
                np.testing.assert_allclose(
                    [x, y, x + w, y + h], made.truth.boxes_px[row], atol=0.02
                )
                found += 1
    assert found > 6


def test_the_truth_as_an_answer_scores_full_ap(folder: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(folder / "person_keypoints.json")
        told = [a for a in coco.dataset["annotations"] if a["num_keypoints"]]
        keys = ("image_id", "category_id", "keypoints")
        found = coco.loadRes([{**{key: a[key] for key in keys}, "score": 1.0} for a in told])
        scores = COCOeval(coco, found, "keypoints")
        scores.evaluate()
        scores.accumulate()
        scores.summarize()
    assert scores.stats[0] == pytest.approx(1.0)


def test_tracks_load_in_trackeval(folder: Path, tmp_path: Path) -> None:
    """The truth, given as a tracker's answer, is a perfect one."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints while it is imported
        import trackeval
    names = [f"scene-{seed:06d}" for seed in SEEDS]
    data = tmp_path / "ours" / "data"
    data.mkdir(parents=True)
    for name in names:
        (data / f"{name}.txt").write_bytes((folder / "gt" / f"{name}.txt").read_bytes())
    config = {
        "GT_FOLDER": str(folder / "gt"),
        "TRACKERS_FOLDER": str(tmp_path),
        "TRACKERS_TO_EVAL": ["ours"],
        "GT_LOC_FORMAT": "{gt_folder}/{seq}.txt",
        "SEQ_INFO": dict.fromkeys(names, FRAMES),
        "SKIP_SPLIT_FOL": True,
        "DO_PREPROC": False,
        "PRINT_CONFIG": False,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = trackeval.datasets.MotChallenge2DBox(config)
        metric = trackeval.metrics.CLEAR({"PRINT_CONFIG": False})
        for seed, name in zip(SEEDS, names, strict=True):
            raw = dataset.get_raw_seq_data("ours", name)
            result = metric.eval_sequence(dataset.get_preprocessed_seq_data(raw, "pedestrian"))
            seen = sum(int((t.visible > 0).sum()) for t in scene(seed).truths())
            assert result["CLR_TP"] == seen
            assert (result["CLR_FN"], result["IDSW"]) == (0, 0)


def test_keypoints_are_those_of_the_truth(folder: Path) -> None:
    sequences = {s.name: s for s in read_sequences([folder / "keypoints.npz"])}
    assert {name.split("_")[0] for name in sequences} == {"synthetic/3", "synthetic/4"}
    for seed in SEEDS:
        for truth in scene(seed).truths():
            for row, person in enumerate(truth.ids.tolist()):
                sequence = sequences[f"synthetic/{seed}_p{person}"]
                assert sequence.labels[truth.index] == truth.actions[row]
                seen = truth.keypoints_px[row, :, 2] > 0
                np.testing.assert_array_equal(
                    sequence.keypoints_px[truth.index, seen, :2],
                    truth.keypoints_px[row, seen, :2],
                )


def test_scenes_say_what_they_were_made_from(folder: Path) -> None:
    told = json.loads((folder / "scenes.json").read_text())["scenes"]
    assert [t["name"] for t in told] == ["scene-000003", "scene-000004"]
    for t, seed in zip(told, SEEDS, strict=True):
        assert t["config"]["seed"] == seed
        assert len(t["falls"]) == len(scene(seed).falls)
        assert t["camera"]["focal_px"] == scene(seed).camera.focal_px


def test_without_videos_the_pictures_are_the_same(folder: Path, tmp_path: Path) -> None:
    options = ("--no-videos", "--images-every", "5", "--image-format", "png")
    assert synth(tmp_path, *options).exit_code == 0
    assert not (tmp_path / "videos").exists()
    names = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.suffix in (".png", ".txt"))
    assert len(names) == 8
    for name in [*names, "person_keypoints.json", "keypoints.npz", "scenes.json"]:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_scenes_that_are_there_are_kept_unless_told_otherwise(tmp_path: Path) -> None:
    assert synth(tmp_path, "--no-videos").exit_code == 0
    (tmp_path / "gt" / "mine.txt").touch()
    error = synth(tmp_path, "--no-videos").exception
    assert isinstance(error, SinkError)
    assert "--overwrite" in str(error)
    assert synth(tmp_path, "--no-videos", "--scenes", "1", "--overwrite").exit_code == 0
    assert sorted(p.name for p in (tmp_path / "gt").iterdir()) == ["mine.txt", "scene-000003.txt"]
    (tmp_path / "gt" / "scene-9.txt").mkdir()
    error = synth(tmp_path, "--no-videos", "--overwrite").exception
    assert isinstance(error, SinkError)
    assert "scene-9.txt: cannot be deleted" in str(error)


def test_ctrl_c_keeps_the_scenes_that_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = SceneFiles.write

    def interrupted(self: SceneFiles, made: Scene, on_frame: Any) -> Any:
        if made.config.seed == SEEDS[1]:
            signal.raise_signal(signal.SIGINT)
        return write(self, made, on_frame)

    monkeypatch.setattr(SceneFiles, "write", interrupted)
    done = synth(tmp_path, "--images-every", "1")
    assert done.exit_code == 130
    assert "1 of 2 scenes" in done.output
    left = {p.name for p in tmp_path.rglob("*") if p.is_file()}
    images = {name for name in left if name.startswith("scene-000003_")}
    assert len(images) == FRAMES
    assert left - images == {
        "scene-000003.mp4",
        "scene-000003.txt",
        "scenes.json",
        "person_keypoints.json",
        "keypoints.npz",
    }


def test_a_fault_leaves_nothing_of_its_scene(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("poseact_engine.synthetic.files.mot_lines", lambda _: 1 / 0)
    done = synth(tmp_path, "--images-every", "1")
    assert isinstance(done.exception, ZeroDivisionError)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size", "128"), "--size: expected a size as 1280x720, got '128'"),
        (("--fps", "fast"), "--fps: expected a rate as 30 or 30000/1001, got 'fast'"),
        (("--actions", "running"), "scene.actions"),
        (("--actions", ""), "--actions: expected names with commas between, got ''"),
        (("--actions", "walking,"), "--actions: expected names"),
        (("--seconds", "0"), "scene.seconds"),
    ],
)
def test_wrong_options_are_said_before_anything_is_made(
    options: tuple[str, str], words: str, tmp_path: Path
) -> None:
    error = synth(tmp_path / "new", *options).exception
    assert isinstance(error, ConfigError)
    assert words in str(error)
    assert not (tmp_path / "new").exists()


def test_a_source_shows_the_scenes_pictures_in_their_colours() -> None:
    reader = open_source(URL)
    reader.start()
    for made in scene(3).frames():
        frame = reader.next()
        assert frame is not None
        # In 4:2:0, by OpenCV there and back, is the best that can be had.
        whole = cv2.cvtColor(made.picture, cv2.COLOR_BGR2YUV_I420)
        expected = cv2.cvtColor(whole, cv2.COLOR_YUV2RGB_I420).astype(float)
        shown = frame_rgb(frame).astype(float)
        assert abs(shown.mean(axis=(0, 1)) - expected.mean(axis=(0, 1))).max() < 0.5
        luma = np.array([0.299, 0.587, 0.114])
        assert np.abs(shown @ luma - expected @ luma).max() < 4
        assert frame.index == made.truth.index
    assert reader.next() is None


def test_a_scene_and_its_video_run_alike(world: World, folder: Path) -> None:
    """The made detector sees blocks of colour, so this is about frames and times alone."""
    with Engine(world.config()) as engine:
        steps = list(engine.run([URL, str(folder / "videos" / "scene-000003.mp4")]))
        assert [s.name for s in engine.streams] == ["synthetic-3", "scene-000003"]
        assert engine.streams[0].info["frames"] == engine.streams[1].info["frames"] == FRAMES
    times_s: dict[int, list[float]] = {0: [], 1: []}
    for step in steps:
        for stream, pts_s in zip(step.frames.stream.tolist(), step.frames.pts_s, strict=True):
            times_s[stream].append(float(pts_s))
    assert times_s[0] == pytest.approx(times_s[1])
    assert times_s[0] == pytest.approx(np.arange(FRAMES) / 10)
