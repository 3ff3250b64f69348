# SPDX-License-Identifier: Apache-2.0
"""`python -m export verify A B`: the parity gate alone, for any two models of a task."""

from __future__ import annotations

from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Annotated, cast

import typer

from export.cli_options import AlphaPose, DarkKernel, Legacy, OfficialPerson
from export.options import CheckpointOptions
from export.parity.cli_options import BoundOption, Data, Detector, Report, Truth, gate_options
from export.parity.compare import Verdict, check_alike, compare, load_inputs
from export.parity.metrics import bounds_for
from export.parity.options import GateOptions
from export.parity.report import check_report_packages, failed, table, write
from poseact_engine.backends.base import Model
from poseact_engine.backends.registry import open_model
from poseact_engine.config import BackendChoice
from poseact_engine.engine_file import is_engine_file, read_engine
from poseact_engine.errors import ConfigError, ParityError
from poseact_engine.manifest import Manifest, Precision
from poseact_engine.manifest_io import read_manifest
from poseact_engine.training.dependency import import_torch

TORCH = frozenset({".pth", ".pt", ".ckpt"})
_COARSENESS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


class Backend(Enum):
    onnxruntime = "onnxruntime"
    openvino = "openvino"
    tensorrt = "tensorrt"
    torch = "torch"


BackendOption = Annotated[
    Backend | None,
    typer.Option(
        help="Where it runs; of itself torch for checkpoints (.pth, .pt), tensorrt for engine "
        "files, ONNX Runtime for the rest."
    ),
]
ModelA = Annotated[Path, typer.Argument(metavar="A", help="The reference.")]
ModelB = Annotated[Path, typer.Argument(metavar="B", help="The model to be held against it.")]


commands = typer.Typer()


@commands.command("verify")
def verify_command(
    a: ModelA,
    b: ModelB,
    data: Data = None,
    truth: Truth = None,
    detector: Detector = None,
    backend_a: BackendOption = None,
    backend_b: BackendOption = None,
    alphapose: AlphaPose = False,
    dark_kernel: DarkKernel = None,
    legacy: Legacy = False,
    person_class: OfficialPerson = 0,
    bound: BoundOption = None,
    report: Report = None,
) -> None:
    """Hold model B against model A on the same inputs; exit code 3 past a bound.

    A checkpoint (of the weights that a model was exported from) is read as the other file's
    manifest says; what that does not say is given as to the export.
    """
    options = CheckpointOptions(
        alphapose=alphapose, dark_kernel=dark_kernel, legacy=legacy, person_class=person_class
    )
    gate = gate_options(data, bound, report, truth=truth, detector=detector)
    verdict = verify(_Side(a, backend_a), _Side(b, backend_b), gate, options)
    typer.echo(table(verdict))
    write(verdict, gate)
    if not verdict.passed:
        raise ParityError(failed(verdict))


class _Side:
    """A model file and where it is to run."""

    def __init__(self, path: Path, backend: Backend | None) -> None:
        self.path = path
        self.is_torch = path.suffix.lower() in TORCH
        usual = Backend.tensorrt if is_engine_file(path) else Backend.onnxruntime
        self.backend = backend or (Backend.torch if self.is_torch else usual)
        if self.is_torch != (self.backend is Backend.torch):
            kind = "a torch checkpoint" if self.is_torch else "no torch checkpoint (.pth, .pt)"
            raise ConfigError(
                f"{path}: expected a backend that reads it, got {self.backend.value}: it is {kind}"
            )

    def manifest(self) -> Manifest:
        """Of a model file."""
        return (
            read_engine(self.path).manifest
            if is_engine_file(self.path)
            else read_manifest(self.path)
        )

    def open(self, manifest: Manifest, options: CheckpointOptions) -> Model:
        """``manifest``: the file's own; of a checkpoint, which has none, the other file's."""
        if self.is_torch:
            import_torch()  # torch is needed for checkpoints alone
            from export.torch_model import open_torch

            return open_torch(self.path, manifest, options)
        backend = cast(BackendChoice, self.backend.value)
        return open_model(self.path, task=manifest.task, backend=backend)


def verify(
    a: _Side, b: _Side, gate: GateOptions, options: CheckpointOptions | None = None
) -> Verdict:
    """``options``: of the checkpoint, if one of both is.

    Raises PoseActError of any kind: files, backends, data, options.
    """
    if a.is_torch and b.is_torch:
        raise ConfigError(
            "verify: expected a model file beside a checkpoint, which does not say what its crops, "
            "boxes or joints are, got two checkpoints"
        )
    first, second = (None if side.is_torch else side.manifest() for side in (a, b))
    known = first or second
    if known is None:
        raise ConfigError("verify: expected a model file, got none")
    manifests = (first or known, second or known)
    check_alike(*manifests)
    options = options or CheckpointOptions()
    options.check(known.task if a.is_torch or b.is_torch else None)
    # What the coarser of both is allowed: an int8 reference is no better than an int8 copy of it.
    precision = max((m.precision for m in manifests), key=_COARSENESS.index)
    bounds = bounds_for(known.task, precision, gate.bounds, real=bool(gate.data.data))
    if gate.report is not None:
        check_report_packages(gate.report)
    inputs = load_inputs(known, gate)
    with ExitStack() as opened:
        models = []
        for side, manifest in zip((a, b), manifests, strict=True):
            models.append(side.open(manifest, options))
            opened.callback(models[-1].close)
        return compare(models[0], models[1], inputs, gate, bounds)
