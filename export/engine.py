# SPDX-License-Identifier: Apache-2.0
"""`python -m export engine`: from an ONNX model file to a TensorRT engine file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from export.options import require
from export.package import check_output
from poseact_engine.backends.base import ModelFile
from poseact_engine.backends.tensorrt_build import DEFAULT_PROFILES, Recipe, build_engine
from poseact_engine.backends.tensorrt_cuda import CudaDevice, load_cuda
from poseact_engine.backends.tensorrt_progress import Report
from poseact_engine.backends.tensorrt_toolkit import Toolkit, load_toolkit
from poseact_engine.engine_file import Fingerprint, Profile, write_engine
from poseact_engine.errors import BackendError, ExportError
from poseact_engine.manifest_io import load_model

OnnxArgument = Annotated[Path, typer.Argument(help="The ONNX model file, with its manifest.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write. Required.")]
Batch = Annotated[
    list[str] | None,
    typer.Option(
        help="MIN,OPT,MAX of a batch bucket; once for each. Together they serve 1 to the largest "
        "MAX; larger batches are split. Default: detector 1,4,16; pose 1,16,64; action 1,64,256."
    ),
]
WorkspaceMib = Annotated[
    int | None, typer.Option(min=1, help="Most scratch memory. Default: TensorRT's own.")
]
Gpu = Annotated[
    str | None,
    typer.Option(
        help="GPUs to build for, as sm_75,sm_86,sm_89,sm_120 (TensorRT for RTX, which needs none "
        "of them here). Default: this machine's."
    ),
]
TimingCache = Annotated[
    Path | None, typer.Option(help="Measured timings, read and written (not with RTX).")
]
Flavour = Annotated[
    str | None,
    typer.Option(help="tensorrt or tensorrt_rtx. Default: the first that is installed."),
]


def command(
    onnx: OnnxArgument,
    *,
    output: Output = None,
    batch: Batch = None,
    workspace_mib: WorkspaceMib = None,
    gpu: Gpu = None,
    timing_cache: TimingCache = None,
    flavour: Flavour = None,
) -> None:
    """Build a TensorRT engine file. Precision is the ONNX file's own; keep that file beside it."""
    target = Path(require("export engine", output=output)["output"])
    profiles = tuple(parse_profile(text) for text in batch) if batch else None
    if flavour not in (None, "tensorrt", "tensorrt_rtx"):
        raise ExportError(f"--flavour: expected tensorrt or tensorrt_rtx, got {flavour!r}")
    toolkit = load_toolkit(flavour)
    made = export_engine(
        onnx, target, toolkit,
        profiles=profiles, gpus=None if gpu is None else parse_gpus(gpu),
        workspace_mib=workspace_mib, timing_cache=timing_cache,
    )  # fmt: skip
    typer.echo(f"{target}: {toolkit}, {made.precision}, for {', '.join(made.capabilities)}")
    if target.resolve().parent != onnx.resolve().parent:
        typer.echo(f"keep {onnx.name} beside it: elsewhere than here it is built from that anew")


def export_engine(
    onnx: Path,
    output: Path,
    toolkit: Toolkit,
    *,
    profiles: tuple[Profile, ...] | None = None,
    gpus: tuple[str, ...] | None = None,
    workspace_mib: int | None = None,
    timing_cache: Path | None = None,
) -> Fingerprint:
    """Writes ``output`` and returns what it says of itself; None is what the command defaults to.

    Raises ManifestError (the ONNX file), BackendError (TensorRT's reasons), ExportError (the rest).
    """
    check_output(output, onnx)
    data, _, manifest = load_model(onnx)
    file = ModelFile(path=onnx, data=data, manifest=manifest)
    recipe = Recipe(
        profiles=profiles or DEFAULT_PROFILES[manifest.task],
        capabilities=_capabilities(toolkit, gpus),
        workspace_mib=workspace_mib,
    )
    with _bar(output.name) as report:
        engine = build_engine(file, toolkit, recipe, timing_cache=timing_cache, report=report)
    try:
        write_engine(engine, output)
    except OSError as error:
        raise ExportError(f"{output}: cannot write the engine: {error.strerror}") from error
    return engine.fingerprint


def parse_profile(text: str) -> Profile:
    parts = text.split(",")
    if len(parts) != 3 or not all(p.strip().isdecimal() for p in parts):
        raise ExportError(f"--batch: expected MIN,OPT,MAX, as 1,4,16, got {text!r}")
    return int(parts[0]), int(parts[1]), int(parts[2])


def parse_gpus(text: str) -> tuple[str, ...]:
    """Names as ``sm_86``, each once, the oldest first."""
    names = {name.strip() for name in text.split(",")}
    if not all(n.startswith("sm_") and n[3:].isdecimal() for n in names):
        raise ExportError(f"--gpu: expected names with commas, as sm_75,sm_86, got {text!r}")
    return tuple(sorted(names, key=lambda n: int(n[3:])))


def _capabilities(toolkit: Toolkit, gpus: tuple[str, ...] | None) -> tuple[str, ...]:
    """What to build for: the GPUs asked for, or this machine's, which is all that TensorRT can."""
    if gpus is not None and toolkit.is_rtx:
        for name in gpus:
            toolkit.capability(name)  # BackendError that lists them, before a long build
        return gpus
    try:
        device = CudaDevice(load_cuda())
    except BackendError as error:
        choice = f"--gpu with some of {','.join(toolkit.capabilities())}, or a CUDA device here"
        expected = choice if toolkit.is_rtx else "a CUDA device: it builds for the one it runs on"
        raise ExportError(f"{toolkit}: expected {expected}; {error}") from error
    here = device.capability
    device.close()
    if gpus not in (None, (here,)):
        raise ExportError(
            f"--gpu: {toolkit} builds for this machine's GPU alone ({here}), got {','.join(gpus)}; "
            "`--flavour tensorrt_rtx` builds for others"
        )
    return (here,)


@contextmanager
def _bar(name: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    name_column = TextColumn("{task.description}", markup=False)
    at_column = TextColumn("{task.fields[at]}", markup=False)
    columns = (name_column, BarColumn(), TaskProgressColumn(), at_column)
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(name, total=1.0, at="")

        def report(share: float, at: str) -> None:
            bar.update(task, completed=share, at=at)

        yield report
