# SPDX-License-Identifier: Apache-2.0
"""Foreign top-down pose networks, adapted to the pose contract: `keypoints` in crop pixels.

Layouts:

- ``heatmap``: one output [M, K, h, w], decoded as ``heatmap`` tells, after a flip test if wanted.
- ``simcc``: two outputs [M, K, W * r] and [M, K, H * r], one classification per axis. Arg max each
  (ties: lowest index), divided by the split ratio r. The score is the smaller of both maxima, as in
  RTMPose; one of 0 or less gives (0, 0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import onnx
from onnx import TensorProto

from export.finish import finish
from export.flip import add_mirrored, merge_mirrored
from export.foreign_model import ForeignPose
from export.front import InputOptions, input_size, normalise
from export.graph import Dims, GraphBuilder, assemble, load_foreign
from export.heatmap import (
    HeatmapOptions,
    argmax,
    dark_kernel,
    decode_heatmaps,
    write_keypoints,
)
from export.package import check_output
from export.parity.options import GateOptions
from export.sizes import fix_sizes
from export.verify import verify_batches
from poseact_engine.contract import contract_of
from poseact_engine.errors import ExportError
from poseact_engine.manifest import Geometry, PoseManifest

if TYPE_CHECKING:
    from export.precision import PrecisionOptions

Layout = Literal["heatmap", "simcc"]
HeatmapDecode = Literal["quarter", "dark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseOptions:
    """What a foreign pose network's file does not say of itself."""

    layout: Layout
    input: InputOptions
    geometry: Geometry
    expansion: float
    joints: tuple[str, ...]
    source: str
    licence: str
    decode: HeatmapDecode | None = None
    """Of heat maps; None: ``quarter``, or ``simcc`` with that layout."""
    dark_kernel: int | None = None
    """Cells of DARK's Gaussian, where the size of the maps does not say."""
    flip_test: bool = False

    def __post_init__(self) -> None:
        if self.layout == "simcc" and (self.decode is not None or self.flip_test):
            option = "--flip-test" if self.flip_test else f"--decode {self.decode}"
            raise ExportError(f"{option}: expected --layout heatmap, got simcc")
        if self.dark_kernel is not None and self.decode != "dark":
            raise ExportError(
                f"--dark-kernel: expected --decode dark beside it, got {self.decode or 'none'}"
            )


def export_pose(
    onnx_file: Path,
    output: Path,
    options: PoseOptions,
    *,
    precision: PrecisionOptions | None = None,
    gate: GateOptions | None = None,
) -> PoseManifest:
    """Adapts a foreign pose network, compares it with the original and writes it (``finish``);
    returns its manifest.

    Raises ExportError: a file that is not of the layout, options that do not fit it.
    """
    check_output(output, onnx_file)
    model = load_foreign(onnx_file)
    height, width = input_size(model, options.input)
    manifest = make_manifest(options, height, width)
    shapes = fix_sizes(model, height=height, width=width)
    assemble_pose(model, shapes, manifest, options)
    verify_batches(model, manifest)
    original = ForeignPose(onnx_file, manifest, options.input, kernel=options.dark_kernel)
    return finish(
        model, manifest, output,
        reference=original, precision=precision, gate=gate or GateOptions(),
    )  # fmt: skip


def make_manifest(options: PoseOptions, height: int, width: int) -> PoseManifest:
    """The manifest without its sha256."""
    return PoseManifest(
        task="pose", precision="fp32", target="any", source=options.source,
        licence=options.licence, sha256="", height=height, width=width, geometry=options.geometry,
        expansion=options.expansion, border=options.input.border, joints=options.joints,
        decode="simcc" if options.layout == "simcc" else options.decode or "quarter",
        flip_test=options.flip_test,
    )  # fmt: skip


def assemble_pose(
    model: onnx.ModelProto, shapes: dict[str, Dims], manifest: PoseManifest, options: PoseOptions
) -> None:
    """Puts normalisation before and decoding behind a network (in place); ``shapes`` are those of
    its outputs. ExportError where it is not of the layout or has other joints."""
    back = GraphBuilder("decode")
    if options.layout == "heatmap":
        joints = _heatmap(model, shapes, back, manifest, options.dark_kernel)
    else:
        joints = _simcc(model, shapes, back, (manifest.height, manifest.width))
    if joints != len(manifest.joints):
        raise ExportError(
            f"--joints: expected {joints} names, as the network gives, got {len(manifest.joints)}"
        )
    contract = contract_of(manifest)
    network = model.graph.input[0].name
    if options.flip_test:
        front = normalise(contract.input.name, "front/pictures", options.input)
        add_mirrored(front, "front/pictures", network, width=manifest.width)
    else:
        front = normalise(contract.input.name, network, options.input)
    assemble(model, front=front, back=back, inputs=[contract.input], outputs=contract.outputs)


def _heatmap(
    model: onnx.ModelProto,
    shapes: dict[str, Dims],
    back: GraphBuilder,
    manifest: PoseManifest,
    kernel: int | None,
) -> int:
    outputs = [v.name for v in model.graph.output]
    dims = shapes.get(outputs[0], ())
    if len(outputs) != 1 or len(dims) != 4 or None in dims[1:]:
        got = "; ".join(str(list(shapes.get(o, ()))) for o in outputs)
        raise ExportError(f"--layout heatmap: expected one output [batch, joints, h, w], got {got}")
    joints, rows, columns = (d or 0 for d in dims[1:])
    options = HeatmapOptions(
        joints=joints, rows=rows, columns=columns, height=manifest.height, width=manifest.width,
        geometry=manifest.geometry,
        kernel=dark_kernel(kernel, rows, columns) if manifest.decode == "dark" else None,
    )  # fmt: skip
    maps = outputs[0]
    if manifest.flip_test:
        maps = merge_mirrored(back, maps, manifest.joints, options)
    decode_heatmaps(back, maps, options)
    return joints


# ---------------------------------------------------------------- simcc


def _split_ratio(axes: list[Dims], size: tuple[int, int]) -> float | None:
    """r where [.., W * r] and [.., H * r] are the two outputs in this order, else None."""
    ratios = [
        (axis[2] or 0) / pixels for axis, pixels in zip(axes, (size[1], size[0]), strict=True)
    ]
    return ratios[0] if ratios[0] == ratios[1] and ratios[0] > 0 else None


def _simcc(
    model: onnx.ModelProto, shapes: dict[str, Dims], back: GraphBuilder, size: tuple[int, int]
) -> int:
    outputs = [v.name for v in model.graph.output]
    axes = [shapes.get(o, ()) for o in outputs]
    ok = len(axes) == 2 and all(len(a) == 3 for a in axes) and axes[0][1] == axes[1][1]
    ratio = _split_ratio(axes, size) if ok else None
    if ok and ratio is None:  # the file may name y first
        outputs, axes = outputs[::-1], axes[::-1]
        ratio = _split_ratio(axes, size)
    if ratio is None or axes[0][1] is None:
        got = "; ".join(str(list(a)) for a in axes)
        raise ExportError(
            f"--layout simcc: expected two outputs [batch, joints, {size[1]} * r] and "
            f"[batch, joints, {size[0]} * r], got {got}"
        )
    places, maxima = [], []
    for name in outputs:
        index, value = argmax(back, name)
        place = back.node("Cast", [index], to=TensorProto.FLOAT)
        places.append(back.node("Div", [place, back.constant(ratio)]))
        maxima.append(value)
    write_keypoints(back, back.node("Concat", places, axis=2), back.node("Min", maxima))
    return axes[0][1]
