# SPDX-License-Identifier: Apache-2.0
"""HRNet checkpoints to model files: ONNX Runtime against torch and a decoder of OpenCV's, narrow
networks mostly."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from export.cli import app
from export.hrnet import FRONT, HrnetOptions, build_graph, export_hrnet, read_name
from export.package import pack
from export.verify import open_session
from poseact_engine.backends.base import Model, ModelFile
from poseact_engine.backends.registry import open_file, open_model
from poseact_engine.errors import ConfigError, DependencyError, ExportError, SourceError
from poseact_engine.manifest import Geometry, PoseManifest
from poseact_engine.manifest_io import read_manifest
from poseact_engine.types import COCO_JOINTS
from tests.foreign_models import pictures, prepared
from tests.parity.heatmap_oracle import decode_maps, settled

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from export.torch_model import open_torch, torch_pose
    from export.trace import PICTURES, trace
    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig
    from tests.lively import liven, scale

SIZE = (256, 192)
OPTIONS = HrnetOptions(
    size=SIZE, geometry="default", decode="quarter", source="made by code", licence="none"
)
KERNEL = {"quarter": None, "dark": 11}
Decode = Literal["quarter", "dark"]


def network(width: int = 8, joints: int = 17, size: tuple[int, int] = SIZE) -> Any:
    """Random weights; maps of about 1, of both signs."""
    torch.manual_seed(0)
    net = liven(Hrnet(HrnetConfig(width=width, joints=joints)))
    scale(net, [net.final_layer], torch.from_numpy(batch_of(pictures(1, size))), 1.0)
    return net


def batch_of(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.concatenate([prepared(crop, FRONT) for crop in crops])


def heat_maps(net: Any, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    with torch.no_grad():
        maps: NDArray[np.float32] = net(torch.from_numpy(batch_of(crops))).numpy()
    return maps


def opened(net: Any, options: HrnetOptions) -> tuple[Model, PoseManifest]:
    data, manifest = pack(*build_graph(net, options), Path("made.onnx"))
    return open_file(ModelFile(path=None, data=data, manifest=manifest), threads=1), manifest


def assert_same_joints(
    found: NDArray[Any], maps: NDArray[np.float32], options: HrnetOptions, *, least: float = 0.85
) -> None:
    """Within 1e-3 px, but for joints which rounding alone moves: at least ``least`` are certain."""
    kernel = KERNEL[options.decode]
    size, geometry = options.size, options.geometry
    certain = np.stack([settled(m, size, geometry, kernel, noise=1e-6) for m in maps])
    expected = np.stack([decode_maps(m, size, geometry, kernel) for m in maps])
    assert certain.mean() >= least
    assert len(np.unique(expected[certain][:, :2], axis=0)) > certain.sum() / 4  # not all alike
    np.testing.assert_allclose(found[certain][:, :2], expected[certain][:, :2], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found[..., 2], expected[..., 2], atol=1e-5 * np.abs(maps).max())


@pytest.fixture(scope="module")
def narrow() -> tuple[Any, NDArray[np.uint8], NDArray[np.float32]]:
    """A network, crops and its heat maps of them."""
    net, crops = network(), pictures(7, SIZE)
    return net, crops, heat_maps(net, crops)


@pytest.mark.parametrize("geometry", ["default", "udp"])
@pytest.mark.parametrize("decode", ["quarter", "dark"])
def test_joints_are_torchs(narrow: Any, geometry: Geometry, decode: Decode) -> None:
    net, crops, maps = narrow
    options = dataclasses.replace(OPTIONS, geometry=geometry, decode=decode)
    model, manifest = opened(net, options)
    (found,) = model.run(crops)
    assert_same_joints(found, maps, options)
    assert (manifest.geometry, manifest.decode, manifest.flip_test) == (geometry, decode, False)
    (reference,) = torch_pose(net, manifest, FRONT).run(crops[:2])
    assert_same_joints(reference, maps[:2], options)
    for batch in (0, 1, 3):
        (part,) = model.run(crops[:batch])
        np.testing.assert_allclose(part, found[:batch], atol=1e-3)


@pytest.mark.parametrize("geometry", ["default", "udp"])
def test_the_flip_test_is_the_one_made_by_hand(narrow: Any, geometry: Geometry) -> None:
    net, crops, maps = narrow
    crops, maps = crops[:3], maps[:3]
    mirrored = heat_maps(net, np.ascontiguousarray(crops[..., ::-1]))[..., ::-1]
    pairs = [COCO_JOINTS.index(swap(name)) for name in COCO_JOINTS]
    mirrored = mirrored[:, pairs]
    if geometry == "default":
        mirrored = np.concatenate([mirrored[..., :1], mirrored[..., :-1]], axis=3)
    options = dataclasses.replace(OPTIONS, geometry=geometry, flip_test=True)
    model, manifest = opened(net, options)
    (found,) = model.run(crops)
    mean = (maps + mirrored) / 2
    assert_same_joints(found, mean, options)
    assert manifest.flip_test
    (reference,) = torch_pose(net, manifest, FRONT).run(crops)
    assert_same_joints(reference, mean, options)


def swap(name: str) -> str:
    sides = {"left": "right", "right": "left"}
    side, _, rest = name.partition("_")
    return f"{sides[side]}_{rest}" if side in sides else name


def test_the_mirror_image_has_the_mirrored_pose(narrow: Any) -> None:
    """With a flip test and udp, whose cells are where their mirror images are."""
    net, crops, _ = narrow
    options = dataclasses.replace(OPTIONS, geometry="udp", flip_test=True)
    model, _ = opened(net, options)
    (found,) = model.run(crops)
    (mirrored,) = model.run(np.ascontiguousarray(crops[..., ::-1]))
    pairs = [COCO_JOINTS.index(swap(name)) for name in COCO_JOINTS]
    back = mirrored[:, pairs]
    back[..., 0] = np.where(back[..., 2] > 0, SIZE[1] - 1 - back[..., 0], 0)
    same = np.abs(back - found).max(axis=-1) < 1e-3
    assert same.mean() > 0.95  # but for ties


def test_heat_maps_of_w32_are_torchs() -> None:
    net = network(width=32)
    crops = pictures(3, SIZE)
    maps = heat_maps(net, crops)
    model = trace(net, height=SIZE[0], width=SIZE[1])
    (found,) = open_session(model).run(None, {PICTURES: batch_of(crops)})
    assert found.shape == (3, 17, 64, 48)
    assert np.abs(found - maps).max() <= 1e-5 * np.abs(maps).max()
    assert_same_joints(opened(net, OPTIONS)[0].run(crops)[0], maps, OPTIONS)


def test_any_size_and_joints_of_other_data_sets() -> None:
    net = network(width=4, joints=3, size=(64, 64))
    with pytest.raises(ExportError, match="--joints: expected the names of the network's 3 joints"):
        build_graph(net, OPTIONS)
    names = ("head", "left_hand", "right_hand")
    options = dataclasses.replace(OPTIONS, size=(128, 96), joints=names, decode="dark")
    with pytest.raises(ExportError, match=r"--dark-kernel: expected .* maps of 32 x 24"):
        build_graph(net, options)
    model, manifest = opened(net, dataclasses.replace(options, dark_kernel=3))
    assert (manifest.height, manifest.width, manifest.joints) == (128, 96, names)
    assert model.run(pictures(2, (128, 96)))[0].shape == (2, 3, 3)
    with pytest.raises(ExportError, match="--joints: expected 3 names"):
        build_graph(net, dataclasses.replace(OPTIONS, joints=names[:2]))
    with pytest.raises(ExportError, match="--size: expected multiples of 32"):
        dataclasses.replace(OPTIONS, size=(256, 190))
    with pytest.raises(ExportError, match="--dark-kernel: expected --decode dark"):
        build_graph(net, dataclasses.replace(OPTIONS, joints=names, dark_kernel=3))


@pytest.mark.parametrize(
    ("name", "size", "geometry", "decode"),
    [
        ("pose_hrnet_w32_256x192.pth", (256, 192), "default", "quarter"),
        ("pose_hrnet_w48_384x288.pth", (384, 288), "default", "quarter"),
        ("hrnet_w32_coco_256x192_dark-07f147eb_20200812.pth", (256, 192), "default", "dark"),
        ("hrnet_w48_coco_384x288_udp-0f89c63e_20210223.pth", (384, 288), "udp", "dark"),
        ("td-hm_hrnet-w32_8xb64-210e_coco-256x192-81c58e40_20220909.pth",
         (256, 192), "default", "quarter"),
        ("td-hm_hrnet-w48_udp-8xb32-210e_coco-384x288-70d7ab01_20220913.pth",
         (384, 288), "udp", "dark"),
        ("pose_hrnet_w32_256x256.pth", (256, 256), "default", "quarter"),
        ("model_best.pth", None, "default", "quarter"),
        ("from_256x192_to_384x288.pth", None, "default", "quarter"),
        ("darkness_8xb64.pth", None, "default", "quarter"),
    ],
)  # fmt: skip
def test_what_official_names_say(name: str, size: Any, geometry: str, decode: str) -> None:
    named = read_name(Path("/some/2x4/folder") / name)
    assert (named.size, named.geometry, named.decode) == (size, geometry, decode)


# ---------------------------------------------------------------- the whole way


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hrnet") / "pose_hrnet_w4_64x64.pth"
    torch.save(network(width=4, size=(64, 64)).state_dict(), path)
    return path


def test_from_a_checkpoint_to_a_file(checkpoint: Path, tmp_path: Path) -> None:
    options = dataclasses.replace(OPTIONS, size=(64, 64))
    output = tmp_path / "p.onnx"
    manifest = export_hrnet(checkpoint, output, options)
    assert manifest == read_manifest(output)
    assert (manifest.border, manifest.expansion, manifest.joints) == ((0,) * 3, 1.25, COCO_JOINTS)
    crops = pictures(3, (64, 64))
    (found,) = open_model(output, task="pose").run(crops)
    maps = heat_maps(network(width=4, size=(64, 64)), crops)
    assert_same_joints(found, maps, options, least=0.7)
    again = open_torch(checkpoint, manifest)
    assert_same_joints(again.run(crops)[0], maps, options, least=0.7)
    again.close()
    names = {n.output[0].split("/")[0] for n in onnx.load(str(output)).graph.node}
    assert names == {"front", "net", "decode", "keypoints"}


def test_the_command(checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "p.onnx"
    args = ["hrnet", "--weights", str(checkpoint), "-o", str(output)]
    common = ["--source", "made by code", "--licence", "none"]
    result = CliRunner().invoke(app, [*args, *common, "--flip-test"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    said = "by the name of pose_hrnet_w4_64x64.pth: size 64x64, geometry default, decode quarter"
    assert said in result.output
    assert "pose 64x64, sha256" in result.output
    written = read_manifest(output, task="pose")
    assert isinstance(written, PoseManifest)
    assert written.flip_test
    with pytest.raises(ExportError, match="export hrnet: expected --source, --licence too"):
        CliRunner().invoke(app, args, catch_exceptions=False)
    plain = checkpoint.with_name("best.pth")
    plain.write_bytes(checkpoint.read_bytes())
    args[2] = str(plain)
    with pytest.raises(ExportError, match="expected --size too"):
        CliRunner().invoke(app, [*args, *common], catch_exceptions=False)
    given = ["--size", "64x64", "--geometry", "udp", "--decode", "dark", "--dark-kernel", "5"]
    result = CliRunner().invoke(app, [*args, *common, *given], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "by the name" not in result.output
    written = read_manifest(output, task="pose")
    assert isinstance(written, PoseManifest)
    assert (written.geometry, written.decode, written.flip_test) == ("udp", "dark", False)


def test_pixels_as_alphapose_has_them(checkpoint: Path, tmp_path: Path) -> None:
    """``simple_transform.py``: RGB / 255, less a number a channel, and no division."""
    options = dataclasses.replace(OPTIONS, size=(64, 64), alphapose=True)
    export_hrnet(checkpoint, tmp_path / "p.onnx", options)
    crops = pictures(3, (64, 64))
    (found,) = open_model(tmp_path / "p.onnx", task="pose").run(crops)
    mean = np.array([0.406, 0.457, 0.480]).reshape(3, 1, 1)
    with torch.no_grad():
        fed = torch.from_numpy((crops / 255 - mean).astype(np.float32))
        maps = network(width=4, size=(64, 64))(fed).numpy()
    assert_same_joints(found, maps, options, least=0.7)


def test_what_is_no_checkpoint_leaves_no_file(checkpoint: Path, tmp_path: Path) -> None:
    options = dataclasses.replace(OPTIONS, size=(64, 64))
    text = tmp_path / "a.pth"
    text.write_text("no weights")
    with pytest.raises(SourceError, match=r"a\.pth"):
        export_hrnet(text, tmp_path / "p.onnx", options)
    with pytest.raises(ExportError, match="is the file to be exported"):
        export_hrnet(checkpoint, checkpoint, options)
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]


def test_without_torch(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(DependencyError, match=r"poseact-engine\[train\]"):
        export_hrnet(checkpoint, tmp_path / "p.onnx", OPTIONS)


def test_a_reference_of_other_joints(checkpoint: Path) -> None:
    _, manifest = build_graph(network(width=4, size=(64, 64)), OPTIONS)
    with pytest.raises(ConfigError, match="expected joints as in the other model"):
        open_torch(checkpoint, dataclasses.replace(manifest, joints=COCO_JOINTS[:3]))
