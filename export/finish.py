# SPDX-License-Identifier: Apache-2.0
"""The last step of every export: precision, comparison with the reference, and only then a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import typer

from export.package import pack, write_file
from export.parity.compare import check_alike, compare, load_inputs
from export.parity.metrics import Bound, bounds_for
from export.parity.options import GateOptions
from export.parity.report import check_report_packages, failed, table, write
from poseact_engine.backends.base import Model, ModelFile
from poseact_engine.backends.registry import open_file
from poseact_engine.errors import ConfigError, ParityError
from poseact_engine.evaluation.inputs import DataOptions
from poseact_engine.manifest import Manifest, Precision
from poseact_engine.manifest_io import AnyManifest

if TYPE_CHECKING:
    from export.precision import PrecisionOptions


def finish(
    model: onnx.ModelProto,
    manifest: AnyManifest,
    output: Path,
    *,
    reference: Model,
    precision: PrecisionOptions | None,
    gate: GateOptions,
) -> AnyManifest:
    """Converts the graph (None: leaves it as it is), compares, writes ``output``.

    Past a bound nothing is written: what stood at ``output`` stays. The report is written either
    way. The reference stays open. Returns the manifest as written. Raises ParityError (bounds),
    ConfigError (options), SourceError (data), ExportError, DependencyError.
    """
    wanted = manifest.precision if precision is None else precision.precision
    bounds = prepare(manifest, wanted, output, gate)
    _check_not_read(output, [gate.data, *([precision.calibration] if precision else [])])
    check_alike(reference.manifest, manifest)
    inputs = load_inputs(manifest, gate)
    if precision is not None:
        # Imports much that a plain export has no use for.
        from export.precision import check_apart, convert

        check_apart(precision.calibration, gate.data)
        model, manifest = convert(model, manifest, precision)
    data, written = pack(model, manifest, output)
    file = ModelFile(path=None, data=data, manifest=written)
    new = open_file(file, backend="onnxruntime", device="cpu")
    try:
        verdict = compare(reference, new, inputs, gate, bounds)
    finally:
        new.close()
    typer.echo(table(verdict), err=True)
    write(verdict, gate)
    if not verdict.passed:
        raise ParityError(f"{failed(verdict)}; {output} was not written")
    write_file(data, output)
    return written


def prepare(
    manifest: Manifest, precision: Precision, output: Path, gate: GateOptions
) -> tuple[Bound, ...]:
    """The bounds; what can be known to go wrong is said before the long work."""
    if gate.report is not None:
        if gate.report.resolve() == output.resolve():
            raise ConfigError(f"--report: expected another file than --output, got {output}")
        check_report_packages(gate.report)
    return bounds_for(manifest.task, precision, gate.bounds, real=bool(gate.data.data))


def _check_not_read(output: Path, inputs: Sequence[DataOptions | None]) -> None:
    """Raises ConfigError where the new file would replace a video, truth or detector."""
    read = [p for d in inputs if d for p in (*d.data, d.truth, d.detector) if p]
    if output.resolve() in [p.resolve() for p in read]:
        raise ConfigError(f"--output: {output} is a file to be read; choose another")
