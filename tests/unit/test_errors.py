# SPDX-License-Identifier: Apache-2.0
"""One family of errors: what C++ throws is what Python catches."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from poseact_engine import _core, errors

ROOT = Path(__file__).resolve().parents[2]
CPP_CLASSES = re.findall(
    r"^class (\w+) :", (ROOT / "csrc/core/error.h").read_text(encoding="utf-8"), re.MULTILINE
)


def test_every_class_of_the_core_has_a_namesake_and_a_translation() -> None:
    translator = (ROOT / "csrc/bindings/register_error.cpp").read_text(encoding="utf-8")
    assert {"Error", "ConfigError", "ShapeError", "SourceError", "DecodeError"} <= set(CPP_CLASSES)
    for name in CPP_CLASSES:
        namesake = "PoseActError" if name == "Error" else name
        assert issubclass(getattr(errors, namesake), errors.PoseActError)
        assert re.search(rf'catch \(const {name}& e\) {{\s*raise_as\("{namesake}", e\)', translator)


def test_bad_option_is_a_config_error_and_a_value_error() -> None:
    with pytest.raises(errors.ConfigError, match=r"time base of two positive numbers, got 0/1"):
        _core.Frame.from_rgb(np.zeros((1, 1, 3), np.uint8), time_base=(0, 1))
    assert issubclass(errors.ConfigError, ValueError)


def test_bad_array_is_a_shape_error_and_a_value_error() -> None:
    with pytest.raises(errors.ShapeError, match=r"Frame.from_rgb: expected .* got float32 \(2, 2"):
        _core.Frame.from_rgb(np.zeros((2, 2, 3), np.float32))  # type: ignore[arg-type]
    assert issubclass(errors.ShapeError, ValueError)


def test_missing_file_is_a_source_error_and_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(errors.SourceError, match=r"nowhere\.mp4"):
        _core.Reader(str(tmp_path / "nowhere.mp4"))
    assert issubclass(errors.SourceError, OSError)


def test_message_with_odd_bytes_stays_the_same_error() -> None:
    with pytest.raises(errors.ConfigError, match="got '�'"):
        _core.Frame.from_planes(
            [np.zeros((2, 2), np.uint8)],
            format=b"\xff",  # type: ignore[arg-type]
            matrix="bt709",
            range="full",
        )


@pytest.mark.parametrize("name", errors.PoseActError.__subclasses__())
def test_every_error_belongs_to_the_family_and_says_what_it_was_given(name: type) -> None:
    error = name("who: expected 1, got 2")
    assert isinstance(error, errors.PoseActError)
    assert str(error) == "who: expected 1, got 2"
