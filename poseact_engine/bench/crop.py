# SPDX-License-Identifier: Apache-2.0
"""``poseact-bench crop`` and ``letterbox``: against two ways OpenCV users take, one thread each.

``whole frame``: cvtColor of the frame, warpAffine (crops) or resize (letterbox), transpose.
``region``: cvtColor of the window's region alone, warpAffine, split into planes.
Ours is one call of ``crop`` from Python. Frames are rotated through more memory than a cache holds,
and variants read frames far apart, so that every one comes from memory. Times are CPU time of the
thread: nobody uses a second one, and what other processes take would count against the longer side.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from numpy.typing import NDArray

from poseact_engine import geometry
from poseact_engine._core import Frame, FrameBatch, crop, crop_paths
from poseact_engine.bench.harness import (
    JsonOption,
    Report,
    Row,
    Work,
    describe_machine,
    need,
    rows_of,
    time_interleaved,
)
from poseact_engine.errors import ConfigError

if TYPE_CHECKING:
    from poseact_engine._core import CropPath  # a name of the stub alone

Layout = Literal["nv12", "i420"]
Bytes = NDArray[np.uint8]
Way = Callable[[Bytes, NDArray[np.float64], Bytes], None]
"""Picture, windows ``[M, 4]``, output ``[M, 3, H, W]``."""
LAYOUTS: tuple[Layout, ...] = ("nv12", "i420")

WIDTH, HEIGHT = 1920, 1080
FRAMES = 48  # x 3.1 MB = 149 MB, beyond any last-level cache slice a core sees
CROP_HEIGHT, CROP_WIDTH = 256, 192
HEIGHTS_PX = (200.0, 667.0)
BORDER = (114, 114, 114)
LEFT_OUT = "decode"


def _make_pictures() -> list[Bytes]:
    """Y over U and V bytes, ``[1.5 H, W]``; noise, as no variant branches on it."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (HEIGHT * 3 // 2, WIDTH), dtype=np.uint8) for _ in range(FRAMES)]


def _chroma(picture: Bytes, layout: Layout) -> list[Bytes]:
    flat = picture[HEIGHT:]
    if layout == "nv12":
        return [flat]
    u, v = flat.reshape(2, HEIGHT // 2, WIDTH // 2)
    return [u, v]


def _batches(pictures: list[Bytes], layout: Layout) -> list[FrameBatch]:
    options: dict[str, Any] = {"format": layout, "matrix": "bt601", "range": "limited"}
    planes = [[p[:HEIGHT], *_chroma(p, layout)] for p in pictures]
    return [FrameBatch([Frame.from_planes(p, **options)]) for p in planes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenCv:
    """OpenCV's two ways on one layout. ``cv2`` is single-threaded."""

    cv2: ModuleType
    layout: Layout

    def to_rgb(self, picture: Bytes) -> Bytes:
        code = {"nv12": self.cv2.COLOR_YUV2RGB_NV12, "i420": self.cv2.COLOR_YUV2RGB_I420}
        rgb: Bytes = self.cv2.cvtColor(picture, code[self.layout])
        return rgb

    def region_to_rgb(self, picture: Bytes, x0: int, y0: int, x1: int, y1: int) -> Bytes:
        """Even corners."""
        chroma = _chroma(picture, self.layout)
        luma = picture[y0:y1, x0:x1]
        if self.layout == "nv12":
            uv = chroma[0].reshape(HEIGHT // 2, WIDTH // 2, 2)[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
            rgb: Bytes = self.cv2.cvtColorTwoPlane(luma, uv, self.cv2.COLOR_YUV2RGB_NV12)
            return rgb
        # OpenCV has no call for three planes, so the region's are brought together first.
        h, w = y1 - y0, x1 - x0
        whole = np.empty((h * 3 // 2, w), np.uint8)
        whole[:h] = luma
        halves = whole[h:].reshape(2, h // 2, w // 2)
        for half, plane in zip(halves, chroma, strict=True):
            half[:] = plane[y0 // 2 : y1 // 2, x0 // 2 : x1 // 2]
        return self.to_rgb(whole)

    def warp(self, rgb: Bytes, window: NDArray[np.float64], size: tuple[int, int]) -> Bytes:
        ax, bx, ay, by = window
        flags = self.cv2.INTER_LINEAR | self.cv2.WARP_INVERSE_MAP
        matrix = np.array([[ax, 0, bx], [0, ay, by]])
        warped: Bytes = self.cv2.warpAffine(
            rgb, matrix, size, flags=flags, borderMode=self.cv2.BORDER_CONSTANT, borderValue=BORDER
        )
        return warped

    def crop_whole(self, picture: Bytes, windows: NDArray[np.float64], out: Bytes) -> None:
        rgb = self.to_rgb(picture)
        for row, window in zip(out, windows, strict=True):
            row[:] = self.warp(rgb, window, (CROP_WIDTH, CROP_HEIGHT)).transpose(2, 0, 1)

    def crop_region(self, picture: Bytes, windows: NDArray[np.float64], out: Bytes) -> None:
        for row, (ax, bx, ay, by) in zip(out, windows, strict=True):
            x0, y0 = int(bx) & ~1, int(by) & ~1
            x1 = min(WIDTH, (int(bx + ax * CROP_WIDTH) + 3) & ~1)
            y1 = min(HEIGHT, (int(by + ay * CROP_HEIGHT) + 3) & ~1)
            rgb = self.region_to_rgb(picture, x0, y0, x1, y1)
            inner = np.array([ax, bx - x0, ay, by - y0])
            self.cv2.split(self.warp(rgb, inner, (CROP_WIDTH, CROP_HEIGHT)), list(row))

    def letterbox_whole(self, picture: Bytes, windows: NDArray[np.float64], out: Bytes) -> None:
        side = out.shape[-1]
        rows = round(HEIGHT / windows[0, 2])
        rgb = self.cv2.resize(
            self.to_rgb(picture), (side, rows), interpolation=self.cv2.INTER_LINEAR
        )
        out[0, :, :rows] = rgb.transpose(2, 0, 1)
        out[0, :, rows:] = BORDER[0]

    def letterbox_region(self, picture: Bytes, windows: NDArray[np.float64], out: Bytes) -> None:
        rgb = self.region_to_rgb(picture, 0, 0, WIDTH, HEIGHT)
        self.cv2.split(self.warp(rgb, windows[0], (out.shape[-1],) * 2), list(out[0]))


def _pose_windows(count: int) -> list[NDArray[np.float64]]:
    """Per frame: ``count`` people of 3:4, spread over 200 to 667 px of height, anywhere in it."""
    rng = np.random.default_rng(1)
    heights = np.linspace(*HEIGHTS_PX, count) if count > 1 else np.array([sum(HEIGHTS_PX) / 2])
    size = np.stack([heights * CROP_WIDTH / CROP_HEIGHT, heights], axis=1)
    found = []
    for _ in range(FRAMES):
        corner = rng.uniform(0, 1, (count, 2)) * (np.array([WIDTH, HEIGHT]) - size)
        boxes = np.concatenate([corner, corner + size], axis=1)
        windows = geometry.pose_crops(
            boxes, height=CROP_HEIGHT, width=CROP_WIDTH, expansion=1.0, geometry="default"
        )
        found.append(windows)
    return found


def _letterbox_windows(side: int) -> list[NDArray[np.float64]]:
    sizes = np.array([[WIDTH, HEIGHT]])
    return [geometry.letterbox(sizes, height=side, width=side, placement="top_left")] * FRAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    name: str
    layout: Layout
    windows: list[NDArray[np.float64]]
    height: int
    width: int
    whole: Way
    region: Way


def _variants(case: _Case, pictures: list[Bytes], path: CropPath) -> dict[str, Work]:
    batches = _batches(pictures, case.layout)
    count = len(case.windows[0])
    rows = np.zeros(count, np.int32)
    outs = [np.zeros((count, 3, case.height, case.width), np.uint8) for _ in range(3)]

    def ours(i: int) -> object:
        options: dict[str, Any] = {"height": case.height, "width": case.width, "border": BORDER}
        windows = case.windows[i % FRAMES]
        return crop(batches[i % FRAMES], rows, windows, out=outs[0], path=path, **options)

    def theirs(way: Way, lane: int) -> Work:
        def work(i: int) -> None:
            at = (i + lane * FRAMES // 3) % FRAMES
            way(pictures[at], case.windows[at], outs[lane])

        return work

    return {
        f"ours, {path}": ours,
        "opencv, whole frame": theirs(case.whole, 1),
        "opencv, region": theirs(case.region, 2),
    }


def _run(benchmark: str, cases: list[_Case], path: CropPath, repeats: int) -> Report:
    pictures = _make_pictures()
    rows: list[Row] = []
    worst: dict[str, float] = {}
    for case in cases:
        variants = _variants(case, pictures, path)
        timings = time_interleaved(variants, repeats=repeats, clock=time.thread_time)
        found = rows_of(case.name, timings, ours=f"ours, {path}", left_out=LEFT_OUT)
        worst[case.name] = min(row.ratio for row in found if row.ratio is not None)
        rows += found
    return Report(
        benchmark=benchmark,
        rows=rows,
        summary={
            "ratio": min(worst.values()),
            "path": path,
            "threads": 1,
            "clock": "CPU time of the calling thread",
            "worst_ratios": worst,
        },
        machine=describe_machine(["numpy", "opencv-python-headless"]),
    )


def _open_cv() -> ModuleType:
    cv2 = need("cv2", "opencv-python-headless")
    cv2.setNumThreads(1)
    return cv2


def _pick_path(name: str | None) -> CropPath:
    usable = crop_paths()
    for path in usable:
        if path == name:
            return path
    if name is None:
        return usable[-1]
    raise ConfigError(f"--path: expected one of {', '.join(usable)} on this CPU, got {name!r}")


PathOption = Annotated[str | None, typer.Option("--path", help="scalar, avx2 or avx512.")]
RepeatsOption = Annotated[int, typer.Option("--repeats", min=1, help="Timed rounds of each case.")]


def command(path: PathOption = None, repeats: RepeatsOption = 150, json: JsonOption = None) -> None:
    """Pose crops: 1, 3 and 8 windows of a 1080p frame to 256 x 192."""
    cv2 = _open_cv()
    cases = []
    for layout in LAYOUTS:
        way = _OpenCv(cv2=cv2, layout=layout)
        for count in (1, 3, 8):
            case = _Case(
                name=f"{layout} {count} windows",
                layout=layout,
                windows=_pose_windows(count),
                height=CROP_HEIGHT,
                width=CROP_WIDTH,
                whole=way.crop_whole,
                region=way.crop_region,
            )
            cases.append(case)
    _run("crop", cases, _pick_path(path), repeats).show(json)


def letterbox_command(
    path: PathOption = None, repeats: RepeatsOption = 150, json: JsonOption = None
) -> None:
    """The detector's input: a 1080p frame to 416 x 416 and 640 x 640."""
    cv2 = _open_cv()
    cases = []
    for layout in LAYOUTS:
        way = _OpenCv(cv2=cv2, layout=layout)
        for side in (416, 640):
            case = _Case(
                name=f"{layout} to {side}",
                layout=layout,
                windows=_letterbox_windows(side),
                height=side,
                width=side,
                whole=way.letterbox_whole,
                region=way.letterbox_region,
            )
            cases.append(case)
    _run("letterbox", cases, _pick_path(path), repeats).show(json)
