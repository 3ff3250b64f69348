# SPDX-License-Identifier: Apache-2.0
"""`poseact train detector` and `train pose`, from COCO files to models that the engine opens."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from poseact_engine.errors import PoseActError
from poseact_engine.manifest import DetectorManifest, PoseManifest
from poseact_engine.manifest_io import read_manifest
from tests.coco_files import person, write_truth
from tests.commands import succeed

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from export.cli import app as export_app
    from poseact_engine.cli.train import train_app
    from poseact_engine.training.network_checkpoint import read_info
    from poseact_engine.training.official import load_hrnet, load_yolox
    from tests.official_networks import one_thread

    one_thread = pytest.fixture(autouse=True, scope="module")(one_thread)

DETECTOR = [
    "detector",
    "--size",
    "128x192",
    "--width",
    "0.125",
    "--batch-size",
    "3",
    "--threads",
    "1",
]
POSE = [
    "pose", "--size", "64x64", "--width", "4", "--stem", "8", "--modules", "1,2,1",
    "--batch-size", "3", "--threads", "1",
]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two COCO files, ``a.json`` and ``b.json``, with a folder of pictures each."""
    folder = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    for name, count in (("a", 6), ("b", 2)):
        (folder / name).mkdir()
        people = []
        for n in range(count):
            cv2.imwrite(
                str(folder / name / f"{n}.png"), rng.integers(0, 255, (90, 140, 3), dtype=np.uint8)
            )
            x, y = (int(v) for v in rng.integers(5, 30, 2))
            joints = [(x + 3 + 2 * k, y + 5 + 2 * (k * 5 % 17)) for k in range(17)]
            people.append(person(n + 1, (x, y, 45, 50), joints))
            people.append(person(n + 1, (90, 10, 20, 60), iscrowd=1))
        write_truth(folder / f"{name}.json", {f"{n}.png": n + 1 for n in range(count)}, people)
    return folder


def data_of(world: Path) -> list[str]:
    pairs = {
        "--data": "a.json",
        "--images": "a",
        "--validation": "b.json",
        "--validation-images": "b",
    }
    return [word for option, name in pairs.items() for word in (option, str(world / name))]


def train(*words: str | Path) -> str:
    return succeed(train_app, *words)


def export(*words: str | Path) -> None:
    succeed(export_app, *words)


def test_a_trained_pose_model_is_exported_without_further_options(
    world: Path, tmp_path: Path
) -> None:
    output = tmp_path / "p.pt"
    said = train(*POSE, *data_of(world), "--epochs", "2", "-o", output, "--licence", "MIT")
    assert "epoch 2/2: loss" in said
    assert "held out: pck" in said
    assert [p.name for p in tmp_path.iterdir()] == ["p.pt"]
    info = read_info(output)
    assert info is not None
    assert (info.task, info.size, info.licence) == ("pose", (64, 64), "MIT")
    assert info.training["data"][0]["file"] == "a.json"
    assert len(info.training["history"]) == 2
    net = load_hrnet(output)
    assert (net.config.width, net.config.stem, net.config.modules) == (4, 8, (1, 2, 1))
    # The export compares the graph with torch and writes nothing where they differ.
    export("hrnet", "--weights", output, "-o", tmp_path / "p.onnx")
    manifest = read_manifest(tmp_path / "p.onnx")
    assert isinstance(manifest, PoseManifest)
    assert (manifest.height, manifest.width, manifest.licence) == (64, 64, "MIT")
    assert manifest.source == "poseact train pose"
    # Maps of 16 x 16 cells: of no published size, so that the checkpoint has to say the kernel.
    assert (manifest.decode, info.options["dark_kernel"]) == ("dark", 5)
    export("verify", output, tmp_path / "p.onnx")
    export("hrnet", "--weights", output, "-o", tmp_path / "q.onnx", "--decode", "quarter")
    quarter = read_manifest(tmp_path / "q.onnx")
    assert isinstance(quarter, PoseManifest)
    assert quarter.decode == "quarter"


def test_a_trained_detector_is_exported_without_further_options(
    world: Path, tmp_path: Path
) -> None:
    output = tmp_path / "d.pt"
    said = train(*DETECTOR, *data_of(world), "--epochs", "2", "-o", output)
    assert "6 pictures, 6 people; held out 2" in said  # crowds are nobody
    assert "held out: recall" in said
    net = load_yolox(output)
    assert (net.config.width, net.config.classes) == (0.125, 1)
    export("yolox", "--weights", output, "-o", tmp_path / "d.onnx", "--licence", "MIT")
    manifest = read_manifest(tmp_path / "d.onnx")
    assert isinstance(manifest, DetectorManifest)
    assert (manifest.height, manifest.width, manifest.nms_iou) == (128, 192, 0.45)
    with pytest.raises(PoseActError, match="expected a checkpoint of task pose"):
        export("hrnet", "--weights", output, "-o", tmp_path / "x.onnx", "--licence", "MIT")
    with pytest.raises(PoseActError, match="--size: expected official weights"):
        export(
            "yolox", "--weights", output, "-o", tmp_path / "x.onnx", "--licence", "MIT",
            "--size", "64x64",
        )  # fmt: skip
    fine = tmp_path / "fine.pt"
    train(
        "detector", "--size", "128x192", *data_of(world), "--epochs", "1", "-o", fine,
        "--init", output, "--lr", "1e-9",
    )  # fmt: skip
    begun, ended = load_yolox(output).state_dict(), load_yolox(fine).state_dict()
    weights = [name for name in begun if name.endswith("conv.weight")]
    assert all(torch.allclose(begun[name], ended[name], atol=1e-5) for name in weights)


def test_ctrl_c_saves_the_run_and_resume_ends_it_as_if_nothing_had_been(
    world: Path, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole.pt", tmp_path / "broken.pt"
    words = [*POSE, *data_of(world), "--epochs", "8", "--validate-every", "4"]
    train(*words, "-o", whole)
    command = [sys.executable, "-m", "poseact_engine.cli.main", "train", *words, "-o", str(broken)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    while "epoch 2/" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    said += process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "go on by adding --resume" in said
    assert not broken.exists()
    state = tmp_path / "broken.pt.resume"
    assert state.exists()
    with pytest.raises(PoseActError, match="an earlier run was broken off there"):
        train(*words, "-o", broken)
    with pytest.raises(PoseActError, match=r"got another trainer\.lr: 0\.1 instead of 0\.001"):
        train(*words, "-o", broken, "--resume", "--lr", "0.1")
    train(*words, "-o", broken, "--resume")
    assert not state.exists()
    a, b = load_hrnet(whole).state_dict(), load_hrnet(broken).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_made_scenes_are_drawn_once(tmp_path: Path) -> None:
    made = ["--synthetic", "1", "--synthetic-validation", "1", "--seconds", "1", "--pictures", "2"]
    words = [*DETECTOR, *made, "--epochs", "1", "-o", tmp_path / "d.pt", "--tensorboard"]
    words += [tmp_path / "curves"]
    first = train(*words)
    assert "2 pictures" in first
    drawn = sorted((tmp_path / "made-scenes").rglob("*.jpg"))
    assert len(drawn) == 4
    when = [path.stat().st_mtime_ns for path in drawn]
    time.sleep(0.02)
    before = (tmp_path / "d.pt").read_bytes()
    with pytest.raises(PoseActError, match=r"d\.pt exists; .* --overwrite"):
        train(*words)
    assert (tmp_path / "d.pt").read_bytes() == before
    assert train(*words, "--overwrite") == first
    assert [path.stat().st_mtime_ns for path in drawn] == when
    assert list((tmp_path / "curves").glob("events.*"))
    truth = next((tmp_path / "made-scenes").glob("scenes-0-1-*")) / "person_keypoints.json"
    assert len(json.loads(truth.read_text())["images"]) == 2


SEEDS = ["--synthetic", "3", "--synthetic-validation", "3"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "got neither"),
        (["--data", "a.json"], "--images: expected one for each --data, got 0 for 1"),
        (["--data", "a.json", "--images", "b"], "pictures of .*a.json, 4 are missing"),
        (["--data", "a.json", "--images", "no"], "expected the folder of the pictures"),
        (["--data", "none.json", "--images", "a"], "none.json: cannot be read"),
        (["--data", "a.json", "--images", "a", "--validation", "b.json"], "expected both or none"),
        (
            ["--data", "a.json", "--images", "a", "--validation", "a.json",
             "--validation-images", "a"],
            "expected pictures that training does not have, got 6",
        ),
        ([*SEEDS, "--validation-seed", "2"], "--validation-seed: expected seeds that training"),
        (["--synthetic", "1", "--first-seed", "1000000"], "for evaluation alone"),
        (["--synthetic", "1", "--picture-size", "big"], "--picture-size: expected two whole"),
        (["--data", "a.json", "--images", "a", "--size", "65x64"], "--size: expected multiples"),
        (["--data", "a.json", "--images", "a", "--lr", "-1"], "train.lr"),
        (["--data", "a.json", "--images", "a", "-o", "a.json"], "would be overwritten"),
        (["--data", "a.json", "--images", "a", "-o", "no/x.pt"], "expected an existing folder"),
        (["--data", "a.json", "--images", "a", "--init", "a.json"], "--width: expected it or --in"),
        (["--data", "a.json", "--images", "a", "--resume"], "no such training state"),
        (["--data", "a.json", "--images", "a", "--device", "cuda"], "--device: expected a CUDA"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("task", ["detector", "pose"])
def test_what_is_wrong_is_said_in_one_line(
    world: Path, monkeypatch: pytest.MonkeyPatch, task: str, words: list[str], message: str
) -> None:
    monkeypatch.chdir(world)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = sorted(p.name for p in world.iterdir())
    base: list[Any] = DETECTOR if task == "detector" else POSE
    target = [] if "-o" in words else ["-o", "x.pt"]
    with pytest.raises(PoseActError, match=message) as error:
        train(*base, *words, *target, "--epochs", "1")
    assert "\n" not in str(error.value)
    assert sorted(p.name for p in world.iterdir()) == before


def test_copies_under_other_names_are_not_held_out(world: Path, tmp_path: Path) -> None:
    shutil.copytree(world / "b", tmp_path / "c")
    (tmp_path / "c" / "1.png").write_bytes((world / "a" / "4.png").read_bytes())
    data = [*data_of(world)[:-1], tmp_path / "c"]
    with pytest.raises(PoseActError, match=r"got 1 that .*/c/1\.png, in training .*/a/4\.png"):
        train(*POSE, *data, "--epochs", "1", "-o", tmp_path / "p.pt")


def test_drawn_scenes_are_not_held_out_of_themselves(tmp_path: Path) -> None:
    few = ["--pictures", "2", "--seconds", "1", "--epochs", "1", "--cache", tmp_path]
    train(*DETECTOR, "--synthetic", "1", *few, "-o", tmp_path / "a.pt")
    drawn = next(tmp_path.glob("scenes-0-1-*"))
    files = (drawn / "person_keypoints.json", drawn / "images")
    held = ["--validation", files[0], "--validation-images", files[1], "--synthetic", "1"]
    data = ["--data", files[0], "--images", files[1], "--synthetic-validation", "1"]
    data += ["--validation-seed", "0"]
    for option, words in (("--validation", held), ("--synthetic-validation", data)):
        with pytest.raises(PoseActError, match=rf"^{option}: .* got 2 that it has"):
            train(*DETECTOR, *words, *few, "-o", tmp_path / "b.pt")


def test_weights_to_begin_with_must_be_the_tasks(world: Path, tmp_path: Path) -> None:
    other = tmp_path / "p.pt"
    train(*POSE, *data_of(world), "--epochs", "1", "-o", other)
    with pytest.raises(PoseActError, match="expected the weights of YOLOX, got those of HRNet"):
        train("detector", *data_of(world), "-o", tmp_path / "d.pt", "--init", other)


def test_a_picture_that_cannot_be_read_ends_the_run_in_one_line(
    world: Path, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    for path in (world / "a").iterdir():
        (tmp_path / "a" / path.name).write_bytes(path.read_bytes()[:40])
    with pytest.raises(PoseActError, match="expected a picture, got a file that is none") as error:
        train(
            *POSE, "--data", world / "a.json", "--images", tmp_path / "a", "-o", tmp_path / "p.pt"
        )
    assert "\n" not in str(error.value)
