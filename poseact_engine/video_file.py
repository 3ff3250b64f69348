# SPDX-License-Identifier: Apache-2.0
"""Writes pictures as an H.264 MP4 that opens in a browser. Needs PyAV and OpenCV: ``[video]``."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import DependencyError, SinkError

TIME_BASE = Fraction(1, 90000)  # holds every usual frame rate and MPEG-TS ticks exactly

Picture = NDArray[np.uint8]
"""uint8 ``[H, W, 3]``."""


def require_packages(who: str) -> None:
    """Raises DependencyError unless PyAV and OpenCV are there."""
    try:
        import av  # noqa: F401
        import cv2  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            f"{who}: needs the package {error.name!r}; "
            "install it with: pip install 'poseact-engine[video]'"
        ) from error


class VideoFile:
    """One MP4: H.264, yuv420p, even size, index in front. ``close`` makes the file whole.

    Pictures keep their own times, counted from the first one. Raises SinkError.
    """

    def __init__(
        self,
        path: Path,
        *,
        rate: float | Fraction | None,
        size: tuple[int, int],
        order: Literal["rgb24", "bgr24"] = "rgb24",
    ) -> None:
        """``rate`` is what players are told; ``size`` is width, height."""
        import av

        width, height = size
        self._path = path
        self._order = order
        self._size = (width + width % 2, height + height % 2)
        self._last_pts = -1
        self._first_pts: int | None = None
        try:
            self._container = av.open(str(path), "w", options={"movflags": "+faststart"})
            self._stream = self._container.add_stream(
                "libx264",
                rate=Fraction(rate or 30).limit_denominator(1001),
                options={"preset": "superfast", "crf": "23"},
            )
        except (OSError, ValueError) as error:
            raise SinkError(f"{path}: the video cannot be written: {error}") from error
        context = self._stream.codec_context
        context.width, context.height = self._size
        context.pix_fmt = "yuv420p"
        context.time_base = TIME_BASE
        self._matrix = _tag_colours(context, height)

    def write(self, picture: Picture, time_s: Fraction) -> None:
        """The next picture, of ``order``'s colours; another size is scaled."""
        from av import VideoFrame

        coded = VideoFrame.from_ndarray(self._fit(picture), format=self._order).reformat(
            format="yuv420p", dst_colorspace=self._matrix, dst_color_range="MPEG"
        )
        coded.pts, coded.time_base = self._pts(time_s), TIME_BASE
        self._mux(coded)

    def _fit(self, picture: Picture) -> Picture:
        """The file's size: an odd edge is repeated once, another resolution is scaled."""
        import cv2

        height, width = picture.shape[:2]
        if (width + width % 2, height + height % 2) != self._size:
            return np.asarray(cv2.resize(picture, self._size), np.uint8)
        if (width, height) == self._size:
            return picture
        return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")

    def _pts(self, time_s: Fraction) -> int:
        ticks = round(time_s / TIME_BASE)
        if self._first_pts is None:
            self._first_pts = ticks
        self._last_pts = max(ticks - self._first_pts, self._last_pts + 1)
        return self._last_pts

    def _mux(self, frame: Any) -> None:
        import av

        try:
            self._container.mux(self._stream.encode(frame))
        except av.FFmpegError as error:
            raise self._cannot(error) from error

    def _cannot(self, error: Exception) -> SinkError:
        return SinkError(f"{self._path}: the video cannot be written: {error}")

    def close(self) -> None:
        import av

        if self._container is None:
            return
        try:
            try:
                self._mux(None)
            finally:
                self._container.close()  # writes the index, for which there may be no room
        except av.FFmpegError as error:
            raise self._cannot(error) from error
        finally:
            self._container = None  # type: ignore[assignment]  # closed for good


def _tag_colours(context: Any, height: int) -> str:
    """Says in the file which matrix its colours have; players guess by the size otherwise."""
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    high = height >= 720
    context.colorspace = Colorspace.ITU709 if high else Colorspace.ITU601
    context.color_primaries = ColorPrimaries.BT709 if high else ColorPrimaries.SMPTE170M
    context.color_trc = ColorTrc.BT709 if high else ColorTrc.SMPTE170M
    context.color_range = ColorRange.MPEG
    return "ITU709" if high else "ITU601"
