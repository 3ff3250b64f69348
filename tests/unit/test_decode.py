# SPDX-License-Identifier: Apache-2.0
"""Reader against FFmpeg's command: the same pixels, in the same order, at the same times."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from poseact_engine._core import Frame, Reader
from poseact_engine.errors import ConfigError, SourceError
from tests import media

pytestmark = pytest.mark.needs_ffmpeg_cli


def read_all(path: Path, **options: object) -> tuple[list[Frame], Reader]:
    reader = Reader(str(path), **options)  # type: ignore[arg-type]  # options are checked by Reader
    reader.start()
    frames = []
    while (frame := reader.next()) is not None:
        frames.append(frame)
    return frames, reader


def joined(frames: list[Frame]) -> bytes:
    return b"".join(plane.tobytes() for frame in frames for plane in frame.planes)


def grey_of(frame: Frame) -> float:
    return float(frame.planes[0].mean())


def test_frames_come_in_display_order_at_their_times(tmp_path: Path) -> None:
    clip = media.write_clip(tmp_path / "grey.mp4", frames=12, options=["-bf", "2"])
    frames, reader = read_all(clip)
    levels = [round(grey_of(frame) / media.GREY_STEP - 0.5) for frame in frames]
    assert levels == list(range(1, 13))
    seconds = [frame.pts * frame.time_base[0] / frame.time_base[1] for frame in frames]
    assert seconds == pytest.approx([k / 25 for k in range(12)])
    assert [frame.index for frame in frames] == list(range(12))
    assert reader.ended
    assert reader.error is None
    assert reader.info["fps"] == (25, 1)
    assert reader.info["frames"] == 12
    assert reader.info["duration_s"] == pytest.approx(12 / 25)


# MPEG-TS has no way to carry MJPEG, and FFmpeg 5.1 does not know the HEVC in its own AVI files.
CODECS = [
    (codec, ending)
    for codec in ("libx264", "libx265", "mpeg4", "mjpeg")
    for ending in ("mp4", "mkv", "avi", "ts")
    if (codec, ending) not in {("mjpeg", "ts"), ("libx265", "avi")}
]


@pytest.mark.parametrize(("codec", "ending"), CODECS)
def test_every_codec_and_container_equals_ffmpeg(tmp_path: Path, codec: str, ending: str) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    options = ["-x265-params", "log-level=none"] if codec == "libx265" else []
    clip = media.write_pattern(
        tmp_path / f"clip.{ending}", codec=codec, pix_fmt=pix_fmt, options=options
    )
    frames, reader = read_all(clip)
    assert len(frames) == 5
    assert joined(frames) == media.raw_frames(clip)
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
    counts = reader.counts
    assert (counts["packets"], counts["frames"], counts["delivered"]) == (5, 5, 5)
    assert counts["corrupt_packets"] == counts["damaged_frames"] == counts["truncated"] == 0


def test_bad_paths_are_source_errors(tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.mp4", tmp_path / "notes.txt"
    empty.write_bytes(b"")
    text.write_text("nothing to see here\n" * 50)
    for path in (empty, text, tmp_path, tmp_path / "absent.mp4", "nonsense://host/x"):
        with pytest.raises(SourceError, match=r"expected .*, got") as caught:
            Reader(str(path))
        assert str(path) in str(caught.value)


def test_a_refused_camera_is_told_without_its_password() -> None:
    reader = Reader("rtsp://user:secret@127.0.0.1:1/ch", live=True)  # port 1: nobody listens
    reader.start()
    assert reader.next(20.0) is None
    assert reader.error is not None
    assert "secret" not in reader.error
    assert "rtsp://127.0.0.1:1/ch" in reader.error
    assert "check the address" in reader.error


def test_options_are_checked(tmp_path: Path) -> None:
    clip = media.write_clip(tmp_path / "grey.mp4", frames=2)
    for option in ({"queue_frames": 0}, {"every": 0}, {"max_frames": 0}, {"threads": 0}):
        with pytest.raises(ConfigError, match=next(iter(option))):
            Reader(str(clip), **option)  # type: ignore[arg-type]  # the point of the test
