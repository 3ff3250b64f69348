# SPDX-License-Identifier: Apache-2.0
"""HRNet and YOLOX once more: weight names and shapes by rule, forward passes as plain functions.

Written from the structure of the official code (leoxiaobin/deep-high-resolution-net.pytorch with
``w32_256x192_adam_lr1e-3.yaml``; Megvii-BaseDetection/YOLOX), not from the modules under test.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

Shapes = dict[str, tuple[int, ...]]
State = dict[str, Tensor]
COUNTER = "num_batches_tracked"


def conv(name: str, before: int, after: int, kernel: int, *, groups: int = 1) -> Shapes:
    return {f"{name}.weight": (after, before // groups, kernel, kernel)}


def norm(name: str, channels: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts} | {f"{name}.{COUNTER}": ()}


def random_state(shapes: Shapes, *, seed: int = 0) -> State:
    """Float32 weights that keep the size of what flows, and statistics far from a new network's."""
    rng = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        if name.endswith(COUNTER):
            state[name] = torch.tensor(7)
        elif len(shape) == 4:
            fan_in = shape[1] * shape[2] * shape[3]
            state[name] = torch.randn(shape, generator=rng) * (2 / fan_in) ** 0.5
        elif name.endswith("running_var"):
            state[name] = torch.rand(shape, generator=rng) + 0.5
        elif name.endswith("weight"):
            state[name] = torch.rand(shape, generator=rng) * 0.3 + 0.1
        else:
            state[name] = torch.randn(shape, generator=rng) * 0.2
    return state


def normalised(state: State, x: Tensor, name: str, eps: float) -> Tensor:
    mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    scale = state[f"{name}.weight"] / (var + eps).sqrt()
    return (x - mean[:, None, None]) * scale[:, None, None] + state[f"{name}.bias"][:, None, None]


def one_thread() -> Iterator[None]:
    """A fixture's body: networks this small lose time on threads, above all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def repeated(x: Tensor, times: int) -> Tensor:
    return x.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)


# HRNet. YAML: STAGE2 1 module of 2 branches, STAGE3 4 of 3, STAGE4 3 of 4; 4 BASIC blocks; SUM.

STAGES = {2: 1, 3: 4, 4: 3}


def hrnet_shapes(width: int, joints: int = 17) -> Shapes:
    shapes = conv("conv1", 3, 64, 3) | norm("bn1", 64) | conv("conv2", 64, 64, 3) | norm("bn2", 64)
    for block in range(4):
        at, before = f"layer1.{block}", 64 if block == 0 else 256
        shapes |= conv(f"{at}.conv1", before, 64, 1) | norm(f"{at}.bn1", 64)
        shapes |= conv(f"{at}.conv2", 64, 64, 3) | norm(f"{at}.bn2", 64)
        shapes |= conv(f"{at}.conv3", 64, 256, 1) | norm(f"{at}.bn3", 256)
    shapes |= conv("layer1.0.downsample.0", 64, 256, 1) | norm("layer1.0.downsample.1", 256)
    shapes |= conv("transition1.0.0", 256, width, 3) | norm("transition1.0.1", width)
    for number in (1, 2, 3):
        before, after = (256 if number == 1 else width << (number - 1)), width << number
        at = f"transition{number}.{number}.0"
        shapes |= conv(f"{at}.0", before, after, 3) | norm(f"{at}.1", after)
    for stage, modules in STAGES.items():
        for module in range(modules):
            for name, shape in hrnet_module_shapes(width, stage, last=module == 2).items():
                shapes[f"stage{stage}.{module}.{name}"] = shape
    return shapes | conv("final_layer", width, joints, 1) | {"final_layer.bias": (joints,)}


def hrnet_module_shapes(width: int, stage: int, *, last: bool) -> Shapes:
    shapes: Shapes = {}
    for branch in range(stage):
        for block in range(4):
            for part in "12":
                at, wide = f"branches.{branch}.{block}", width << branch
                shapes |= conv(f"{at}.conv{part}", wide, wide, 3) | norm(f"{at}.bn{part}", wide)
    # Stage 4's last module alone feeds one branch.
    for target in range(1 if stage == 4 and last else stage):
        for source in range(stage):
            at, wide, goal = f"fuse_layers.{target}.{source}", width << source, width << target
            if source > target:
                shapes |= conv(f"{at}.0", wide, goal, 1) | norm(f"{at}.1", goal)
            for step in range(target - source):
                after = goal if step == target - source - 1 else wide
                shapes |= conv(f"{at}.{step}.0", wide, after, 3) | norm(f"{at}.{step}.1", after)
    return shapes


class HrnetOracle:
    """The official forward pass over a state dict; ``__call__``: pictures to heat maps."""

    def __init__(self, state: State) -> None:
        self.state = state

    def __call__(self, x: Tensor) -> Tensor:
        x = F.relu(self.unit(x, "conv1", "bn1", stride=2))
        x = F.relu(self.unit(x, "conv2", "bn2", stride=2))
        for block in range(4):
            x = self.bottleneck(x, f"layer1.{block}")
        xs = [F.relu(self.unit(x, "transition1.0.0", "transition1.0.1")), x]
        for stage, modules in STAGES.items():
            at = f"transition{stage - 1}.{stage - 1}.0"
            added = F.relu(self.unit(xs[-1], f"{at}.0", f"{at}.1", stride=2))
            xs = [*xs[: stage - 1], added]
            for number in range(modules):
                targets = 1 if stage == 4 and number == 2 else stage
                xs = self.module(xs, f"stage{stage}.{number}", targets)
            xs = [*xs, xs[-1]]
        return F.conv2d(xs[0], self.state["final_layer.weight"], self.state["final_layer.bias"])

    def unit(self, x: Tensor, at: str, bn: str, *, stride: int = 1) -> Tensor:
        weight = self.state[f"{at}.weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        return normalised(self.state, x, bn, 1e-5)

    def bottleneck(self, x: Tensor, at: str) -> Tensor:
        y = F.relu(self.unit(x, f"{at}.conv1", f"{at}.bn1"))
        y = F.relu(self.unit(y, f"{at}.conv2", f"{at}.bn2"))
        y = self.unit(y, f"{at}.conv3", f"{at}.bn3")
        if at == "layer1.0":
            x = self.unit(x, f"{at}.downsample.0", f"{at}.downsample.1")
        return F.relu(y + x)

    def basic(self, x: Tensor, at: str) -> Tensor:
        y = F.relu(self.unit(x, f"{at}.conv1", f"{at}.bn1"))
        return F.relu(self.unit(y, f"{at}.conv2", f"{at}.bn2") + x)

    def module(self, xs: list[Tensor], at: str, targets: int) -> list[Tensor]:
        ys = []
        for branch, x in enumerate(xs):
            for block in range(4):
                x = self.basic(x, f"{at}.branches.{branch}.{block}")
            ys.append(x)
        return [F.relu(self.fused(ys, f"{at}.fuse_layers", target)) for target in range(targets)]

    def fused(self, ys: list[Tensor], at: str, target: int) -> Tensor:
        total = torch.zeros_like(ys[target])
        for source, y in enumerate(ys):
            name, steps = f"{at}.{target}.{source}", target - source
            if steps < 0:
                y = repeated(self.unit(y, f"{name}.0", f"{name}.1"), 2**-steps)
            for step in range(steps):
                y = self.unit(y, f"{name}.{step}.0", f"{name}.{step}.1", stride=2)
                y = F.relu(y) if step < steps - 1 else y
            total = total + y
        return total


# YOLOX. Base 64 x width channels; every unit is convolution, normalisation, SiLU.


Unit = tuple[str, int, int, int]
"""Name, channels before and after, kernel; THREE: a 3x3 that is depthwise where the network is."""
THREE = -3


def csp_units(at: str, before: int, after: int, count: int) -> Iterator[Unit]:
    half = after // 2
    yield from ((f"{at}.{name}", before, half, 1) for name in ("conv1", "conv2"))
    for block in range(count):
        yield f"{at}.m.{block}.conv1", half, half, 1
        yield f"{at}.m.{block}.conv2", half, half, THREE
    yield f"{at}.conv3", 2 * half, after, 1


def yolox_units(base: int, blocks: int) -> Iterator[Unit]:
    """All units but the predictions, in the order in which the official code runs them."""
    dark = "backbone.backbone"
    yield f"{dark}.stem.conv", 12, base, 3
    for level, count in ((2, blocks), (3, blocks * 3), (4, blocks * 3), (5, blocks)):
        wide = base * 2 ** (level - 1)
        yield f"{dark}.dark{level}.0", wide // 2, wide, THREE
        if level == 5:
            yield f"{dark}.dark5.1.conv1", wide, wide // 2, 1
            yield f"{dark}.dark5.1.conv2", wide * 2, wide, 1
        yield from csp_units(f"{dark}.dark{level}.{2 if level == 5 else 1}", wide, wide, count)
    c3, c4, c5 = base * 4, base * 8, base * 16
    for first, name, before, after in (
        (("lateral_conv0", c5, c4, 1), "p4", c5, c4),
        (("reduce_conv1", c4, c3, 1), "p3", c4, c3),
        (("bu_conv2", c3, c3, THREE), "n3", c4, c4),
        (("bu_conv1", c4, c4, THREE), "n4", c5, c5),
    ):
        yield f"backbone.{first[0]}", *first[1:]
        yield from csp_units(f"backbone.C3_{name}", before, after, blocks)
    for level, before in enumerate((c3, c4, c5)):
        yield f"head.stems.{level}", before, c3, 1
        for kind in ("cls", "reg"):
            yield from ((f"head.{kind}_convs.{level}.{n}", c3, c3, THREE) for n in (0, 1))


def yolox_shapes(base: int, blocks: int, *, depthwise: bool = False, classes: int = 80) -> Shapes:
    shapes: Shapes = {}
    for at, before, after, kernel in yolox_units(base, blocks):
        if depthwise and kernel == THREE:
            shapes |= conv(f"{at}.dconv.conv", before, before, 3, groups=before)
            shapes |= norm(f"{at}.dconv.bn", before)
            shapes |= conv(f"{at}.pconv.conv", before, after, 1) | norm(f"{at}.pconv.bn", after)
        else:
            shapes |= conv(f"{at}.conv", before, after, abs(kernel)) | norm(f"{at}.bn", after)
    for level in range(3):
        for kind, count in (("cls", classes), ("reg", 4), ("obj", 1)):
            at = f"head.{kind}_preds.{level}"
            shapes |= conv(at, base * 4, count, 1) | {f"{at}.bias": (count,)}
    return shapes


class YoloxOracle:
    """The official forward pass over a state dict; ``__call__``: pictures to raw predictions."""

    def __init__(self, state: State, *, blocks: int) -> None:
        self.state, self.blocks = state, blocks

    def __call__(self, x: Tensor) -> Tensor:
        x2, x1, x0 = self.darknet(x)
        f0 = self.unit(x0, "backbone.lateral_conv0")
        f1 = self.unit(self.neck(repeated(f0, 2), x1, "p4"), "backbone.reduce_conv1")
        p2 = self.neck(repeated(f1, 2), x2, "p3")
        p1 = self.neck(self.unit(p2, "backbone.bu_conv2", stride=2), f1, "n3")
        p0 = self.neck(self.unit(p1, "backbone.bu_conv1", stride=2), f0, "n4")
        return torch.cat([self.rows(p, level) for level, p in enumerate((p2, p1, p0))], 1)

    def unit(self, x: Tensor, at: str, *, stride: int = 1) -> Tensor:
        if f"{at}.dconv.conv.weight" in self.state:
            return self.unit(self.unit(x, f"{at}.dconv", stride=stride), f"{at}.pconv")
        weight = self.state[f"{at}.conv.weight"]
        groups = x.shape[1] // weight.shape[1]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
        x = normalised(self.state, x, f"{at}.bn", 1e-3)
        return x * torch.sigmoid(x)

    def csp(self, x: Tensor, at: str, count: int, *, add: bool) -> Tensor:
        y, past = self.unit(x, f"{at}.conv1"), self.unit(x, f"{at}.conv2")
        for block in range(count):
            z = self.unit(self.unit(y, f"{at}.m.{block}.conv1"), f"{at}.m.{block}.conv2")
            y = z + y if add else z
        return self.unit(torch.cat([y, past], 1), f"{at}.conv3")

    def darknet(self, x: Tensor) -> list[Tensor]:
        at, blocks = "backbone.backbone", self.blocks
        # Focus: top left, bottom left, top right, bottom right.
        corners = ((0, 0), (1, 0), (0, 1), (1, 1))
        x = self.unit(torch.cat([x[:, :, r::2, c::2] for r, c in corners], 1), f"{at}.stem.conv")
        levels = []
        for level, count in ((2, blocks), (3, blocks * 3), (4, blocks * 3)):
            x = self.unit(x, f"{at}.dark{level}.0", stride=2)
            x = self.csp(x, f"{at}.dark{level}.1", count, add=True)
            levels.append(x)
        x = self.unit(self.unit(x, f"{at}.dark5.0", stride=2), f"{at}.dark5.1.conv1")
        pools = [F.max_pool2d(x, size, stride=1, padding=size // 2) for size in (5, 9, 13)]
        x = self.unit(torch.cat([x, *pools], 1), f"{at}.dark5.1.conv2")
        return [*levels[1:], self.csp(x, f"{at}.dark5.2", blocks, add=False)]

    def neck(self, a: Tensor, b: Tensor, name: str) -> Tensor:
        return self.csp(torch.cat([a, b], 1), f"backbone.C3_{name}", self.blocks, add=False)

    def rows(self, x: Tensor, level: int) -> Tensor:
        x = self.unit(x, f"head.stems.{level}")
        pairs = {}
        for kind in ("cls", "reg"):
            y = self.unit(x, f"head.{kind}_convs.{level}.0")
            pairs[kind] = self.unit(y, f"head.{kind}_convs.{level}.1")
        seen = torch.sigmoid(self.predicted(pairs["reg"], f"head.obj_preds.{level}"))
        classes = torch.sigmoid(self.predicted(pairs["cls"], f"head.cls_preds.{level}"))
        y = torch.cat([self.predicted(pairs["reg"], f"head.reg_preds.{level}"), seen, classes], 1)
        return torch.stack([y[:, :, r, c] for r in range(y.shape[2]) for c in range(y.shape[3])], 1)

    def predicted(self, x: Tensor, at: str) -> Tensor:
        return F.conv2d(x, self.state[f"{at}.weight"], self.state[f"{at}.bias"])
