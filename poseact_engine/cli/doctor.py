# SPDX-License-Identifier: Apache-2.0
"""`poseact doctor`: what was built, what is available, and what to install for what is missing."""

from __future__ import annotations

import importlib
import importlib.util
import json
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from poseact_engine.backends.base import BackendEntry
from poseact_engine.backends.registry import BACKENDS, cpu_count
from poseact_engine.bundled import BUNDLED_TASKS, BundledTask, bundled_path
from poseact_engine.cli.gpu import gpu_report
from poseact_engine.files import file_sha256
from poseact_engine.version import __version__

# Packages beside the core: what each is for, and the extra that brings it.
EXTRAS = {
    "av": ("annotated video (--video), demo, synth", "pip install 'poseact-engine[video]'"),
    "cv2": ("annotated video, made scenes", "pip install 'poseact-engine[video]'"),
    "scipy": ("benchmarks", "pip install 'poseact-engine[bench]'"),
    "pycocotools": ("poseact eval pose, detector, world", "pip install 'poseact-engine[eval]'"),
    "matplotlib": ("plots of poseact eval, reproduce", "pip install 'poseact-engine[eval]'"),
    "sklearn": ("poseact reproduce", "pip install 'poseact-engine[eval]'"),
    "tensorboard": ("eval, train --tensorboard", "pip install 'poseact-engine[eval]'"),
    "torch": ("training and its exports", "pip install 'poseact-engine[train]'"),
}
# These share a module and overwrite each other, so Python's own list of who brings it may be wrong.
RUNTIMES = {"onnxruntime": ("onnxruntime", "onnxruntime-gpu")}
Owners = Mapping[str, list[str]]
"""Module to the distributions that bring it."""
BUNDLED_ADVICE = "the package anew, or name models with --detector, --pose and --action"
BOTH_RUNTIMES = (
    "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files",
    "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'poseact-engine[cpu]'"
    " (with an NVIDIA GPU: [cuda])",
)


def report() -> dict[str, Any]:
    """Everything `poseact doctor` knows, as plain data with stable keys.

    ``problems`` is a list of ``{"what", "do"}``; ``ok`` is false when nothing can run.
    """
    build, build_error = _build()
    gpu, owners = gpu_report(), metadata.packages_distributions()
    backends = {b.name: _backend(b, owners, has_gpu=bool(gpu["devices"])) for b in BACKENDS}
    usable = [name for name, b in backends.items() if b["usable"]]
    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "build": build,
        "cpu": {
            "model": _cpu_model(),
            "cores": cpu_count(),
            "features": build["cpu_features"] if build else {},
        },
        "gpu": gpu,
        "backends": backends,
        "extras": {name: _extra(name, owners) for name in EXTRAS},
        "bundled_models": {task: _bundled(task) for task in BUNDLED_TASKS},
        "problems": _problems(build_error, backends, usable),
        "ok": build is not None and bool(usable),
    }


def _build() -> tuple[dict[str, Any] | None, str | None]:
    try:
        core = importlib.import_module("poseact_engine._core")
    except ImportError as error:  # a missing libavformat, say: the very thing a doctor is for
        return None, str(error)
    return {**core.build_info(), "crop_paths": core.crop_paths()}, None


def _installed(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _backend(entry: BackendEntry, owners: Owners, *, has_gpu: bool) -> dict[str, Any]:
    found = [d for module in entry.modules for d in owners.get(module, [])]
    names = dict.fromkeys(RUNTIMES.get(entry.name, found))
    packages = {d: v for d in names if (v := _installed(d)) is not None}
    probe = PROBES.get(entry.name) if packages else None
    providers, error = probe() if probe is not None else ([], None)
    has_device = has_gpu or "cpu" in entry.devices
    return {
        "packages": packages,
        "devices": list(entry.devices),
        "providers": providers,
        "usable": bool(packages) and error is None and has_device,
        "error": error,
        "install": None if packages else entry.install,
    }


def _providers() -> tuple[list[str], str | None]:
    try:
        runtime = importlib.import_module("onnxruntime")
        return list(runtime.get_available_providers()), None
    except Exception as error:  # a broken installation fails in ways of its own
        return [], f"{type(error).__name__}: {error}"


def _openvino() -> tuple[list[str], str | None]:
    from poseact_engine.backends.openvino import import_openvino

    try:
        import_openvino()
    except Exception as error:  # see _providers
        return [], f"{type(error).__name__}: {error}"
    return [], None


PROBES = {"onnxruntime": _providers, "openvino": _openvino}
"""Backends that are imported, since a package that is there may be broken."""


def _extra(name: str, owners: Owners) -> dict[str, Any]:
    purpose, install = EXTRAS[name]
    # OpenCV's module has four distributions; any of them will do.
    version = _installed(owners.get(name, [name])[0]) if importlib.util.find_spec(name) else None
    return {"version": version, "purpose": purpose, "install": None if version else install}


def _bundled(task: BundledTask) -> dict[str, Any]:
    """The file's own sha256, which `sha256sum` gives too; None where there is no such file."""
    path = bundled_path(task)
    return {"file": str(path), "sha256": file_sha256(path) if path.is_file() else None}


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _problems(
    build_error: str | None, backends: dict[str, Any], usable: list[str]
) -> list[dict[str, str]]:
    found = []
    if build_error is not None:
        found.append((f"the extension cannot be loaded: {build_error}", "pip install . (again)"))
    if len(backends["onnxruntime"]["packages"]) > 1:
        found.append(BOTH_RUNTIMES)
    found += [
        (f"{name}: {b['error']}", "install it anew") for name, b in backends.items() if b["error"]
    ]
    if not usable:
        found.append(("no inference backend, so nothing can run", BACKENDS[0].install))
    return [{"what": what, "do": do} for what, do in found]


def _rows(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(what, what is there, the line that installs what is missing)."""
    build, cpu, gpu = found["build"], found["cpu"], found["gpu"]
    rows = [("poseact", f"{found['version']}, Python {found['python']}", "")]
    if build:
        rows += [
            ("compiled by", build["compiler"], ""),
            ("FFmpeg", f"{build['ffmpeg']} in use, built with {build['ffmpeg_built']}", ""),
            ("crop paths", ", ".join(build["crop_paths"]), ""),
        ]
    features = [name for name, has in cpu["features"].items() if has]
    rows.append(("CPU", f"{cpu['model']}, {cpu['cores']} usable cores", ""))
    rows.append(("CPU features", ", ".join(features) or "none known", ""))
    rows.append(("CUDA", _gpu_text(gpu), _gpu_advice(found)))
    rows += [
        (f"backend {name}", _backend_text(b), b["install"] or "")
        for name, b in found["backends"].items()
    ]
    for name, extra in found["extras"].items():
        have = extra["version"] or "missing"
        rows.append((name, f"{have} ({extra['purpose']})", extra["install"] or ""))
    for task, model in found["bundled_models"].items():
        have = f"sha256 {model['sha256']}" if model["sha256"] else "missing"
        rows.append((f"bundled {task}", have, "" if model["sha256"] else BUNDLED_ADVICE))
    return rows


def _gpu_text(gpu: dict[str, Any]) -> str:
    if gpu["error"]:
        return str(gpu["error"])
    if gpu["driver_cuda"] is None:
        return "no driver"
    names = [f"{d['name']} ({d['memory_bytes'] / 2**30:.0f} GiB)" for d in gpu["devices"]]
    return f"driver for CUDA {gpu['driver_cuda']}: {', '.join(names) or 'no GPU'}"


def _gpu_advice(found: dict[str, Any]) -> str:
    on_gpu = [name for name, b in found["backends"].items() if "cuda" in b["devices"]]
    if not on_gpu:
        return "nothing: this build runs on CPUs only"
    return "" if found["gpu"]["devices"] else f"NVIDIA's driver, for {', '.join(on_gpu)} on a GPU"


def _backend_text(backend: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in backend["packages"].items())
    where = ", ".join(backend["providers"] or backend["devices"])
    if not packages:
        return f"missing ({where})"
    return f"{packages} ({where})" + ("" if backend["usable"] else ": not usable here")


def _print(found: dict[str, Any]) -> None:
    rows = _rows(found)
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table("", "what is there", "to install", show_lines=False)
        for row in rows:
            table.add_row(*map(escape, row))  # [cpu] is no markup
        Console().print(table)
    else:
        for name, have, install in rows:
            typer.echo(f"{name}: {have}" + (f"; to install: {install}" if install else ""))
    for problem in found["problems"]:
        typer.echo(f"problem: {problem['what']}\n  do: {problem['do']}")
    if not found["problems"]:
        typer.echo("no problems found")


def doctor_command(
    *,
    json_: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what was built and what is available, and what to install for what is missing."""
    found = report()
    if json_:
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(found)
    if not found["ok"]:
        raise typer.Exit(1)
