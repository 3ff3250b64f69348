# SPDX-License-Identifier: Apache-2.0
"""What every benchmark shares: interleaved timing, the machine's description, the report.

A benchmark times several variants of the same work, ``ours`` among them. Variants run in turn
within each repeat, so that a noisy machine disturbs all of them alike; medians are compared.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import rich.console
import rich.table
import typer

from poseact_engine._core import build_info
from poseact_engine.errors import DependencyError, SinkError
from poseact_engine.sinks.base import check_target

Work = Callable[[int], object]
"""Does the work once; gets the number of the repeat, to choose its input by."""


def _writable(path: Path | None) -> Path | None:
    if path is not None:
        check_target(path, overwrite=True)  # minutes of work come first
    return path


JsonOption = Annotated[
    Path | None, typer.Option("--json", callback=_writable, help="Write the report here.")
]


def need(module: str, package: str | None = None) -> ModuleType:
    """Imports an optional package, or says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"poseact-bench: expected the package {package or module}, which is not installed; "
            'run: pip install "poseact-engine[bench]"'
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Median of n repeats with its 95 % interval (order statistics), in seconds."""

    median_s: float
    low_s: float
    high_s: float
    n: int

    @classmethod
    def from_samples(cls, samples_s: Sequence[float]) -> Timing:
        ordered = sorted(samples_s)
        n = len(ordered)
        spread = 0.98 * math.sqrt(n)  # 1.96 * sqrt(n) / 2: binomial ranks about the middle
        low = max(0, math.floor(n / 2 - spread))
        high = min(n - 1, math.ceil(n / 2 + spread))
        middle = 0.5 * (ordered[(n - 1) // 2] + ordered[n // 2])
        return cls(median_s=middle, low_s=ordered[low], high_s=ordered[high], n=n)


def time_interleaved(
    variants: Mapping[str, Work],
    *,
    repeats: int,
    warmup: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Times every variant ``repeats`` times, in turn, after ``warmup`` untimed rounds.

    Where every variant works in the calling thread alone, ``clock=time.thread_time`` leaves out
    what other processes took of the machine, which hits long variants more often than short ones.
    """
    samples: dict[str, list[float]] = {name: [] for name in variants}
    for i in range(warmup + repeats):
        for name, work in variants.items():
            start = clock()
            work(i)
            took = clock() - start
            if i >= warmup:
                samples[name].append(took)
    return {name: Timing.from_samples(s) for name, s in samples.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant of one case."""

    case: str
    variant: str
    timing: Timing
    ratio: float | None = None
    """Ours ÷ this baseline in speed (> 1: ours is faster); None for ours itself."""
    left_out: str = ""
    """What the time does not contain."""
    items: int = 0
    """Frames, crops, ... of one repeat, where a rate is wanted; else 0."""

    @property
    def per_s(self) -> float | None:
        return self.items / self.timing.median_s if self.items else None

    def as_json(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "variant": self.variant,
            "median_ms": self.timing.median_s * 1e3,
            "low_ms": self.timing.low_s * 1e3,
            "high_ms": self.timing.high_s * 1e3,
            "n": self.timing.n,
            "ratio": self.ratio,
            "left_out": self.left_out,
            **({"per_s": self.per_s} if self.items else {}),
        }


def rows_of(case: str, timings: Mapping[str, Timing], *, ours: str, left_out: str) -> list[Row]:
    """A row per variant; baselines carry how much faster ours is."""
    best = timings[ours].median_s
    return [
        Row(
            case=case,
            variant=name,
            timing=timing,
            ratio=None if name == ours else timing.median_s / best,
            left_out=left_out,
        )
        for name, timing in timings.items()
    ]


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_machine(packages: Sequence[str] = ()) -> dict[str, Any]:
    """CPU, cores this process may use, and the versions of everything compared."""
    versions = {"python": platform.python_version(), **{p: _version(p) for p in packages}}
    return {
        "cpu": _cpu_model(),
        "cores": _cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "poseact_engine": _version("poseact-engine"),
        "build": build_info(),
        "versions": versions,
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a benchmark found; prints itself and writes itself as JSON."""

    benchmark: str
    rows: list[Row]
    summary: dict[str, Any]
    machine: dict[str, Any] = field(default_factory=describe_machine)

    def as_json(self) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "machine": self.machine,
            "rows": [row.as_json() for row in self.rows],
            "summary": self.summary,
        }

    def show(self, json_path: Path | None = None) -> None:
        """Prints the table; writes the JSON file when a path is given."""
        console = rich.console.Console(width=None if sys.stdout.isatty() else 120)
        table = rich.table.Table(title=f"{self.benchmark} on {self.machine['cpu']}")
        rates = ("per s",) if any(row.items for row in self.rows) else ()
        ratio = "x the baseline" if rates else "ours is x faster"
        for column in ("case", "variant", "ms", "95 %", *rates, ratio, "n", "left out"):
            table.add_column(column, justify="left" if column in ("case", "variant") else "right")
        for row in self.rows:
            t = row.timing
            table.add_row(
                row.case,
                row.variant,
                f"{t.median_s * 1e3:.3f}",
                f"{t.low_s * 1e3:.3f} - {t.high_s * 1e3:.3f}",
                *("" if row.per_s is None else f"{row.per_s:.1f}" for _ in rates),
                "" if row.ratio is None else f"{row.ratio:.2f}",
                str(t.n),
                row.left_out,
            )
        console.print(table)
        console.print_json(json.dumps({"summary": self.summary}))
        if json_path is not None:
            self._write(json_path)

    def _write(self, path: Path) -> None:
        text = json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SinkError(f"poseact-bench: cannot write {path}: {error.strerror}") from error
