# SPDX-License-Identifier: Apache-2.0
"""Official HRNet weights as one ONNX file with its manifest.

Normalisation is HRNet's own and MMPose's (RGB, ImageNet's mean and std, black borders), or
AlphaPose's (RGB less a mean, ``simple_transform.py``), which no file tells apart; the box grows by
1.25. The network takes any size; which one the weights were trained at, and whether for DARK or
UDP, the official file names say: ``pose_hrnet_w32_256x192.pth``,
``hrnet_w32_coco_256x192_udp-aba0be42_20210220.pth``,
``td-hm_hrnet-w32_dark-8xb64-210e_coco-256x192-0e00bf12_20220914.pth``.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from export.finish import finish
from export.front import InputOptions
from export.graph import Dims
from export.package import check_output
from export.parity.options import GateOptions
from export.pose import HeatmapDecode, PoseOptions, assemble_pose, make_manifest
from poseact_engine.errors import ExportError
from poseact_engine.manifest import Geometry, PoseManifest
from poseact_engine.types import COCO_JOINTS

if TYPE_CHECKING:
    import onnx
    from torch import nn

    from export.precision import PrecisionOptions
    from poseact_engine.training.network_checkpoint import NetworkInfo

FRONT = InputOptions(
    color="rgb",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    scale=1 / 255,
    border=(0, 0, 0),
    size=None,
)
ALPHAPOSE_FRONT = dataclasses.replace(FRONT, mean=(0.406, 0.457, 0.480), std=(1.0, 1.0, 1.0))
EXPANSION = 1.25
STEP = 32
"""Sides are multiples of what the network makes them smaller by."""
_SIZE = re.compile(r"(?<![0-9a-z])(\d{2,4})x(\d{2,4})(?![0-9a-z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class HrnetOptions:
    """What a file of HRNet weights does not say of itself."""

    size: tuple[int, int]
    """Height, width of the crops."""
    geometry: Geometry
    decode: HeatmapDecode
    dark_kernel: int | None = None
    flip_test: bool = False
    alphapose: bool = False
    """Trained by AlphaPose, with its pixels."""
    joints: tuple[str, ...] | None = None
    """None: COCO's, for a network of 17."""
    input: InputOptions | None = None
    """Pixels of our own checkpoint; None: an official one's."""
    source: str
    licence: str

    @property
    def front(self) -> InputOptions:
        return self.input or (ALPHAPOSE_FRONT if self.alphapose else FRONT)

    def __post_init__(self) -> None:
        if any(side < STEP or side % STEP for side in self.size):
            raise ExportError(
                f"--size: expected multiples of {STEP}, as 256x192, got "
                f"{self.size[0]}x{self.size[1]}"
            )


@dataclass(frozen=True, slots=True)
class Named:
    """What a file says of itself; None or "default": nothing."""

    size: tuple[int, int] | None
    geometry: Geometry
    decode: HeatmapDecode
    dark_kernel: int | None = None


def read_name(weights: Path) -> Named:
    """Two different sizes in one name say nothing."""
    words = re.split(r"[^0-9a-z]+", weights.stem.lower())
    sizes = {(int(h), int(w)) for h, w in _SIZE.findall(weights.stem.lower().replace("_", "-"))}
    udp = "udp" in words
    return Named(
        size=sizes.pop() if len(sizes) == 1 else None,
        geometry="udp" if udp else "default",
        # UDP's published scores are with its own DARK.
        decode="dark" if udp or "dark" in words else "quarter",
    )


def name_own(info: NetworkInfo) -> Named:
    """What our own checkpoint says; ExportError where it was cut in a way that this is not for."""
    if info.options.get("expansion") != EXPANSION:
        raise ExportError(
            f"export hrnet: expected boxes that grow by {EXPANSION}, got"
            f" {info.options.get('expansion')!r}"
        )
    for name, known in (("geometry", get_args(Geometry)), ("decode", get_args(HeatmapDecode))):
        if info.options.get(name) not in known:
            raise ExportError(
                f"export hrnet: malformed checkpoint: expected {name} to be one of"
                f" {', '.join(known)}, got {info.options.get(name)!r}"
            )
    kernel = info.options.get("dark_kernel")
    if kernel is not None and not (type(kernel) is int and kernel >= 3 and kernel % 2):
        raise ExportError(
            "export hrnet: malformed checkpoint: expected dark_kernel to be an odd number, 3 or"
            f" more, got {kernel!r}"
        )
    return Named(
        size=info.size,
        geometry=info.options["geometry"],
        decode=info.options["decode"],
        dark_kernel=kernel,
    )


def export_hrnet(
    weights: Path,
    output: Path,
    options: HrnetOptions,
    *,
    precision: PrecisionOptions | None = None,
    gate: GateOptions | None = None,
) -> PoseManifest:
    """Compares the graph with torch and writes ``output`` (``finish``); returns its manifest.

    ``precision`` None: fp32. Raises SourceError for weights that are not HRNet's, ExportError for
    options that do not fit them, ParityError past a bound, DependencyError without torch.
    """
    check_output(output, weights)
    network = _load(weights)
    model, manifest = build_graph(network, options)
    from export.torch_model import torch_pose

    reference = torch_pose(network, manifest, options.front, options.dark_kernel)
    return finish(
        model, manifest, output,
        reference=reference, precision=precision, gate=gate or GateOptions(),
    )  # fmt: skip


def build_graph(network: nn.Module, options: HrnetOptions) -> tuple[onnx.ModelProto, PoseManifest]:
    """`crops` uint8 [M, 3, H, W] RGB to `keypoints`, fp32; and its manifest without a checksum."""
    from export.trace import trace

    height, width = options.size
    joints = int(network.get_parameter("final_layer.weight").shape[0])
    if options.joints is None and joints != len(COCO_JOINTS):
        raise ExportError(
            f"--joints: expected the names of the network's {joints} joints, as it has not COCO's "
            f"{len(COCO_JOINTS)}, got none"
        )
    pose = PoseOptions(
        layout="heatmap",
        input=options.front,
        geometry=options.geometry,
        expansion=EXPANSION,
        joints=options.joints or COCO_JOINTS,
        source=options.source,
        licence=options.licence,
        decode=options.decode,
        dark_kernel=options.dark_kernel,
        flip_test=options.flip_test,
    )
    manifest = make_manifest(pose, height, width)
    model = trace(network, height=height, width=width)
    shapes: dict[str, Dims] = {model.graph.output[0].name: (None, joints, height // 4, width // 4)}
    assemble_pose(model, shapes, manifest, pose)
    return model, manifest


def _load(weights: Path) -> nn.Module:
    from poseact_engine.training.dependency import import_torch

    import_torch()
    from poseact_engine.training.official import load_hrnet

    return load_hrnet(weights)
