# SPDX-License-Identifier: Apache-2.0
"""`poseact models` as it is typed, against a local mirror: from a download to a file that runs."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine.backends.registry import open_model
from poseact_engine.cli import models_pull
from poseact_engine.cli.models import models_app
from poseact_engine.manifest import PoseManifest
from poseact_engine.manifest_io import read_manifest
from poseact_engine.zoo.official import ENTRIES
from poseact_engine.zoo.registry import find_entry
from tests.file_server import FileServer, serve, status
from tests.foreign_models import foreign_simcc
from tests.zoo_entries import archive, checkpoint, made_entry

ROOT = Path(__file__).resolve().parents[2]
NAME = "rtmpose-t-256x192"
ENTRY = find_entry(NAME, ENTRIES)


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    env |= {"PYTHONPATH": str(ROOT), "POSEACT_MODELS": str(folder), "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        [sys.executable, "-m", "poseact_engine.cli.main", "models", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env | variables,
    )


def models(folder: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with start(folder, *arguments, **variables) as process:
        out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What OpenMMLab's archives are: an ONNX file in a folder, among others."""
    path = foreign_simcc(tmp_path_factory.mktemp("made") / "f.onnx", (256, 192), joints=17)
    return archive({"x/rtmpose/end2end.onnx": path.read_bytes(), "x/rtmpose/pipeline.json": b"{}"})


def test_pull_ends_with_a_model_file_that_runs(sdk: bytes, tmp_path: Path) -> None:
    with FileServer([serve(sdk, cut=5000), serve(sdk)]) as server:
        code, out, err = models(tmp_path, "pull", NAME, "--mirror", f"{server.url}/mirror")
        assert code == 0, err
        assert server.requests[0].path.startswith("/mirror/mmpose/v1/projects/rtmposev1/onnx_sdk/")
        assert server.ranges == [None, "bytes=5000-"]
        assert "Apache-2.0, commercial use: unclear" in out
        code, out, err = models(tmp_path, "pull", NAME, "--mirror", server.url)
        assert (code, len(server.requests)) == (0, 2)
        assert "is here already" in out
    file = tmp_path / f"{NAME}.onnx"
    assert names(tmp_path) == sorted([file.name, ENTRY.file, f"{ENTRY.file}.record.json"])
    manifest = read_manifest(file, task="pose")
    assert isinstance(manifest, PoseManifest)
    assert (manifest.height, manifest.width, manifest.decode) == (256, 192, "simcc")
    assert (manifest.licence, ENTRY.title in manifest.source) == ("Apache-2.0", True)
    with closing(open_model(file, task="pose")) as model:
        (keypoints,) = model.run(np.zeros((2, 3, 256, 192), np.uint8))
    assert keypoints.shape == (2, 17, 3)

    assert f"{NAME}\tpose\t65.9 AP\tApache-2.0\tunclear\tyes" in models(tmp_path, "list")[1]
    code, out, _ = models(tmp_path, "check")
    assert (code, out.count("ok: "), len(out.splitlines())) == (0, 2, 2)
    data = bytearray((tmp_path / ENTRY.file).read_bytes())
    data[-1] ^= 1
    (tmp_path / ENTRY.file).write_bytes(data)
    file.write_bytes(file.read_bytes()[:-1])
    code, out, _ = models(tmp_path, "check")
    assert (code, out.count("wrong: "), len(out.splitlines())) == (1, 2, 2)
    assert "(recorded on 20" in out
    code, out, _ = models(tmp_path, "check", NAME)
    assert (code, len(out.splitlines())) == (1, 1)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("yolox-nano", "(the registry's), got"),
        ("mmpose-hrnet-w32-256x192", "expected sha256 c78dce93 (the digits in its official name)"),
    ],
)
def test_a_wrong_file_is_refused(name: str, words: str, tmp_path: Path) -> None:
    with FileServer([serve(checkpoint())]) as server:
        code, _, err = models(tmp_path, "pull", name, "--mirror", server.url)
    assert code == 2
    assert words in err
    assert len(err.splitlines()) == 1
    assert names(tmp_path) == []


def test_the_length_is_known_before_anything_comes(tmp_path: Path) -> None:
    with FileServer([serve(checkpoint())]) as server:
        code, _, err = models(tmp_path, "pull", "yolox-tiny", "--mirror", server.url)
    assert code == 2
    assert "expected a file of 40755013 bytes, the server announces 300000" in err


def test_without_a_network_people_place_the_file(tmp_path: Path) -> None:
    file = tmp_path / "yolox_nano.pth"
    code, _, err = models(tmp_path, "pull", "yolox-nano", "--offline")
    assert code == 2
    assert f"place it as {file} and run the same command again" in err
    assert len(err.splitlines()) == 1
    file.write_bytes(checkpoint())
    code, _, err = models(tmp_path, "pull", "yolox-nano", "--offline")
    assert code == 2
    assert f"{file}: expected sha256 cd28f55f" in err


def test_weights_without_a_link_are_taken_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "pose_hrnet_w32_256x192.pth"
    code, _, err = models(tmp_path, "pull", "hrnet-w32-256x192")
    assert code == 2
    assert (
        f"GoogleDrive or OneDrive), take pytorch/pose_coco/{file.name}, place it as {file}" in err
    )
    file.write_bytes(checkpoint())
    code, out, err = models(tmp_path, "pull", "hrnet-w32-256x192", "--no-export")
    assert code == 0, err
    assert "recorded: there was nothing to compare it with" in err
    line = shlex.split(out.splitlines()[-1].partition("of it: ")[2])
    assert line[:5] == ["poseact", "export", "hrnet", "--size", "256x192"]
    assert line[line.index("--weights") + 1] == str(file)
    file.write_bytes(checkpoint(seed=1))
    code, _, err = models(tmp_path, "pull", "hrnet-w32-256x192", "--no-export")
    assert code == 2
    assert "(recorded on 20" in err


@pytest.mark.needs_torch
def test_weights_by_hand_become_a_model_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an entry like HRNet's, but narrow and small: the parity gate runs the network."""
    import torch

    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig

    entry = made_entry(None, manual="make it")  # 64x64
    monkeypatch.setattr(models_pull, "ENTRIES", (entry,))
    torch.manual_seed(0)
    torch.save(Hrnet(HrnetConfig(width=8)).state_dict(), tmp_path / entry.file)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # such small layers only wait for more
    try:
        result = CliRunner().invoke(models_app, ["pull", "made", "--to", str(tmp_path)])
    finally:
        torch.set_num_threads(threads)
    assert result.exit_code == 0, result.output
    manifest = read_manifest(tmp_path / "made.onnx", task="pose")
    assert isinstance(manifest, PoseManifest)
    assert (manifest.height, manifest.width, manifest.geometry) == (64, 64, "default")
    assert (manifest.decode, manifest.flip_test, manifest.licence) == ("quarter", False, "MIT")
    assert manifest.source == "Made, https://example.org"


def test_without_torch_the_weights_are_kept_and_the_command_is_said(tmp_path: Path) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "torch.py").write_text("raise ImportError('no torch here')")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "pose_hrnet_w32_256x192.pth").write_bytes(checkpoint())
    path = os.pathsep.join([str(tmp_path / "blocked"), str(ROOT)])
    code, _, err = models(folder, "pull", "hrnet-w32-256x192", PYTHONPATH=path)
    assert code == 2
    assert "pip install 'poseact-engine[train]'; the weights are kept; later: poseact export" in err
    assert (folder / "pose_hrnet_w32_256x192.pth").exists()


def test_a_first_download_that_is_no_model_can_be_got_rid_of(sdk: bytes, tmp_path: Path) -> None:
    wrong = archive({"x/end2end.onnx": b"\x08 starts as ONNX files do"})
    with FileServer([serve(wrong)]) as server:
        code, _, err = models(tmp_path, "pull", NAME, "--mirror", server.url)
    assert code == 2
    record = f"{ENTRY.file}.record.json"
    assert f"if {ENTRY.file} itself is wrong: delete it and {record}" in err
    for name in (ENTRY.file, record):
        (tmp_path / name).unlink()
    with FileServer([serve(sdk)]) as server:
        code, _, err = models(tmp_path, "pull", NAME, "--mirror", server.url, "--no-export")
    assert code == 0, err


def test_a_pull_that_was_broken_off_goes_on(sdk: bytes, tmp_path: Path) -> None:
    slow = serve(sdk, chunk=4096, pause_s=0.1)
    with FileServer([slow, serve(sdk)]) as server:
        pull = ("pull", NAME, "--no-export", "--mirror", server.url)
        with start(tmp_path, *pull) as first:
            part = tmp_path / f"{ENTRY.transfer_file}.part"
            end_s = time.monotonic() + 30
            while not (part.exists() and part.stat().st_size) and time.monotonic() < end_s:
                time.sleep(0.05)
            first.send_signal(signal.SIGINT)
            _, err = first.communicate(timeout=30)
        assert first.returncode != 0
        assert "Traceback" not in err
        assert "unfinished" in models(tmp_path, "check")[1]
        code, _, err = models(tmp_path, *pull)
        assert code == 0, err
        kept = int((server.ranges[1] or "").partition("=")[2].rstrip("-"))
        assert 0 < kept < len(sdk)
    assert names(tmp_path) == sorted([ENTRY.file, f"{ENTRY.file}.record.json"])


def test_the_login_of_a_proxy_is_printed_nowhere(tmp_path: Path) -> None:
    with FileServer([status(407)]) as server:
        proxy = server.url.replace("//", "//me:secret@")
        pull = ("pull", NAME, "--mirror", "http://weights.invalid")
        for code, out, err in (
            models(tmp_path, *pull, "--proxy", proxy),
            models(tmp_path, *pull, http_proxy=proxy),
        ):
            assert code == 2
            assert "407" in err
            assert "secret" not in out + err
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pull", "yolox-nan"), "did you mean yolox-nano"),
        (("info", "yolox-nan"), "did you mean yolox-nano"),
        (("check", "yolox-nan"), "did you mean yolox-nano"),
        (("info", "no.onnx"), "no.onnx: expected an ONNX file, cannot read it: No such file"),
        (("pull", NAME, "--mirror", "file:///tmp"), "--mirror: expected http[s]://HOST[/PATH]"),
        (("pull", NAME, "--timeout", "0"), "'--timeout'"),
        (("list", "--task", "song"), "'--task'"),
    ],
)
def test_wrong_words_are_explained(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    code, _, err = models(tmp_path, *arguments)
    assert code == 2
    assert words in err
