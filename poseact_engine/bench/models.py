# SPDX-License-Identifier: Apache-2.0
"""``poseact-bench models``: crops (frames, windows) a second of model files, by backend, precision
and threads. The baseline is the first file on the first backend named, with as many threads.

Inputs are made by code. What is timed is one call of the backend: no decoding, cropping or
suppression.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, get_args

import typer
from numpy.typing import NDArray

from poseact_engine.backends.base import Model, ModelFile
from poseact_engine.backends.registry import open_file
from poseact_engine.bench.harness import (
    JsonOption,
    Report,
    Row,
    Timing,
    Work,
    describe_machine,
    time_interleaved,
)
from poseact_engine.config import BackendChoice
from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.inputs import made_inputs
from poseact_engine.manifest_io import load_model

UNITS = {"detector": "frames", "pose": "crops", "action": "windows"}
HRNET_SIZE = (256, 192)
LEFT_OUT = "decoding, cropping, suppression"
PACKAGES = ["numpy", "onnxruntime", "openvino"]


def measure(
    files: list[ModelFile],
    *,
    backends: list[BackendChoice],
    threads: list[int],
    batch: int,
    repeats: int,
) -> Report:
    """Times all files on all backends in turn, for each number of threads.

    Raises ConfigError for files of different tasks, and what opening them raises.
    """
    tasks = {file.manifest.task for file in files}
    if len(tasks) != 1:
        raise ConfigError(
            f"models: expected files of one task, got {', '.join(sorted(tasks)) or 'no file'}; "
            "measure each task by itself"
        )
    unit = UNITS[tasks.pop()]
    rows: list[Row] = []
    for count in threads:
        timings = _time(files, backends, count, batch, repeats)
        plural = "s" if count > 1 else ""
        rows += _rows(f"{count} thread{plural}, batch {batch}", timings, batch)
    summary: dict[str, Any] = {
        "unit": f"{unit} per second",
        "baseline": rows[0].variant,
        "batch": batch,
        "left_out": LEFT_OUT,
        "per_s": {
            case: {r.variant: r.per_s for r in rows if r.case == case} for case in _cases(rows)
        },
    }
    return Report(
        benchmark="models", rows=rows, summary=summary, machine=describe_machine(PACKAGES)
    )


def _cases(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(row.case for row in rows))


def _time(
    files: list[ModelFile], backends: list[BackendChoice], threads: int, batch: int, repeats: int
) -> dict[str, Timing]:
    with ExitStack() as opened:
        works: dict[str, Work] = {}
        for file in files:
            pictures = made_inputs(file.manifest, count=batch).batch
            for backend in backends:
                model = open_file(file, backend=backend, device="auto", threads=threads)
                opened.callback(model.close)
                works[_name(file, model)] = _work(model, pictures)
        if len(works) < len(files) * len(backends):
            raise ConfigError("models: expected each file and each backend once, got some twice")
        return time_interleaved(works, repeats=repeats, warmup=2)


def _work(model: Model, batch: NDArray[Any]) -> Work:
    return lambda _: model.run(batch)


def _name(file: ModelFile, model: Model) -> str:
    name = file.path.name if file.path is not None else "model"
    return f"{name} ({file.manifest.precision}), {model.backend}"


def _rows(case: str, timings: dict[str, Timing], batch: int) -> list[Row]:
    baseline = next(iter(timings.values())).median_s
    return [
        Row(
            case=case,
            variant=name,
            timing=timing,
            ratio=None if number == 0 else baseline / timing.median_s,
            items=batch,
        )
        for number, (name, timing) in enumerate(timings.items())
    ]


def make_hrnet(width: int, folder: Path) -> Path:
    """HRNet at 256 x 192 with random weights, fp32; DependencyError without torch."""
    from export.hrnet import HrnetOptions, build_graph
    from export.package import write_model
    from poseact_engine.training.dependency import import_torch

    import_torch().manual_seed(0)
    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig

    options = HrnetOptions(
        size=HRNET_SIZE,
        geometry="default",
        decode="quarter",
        source="random weights for a benchmark",
        licence="Apache-2.0",
    )
    model, manifest = build_graph(Hrnet(HrnetConfig(width=width)).eval(), options)
    path = folder / f"hrnet_w{width}_random.onnx"
    write_model(model, manifest, path)
    return path


def _load(path: Path) -> ModelFile:
    data, _, manifest = load_model(path)
    return ModelFile(path=path, data=data, manifest=manifest)


def parse_backends(text: str) -> list[BackendChoice]:
    """Of ``--backends``; ConfigError names those that are known."""
    known = {name: name for name in get_args(BackendChoice) if name != "auto"}
    found = [known.get(word.strip()) for word in text.split(",")]
    if None in found:
        raise ConfigError(f"--backends: expected some of {', '.join(known)}, got {text!r}")
    return [name for name in found if name is not None]


def parse_numbers(text: str) -> list[int]:
    """Of ``--threads``; ConfigError for what are no counts."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise ConfigError(f"--threads: expected whole numbers, 1 or more, as 1,2, got {text!r}")
    return [int(word) for word in words]


def command(
    models: Annotated[
        list[Path] | None, typer.Argument(metavar="MODEL...", help="Exported files of one task.")
    ] = None,
    *,
    hrnet: Annotated[
        int | None, typer.Option(metavar="WIDTH", help="And, first, an HRNet of random weights.")
    ] = None,
    backends: Annotated[str, typer.Option(help="With commas.")] = "onnxruntime,openvino",
    threads: Annotated[str, typer.Option(help="With commas.")] = "1,2",
    batch: Annotated[int, typer.Option(min=1, help="Inputs of one call.")] = 8,
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds.")] = 20,
    json: JsonOption = None,
) -> None:
    """Crops, frames or windows a second of model files, by backend, precision and threads."""
    with TemporaryDirectory() as name:
        paths = [] if hrnet is None else [make_hrnet(hrnet, Path(name))]
        files = [_load(path) for path in [*paths, *(models or [])]]
        report = measure(
            files,
            backends=parse_backends(backends),
            threads=parse_numbers(threads),
            batch=batch,
            repeats=repeats,
        )
    report.show(json)
