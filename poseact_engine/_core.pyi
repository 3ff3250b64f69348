# SPDX-License-Identifier: Apache-2.0
"""Types of the C++ extension, by hand; `python -m mypy.stubtest poseact_engine._core` checks them.

F frames, N people, M tracks (rows), E ended tracks, K joints, W windows, T poses per window.
Arrays that come in must be C-contiguous and of the dtype named; anything else is a ShapeError.
Arrays that go out own their memory.
"""

from collections.abc import Sequence
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

# ---------------------------------------------------------------- build
def build_info() -> dict[str, Any]: ...

# ---------------------------------------------------------------- frames
_PixelFormat = Literal["nv12", "i420", "i422", "i444", "grey"]
_ColorMatrix = Literal["bt601", "bt709", "bt2020", "smpte240m", "fcc", "identity"]
_ColorRange = Literal["limited", "full"]
_ChromaSiting = Literal["left", "center", "topleft", "top", "bottomleft", "bottom"]
_Orientation = Literal[
    "normal",
    "mirror_x",
    "rotate_180",
    "mirror_y",
    "transpose",
    "rotate_90",
    "transverse",
    "rotate_270",
]

@final
class Frame:
    @staticmethod
    def from_planes(
        planes: list[NDArray[np.uint8]],
        *,
        format: _PixelFormat,
        matrix: _ColorMatrix,
        range: _ColorRange,
        siting: _ChromaSiting = "left",
        orientation: _Orientation = "normal",
        pts: int = 0,
        time_base: tuple[int, int] = (1, 1),
        stream: int = 0,
        index: int = 0,
    ) -> Frame: ...
    @staticmethod
    def from_rgb(
        rgb: NDArray[np.uint8],
        *,
        pts: int = 0,
        time_base: tuple[int, int] = (1, 1),
        stream: int = 0,
        index: int = 0,
    ) -> Frame: ...
    @property
    def planes(self) -> list[NDArray[np.uint8]]: ...
    @property
    def format(self) -> _PixelFormat: ...
    @property
    def matrix(self) -> _ColorMatrix: ...
    @property
    def range(self) -> _ColorRange: ...
    @property
    def siting(self) -> _ChromaSiting: ...
    @property
    def orientation(self) -> _Orientation: ...
    @property
    def device(self) -> Literal["cpu", "cuda"]: ...
    @property
    def stored_size(self) -> tuple[int, int]: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def pts(self) -> int: ...
    @property
    def time_base(self) -> tuple[int, int]: ...
    @property
    def stream(self) -> int: ...
    @property
    def index(self) -> int: ...

@final
class FrameBatch:
    def __init__(self, frames: list[Frame]) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Frame: ...
    @property
    def stream(self) -> NDArray[np.int32]: ...
    @property
    def index(self) -> NDArray[np.int64]: ...
    @property
    def pts(self) -> NDArray[np.int64]: ...
    @property
    def time_base(self) -> NDArray[np.int32]: ...
    @property
    def pts_s(self) -> NDArray[np.float64]: ...
    @property
    def size(self) -> NDArray[np.int32]: ...
    def select(self, rows: NDArray[np.int32]) -> FrameBatch: ...

# ---------------------------------------------------------------- decode
# A Reader's `counts` (also Mux.counts), all int: packets, frames (decoded), delivered, skipped (by
# `every`), dropped (live), corrupt_packets (damaged and skipped), damaged_frames (faults covered up
# by the decoder), missing_pts, repeated_pts, backward_pts, clock_resets, resolution_changes,
# truncated (1: the file ended before its container said so).
# `info`, empty before a live stream is open: codec, container, pixel_format: str; size and
# stored_size: (width, height); orientation: Orientation; time_base: (num, den); fps: (num, den) or
# None; duration_s: float or None; frames: int or None (an estimate); live: bool.
@final
class Reader:
    def __init__(
        self,
        uri: str,
        *,
        queue_frames: int = 8,
        live: bool = False,
        every: int = 1,
        max_frames: int | None = None,
        threads: int = 1,
        open_timeout_s: float = 10.0,
        read_timeout_s: float = 10.0,
    ) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def next(self, timeout_s: float | None = None) -> Frame | None: ...
    @property
    def uri(self) -> str: ...
    @property
    def ended(self) -> bool: ...
    @property
    def error(self) -> str | None: ...
    @property
    def info(self) -> dict[str, Any]: ...
    @property
    def counts(self) -> dict[str, int]: ...
    @property
    def cpu_s(self) -> float: ...

@final
class Mux:
    def __init__(self) -> None: ...
    def add_reader(self, reader: Reader) -> int: ...
    def add_stream(self, *, queue_frames: int = 8, live: bool = False) -> int: ...
    def push(self, stream: int, frame: Frame, *, timeout_s: float | None = None) -> bool: ...
    def end_stream(self, stream: int) -> None: ...
    def next_batch(self, max_frames: int, timeout_s: float) -> FrameBatch | None: ...
    def ended_streams(self) -> list[int]: ...
    def counts(self, stream: int) -> dict[str, int]: ...
    def close(self) -> None: ...

# ---------------------------------------------------------------- crop
CropPath = Literal["scalar", "avx2", "avx512"]

# windows float64 [M, 4]: ax, bx, ay, by; displayed source pixel = a * crop pixel + b, in pixel
# indices; negative a mirrors. frame int32 [M]: index into frames. Gives uint8 RGB [M, 3, height,
# width], `out` itself when that is given.
def crop(
    frames: FrameBatch,
    frame: NDArray[np.int32],
    windows: NDArray[np.float64],
    *,
    height: int,
    width: int,
    border: tuple[int, int, int],
    out: NDArray[np.uint8] | None = None,
    path: CropPath | None = None,
) -> NDArray[np.uint8]: ...
def crop_paths() -> list[CropPath]: ...

# ---------------------------------------------------------------- detect
def nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    min_score: float,
    iou: float | None,
    max_boxes: int = 300,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]: ...

# keypoints float32 [M, K, 3] x, y, score; scores float32 [M]: of two poses of one person the higher
# stays; areas float32 [M], px^2; boxes float32 [M, 4], x0 y0 x1 y1; frame int32 [M], in any order.
# Gives bool [M]: stays. The measures: csrc/detect/pose_nms.h. NaN and infinity are a ConfigError.
def oks_nms(
    keypoints: NDArray[np.float32],
    scores: NDArray[np.float32],
    areas: NDArray[np.float32],
    frame: NDArray[np.int32],
    oks: float = 0.9,
    *,
    sigmas: Sequence[float] | None = None,
) -> NDArray[np.bool_]: ...
def parametric_nms(
    keypoints: NDArray[np.float32],
    scores: NDArray[np.float32],
    boxes: NDArray[np.float32],
    frame: NDArray[np.int32],
    *,
    sigma1: float = 1.0,
    sigma2: float = 2.65,
    lambda_: float = 1.7,
    eta: float = 22.48,
) -> NDArray[np.bool_]: ...

# ---------------------------------------------------------------- track
def assign(costs: NDArray[np.float64]) -> NDArray[np.int32]: ...

@final
class Tracker:
    def __init__(
        self,
        *,
        high_score: float,
        low_score: float,
        new_score: float,
        match_iou: float,
        low_match_iou: float,
        new_match_iou: float,
        confirm_s: float,
        coast_s: float,
        lost_s: float,
    ) -> None: ...
    def update(
        self,
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
        frame: NDArray[np.int32],
        *,
        stream: NDArray[np.int32],
        pts: NDArray[np.int64],
        time_base: NDArray[np.int32],
        detected: NDArray[np.bool_],
    ) -> tuple[
        NDArray[np.float32],
        NDArray[np.float32],
        NDArray[np.int64],
        NDArray[np.int32],
        NDArray[np.bool_],
        NDArray[np.int32],
        NDArray[np.int64],
    ]: ...
    def end_stream(self, stream: int) -> NDArray[np.int64]: ...
    def __len__(self) -> int: ...

# ---------------------------------------------------------------- window
# `counts`, all int, only grow: poses (observations taken), windows, tracks (begun); repeated,
# backward, missing (observations dropped for their pts); restarts (tracks that began a new window
# after a gap, a jump of the clock or a new time base). The rules: csrc/window/windows.h.
@final
class Windows:
    def __init__(
        self,
        *,
        length: int,
        rate: tuple[int, int],
        joints: int,
        stride: int,
        max_gap_s: float,
    ) -> None: ...
    def push(
        self,
        keypoints: NDArray[np.float32],
        track: NDArray[np.int64],
        *,
        stream: NDArray[np.int32],
        pts: NDArray[np.int64],
        time_base: NDArray[np.int32],
    ) -> tuple[
        NDArray[np.float32],
        NDArray[np.int32],
        NDArray[np.float64],
    ]: ...
    def forget(self, stream: NDArray[np.int32], track: NDArray[np.int64]) -> None: ...
    def forget_stream(self, stream: int) -> None: ...
    def __len__(self) -> int: ...
    @property
    def counts(self) -> dict[str, int]: ...
