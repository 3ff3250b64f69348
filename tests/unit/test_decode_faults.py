# SPDX-License-Identifier: Apache-2.0
"""Damaged, cut, spliced and mislabelled streams: read to their end, and counted."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from poseact_engine._core import Frame, Reader
from poseact_engine.errors import SourceError
from tests import media

pytestmark = pytest.mark.needs_ffmpeg_cli

TS_PACKET = 188


def read_all(path: Path) -> tuple[list[Frame], Reader]:
    reader = Reader(str(path))
    reader.start()
    frames = []
    while (frame := reader.next()) is not None:
        frames.append(frame)
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
    return frames, reader


def frames_by_ffmpeg(path: Path) -> int:
    sums = media.ffmpeg(
        "-v", "fatal", "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough",
        "-f", "framecrc", "-",
    )  # fmt: skip
    return sum(not line.startswith(b"#") for line in sums.splitlines())


def test_bytes_zeroed_in_the_middle(tmp_path: Path) -> None:
    clip = media.write_pattern(
        tmp_path / "clip.mp4", frames=48, size=(160, 120), options=["-g", "12"]
    )
    content = bytearray(clip.read_bytes())
    third = len(content) // 3
    content[third : third + len(content) // 10] = bytes(len(content) // 10)
    clip.write_bytes(bytes(content))
    frames, reader = read_all(clip)
    counts = reader.counts
    assert counts["packets"] == 48
    assert counts["corrupt_packets"] > 0
    assert len(frames) == frames_by_ffmpeg(clip) < 48
    assert reader.error is None
    whole = media.write_pattern(
        tmp_path / "whole.mp4", frames=48, size=(160, 120), options=["-g", "12"]
    )
    sound, _ = read_all(whole)
    last, expected = frames[-1], sound[-1]  # after the next key frame all is well again
    assert last.pts == expected.pts
    assert last.planes[0].tobytes() == expected.planes[0].tobytes()


def test_lost_transport_packets_are_counted_and_covered_up(tmp_path: Path) -> None:
    clip = media.write_pattern(tmp_path / "clip.ts", frames=48, size=(320, 240))
    content = clip.read_bytes()
    packets = [content[i : i + TS_PACKET] for i in range(0, len(content), TS_PACKET)]
    rng = random.Random(2)
    kept = [p for i, p in enumerate(packets) if i < 10 or rng.random() > 0.03]
    clip.write_bytes(b"".join(kept))
    frames, reader = read_all(clip)
    assert len(frames) == frames_by_ffmpeg(clip)
    assert reader.counts["corrupt_packets"] > 0
    assert reader.counts["damaged_frames"] > 0


CUTS = {
    "mp4": (["-movflags", "+faststart"], "libx264"),
    "frag.mp4": (["-movflags", "frag_keyframe+empty_moov"], "libx264"),
    "mkv": ([], "libx264"),
    "avi": ([], "mpeg4"),
    "ts": ([], "libx264"),
}


@pytest.mark.parametrize("ending", CUTS)
def test_a_file_that_is_cut_off_ends_with_a_count(tmp_path: Path, ending: str) -> None:
    options, codec = CUTS[ending]
    clip = media.write_pattern(
        tmp_path / f"clip.{ending}", frames=40, size=(160, 120), codec=codec,
        options=["-g", "10", *options],
    )  # fmt: skip
    _, whole = read_all(clip)
    assert whole.counts["truncated"] == 0
    content = clip.read_bytes()
    size = len(content) * 6 // 10
    clip.write_bytes(content[: size + (size % TS_PACKET == 0)])
    frames, reader = read_all(clip)
    assert 10 < len(frames) == frames_by_ffmpeg(clip) < 40
    assert reader.counts["truncated"] == 1
    assert reader.error is None


def test_an_mp4_without_its_index_is_a_source_error(tmp_path: Path) -> None:
    clip = media.write_pattern(tmp_path / "clip.mp4", frames=10)
    clip.write_bytes(clip.read_bytes()[:2000])
    with pytest.raises(SourceError, match="check that the file is complete"):
        Reader(str(clip))


def test_resolution_changes_in_the_middle(tmp_path: Path) -> None:
    parts = [
        media.write_pattern(tmp_path / f"{width}.ts", frames=8, size=(width, height))
        for width, height in ((96, 64), (160, 90), (96, 64))
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, reader = read_all(joined)
    assert [f.stored_size for f in frames] == [(96, 64)] * 8 + [(160, 90)] * 8 + [(96, 64)] * 8
    assert reader.counts["resolution_changes"] == 2
    # Each part begins at the same time: the clock goes on from where it was.
    assert reader.counts["backward_pts"] + reader.counts["clock_resets"] >= 2
    seconds = (frames[-1].pts - frames[0].pts) / 90000
    assert seconds == pytest.approx(23 / 25, abs=4 / 25)
    for got, part, index in ((frames[15], parts[1], 7), (frames[16], parts[2], 0)):
        expected = read_all(part)[0][index]
        assert got.planes[0].tobytes() == expected.planes[0].tobytes()


def test_missing_times_follow_the_frame_rate(tmp_path: Path) -> None:
    clip = media.write_clip(tmp_path / "clip.h264", frames=12, rate="25")
    frames, reader = read_all(clip)
    assert reader.counts["missing_pts"] == 12
    num, den = frames[0].time_base
    assert [f.pts * num / den for f in frames] == pytest.approx([k / 25 for k in range(12)])


def test_times_that_wrap_rise_on(tmp_path: Path) -> None:
    """33 bits of 90 kHz wrap after 26.5 hours; the clip begins 2 s before that."""
    clip = media.write_pattern(
        tmp_path / "clip.ts", frames=100, options=["-output_ts_offset", "95441.7"]
    )
    frames, _ = read_all(clip)
    steps = {b.pts - a.pts for a, b in itertools.pairwise(frames)}
    assert steps == {3600}


def test_attached_pictures_are_not_taken(tmp_path: Path) -> None:
    clip = media.write_clip(tmp_path / "clip.mp4", frames=6, size=(64, 48))
    cover = media.write_pattern(
        tmp_path / "cover.png", frames=1, size=(640, 480), codec="png", pix_fmt="rgb24"
    )
    both = tmp_path / "both.mp4"
    media.ffmpeg(
        "-i", cover, "-i", clip, "-map", "0", "-map", "1", "-c", "copy",
        "-disposition:v:0", "attached_pic", both,
    )  # fmt: skip
    frames, reader = read_all(both)
    assert [f.stored_size for f in frames] == [(64, 48)] * 6
    assert reader.info["codec"] == "h264"
    only = tmp_path / "song.m4a"
    tone = ["-f", "lavfi", "-i", "sine=duration=0.2"]
    media.ffmpeg(
        *tone, "-i", cover, "-map", "0", "-map", "1", "-c:v", "copy",
        "-disposition:v:0", "attached_pic", only,
    )  # fmt: skip
    with pytest.raises(SourceError, match="expected a video stream"):
        Reader(str(only))


def test_the_larger_of_two_videos_is_taken(tmp_path: Path) -> None:
    small = media.write_clip(tmp_path / "small.mp4", frames=3, size=(64, 48))
    large = media.write_clip(tmp_path / "large.mp4", frames=3, size=(128, 96))
    both = tmp_path / "both.mkv"
    media.ffmpeg(
        "-i", small, "-i", large, "-map", "0", "-map", "1", "-c", "copy",
        "-disposition:v", "0", both,
    )  # fmt: skip
    assert Reader(str(both)).info["size"] == (128, 96)


def test_sound_alone_is_a_source_error(tmp_path: Path) -> None:
    tone = tmp_path / "tone.wav"
    media.ffmpeg("-f", "lavfi", "-i", "sine=duration=0.1", tone)
    with pytest.raises(SourceError, match=r"expected a video stream, got none among 1"):
        Reader(str(tone))


def test_a_stream_without_one_sound_picture_says_so(tmp_path: Path) -> None:
    clip = media.write_pattern(tmp_path / "clip.mkv", frames=5, codec="png", pix_fmt="rgb24")
    content = clip.read_bytes()
    clip.write_bytes(content.replace(b"\x89PNG\r\n\x1a\n", b"\0PNG\r\n\x1a\n"))
    frames, reader = read_all(clip)
    assert frames == []
    assert reader.counts["corrupt_packets"] > 0
    assert reader.error is not None
    assert "expected pictures" in reader.error
