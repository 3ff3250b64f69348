# SPDX-License-Identifier: Apache-2.0
"""``poseact-bench precision``: HRNet at 256 x 192 in fp32, fp16 and int8, by speed and by joints.

Weights are random, see ``made_hrnet``; int8 is calibrated on made pictures that are not compared.
Each file is what `python -m export hrnet` would write.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from poseact_engine.backends.base import ModelFile
from poseact_engine.backends.registry import open_file
from poseact_engine.bench.harness import (
    JsonOption,
    Report,
)
from poseact_engine.bench.made_hrnet import SIZE, dotted_pictures, make_network, write_pictures
from poseact_engine.bench.models import measure, parse_backends, parse_numbers
from poseact_engine.evaluation.inputs import DataOptions

CALIBRATED, COMPARED = 32, 64
ALL_IN_INT8 = 0.0
"""The speed of int8 throughout: which layers random weights would need in fp32 says nothing of
trained ones."""


def make_files(width: int, folder: Path) -> list[ModelFile]:
    """The network in each precision. DependencyError without torch or OpenCV."""
    from export.hrnet import HrnetOptions, build_graph
    from export.package import pack
    from export.precision import PrecisionOptions, convert

    options = HrnetOptions(
        size=SIZE,
        geometry="default",
        decode="quarter",
        source="random weights for a benchmark",
        licence="Apache-2.0",
    )
    model, manifest = build_graph(make_network(width), options)
    pictures, _ = dotted_pictures(CALIBRATED, seed=1)
    truth = write_pictures(folder / "calibration", pictures, manifest.expansion)
    calibration = DataOptions(data=(truth.parent,), truth=truth)
    files = []
    for precision in (
        PrecisionOptions(precision="fp32"),
        PrecisionOptions(precision="fp16"),
        PrecisionOptions(
            precision="int8", target="cpu", calibration=calibration, most_kept=ALL_IN_INT8
        ),
    ):
        path = folder / f"hrnet_w{width}_{precision.precision}.onnx"
        data, written = pack(*convert(model, manifest, precision), path)
        files.append(ModelFile(path=path, data=data, manifest=written))
    return files


def compare(files: list[ModelFile]) -> dict[str, dict[str, float]]:
    """Precision to how far its joints are from those of the first file, in crop pixels."""
    pictures, _ = dotted_pictures(COMPARED, seed=2)
    found: dict[str, NDArray[np.float32]] = {}
    for file in files:
        model = open_file(file, backend="onnxruntime")
        (found[file.manifest.precision],) = model.run(pictures)
        model.close()
    reference = found.pop(files[0].manifest.precision)
    return {name: _distances(reference, joints) for name, joints in found.items()}


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> dict[str, float]:
    # All joints of the made network are one: its last layer's rows are alike.
    away = np.hypot(*np.moveaxis(a[:, 0, :2].astype(np.float64) - b[:, 0, :2], -1, 0))
    return {
        "median_px": float(np.median(away)),
        "p99_px": float(np.percentile(away, 99)),
        "share_moved": float((away > 1).mean()),
    }


def command(
    width: Annotated[int, typer.Option(min=4, max=64, help="HRNet's width.")] = 32,
    *,
    backends: Annotated[str, typer.Option(help="With commas.")] = "onnxruntime",
    threads: Annotated[str, typer.Option(help="With commas.")] = "1,2",
    batch: Annotated[int, typer.Option(min=1, help="Crops of one call.")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds.")] = 11,
    json: JsonOption = None,
) -> None:
    """HRNet of random weights in fp32, fp16 and int8: crops a second, and how far joints move."""
    with TemporaryDirectory() as name:
        files = make_files(width, Path(name))
        joints = compare(files)
        report = measure(
            files,
            backends=parse_backends(backends),
            threads=parse_numbers(threads),
            batch=batch,
            repeats=repeats,
        )
    summary: dict[str, Any] = {**report.summary, "joints_against_fp32": joints}
    Report(benchmark="precision", rows=report.rows, summary=summary, machine=report.machine).show(
        json
    )
