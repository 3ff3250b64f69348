# SPDX-License-Identifier: Apache-2.0
"""What the configs check themselves with: a ConfigError names the option, expected and got."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import MISSING, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

from poseact_engine.errors import ConfigError


def check(ok: bool, where: str, expected: str, got: object) -> None:
    if not ok:
        raise ConfigError(f"{where}: expected {expected}, got {got!r}")


def is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def check_fraction(where: str, **values: float) -> None:
    for name, value in values.items():
        ok = is_number(value) and 0 <= value <= 1
        check(ok, f"{where}.{name}", "a number from 0 to 1", value)


def check_seconds(where: str, **values: float) -> None:
    for name, value in values.items():
        ok = is_number(value) and value >= 0
        check(ok, f"{where}.{name}", "seconds, 0 or more", value)


def check_count(where: str, *, least: int = 1, **values: int) -> None:
    for name, value in values.items():
        ok = isinstance(value, Integral) and not isinstance(value, bool) and value >= least
        check(ok, f"{where}.{name}", f"a whole number, {least} or more", value)


def checked_path(where: str, value: Any) -> Path:
    check(isinstance(value, str | os.PathLike) and str(value) != "", where, "a path", value)
    return Path(value)


class FromMapping:
    """Builds a config from plain data (JSON, TOML); unknown and missing keys are errors."""

    __slots__ = ()

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Raises ConfigError for what is no mapping, for unknown, missing and wrong keys."""
        return cls._from_keys(values)

    @classmethod
    def _from_keys(cls, values: Mapping[str, Any]) -> Self:
        check(isinstance(values, Mapping), cls.__name__, "a mapping", values)
        known = {f.name for f in fields(cls)}  # type: ignore[arg-type]  # subclasses are dataclasses
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"{cls.__name__}: expected keys among {sorted(known)}, got unknown {unknown}"
            )
        missing = sorted(
            f.name
            for f in fields(cls)  # type: ignore[arg-type]
            if f.name not in values and f.default is MISSING and f.default_factory is MISSING
        )
        if missing:
            raise ConfigError(f"{cls.__name__}: expected the keys {missing}, got {sorted(values)}")
        return cls(**values)
