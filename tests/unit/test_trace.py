# SPDX-License-Identifier: Apache-2.0
"""torch modules and the nodes written of them give the same; what is not known is refused."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.verify import open_session
from poseact_engine.contract import IR_VERSION, OPSET
from poseact_engine.errors import ExportError

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch
    from torch import Tensor, nn

    from export.trace import PICTURES, trace
    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig
    from poseact_engine.training.models.yolox import Yolox, YoloxConfig
    from tests.lively import liven

    class Apply(nn.Module):
        """A function as a module; with a layer of its own to call."""

        def __init__(self, function: Callable[..., Any], layer: nn.Module | None = None) -> None:
            super().__init__()
            self.function = function
            self.layer = layer

        def forward(self, pictures: Tensor) -> Tensor:
            found: Tensor = (
                self.function(pictures) if self.layer is None else self.function(self, pictures)
            )
            return found


SIZE = (24, 16)


def modules() -> dict[str, Any]:
    """By what they show."""
    conv = nn.Conv2d
    return {
        "conv": conv(3, 5, 3),
        "conv without bias": conv(3, 5, (1, 3), stride=(2, 1), padding=(0, 2), bias=False),
        "conv in groups": conv(3, 6, 3, padding=2, dilation=2, groups=3),
        "norm": nn.Sequential(conv(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.ReLU()),
        "norm after bias": nn.Sequential(conv(3, 5, 3), nn.BatchNorm2d(5, eps=1e-3), nn.SiLU()),
        "norm, plain": nn.Sequential(conv(3, 5, 3), nn.BatchNorm2d(5, affine=False)),
        "pool": nn.MaxPool2d(3, stride=2, padding=1),
        "pool, ceil": nn.MaxPool2d((3, 2), stride=(2, 3), ceil_mode=True),
        "pool, dilated": nn.MaxPool2d(3, stride=1, padding=1, dilation=2),
        "upsample": nn.Upsample(scale_factor=4.0, mode="nearest"),
        "upsample, two factors": nn.Upsample(scale_factor=(2, 3), mode="nearest"),
        "identity": nn.Sequential(nn.Identity(), nn.ReLU(), nn.Identity(), nn.SiLU(inplace=True)),
        "add": Apply(lambda x: x + x.sigmoid()),
        "add in place": Apply(_add_in_place),
        "concat": Apply(lambda x: torch.cat([x, torch.sigmoid(x)], dim=1)),
        "concat, axis as it stands": Apply(lambda x: torch.cat((x, x), -1)),
        "focus": Apply(lambda x: torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2]], 1)),
        "slice": Apply(lambda x: x[:, 1:3, -5:, 2:-3:3]),
        "flatten": Apply(lambda x: x.flatten(start_dim=2)),
        "flatten, permute": Apply(lambda x: torch.permute(torch.flatten(x, 2), (0, 2, 1))),
        "permute": Apply(lambda x: x.permute(0, 2, 3, 1)),
        "called twice": Apply(lambda self, x: self.layer(self.layer(x)), conv(3, 3, 3)),
        "silu called twice": Apply(lambda self, x: self.layer(self.layer(x)), nn.SiLU()),
    }


def _add_in_place(x: Any) -> Any:
    y = x.sigmoid()
    y += x
    return y


NAMES = list(modules()) if importlib.util.find_spec("torch") else []


def compare(module: Any, size: tuple[int, int], batch: int) -> tuple[Any, Any, Any]:
    """The graph, what it gives and what torch gives in float64."""
    model = trace(module, height=size[0], width=size[1])
    pictures = torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(batch))
    with torch.no_grad():
        expected = module.double()(pictures.double()).numpy()
    module.float()
    (found,) = open_session(model).run(None, {PICTURES: pictures.numpy()})
    return model, found, expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [1, 3])
def test_it_gives_what_torch_gives(name: str, batch: int) -> None:
    model, found, expected = compare(liven(nn.Sequential(modules()[name])), SIZE, batch)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert model.ir_version == IR_VERSION


@pytest.mark.parametrize("batch", [1, 7])
def test_the_networks_give_what_torch_gives(batch: int) -> None:
    networks = [Hrnet(HrnetConfig(width=4, joints=5))]
    networks += [
        Yolox(YoloxConfig(depth=0.33, width=0.125, depthwise=d, classes=2)) for d in (0, 1)
    ]
    for network in networks:
        _, found, expected = compare(liven(network), (64, 96), batch)
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_every_weight_stands_in_the_file_once_by_its_name() -> None:
    network = liven(Hrnet(HrnetConfig(width=4)))
    model = trace(network, height=64, width=64)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert len(tensors) == len(model.graph.initializer)
    weights = {
        f"net/{name}": weight
        for name, weight in network.named_parameters()
        if name.endswith("weight") and weight.ndim == 4
    }
    assert set(weights) == {n for n, t in tensors.items() if n.endswith(".weight")}
    assert all(tensors[name].shape == tuple(w.shape) for name, w in weights.items())
    size = sum(w.numel() for w in network.parameters()) * 4
    assert len(model.SerializeToString()) < size * 1.02 + 200_000  # names and nodes
    used = {i for n in model.graph.node for i in n.input}
    assert set(tensors) <= used
    assert all(n.name.startswith("net/") and n.name == n.output[0] for n in model.graph.node)
    assert "BatchNormalization" not in {n.op_type for n in model.graph.node}


def test_normalisation_is_folded_in_float64() -> None:
    """Rounded once: what float64 gives, to the bit."""
    pair = liven(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3)))
    model = trace(pair, height=8, width=8)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    conv, norm = (dict(m.named_parameters()) for m in pair)
    values = {
        k: v.detach().double().numpy() for k, v in {**norm, **dict(pair[1].named_buffers())}.items()
    }
    gain = values["weight"] / np.sqrt(values["running_var"] + 1e-3)
    weight = conv["weight"].detach().double().numpy() * gain[:, None, None, None]
    bias = (conv["bias"].detach().double().numpy() - values["running_mean"]) * gain + values["bias"]
    np.testing.assert_array_equal(tensors["net/0.weight"], weight.astype(np.float32))
    np.testing.assert_allclose(tensors["net/0.bias"], bias, rtol=1.2e-7)


def test_the_same_network_gives_the_same_bytes() -> None:
    made = [trace(liven(Hrnet(HrnetConfig(width=4))), height=64, width=64) for _ in range(2)]
    first, second = (m.SerializeToString(deterministic=True) for m in made)
    assert first == second


def shared_conv() -> Any:
    layers = nn.ModuleList([nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)])
    return Apply(
        lambda self, x: self.layer[2](self.layer[0](self.layer[1](self.layer[0](x)))), layers
    )


def refused() -> dict[str, tuple[Any, str]]:
    """What is not of our networks, and the words that name it."""
    return {
        "module": (nn.Sequential(nn.Conv2d(3, 3, 1), nn.GELU()), "got GELU 1"),
        "norm alone": (nn.BatchNorm2d(3), "BatchNorm2d|convolution before it"),
        "norm beside another": (
            Apply(lambda self, x: self.layer(self.layer[0](x)) + self.layer[0](x),
                  nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))), "normalised twice",
        ),
        "one conv, two norms": (shared_conv(), "layer.0.weight: expected one value, got two"),
        "padding": (nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")), "zeros"),
        "padding by name": (nn.Sequential(nn.Conv2d(3, 3, 3, padding="same")), "in numbers"),
        "bilinear": (nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear")), "nearest"),
        "size": (nn.Sequential(nn.Upsample(size=(9, 9))), "a scale factor"),
        "indices": (nn.Sequential(nn.MaxPool2d(2, return_indices=True)), "indices"),
        "function": (Apply(lambda x: x * 2), "got mul"),
        "number": (Apply(lambda x: x + 1), "expected a tensor, got 1"),
        "method": (Apply(lambda x: x.mean()), "got mean"),
        "row": (Apply(lambda x: x[:, 0]), "slices with constants"),
        "flatten": (Apply(lambda x: x.flatten(1)), "axis 2 to the last"),
        "scaled sum": (Apply(lambda x: torch.add(x, x, alpha=2)), "two tensors"),
        "flow": (Apply(lambda x: x if x.sum() > 0 else -x), "without control flow on data"),
        "parameter": (Apply(lambda self, x: x + self.layer.weight, nn.Conv2d(3, 3, 1)), "weight"),
        "no input": (Apply(lambda _: 3), "expected a tensor, got 3"),
    }  # fmt: skip


REFUSED = list(refused()) if importlib.util.find_spec("torch") else []


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_named(name: str) -> None:
    module, words = refused()[name]
    with pytest.raises(ExportError, match=words) as caught:
        trace(liven(module), height=8, width=8)
    assert "\n" not in str(caught.value) or name == "flow"


def test_a_network_in_training_or_with_broken_weights_is_refused() -> None:
    pair = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    with pytest.raises(ExportError, match="evaluation mode"):
        trace(pair.train(), height=8, width=8)
    broken = liven(pair)
    with torch.no_grad():
        broken[0].weight[1] = float("nan")
    with pytest.raises(ExportError, match=r"0 .*finite weights"):
        trace(broken, height=8, width=8)
    without = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)).eval()
    with pytest.raises(ExportError, match="running statistics"):
        trace(without, height=8, width=8)


def test_it_passes_the_checker() -> None:
    model = trace(liven(modules()["norm"]), height=8, width=8)
    model.graph.output[0].CopyFrom(
        onnx.helper.make_tensor_value_info(model.graph.output[0].name, 1, ["batch", 5, 6, 6])
    )
    onnx.checker.check_model(model, full_check=True)
