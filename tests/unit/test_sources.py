# SPDX-License-Identifier: Apache-2.0
"""What users name becomes streams, or an error that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from poseact_engine.config import SourceConfig
from poseact_engine.errors import SourceError
from poseact_engine.sources import SourceSpec, expand_sources, open_source
from tests import media


def touch(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_files_keep_their_order_and_names_are_unique(tmp_path: Path) -> None:
    touch(tmp_path / "north", "gate.mp4")
    touch(tmp_path / "south", "gate.mkv", "yard.mp4")
    paths = [tmp_path / "south/gate.mkv", tmp_path / "north/gate.mp4", tmp_path / "south/yard.mp4"]
    specs = expand_sources(paths)
    assert [spec.uri for spec in specs] == [str(path) for path in paths]
    assert [spec.name for spec in specs] == ["gate", "gate-2", "yard"]
    assert not any(spec.live for spec in specs)


def test_patterns_are_sorted_and_files_named_like_patterns_are_files(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a.mp4", "c.txt", "x[1].mp4")
    found = expand_sources([tmp_path / "?.mp4"])
    assert [spec.name for spec in found] == ["a", "b"]
    assert [spec.name for spec in expand_sources([tmp_path / "x[1].mp4"])] == ["x[1]"]
    with pytest.raises(SourceError, match="found none"):
        expand_sources([tmp_path / "*.avi"])


def test_urls_are_live_and_their_passwords_stay_out_of_names() -> None:
    spec, other = expand_sources(["rtsp://user:secret@10.0.0.7:554/ch/1", "http://host/a.mp4"])
    assert spec == SourceSpec(
        uri="rtsp://user:secret@10.0.0.7:554/ch/1", name="10.0.0.7-554-ch-1", live=True
    )
    assert (other.name, other.live) == ("host-a.mp4", True)


@pytest.mark.parametrize(
    "url", ["rtsp://me:s3cret@[::1/a", "rtsp://me:s3#c@h/a", "rtsp://h:99999/a", "http://[bad]/a"]
)
def test_urls_that_cannot_be_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(SourceError, match="a host and a port up to 65535") as error:
        expand_sources([url])
    assert "s3" not in str(error.value)
    with pytest.raises(SourceError):
        expand_sources(["synthetic://[::1?seed=1"])


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    touch(tmp_path, "camera_north.mp4", "other.txt")
    with pytest.raises(SourceError, match=r"did you mean .*camera_north\.mp4"):
        expand_sources([tmp_path / "camera_nort.mp4"])
    with pytest.raises(SourceError, match=r"directory .*name its files"):
        expand_sources([tmp_path])
    with pytest.raises(SourceError, match="there is no directory"):
        expand_sources([tmp_path / "nowhere" / "a.mp4"])
    with pytest.raises(SourceError, match="at least one"):
        expand_sources([])
    touch(tmp_path, "a.mp4", "b.mp4")
    with pytest.raises(SourceError, match="use expand_sources"):
        open_source(tmp_path / "?.mp4")


@pytest.mark.needs_ffmpeg_cli
def test_an_image_is_a_stream_of_one_frame(tmp_path: Path) -> None:
    # "%03d" would be a sequence of files to FFmpeg, and "a:b" a protocol.
    for name in ("still.png", "50%03d.png", "a:b.png"):
        still = media.write_pattern(
            tmp_path / "made.png", frames=1, codec="png", pix_fmt="rgb24"
        ).rename(tmp_path / name)
        reader = open_source(still)
        reader.start()
        frame = reader.next()
        assert frame is not None
        assert frame.size == (96, 64)
        assert reader.next() is None
        assert reader.error is None


@pytest.mark.needs_ffmpeg_cli
def test_the_config_reaches_the_reader(tmp_path: Path) -> None:
    clip = media.write_clip(tmp_path / "clip.mp4", frames=12)
    config = SourceConfig(every=3, max_frames=2, decode_threads=2, queue_frames=1)
    reader = open_source(str(clip), config)
    reader.start()
    first, second = reader.next(), reader.next()
    assert first is not None
    assert second is not None
    assert [first.index, second.index] == [0, 3]
    assert reader.next() is None
    assert reader.counts["skipped"] == 2
    assert reader.counts["delivered"] == 2
