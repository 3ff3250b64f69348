# SPDX-License-Identifier: Apache-2.0
"""What an export is compared on, by which bounds, and where the report goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.inputs import DataOptions

REPORTS = (".json", ".html")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """There is no way round the comparison; bounds can be given that every model keeps."""

    data: DataOptions = field(default_factory=DataOptions)
    """Inputs made by code where it names none."""
    bounds: tuple[tuple[str, float], ...] = ()
    """Metric and limit, instead of the usual ones (``metrics.LIMITS``)."""
    report: Path | None = None
    """JSON or HTML by its suffix; written whether the bounds were met or not."""

    def __post_init__(self) -> None:
        if self.report is not None:
            _check_report(self.report)
            read = [p for p in (*self.data.data, self.data.truth, self.data.detector) if p]
            if self.report.resolve() in [p.resolve() for p in read]:
                raise ConfigError(f"--report: {self.report} is a file to be read; choose another")


def _check_report(path: Path) -> None:
    if path.suffix.lower() not in REPORTS:
        raise ConfigError(f"--report: expected a file name with {' or '.join(REPORTS)}, got {path}")
    if path.exists() and not path.is_file():
        raise ConfigError(f"--report: expected a file name, got a folder, device or pipe: {path}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--report: expected a folder that exists, got {path.parent}")


def parse_bounds(texts: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """``median_px=0.05`` and its like to names and numbers; ConfigError otherwise."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        try:
            limit = float(value)
        except ValueError:
            limit = math.nan
        if not math.isfinite(limit):
            raise ConfigError(f"--bound: expected METRIC=NUMBER, as median_px=0.05, got {text!r}")
        if found.setdefault(name, limit) != limit:
            raise ConfigError(f"--bound: expected {name} once, got {found[name]:g} and {limit:g}")
    return tuple(found.items())
