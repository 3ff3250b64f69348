# SPDX-License-Identifier: Apache-2.0
"""A finished fp32 graph in another precision: fp16, or int8 calibrated on given data."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import onnx
import typer
from numpy.typing import NDArray

from export.body import Body, find_body
from export.calibration import METHODS, Method, collect
from export.fp16 import to_half
from export.int8_plan import Int8Target, Planner
from export.int8_prepare import fold_into_convolutions
from export.int8_search import Found, Search, SearchOptions
from export.precision_options import MOST_KEPT
from poseact_engine.errors import ExportError
from poseact_engine.evaluation.frames import list_files
from poseact_engine.evaluation.inputs import DataOptions, inputs_for
from poseact_engine.files import file_sha256
from poseact_engine.manifest import Precision
from poseact_engine.manifest_io import AnyManifest

_log = logging.getLogger(__name__)

NOTES = "poseact.precision"
"""Key of a file's metadata that says how it was quantised, as JSON."""
ENOUGH_DB = 20.0
LEAST_DB = 28.0
"""Damage that one layer does is cheap to undo, damage of all is not: TinyPose went from 9 to 27 dB
(COCO AP from 50 to 67.3, of 66.9 in fp32) with 107 of 268 layers in fp32, in symmetric int8 to 29
dB and 66.8 with 81 (26 dB had left 65.7); an HRNet-W32 from 21.8 to 25.6 dB with 116 of 292."""
_CALIBRATED = 96
"""Most inputs that ranges are taken from."""
_HELD_OUT = 16
"""Most inputs that layers are chosen on."""
_HELD_SHARE = 4
"""One input in so many is held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionOptions:
    """Which precision, and for int8 how it is come by."""

    precision: Precision = "fp32"
    target: Int8Target | None = None
    """What an int8 file is for."""
    calibration: DataOptions | None = None
    """Where int8 takes its ranges from."""
    method: Method | None = None
    """How ranges are chosen; None: whichever does the least damage."""
    least_db: float | None = None
    """Signal-to-noise ratio that int8 must reach at the network's last layers; layers stay in
    floating point until it does. None: LEAST_DB, unless all layers in int8 reach ENOUGH_DB."""
    most_kept: float = MOST_KEPT
    """Largest share of layers that may."""
    keep: str | None = None
    """Nodes whose name this regular expression finds stay in floating point in any case."""

    def __post_init__(self) -> None:
        if self.precision != "int8":
            if self.target or self.calibration or self.keep:
                raise ExportError(
                    "--precision: expected int8 with --target, --calibrate and --keep, "
                    f"got {self.precision}"
                )
            return
        if self.target not in ("cpu", "tensorrt"):
            raise ExportError(
                "--target: expected cpu (uint8 activations, for ONNX Runtime and OpenVINO) or "
                f"tensorrt (symmetric int8) with --precision int8, got {self.target or 'none'}"
            )
        if self.calibration is None or not self.calibration.data:
            raise ExportError(
                "--calibrate: expected images, folders or videos like those the model will see, "
                "but none it will be scored on, with --precision int8, got none"
            )
        if self.method is not None and self.method not in METHODS:
            raise ExportError(
                f"--calibration: expected one of {', '.join(METHODS)}, got {self.method}"
            )
        if not (0 <= (self.least_db or 0) <= 99 and 0 <= self.most_kept <= 1):
            raise ExportError(
                "--least-db and --most-kept: expected 0 to 99 and 0 to 1, got "
                f"{self.least_db} and {self.most_kept}"
            )


def convert(
    model: onnx.ModelProto, manifest: AnyManifest, options: PrecisionOptions
) -> tuple[onnx.ModelProto, AnyManifest]:
    """The graph and its manifest in the precision asked for; ``model`` is fp32 and stays as it is.

    An int8 model's metadata (``NOTES``) names the layers left in fp32 and why. Raises ExportError
    (weights fp16 cannot hold, no network in the graph, int8 for an action model), SourceError and
    ConfigError (calibration data).
    """
    if manifest.precision != "fp32":
        raise ExportError(
            f"--precision: expected an fp32 model to start from, got {manifest.precision}"
        )
    if options.precision == "fp32":
        return model, manifest
    if options.precision == "fp16":
        half = to_half(model, find_body(model, manifest.task))
        return half, dataclasses.replace(manifest, precision="fp16", sha256="")
    if manifest.task == "action":
        refuse_int8_action()
    return _to_int8(model, manifest, options)


def refuse_int8_action() -> NoReturn:
    raise ExportError(
        "--precision: expected fp32 or fp16 for an action model, got int8: ONNX has no LSTM in "
        "int8, so backends would compute in floating point with int8's errors, and its work is "
        "a thousandth of a pose network's; use fp16"
    )


def _to_int8(
    model: onnx.ModelProto, manifest: AnyManifest, options: PrecisionOptions
) -> tuple[onnx.ModelProto, AnyManifest]:
    target, data = options.target, options.calibration
    if target is None or data is None:
        raise ExportError("--precision int8: expected a target and calibration data, got none")
    folded = fold_into_convolutions(model, find_body(model, manifest.task))
    body = find_body(folded, manifest.task)
    planner = Planner(folded, body, target)
    if not planner.layers:
        raise ExportError(
            "--precision int8: expected layers before the network's last ones that have an int8 "
            f"form (Conv, Gemm, MatMul), got none among {len(body.layers)}; use fp16"
        )
    always = _always_kept(options.keep, body)
    inputs = inputs_for(manifest, data)
    typer.echo(f"int8: calibrating on {inputs.what}, then measuring layers", err=True)
    seen, held_out = _parts(inputs.batch)
    tensors = sorted(set(planner.plan().sources.values()))
    search = Search(
        model=folded,
        planner=planner,
        statistics=collect(folded, tensors, seen),
        target=target,
        ends=body.last,
        held_out=held_out,
    )
    found = search.run(
        SearchOptions(
            enough_db=ENOUGH_DB if options.least_db is None else options.least_db,
            least_db=LEAST_DB if options.least_db is None else options.least_db,
            most_kept=options.most_kept,
            method=options.method,
        ),
        always,
    )
    notes = _notes(found, planner, options, f"{len(seen)} of {inputs.what}")
    found.model.metadata_props.add(key=NOTES, value=json.dumps(notes, sort_keys=True))
    written = dataclasses.replace(manifest, precision="int8", target=target, sha256="")
    return found.model, written


def _always_kept(keep: str | None, body: Body) -> frozenset[str]:
    if keep is None:
        return frozenset()
    try:
        pattern = re.compile(keep)
    except re.error as error:
        raise ExportError(
            f"--keep: expected a regular expression, got {keep!r}: {error}"
        ) from error
    kept = frozenset(n for n in body.nodes if pattern.search(n))
    if not kept:
        raise ExportError(
            f"--keep: expected to find nodes, got none for {keep!r}; layers are named as "
            f"{', '.join(body.layers[:3])}"
        )
    return kept


def _parts(batch: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs for ranges and inputs held out, both evenly spread; the same if there is but one."""
    if len(batch) == 1:
        return batch, batch
    rows = np.arange(len(batch))
    held = rows % _HELD_SHARE == 1
    seen: NDArray[Any] = batch[_spread(rows[~held], _CALIBRATED)]
    held_out: NDArray[Any] = batch[_spread(rows[held], _HELD_OUT)]
    return seen, held_out


def _spread(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64))
    spread: NDArray[np.int64] = rows[chosen]
    return spread


def _notes(
    found: Found, planner: Planner, options: PrecisionOptions, seen: str
) -> dict[str, object]:
    least_db = ENOUGH_DB if options.least_db is None else options.least_db
    if found.db < least_db:
        _log.warning(
            "int8: expected %.1f dB before the last layers, got %.1f with %d of %d layers in fp32 "
            "(--most-kept); fp16 may suit this model better",
            least_db, found.db, len(found.kept), len(planner.layers),
        )  # fmt: skip
    typer.echo(
        f"int8: {len(planner.layers) - len(found.kept)} of {len(planner.layers)} layers in int8, "
        f"ranges by {found.method}: {found.db:.1f} dB (all in int8: {found.all_db:.1f} dB)",
        err=True,
    )
    for name in found.kept:
        _log.info("int8: %s stays in fp32", name)
    return {
        "calibration": seen,
        "method": found.method,
        "db": round(found.db, 2),
        "db_all_int8": round(found.all_db, 2),
        "layers": len(planner.layers),
        "kept": list(found.kept),
    }


# ---------------------------------------------------------------- not what it is scored on


def check_apart(calibration: DataOptions | None, scored: DataOptions) -> None:
    """Raises ExportError where a calibration file is, by its content, among those scored on."""
    if calibration is None:
        return
    sums = {_digest(path): path for path in _files(calibration)}
    for path in _files(scored):
        same = sums.get(_digest(path))
        if same is not None:
            raise ExportError(
                f"--calibrate: expected other data than what the model is scored on, got {same}, "
                f"which is the same as {path}"
            )


def _files(options: DataOptions) -> list[Path]:
    truth = [] if options.truth is None else [options.truth]
    return list_files(options.data) + truth


def _digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from error
