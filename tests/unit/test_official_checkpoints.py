# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints load by their own names; everything else is one line, and runs nothing."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from poseact_engine.errors import SourceError

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.training.models.hrnet import HrnetConfig
    from poseact_engine.training.models.yolox import YOLOX_SIZES, YoloxConfig
    from poseact_engine.training.official import load_hrnet, load_yolox
    from poseact_engine.training.state_dict import read_state_dict
    from tests import checkpoints
    from tests.official_networks import (
        HrnetOracle,
        YoloxOracle,
        hrnet_shapes,
        one_thread,
        random_state,
        yolox_shapes,
    )

    one_thread = pytest.fixture(autouse=True, scope="module")(one_thread)

    State = dict[str, torch.Tensor]

HRNET_FILES = (
    "bare",
    "old_torch",
    "authors_training",
    "mmpose_0",
    "mmpose_1_published",
    "mmpose_1_training",
)
YOLOX_FILES = ("bare", "megvii", "megvii_parallel", "old_numpy")
TRAPS = ("trap_zip", "trap_old", "trap_pickle", "trap_new_pickle")


@pytest.fixture(scope="module")
def hrnet() -> State:
    return random_state(hrnet_shapes(8, 14))


@pytest.fixture(scope="module")
def nano() -> State:
    return random_state(yolox_shapes(16, 1, depthwise=True, classes=2))


def refusal(load: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("kind", HRNET_FILES)
def test_hrnet_of_every_origin_loads(tmp_path: Path, hrnet: State, kind: str) -> None:
    path = tmp_path / "hrnet.pth"
    getattr(checkpoints, kind)(hrnet, path)
    model = load_hrnet(path)
    assert model.config == HrnetConfig(width=8, joints=14)
    assert not model.training
    pictures = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(pictures), HrnetOracle(hrnet)(pictures), rtol=0, atol=1e-5)
    for name, value in model.state_dict().items():
        counter = name.endswith("num_batches_tracked")
        assert torch.equal(value, hrnet[name] * (not (counter and kind == "old_torch"))), name


@pytest.mark.parametrize("kind", YOLOX_FILES)
def test_yolox_of_every_origin_loads(tmp_path: Path, nano: State, kind: str) -> None:
    path = tmp_path / "yolox.pth"
    getattr(checkpoints, kind)(nano, path)
    model = load_yolox(path)
    assert model.config == YoloxConfig(depth=0.33, width=0.25, depthwise=True, classes=2)
    pictures = torch.rand(1, 3, 64, 32) * 255
    with torch.no_grad():
        got, want = model(pictures), YoloxOracle(nano, blocks=1)(pictures)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)
    assert all(torch.equal(value, nano[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("size", "base", "blocks"), [("tiny", 24, 1), ("s", 32, 1), ("m", 48, 2)])
def test_the_size_is_read_off_the_weights(
    tmp_path: Path, size: str, base: int, blocks: int
) -> None:
    checkpoints.bare(random_state(yolox_shapes(base, blocks)), tmp_path / "m.pth")
    assert load_yolox(tmp_path / "m.pth").config == YOLOX_SIZES[size]


def test_a_size_that_was_never_published_loads_too(tmp_path: Path) -> None:
    checkpoints.bare(random_state(yolox_shapes(8, 2, classes=1)), tmp_path / "own.pth")
    config = load_yolox(tmp_path / "own.pth").config
    assert (config.channels, config.blocks, config.classes) == (8, 2, 1)


def test_half_precision_weights_become_float32(tmp_path: Path, nano: State) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in nano.items()}
    checkpoints.bare(half, tmp_path / "half.pth")
    state = load_yolox(tmp_path / "half.pth").state_dict()
    assert all(torch.equal(value, half[name].to(value.dtype)) for name, value in state.items())
    assert {value.dtype for value in state.values()} == {torch.float32, torch.int64}


def test_missing_and_unknown_weights_are_listed(tmp_path: Path, hrnet: State) -> None:
    # An ImageNet HRNet: no joints, but a classifier.
    imagenet = {k: v for k, v in hrnet.items() if not k.startswith("final_layer")}
    extra = {f"incre_modules.{n}.weight": torch.ones(1) for n in range(12)}
    checkpoints.bare(imagenet | extra | {"classifier.bias": torch.ones(9)}, tmp_path / "i.pth")
    said = refusal(load_hrnet, tmp_path / "i.pth")
    assert "missing 2 (final_layer.bias, final_layer.weight)" in said
    assert "unknown 13 (classifier.bias, incre_modules.0.weight, incre_modules.1.weight" in said
    assert said.count("incre_modules") == 9
    assert said.endswith("…)")
    checkpoints.bare(hrnet | {"classifier.bias": torch.ones(9)}, tmp_path / "i.pth")
    assert refusal(load_hrnet, tmp_path / "i.pth").endswith(
        "missing none; unknown 1 (classifier.bias)"
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "stage3.2.branches.1.0.bn1.bias",
            lambda v: v[:-1],
            r"expected shape \(16,\), got \(15,\)",
        ),
        ("conv1.weight", lambda v: v * float("nan"), "expected finite numbers, got NaN"),
        ("bn2.running_mean", lambda v: v / 0, "expected finite numbers, got NaN or infinity"),
        ("bn2.weight", lambda v: v.double() * 1e300, "expected finite numbers"),
        ("bn2.running_var", lambda v: -v, "expected variances of 0 or more, got -"),
        ("conv2.weight", lambda v: v.int(), r"expected plain torch.float32.* got torch.int32"),
        ("conv2.weight", lambda v: v.to_sparse(), "expected plain .*sparse"),
        ("conv2.weight", lambda v: v.to("meta"), "expected plain .*device meta"),
        ("bn1.num_batches_tracked", lambda v: v + 0.5, "expected plain torch.int64, got torch.f"),
        ("final_layer.weight", lambda v: v[0, 0, 0], r"expected a convolution's four axes"),
        ("final_layer.weight", lambda v: v.expand(-1, -1, 3, 3), r"got \(14, 8, 3, 3\)"),
        ("stage2.0.branches.0.0.conv1.weight", lambda v: v[:3], "hrnet.width: .* got 3"),
    ],
)
def test_weights_that_cannot_be_are_refused(
    tmp_path: Path, hrnet: State, name: str, value: Callable[[object], object], message: str
) -> None:
    checkpoints.bare(hrnet | {name: value(hrnet[name])}, tmp_path / "bad.pth")
    with pytest.raises(SourceError, match=message):
        load_hrnet(tmp_path / "bad.pth")


def test_the_other_network_is_refused(tmp_path: Path, hrnet: State, nano: State) -> None:
    checkpoints.megvii(nano, tmp_path / "yolox.pth")
    said = refusal(load_hrnet, tmp_path / "yolox.pth")
    assert said == "expected the weights of HRNet, got those of YOLOX"
    for write in (checkpoints.bare, checkpoints.mmpose_0, checkpoints.mmpose_1_published):
        write(hrnet, tmp_path / "hrnet.pth")
        said = refusal(load_yolox, tmp_path / "hrnet.pth")
        assert said == "expected the weights of YOLOX, got those of HRNet"


def test_yolox_that_does_not_fit_is_refused(tmp_path: Path, nano: State) -> None:
    del nano["head.obj_preds.2.bias"]
    checkpoints.megvii(nano, tmp_path / "cut.pth")
    said = refusal(load_yolox, tmp_path / "cut.pth")
    assert said == (
        "expected the weights of YOLOX; missing 1 (head.obj_preds.2.bias); unknown none"
    )
    many = {f"backbone.backbone.dark2.1.m.{n}.conv1.bn.bias": torch.ones(1) for n in range(99)}
    checkpoints.bare(many, tmp_path / "deep.pth")
    assert "yolox.depth: expected 0 < depth <= 4, got 33" in refusal(
        load_yolox, tmp_path / "deep.pth"
    )


def test_a_weight_under_two_prefixes_is_refused(tmp_path: Path, hrnet: State) -> None:
    twice = checkpoints.as_mmpose(hrnet, "head")
    twice["keypoint_head.final_layer.bias"] = hrnet["final_layer.bias"]
    checkpoints.bare(twice, tmp_path / "twice.pth")
    assert "expected one final_layer.bias, got it under" in refusal(
        load_hrnet, tmp_path / "twice.pth"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "got nothing"),
        ({"state_dict": {}}, "got nothing"),
        ([1], "got list"),
        ({"epoch": 3, "optimizer": {}}, r"got entries that are no tensors: 2 \(epoch, optimizer\)"),
        ({"state_dict": {3: None, "a\nb": None}}, r"2 \(3, 'a\\nb'\)"),
    ],
)
def test_a_file_without_weights_is_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "none.pth")
    with pytest.raises(SourceError, match=message):
        read_state_dict(tmp_path / "none.pth")


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    none = "expected a checkpoint of torch.save, got a file that is none, or is cut off"
    for number, content in enumerate((b"", b"hello", b"PK\3\4" + bytes(99), bytes(4096))):
        path = tmp_path / str(number)
        path.write_bytes(content)
        assert refusal(load_hrnet, path) == none
    assert refusal(load_yolox, tmp_path / "gone.pth") == "no such checkpoint"
    assert refusal(load_hrnet, tmp_path) == "expected a checkpoint file, got a folder"
    os.mkfifo(tmp_path / "pipe")
    assert refusal(load_hrnet, tmp_path / "pipe").endswith("got a device or a pipe")
    assert "cannot be read: Not a directory" in refusal(load_hrnet, tmp_path / "0" / "a.pth")


@pytest.mark.parametrize("kind", ["bare", "old_torch"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, hrnet: State, kind: str) -> None:
    path = tmp_path / "cut.pth"
    getattr(checkpoints, kind)(hrnet, path)
    whole = path.read_bytes()
    for share in (0.0001, 0.01, 0.5, 0.99, 0.99999):
        path.write_bytes(whole[: int(len(whole) * share)])
        assert refusal(load_hrnet, path).endswith("is none, or is cut off")


@pytest.mark.parametrize("kind", TRAPS)
def test_a_pickle_that_wants_to_run_code_does_not(tmp_path: Path, kind: str) -> None:
    path, proof = tmp_path / "trap.pth", tmp_path / "ran"
    for call, args in (
        (os.system, (f"touch {proof}",)),
        (subprocess.check_call, (["touch", str(proof)],)),
        (exec, (f"open({str(proof)!r}, 'w').close()",)),
    ):
        getattr(checkpoints, kind)(checkpoints.Trap(call, *args), path)
        said = refusal(load_hrnet, path)
        assert not proof.exists()
        if kind != "trap_new_pickle":  # torch does not know that protocol and stops before
            assert said.startswith("refused, since reading it would run ")
            assert call.__name__ in said
        if kind in ("trap_zip", "trap_old"):
            torch.load(path, weights_only=False)
        else:
            pickle.loads(path.read_bytes())
        assert proof.exists()  # so the trap is one
        proof.unlink()


def test_names_that_are_read_as_nothing_run_nothing(tmp_path: Path) -> None:
    # getattr(numpy.ndarray, "__new__")(numpy.ndarray, (3,)): all of these names are let through.
    make = b"cbuiltins\ngetattr\n(cnumpy\nndarray\nX\7\0\0\0__new__tR(cnumpy\nndarray\n(K\3ttR"
    assert pickle.loads(b"\x80\2" + make + b".").shape == (3,)
    path = tmp_path / "names.pth"
    path.write_bytes(b"\x80\2" + make + b".")
    assert refusal(load_hrnet, path).endswith("is none, or is cut off")
    torch.save({"ones": np.ones(2), "one": np.float64(1)}, path)
    assert "got entries that are no tensors: 2 (ones, one)" in refusal(load_hrnet, path)


def test_the_process_keeps_its_list_of_allowed_names(tmp_path: Path, hrnet: State) -> None:
    before = set(torch.serialization.get_safe_globals())
    checkpoints.mmpose_1_training(hrnet, tmp_path / "hrnet.pth")
    load_hrnet(tmp_path / "hrnet.pth")
    (tmp_path / "bad.pth").write_bytes(b"bad")
    refusal(load_hrnet, tmp_path / "bad.pth")
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_files_raise_nothing_else(tmp_path: Path, zipped: bool) -> None:
    content = {"state_dict": {"a": torch.ones(2), "b": torch.zeros(3)}, "ap": np.float64(0.5)}
    path = tmp_path / "damaged.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        damaged = whole.copy()
        where = rng.integers(0, len(whole), rng.integers(1, 4))
        damaged[where] = rng.integers(0, 256, len(where))
        path.write_bytes(damaged.tobytes())
        try:
            read_state_dict(path)
        except SourceError:
            refused += 1
    assert refused > 50
