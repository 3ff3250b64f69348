# SPDX-License-Identifier: Apache-2.0
"""The registry says what was published: names and figures here are copied from the sources by hand,
those of the registry are put together by its rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from poseact_engine.errors import ConfigError, PoseActError
from poseact_engine.zoo.official import ENTRIES
from poseact_engine.zoo.registry import Commercial, Entry, find_entry

BY_NAME = {entry.name: entry for entry in ENTRIES}
MMPOSE = "https://download.openmmlab.com/mmpose"
TOP_DOWN = f"{MMPOSE}/v1/body_2d_keypoint/topdown_heatmap/coco"
SDK = f"{MMPOSE}/v1/projects/rtmposev1/onnx_sdk"
MEGVII = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0"

# "Weights" and "AP" of MMPose's hrnet_coco.yml, hrnet_dark_coco.yml, hrnet_udp_coco.yml and
# rtmpose_body8-coco.md (the ONNX archives: its projects/rtmpose), and of Megvii's README.
PUBLISHED = {
    f"{MMPOSE}/top_down/hrnet/hrnet_w32_coco_256x192-c78dce93_20200708.pth": 74.6,
    f"{MMPOSE}/top_down/hrnet/hrnet_w32_coco_384x288-d9f0d786_20200708.pth": 76.0,
    f"{MMPOSE}/top_down/hrnet/hrnet_w48_coco_256x192-b9e0b3ab_20200708.pth": 75.6,
    f"{MMPOSE}/top_down/hrnet/hrnet_w48_coco_384x288-314c8528_20200708.pth": 76.7,
    f"{TOP_DOWN}/td-hm_hrnet-w32_dark-8xb64-210e_coco-256x192-0e00bf12_20220914.pth": 75.7,
    f"{TOP_DOWN}/td-hm_hrnet-w32_dark-8xb64-210e_coco-384x288-9bab4c9b_20220917.pth": 76.6,
    f"{TOP_DOWN}/td-hm_hrnet-w48_dark-8xb32-210e_coco-256x192-e1ebdd6f_20220913.pth": 76.4,
    f"{TOP_DOWN}/td-hm_hrnet-w48_dark-8xb32-210e_coco-384x288-39c3c381_20220916.pth": 77.2,
    f"{TOP_DOWN}/td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192-73ede547_20220914.pth": 76.2,
    f"{TOP_DOWN}/td-hm_hrnet-w32_udp-8xb64-210e_coco-384x288-9a3f7c85_20220914.pth": 76.8,
    f"{TOP_DOWN}/td-hm_hrnet-w48_udp-8xb32-210e_coco-256x192-3feaef8f_20220913.pth": 76.8,
    f"{TOP_DOWN}/td-hm_hrnet-w48_udp-8xb32-210e_coco-384x288-70d7ab01_20220913.pth": 77.3,
    f"{SDK}/rtmpose-t_simcc-body7_pt-body7_420e-256x192-026a1439_20230504.zip": 65.9,
    f"{SDK}/rtmpose-s_simcc-body7_pt-body7_420e-256x192-acd4a1ef_20230504.zip": 69.7,
    f"{SDK}/rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504.zip": 74.9,
    f"{SDK}/rtmdet_nano_8xb32-100e_coco-obj365-person-05d8511e.zip": 40.3,
    f"{MEGVII}/yolox_nano.pth": 25.8,
    f"{MEGVII}/yolox_tiny.pth": 32.8,
    f"{MEGVII}/yolox_s.pth": 40.5,
    f"{MEGVII}/yolox_m.pth": 46.9,
}
# "Results on COCO val2017" of the authors' README, files of its models/pytorch/pose_coco.
AUTHORS = {
    "pose_hrnet_w32_256x192.pth": 74.4,
    "pose_hrnet_w32_384x288.pth": 75.8,
    "pose_hrnet_w48_256x192.pth": 75.1,
    "pose_hrnet_w48_384x288.pth": 76.3,
}


def test_addresses_and_figures_are_those_published() -> None:
    assert {e.url: e.accuracy for e in ENTRIES if e.url} == PUBLISHED
    assert {e.file: e.accuracy for e in ENTRIES if not e.url} == AUTHORS


def test_names_and_files_are_unique_and_plain() -> None:
    assert len(BY_NAME) == len({e.file for e in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        for text in (entry.name, entry.file, entry.transfer_file):
            assert re.fullmatch(r"[\w.-]+", text), text
        assert f"{entry.name}.onnx" != entry.file  # the model file is made beside it


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_every_entry_is_complete(entry: Entry) -> None:
    assert (entry.url is None) == (entry.manual is not None)
    assert (entry.sha256 is None) == (entry.sha256_source is None)
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256 or "0" * 64)
    assert entry.commercial in get_args(Commercial)
    assert entry.terms
    assert urlsplit(entry.page).scheme == "https"
    if entry.name_sha256:
        assert re.search(rf"-{entry.name_sha256}_\d{{8}}\.pth$", entry.file)
    if entry.url:
        assert urlsplit(entry.url).scheme == "https"
        assert entry.url.endswith(f"/{entry.transfer_file}")


@pytest.mark.needs_torch
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_the_export_command_understands_the_whole_line(entry: Entry, tmp_path: Path) -> None:
    """It gets as far as the file, which is not there; a wrong option would have ended before."""
    from export.cli import app

    missing = str(tmp_path / entry.file)
    result = CliRunner().invoke(app, entry.export_arguments(missing, str(tmp_path / "out.onnx")))
    assert isinstance(result.exception, PoseActError), result.output
    assert missing in str(result.exception)
    assert "no such" in str(result.exception).lower()


@pytest.mark.parametrize(
    ("name", "suggested"),
    [("yolox-nan", "yolox-nano"), ("hrnet-w48-256x129", "hrnet-w48-256x192")],
)
def test_a_name_that_is_nearly_right_is_helped(name: str, suggested: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean .*{suggested}"):
        find_entry(name, ENTRIES)


def test_a_name_that_is_nothing() -> None:
    with pytest.raises(ConfigError, match=r"expected a name that `poseact models list` gives$"):
        find_entry("!", ENTRIES)
