# SPDX-License-Identifier: Apache-2.0
"""`poseact doctor`: what was built, what is available, and what to install for what is missing."""

from __future__ import annotations

import importlib
import importlib.util
import json
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from poseact_engine.backends.registry import BACKENDS, cpu_count
from poseact_engine.cli.gpu import gpu_report
from poseact_engine.version import __version__

# Packages beside the core: what each is for, and the extra that brings it.
EXTRAS = {
    "av": ("annotated video (--video)", "pip install 'poseact-engine[video]'"),
    "cv2": ("annotated video (--video)", "pip install 'poseact-engine[video]'"),
    "scipy": ("benchmarks", "pip install 'poseact-engine[bench]'"),
    "torch": ("training and its exports", "pip install 'poseact-engine[train]'"),
}
# Backends of the house and their distributions; the registry says which of them this build can use.
BACKEND_PACKAGES = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "tensorrt": ("tensorrt", "tensorrt-rtx"),
    "openvino": ("openvino",),
}
CPU_ONLY = "nothing: this build runs on CPUs only"
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
    backends = {name: _backend(name) for name in BACKEND_PACKAGES}
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
        "gpu": gpu_report(),
        "backends": backends,
        "extras": {name: _extra(name) for name in EXTRAS},
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


def _backend(name: str) -> dict[str, Any]:
    entry = next((b for b in BACKENDS if b.name == name), None)
    packages = {d: v for d in BACKEND_PACKAGES[name] if (v := _installed(d)) is not None}
    providers, error = _providers() if name == "onnxruntime" and packages else ([], None)
    return {
        "packages": packages,
        "in_build": entry is not None,
        "devices": list(entry.devices) if entry else [],
        "providers": providers,
        "usable": entry is not None and bool(packages) and error is None,
        "error": error,
        "install": entry.install if entry and not packages else None,
    }


def _providers() -> tuple[list[str], str | None]:
    try:
        runtime = importlib.import_module("onnxruntime")
        return list(runtime.get_available_providers()), None
    except Exception as error:  # a broken installation fails in ways of its own
        return [], f"{type(error).__name__}: {error}"


def _extra(name: str) -> dict[str, Any]:
    purpose, install = EXTRAS[name]
    # OpenCV's module has four distributions; any of them will do.
    owners = metadata.packages_distributions().get(name, [name])
    version = _installed(owners[0]) if importlib.util.find_spec(name) else None
    return {"version": version, "purpose": purpose, "install": None if version else install}


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
    rows.append(("CUDA", _gpu_text(gpu), CPU_ONLY))
    rows += [
        (f"backend {name}", _backend_text(b), (b["install"] or "") if b["in_build"] else CPU_ONLY)
        for name, b in found["backends"].items()
    ]
    for name, extra in found["extras"].items():
        have = extra["version"] or "missing"
        rows.append((name, f"{have} ({extra['purpose']})", extra["install"] or ""))
    return rows


def _gpu_text(gpu: dict[str, Any]) -> str:
    if gpu["error"]:
        return str(gpu["error"])
    if gpu["driver_cuda"] is None:
        return "no driver"
    names = [f"{d['name']} ({d['memory_bytes'] / 2**30:.0f} GiB)" for d in gpu["devices"]]
    return f"driver for CUDA {gpu['driver_cuda']}: {', '.join(names) or 'no GPU'}"


def _backend_text(backend: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in backend["packages"].items())
    if not backend["in_build"]:
        return f"not in this build ({packages or 'nor installed'})"
    if not packages:
        return "missing"
    return f"{packages} ({', '.join(backend['providers'])})"


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
