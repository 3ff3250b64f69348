# SPDX-License-Identifier: Apache-2.0
"""HRNet against its published figures and its official structure, written out once more."""

from __future__ import annotations

import importlib.util
import operator

import pytest

from poseact_engine.errors import ConfigError

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch
    from torch import nn
    from torch.fx import symbolic_trace

    from poseact_engine.training.complexity import count_conv_macs, count_parameters
    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig
    from tests.official_networks import HrnetOracle, hrnet_shapes, one_thread, random_state

    one_thread = pytest.fixture(autouse=True, scope="module")(one_thread)


def make(width: int, joints: int = 17, *, seed: int = 0) -> Hrnet:
    model = Hrnet(HrnetConfig(width=width, joints=joints))
    model.load_state_dict(random_state(hrnet_shapes(width, joints), seed=seed))
    return model.eval()


def described(width: int) -> Hrnet:
    with torch.device("meta"):
        return Hrnet(HrnetConfig(width=width)).eval()


@pytest.mark.parametrize(("width", "millions"), [(32, 28.54), (48, 63.60)])
def test_it_has_the_published_number_of_parameters(width: int, millions: float) -> None:
    # MMPose's table of backbones; the paper rounds to 28.5 and 63.6.
    assert round(count_parameters(described(width)) / 1e6, 2) == millions


@pytest.mark.parametrize(
    ("width", "height", "gflops"),
    [(32, 256, 7.1), (32, 384, 16.0), (48, 256, 14.6), (48, 384, 32.9)],
)
def test_it_has_the_published_cost(width: int, height: int, gflops: float) -> None:
    macs = count_conv_macs(described(width), height=height, width=height * 3 // 4)
    assert round(macs / 2**30, 1) == gflops  # table 1 of the paper; its giga is 2**30


def test_a_narrow_stem_and_fewer_modules_make_it_cheaper() -> None:
    with torch.device("meta"):
        small = Hrnet(HrnetConfig(width=16, stem=16, modules=(1, 1, 1)))
    shapes = {name: tuple(value.shape) for name, value in small.state_dict().items()}
    assert shapes["layer1.3.conv3.weight"] == (64, 16, 1, 1)
    assert shapes["transition1.0.0.weight"] == (16, 64, 3, 3)
    assert {name.split(".")[1] for name in shapes if name.startswith("stage3.")} == {"0"}
    assert small(torch.zeros(1, 3, 64, 64, device="meta")).shape == (1, 17, 16, 16)


def test_w32_costs_7_65_gmac() -> None:
    macs = count_conv_macs(described(32), height=256, width=192)
    assert round(macs / 1e9, 2) == pytest.approx(7.65, abs=0.006)


@pytest.mark.parametrize("width", [8, 18, 32, 48])
def test_its_weights_have_the_official_names_and_shapes(width: int) -> None:
    got = {name: tuple(value.shape) for name, value in described(width).state_dict().items()}
    assert got == hrnet_shapes(width)


@pytest.mark.parametrize(
    ("width", "joints", "size"), [(4, 1, (32, 32)), (8, 17, (32, 96)), (18, 21, (64, 32))]
)
def test_it_equals_the_official_structure(width: int, joints: int, size: tuple[int, int]) -> None:
    model = make(width, joints).double()
    pictures = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        got, want = model(pictures), HrnetOracle(model.state_dict())(pictures)
    assert got.shape == (2, joints, size[0] // 4, size[1] // 4)
    assert 0.1 < want.std() < 20
    torch.testing.assert_close(got, want, rtol=0, atol=1e-10)


def test_w32_equals_the_official_structure_in_float32() -> None:
    model = make(32)
    pictures = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        got, want = model(pictures), HrnetOracle(model.state_dict())(pictures)
    assert 0.1 < want.std() < 20
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


def test_the_traced_graph_has_plain_layers_alone_and_gives_the_same() -> None:
    model = make(8)
    traced = symbolic_trace(model)
    kinds = {
        type(traced.get_submodule(str(node.target)))
        for node in traced.graph.nodes
        if node.op == "call_module"
    }
    assert kinds == {nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Upsample, nn.Identity}
    others = {node.op for node in traced.graph.nodes} - {"call_module"}
    assert others == {"placeholder", "call_function", "output"}
    functions = {node.target for node in traced.graph.nodes if node.op == "call_function"}
    assert functions == {operator.add}
    for size in ((64, 64), (32, 96)):
        pictures = torch.randn(3, 3, *size)
        with torch.no_grad():
            assert torch.equal(traced(pictures), model(pictures))


def test_it_trains() -> None:
    model = make(4, joints=2).train()
    model(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 3}, r"hrnet.width: expected a whole number from 4 to 128, got 3"),
        ({"width": 129}, "from 4 to 128, got 129"),
        ({"width": 32.0}, r"got 32\.0"),
        ({"width": True}, "got True"),
        ({"joints": 0}, "hrnet.joints: expected a whole number from 1 to 512, got 0"),
        ({"joints": "17"}, "got '17'"),
        ({"stem": 2}, "hrnet.stem: expected a whole number from 4 to 128, got 2"),
        ({"modules": (1, 4)}, "hrnet.modules: expected three whole numbers"),
        ({"modules": (1, 0, 3)}, "hrnet.modules: expected three whole numbers"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HrnetConfig(**options)  # type: ignore[arg-type]
