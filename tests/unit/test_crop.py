# SPDX-License-Identifier: Apache-2.0
"""What crop accepts, refuses and returns; its pixels are tested in tests/parity."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine._core import Frame, FrameBatch, crop, crop_paths
from poseact_engine.errors import ConfigError, ShapeError

WINDOW = np.array([[1.0, 0.0, 1.0, 0.0]])
ZERO = np.zeros(1, np.int32)


def _frame(level: int = 90) -> Frame:
    return Frame.from_rgb(np.full((40, 60, 3), level, np.uint8))


def _crop(
    batch: FrameBatch, frame: Any = ZERO, windows: Any = WINDOW, **options: Any
) -> NDArray[Any]:
    settings = {"height": 32, "width": 48, "border": (1, 2, 3), **options}
    return crop(batch, frame, windows, **settings)


def test_rows_read_the_frame_they_name() -> None:
    batch = FrameBatch([_frame(10), _frame(20), _frame(30)])
    frame = np.array([2, 0, 1, 2], np.int32)
    crops = _crop(batch, frame, np.repeat(WINDOW, 4, axis=0))
    assert crops.shape == (4, 3, 32, 48)
    assert crops.dtype == np.uint8
    assert crops[:, 0, 0, 0].tolist() == [30, 10, 20, 30]


def test_outside_is_the_border_with_a_hard_edge() -> None:
    window = np.array([[1.0, -4.6, 1.0, -0.4]])
    crops = _crop(FrameBatch([_frame()]), windows=window, width=70, height=44)
    inside = (crops[0] == 90).all(axis=0)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    # x - 4.6 >= -0.5 from x = 5 to 64 (59.4 <= 59.5); y - 0.4 from 0 to 39.
    assert (columns[0], columns[-1], rows[0], rows[-1]) == (5, 64, 0, 39)
    assert (crops[0][:, ~inside] == np.array([[1], [2], [3]])).all()


def test_no_windows_are_no_crops() -> None:
    crops = _crop(FrameBatch([]), np.zeros(0, np.int32), np.zeros((0, 4)))
    assert crops.shape == (0, 3, 32, 48)


def test_out_is_filled_and_returned() -> None:
    out = np.zeros((1, 3, 32, 48), np.uint8)
    assert _crop(FrameBatch([_frame()]), out=out) is out
    assert (out == 90).all()


def test_the_scalar_path_is_always_there() -> None:
    paths = crop_paths()
    assert paths[0] == "scalar"
    assert set(paths) <= {"scalar", "avx2", "avx512"}


@pytest.mark.parametrize(
    "window",
    [
        [0.0, 0.0, 1.0, 0.0],
        [1.0, 0.0, 0.0, 0.0],
        [np.nan, 0.0, 1.0, 0.0],
        [1.0, np.inf, 1.0, 0.0],
        [1.0, 0.0, 1.0, np.nan],
        [1e9, 0.0, 1.0, 0.0],
        [1.0, 0.0, 1.0, -1e12],
    ],
)
def test_windows_that_mean_nothing_are_refused(window: list[float]) -> None:
    windows = np.array([[1.0, 0.0, 1.0, 0.0], window])
    with pytest.raises(ConfigError, match="got row 1"):
        _crop(FrameBatch([_frame()]), np.zeros(2, np.int32), windows)


@pytest.mark.parametrize("index", [-1, 1])
def test_a_frame_that_is_not_there_is_refused(index: int) -> None:
    with pytest.raises(ConfigError, match=f"frame indices below 1, got {index}"):
        _crop(FrameBatch([_frame()]), np.array([index], np.int32))


@pytest.mark.parametrize(
    "options",
    [
        {"frame": np.zeros(1, np.int64)},
        {"frame": np.zeros((1, 1), np.int32)},
        {"windows": WINDOW.astype(np.float32)},
        {"windows": np.zeros((1, 3))},
        {"windows": np.repeat(WINDOW, 2, axis=0)},
        {"windows": np.asfortranarray(np.ones((2, 4)))},
        {"out": np.zeros((1, 3, 32, 47), np.uint8)},
        {"out": np.zeros((1, 3, 32, 48), np.int8)},
        {"out": np.zeros((1, 3, 32, 96), np.uint8)[..., ::2]},
    ],
)
def test_arrays_of_another_kind_are_refused(options: dict[str, Any]) -> None:
    if len(options.get("windows", ())) == 2 and not options["windows"].flags.c_contiguous:
        options["frame"] = np.zeros(2, np.int32)
    with pytest.raises(ShapeError, match="crop"):
        _crop(FrameBatch([_frame()]), **options)


def test_a_read_only_out_is_refused() -> None:
    out = np.zeros((1, 3, 32, 48), np.uint8)
    out.flags.writeable = False
    with pytest.raises(ShapeError, match="writable"):
        _crop(FrameBatch([_frame()]), out=out)


@pytest.mark.parametrize("size", [{"height": 0}, {"width": -1}, {"width": 1 << 20}])
def test_sizes_out_of_range_are_refused(size: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="height and width"):
        _crop(FrameBatch([_frame()]), np.zeros(0, np.int32), np.zeros((0, 4)), **size)


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="scalar, avx2, avx512"):
        _crop(FrameBatch([_frame()]), path="sse")


def test_threads_give_what_one_gives() -> None:
    rng = np.random.default_rng(3)
    batch = FrameBatch([Frame.from_rgb(rng.integers(0, 256, (90, 160, 3), dtype=np.uint8))])
    rows = np.zeros(12, np.int32)
    windows = np.stack([[0.3 + 0.1 * k, 5.0 * k - 20, 0.5, 3.0 * k - 9] for k in range(12)])
    expected = _crop(batch, rows, windows)
    results: list[NDArray[Any]] = []

    def work() -> None:
        results.extend(_crop(batch, rows, windows) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    assert all((r == expected).all() for r in results)
