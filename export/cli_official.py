# SPDX-License-Identifier: Apache-2.0
"""`python -m export hrnet`, `yolox` and `lstm`: PyTorch checkpoints, official ones or our own.

What HRNet's file name says of it needs no option, nor what our own checkpoints say; it is told what
was taken from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from export.action import export_action
from export.cli_foreign import tell
from export.cli_options import (
    AlphaPose,
    DarkKernel,
    DecodeOption,
    FlipTest,
    Legacy,
    Licence,
    OfficialGeometry,
    OfficialJoints,
    OfficialMaxBoxes,
    OfficialNmsIou,
    OfficialPerson,
    OfficialSize,
    Output,
    Source,
    TrackScores,
    Weights,
    value_of,
)
from export.hrnet import HrnetOptions, export_hrnet, name_own, read_name
from export.options import parse_iou, parse_joints, parse_size, parse_track_scores, require
from export.own import own_front, read_own, refuse
from export.parity.cli_options import BoundOption, Data, Detector, Report, Truth, gate_options
from export.pose import HeatmapDecode
from export.precision_options import (
    MOST_KEPT,
    Calibrate,
    CalibrateDetector,
    Keep,
    LeastDb,
    MostKept,
    PrecisionChoice,
    PrecisionOption,
    TargetOption,
    precision_options,
)
from export.yolox import YoloxOptions, export_yolox
from poseact_engine.manifest import Geometry

if TYPE_CHECKING:
    from poseact_engine.training.network_checkpoint import NetworkInfo

commands = typer.Typer()


@commands.command()
def hrnet(
    weights: Weights = None,
    output: Output = None,
    size: OfficialSize = None,
    geometry: OfficialGeometry = None,
    decode: DecodeOption = None,
    dark_kernel: DarkKernel = None,
    flip_test: FlipTest = False,
    alphapose: AlphaPose = False,
    joints: OfficialJoints = None,
    source: Source = None,
    licence: Licence = None,
    precision: PrecisionOption = PrecisionChoice.fp32,
    target: TargetOption = None,
    calibrate: Calibrate = None,
    calibrate_detector: CalibrateDetector = None,
    least_db: LeastDb = None,
    most_kept: MostKept = MOST_KEPT,
    keep: Keep = None,
    data: Data = None,
    truth: Truth = None,
    detector: Detector = None,
    bound: BoundOption = None,
    report: Report = None,
) -> None:
    """Export HRNet weights of its authors, AlphaPose, MMPose or DARK and UDP, with its decoding."""
    own = read_own(weights, "pose")
    refuse(weights or Path(), own, alphapose=alphapose, size=size is not None)
    named = read_name(weights or Path()) if own is None else name_own(own)
    pixels = parse_size(size) if size is not None else named.size
    given = require(
        "export hrnet", weights=weights, output=output, size=pixels,
        source=source or (own and own.source), licence=licence or (own and own.licence),
    )  # fmt: skip
    read = cast(HeatmapDecode, value_of(decode) or named.decode)
    kernel = named.dark_kernel if dark_kernel is None and read == "dark" else dark_kernel
    options = HrnetOptions(
        size=cast(tuple[int, int], pixels),
        geometry=cast(Geometry, value_of(geometry) or named.geometry),
        decode=read,
        dark_kernel=kernel,
        flip_test=flip_test,
        alphapose=alphapose,
        joints=_own_joints(own) if joints is None else parse_joints(joints),
        input=None if own is None else own_front(own),
        source=given["source"],
        licence=given["licence"],
    )
    taken = {
        "size": None if size is not None else "x".join(map(str, options.size)),
        "geometry": None if geometry is not None else options.geometry,
        "decode": None if decode is not None else options.decode,
        "dark kernel": None if kernel == dark_kernel else f"{kernel}",
    }
    _say(Path(given["weights"]), taken, own=own is not None)
    changed = precision_options(
        precision, target, calibrate, detector=calibrate_detector, least_db=least_db,
        most_kept=most_kept, keep=keep,
    )  # fmt: skip
    gate = gate_options(data, bound, report, truth=truth, detector=detector)
    written = export_hrnet(
        Path(given["weights"]), Path(given["output"]), options, precision=changed, gate=gate
    )
    tell(given["output"], written)


@commands.command()
def yolox(
    weights: Weights = None,
    output: Output = None,
    size: OfficialSize = None,
    nms_iou: OfficialNmsIou = "0.45",
    max_boxes: OfficialMaxBoxes = 300,
    track_scores: TrackScores = None,
    person_class: OfficialPerson = 0,
    legacy: Legacy = False,
    source: Source = None,
    licence: Licence = None,
    precision: PrecisionOption = PrecisionChoice.fp32,
    target: TargetOption = None,
    calibrate: Calibrate = None,
    least_db: LeastDb = None,
    most_kept: MostKept = MOST_KEPT,
    keep: Keep = None,
    data: Data = None,
    bound: BoundOption = None,
    report: Report = None,
) -> None:
    """Export Megvii's YOLOX weights, with their box decoding."""
    own = read_own(weights, "detector")
    refuse(weights or Path(), own, legacy=legacy, size=size is not None)
    pixels = parse_size(size) if size is not None else own and own.size
    given = require(
        "export yolox", weights=weights, output=output, size=pixels,
        source=source or (own and own.source), licence=licence or (own and own.licence),
    )  # fmt: skip
    options = YoloxOptions(
        size=cast(tuple[int, int], pixels),
        nms_iou=parse_iou(nms_iou),
        max_boxes=max_boxes,
        track_scores=parse_track_scores(track_scores),
        person_class=person_class,
        legacy=legacy,
        source=given["source"],
        licence=given["licence"],
    )
    changed = precision_options(
        precision, target, calibrate, least_db=least_db,
        most_kept=most_kept, keep=keep,
    )  # fmt: skip
    gate = gate_options(data, bound, report)
    written = export_yolox(
        Path(given["weights"]), Path(given["output"]), options, precision=changed, gate=gate
    )
    tell(given["output"], written)


@commands.command("action", help="The same as lstm.")
@commands.command()
def lstm(
    weights: Weights = None,
    output: Output = None,
    source: Source = None,
    licence: Licence = None,
    precision: PrecisionOption = PrecisionChoice.fp32,
    data: Data = None,
    bound: BoundOption = None,
    report: Report = None,
) -> None:
    """Export an action model of `poseact train action`, with the normalisation of its windows."""
    given = require("export lstm", weights=weights, output=output, source=source, licence=licence)
    written = export_action(
        Path(given["weights"]),
        Path(given["output"]),
        source=given["source"],
        licence=given["licence"],
        precision=precision_options(precision, task="action"),
        gate=gate_options(data, bound, report),
    )
    typer.echo(f"{output}: {len(written.classes)} actions, sha256 {written.sha256[:12]}")


def _own_joints(own: NetworkInfo | None) -> tuple[str, ...] | None:
    return None if own is None else own.names


def _say(weights: Path, taken: dict[str, str | None], *, own: bool) -> None:
    """What was not given, and what it is taken for."""
    words = ", ".join(f"{name} {value}" for name, value in taken.items() if value is not None)
    if words:
        origin = weights.name if own else f"by the name of {weights.name}"
        typer.echo(f"{origin}: {words}", err=True)
