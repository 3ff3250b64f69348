# SPDX-License-Identifier: Apache-2.0
"""YOLOX against its published figures and its official structure, written out once more."""

from __future__ import annotations

import importlib.util
import operator
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest

from poseact_engine.errors import ConfigError
from tests.real_models import yolox_file

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch
    from torch import nn
    from torch.fx import symbolic_trace

    from poseact_engine.training.complexity import count_conv_macs, count_parameters
    from poseact_engine.training.detector import make_network, person_alone
    from poseact_engine.training.models.yolox import YOLOX_SIZES, Yolox, YoloxConfig
    from poseact_engine.training.official import load_yolox
    from tests.official_networks import YoloxOracle, one_thread, random_state, yolox_shapes

    one_thread = pytest.fixture(autouse=True, scope="module")(one_thread)

# Megvii's table of models: input side, parameters in millions, GFLOPs.
PUBLISHED = {
    "nano": (416, 0.91, 1.08),
    "tiny": (416, 5.06, 6.45),
    "s": (640, 8.97, 26.8),
    "m": (640, 25.3, 73.8),
    "l": (640, 54.2, 155.6),
    "x": (640, 99.1, 281.9),
}
# Stem channels and bottlenecks of the published sizes: 64 x width, 3 x depth.
STRUCTURE = {
    "nano": (16, 1),
    "tiny": (24, 1),
    "s": (32, 1),
    "m": (48, 2),
    "l": (64, 3),
    "x": (80, 4),
}


def described(config: YoloxConfig) -> Yolox:
    with torch.device("meta"):
        return Yolox(config).eval()


def make(base: int, blocks: int, *, depthwise: bool = False, classes: int = 80) -> Yolox:
    config = YoloxConfig(depth=blocks / 3, width=base / 64, depthwise=depthwise, classes=classes)
    model = Yolox(config)
    shapes = yolox_shapes(base, blocks, depthwise=depthwise, classes=classes)
    model.load_state_dict(random_state(shapes))
    return model.eval()


@pytest.mark.parametrize("size", PUBLISHED)
def test_it_has_the_published_number_of_parameters(size: str) -> None:
    millions = count_parameters(described(YOLOX_SIZES[size])) / 1e6
    want = PUBLISHED[size][1]
    assert millions == pytest.approx(want, abs=0.006 if want < 10 else 0.06)


@pytest.mark.parametrize("size", PUBLISHED)
def test_it_has_the_published_cost(size: str) -> None:
    # Megvii's get_model_info takes 2 x thop's count, which adds to the multiply-adds one for each
    # output with a bias and two for each normalised number.
    model = described(YOLOX_SIZES[size])
    side, _, gflops = PUBLISHED[size]
    extra = 0

    def count(layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal extra
        extra += output.numel() * (2 if isinstance(layer, nn.BatchNorm2d) else 1)

    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) or getattr(layer, "bias", None) is not None:
            layer.register_forward_hook(count)
    macs = count_conv_macs(model, height=side, width=side)
    assert 2 * (macs + extra) / 1e9 == pytest.approx(gflops, abs=0.006 if gflops < 10 else 0.06)
    assert 2 * macs / 1e9 == pytest.approx(gflops, rel=0.035)


@pytest.mark.parametrize("size", PUBLISHED)
def test_its_weights_have_the_official_names_and_shapes(size: str) -> None:
    model = described(YOLOX_SIZES[size])
    base, blocks = STRUCTURE[size]
    got = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert got == yolox_shapes(base, blocks, depthwise=size == "nano")


@pytest.mark.parametrize(
    ("base", "blocks", "depthwise", "classes"),
    [(16, 1, True, 80), (8, 2, False, 3), (12, 1, False, 1), (8, 3, True, 2)],
)
def test_it_equals_the_official_structure(
    base: int, blocks: int, depthwise: bool, classes: int
) -> None:
    model = make(base, blocks, depthwise=depthwise, classes=classes).double()
    # 7 x 8 points on the last level: wide enough for all three pools to differ.
    pictures = torch.rand(1, 3, 224, 256, dtype=torch.float64) * 255
    with torch.no_grad():
        got = model(pictures)
        want = YoloxOracle(model.state_dict(), blocks=blocks)(pictures)
    assert got.shape == (1, 28 * 32 + 14 * 16 + 7 * 8, 5 + classes)
    assert float(want.std(dim=1).min()) > 1e-3  # no output is constant
    torch.testing.assert_close(got, want, rtol=0, atol=1e-10)


@pytest.mark.parametrize("size", ["nano", "tiny"])
def test_it_equals_the_official_structure_in_float32(size: str) -> None:
    base, blocks = STRUCTURE[size]
    model = make(base, blocks, depthwise=size == "nano")
    pictures = torch.rand(1, 3, 96, 64) * 255
    with torch.no_grad():
        got, want = model(pictures), YoloxOracle(model.state_dict(), blocks=blocks)(pictures)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5)


@pytest.mark.needs_data
def test_megviis_nano_computes_what_megviis_own_export_does(data_dir: Path, tmp_path: Path) -> None:
    graph = onnx.load(yolox_file(data_dir)).graph
    torch.save(unfolded(graph), tmp_path / "nano.pth")
    model = load_yolox(tmp_path / "nano.pth")
    assert model.config == YOLOX_SIZES["nano"]
    images = sorted((data_dir / "coco").rglob("*.jpg"))[:2]
    pictures = np.stack([cv2.resize(cv2.imread(str(path)), (416, 416)) for path in images])
    pictures = pictures.transpose(0, 3, 1, 2).astype(np.float32)
    session = ort.InferenceSession(yolox_file(data_dir), providers=["CPUExecutionProvider"])
    want = np.concatenate([session.run(None, {"images": one[None]})[0] for one in pictures])
    with torch.no_grad():
        got = model(torch.from_numpy(pictures)).numpy()
    assert want[..., 4].max() > 0.5  # it sees something
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)


def unfolded(graph: onnx.GraphProto) -> dict[str, torch.Tensor]:
    """Megvii's names for an export's weights: its convolutions stand in the order of the code, and
    hold their normalisation, which becomes one that adds the bias alone."""
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    convolutions = [n.input[1:] for n in graph.node if n.op_type == "Conv"]
    folded = [names for names in convolutions if not names[0].startswith("head.")]
    shapes = yolox_shapes(16, 1, depthwise=True)
    units = [name.removesuffix(".conv.weight") for name in shapes if name.endswith(".conv.weight")]
    assert len(folded) == len(units)
    state = {name: torch.tensor(value) for name, value in weights.items() if "_preds" in name}
    for unit, (weight, bias) in zip(units, folded, strict=True):
        one = torch.ones(len(weights[bias]))
        state[f"{unit}.conv.weight"] = torch.tensor(weights[weight])
        state[f"{unit}.bn.bias"] = torch.tensor(weights[bias])
        state |= {f"{unit}.bn.weight": one, f"{unit}.bn.running_mean": one * 0}
        state[f"{unit}.bn.running_var"] = one - 1e-3  # with eps: exactly 1
    return state


def test_normalisation_has_megviis_eps_and_momentum() -> None:
    layers = [m for m in described(YOLOX_SIZES["nano"]).modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(layer.eps, layer.momentum) for layer in layers} == {(1e-3, 0.03)}


def test_the_traced_graph_has_plain_layers_alone_and_gives_the_same() -> None:
    model = make(8, 1, classes=2)
    traced = symbolic_trace(model)
    nodes = list(traced.graph.nodes)
    kinds = {type(traced.get_submodule(str(n.target))) for n in nodes if n.op == "call_module"}
    assert kinds == {nn.Conv2d, nn.BatchNorm2d, nn.SiLU, nn.MaxPool2d, nn.Upsample}
    functions = {node.target for node in nodes if node.op == "call_function"}
    assert functions == {operator.add, operator.getitem, torch.cat}
    methods = {node.target for node in nodes if node.op == "call_method"}
    assert methods == {"sigmoid", "flatten", "permute"}
    for size in ((64, 64), (32, 96)):
        pictures = torch.rand(2, 3, *size) * 255
        with torch.no_grad():
            assert torch.equal(traced(pictures), model(pictures))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0, "width": 1}, r"yolox.depth: expected 0 < depth <= 4, got 0"),
        ({"depth": 1, "width": 5}, "yolox.width: expected 0 < width <= 4, got 5"),
        ({"depth": float("nan"), "width": 1}, "got nan"),
        ({"depth": 0.1, "width": 1}, r"yolox.depth: expected 1/6 or more, got 0\.1"),
        ({"depth": 1, "width": 0.33}, r"yolox.width: expected a multiple of 1/64"),
        ({"depth": True, "width": 1}, "got True"),
        ({"depth": 1, "width": 1, "classes": 0}, "classes: expected a whole number, 1 or more"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        YoloxConfig(**options)  # type: ignore[arg-type]


def test_of_a_network_of_many_classes_the_person_stays() -> None:
    torch.manual_seed(0)
    many = Yolox(YoloxConfig(depth=0.33, width=0.125, classes=5)).eval()
    alone = person_alone(many).eval()
    picture = 255 * torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(alone(picture), many(picture)[..., :6])


def test_logits_are_what_forward_says_before_the_sigmoid() -> None:
    net = make_network(YoloxConfig(depth=0.33, width=0.125, classes=1), 0).eval()
    picture = 255 * torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        raw, said = net.logits(picture), net(picture)
    torch.testing.assert_close(said[..., :4], raw[..., :4])
    torch.testing.assert_close(said[..., 4:], raw[..., 4:].sigmoid())
    assert float(said[..., 4:].mean()) == pytest.approx(0.01, rel=0.5)
