# SPDX-License-Identifier: Apache-2.0
"""The annotated video, read back with PyAV: times, size, colours, what is drawn."""

from __future__ import annotations

import builtins
import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from poseact_engine.errors import DependencyError, SinkError
from poseact_engine.sinks.drawing import ALARM, LEFT, RIGHT, Painter
from poseact_engine.sinks.video import VideoSink, frame_rgb, video_paths
from poseact_engine.types import COCO_JOINTS
from tests.unit.made_steps import grey_frame, make_event, make_run, make_step


def decode(path: Path) -> tuple[list[float], list[np.ndarray[Any, Any]], Any]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return (
            [float(f.time) for f in frames],
            [f.to_ndarray(format="rgb24") for f in frames],
            stream,
        )


def test_frames_keep_their_own_times(tmp_path: Path) -> None:
    ticks = [500, 1501, 2502, 8000, 8500, 20000]  # 29.97 Hz, then anything; does not begin at 0
    with VideoSink(tmp_path / "v.mp4") as sink:
        sink.open(make_run("a", rate=29.97))
        for i, pts in enumerate(ticks):
            sink.write(make_step([grey_frame(i, pts=pts, time_base=(1, 30000))]))
    times, _, stream = decode(tmp_path / "v.mp4")
    assert np.allclose(times, (np.array(ticks) - 500) / 30000, atol=1 / 90000)
    assert stream.codec_context.pix_fmt == "yuv420p"
    assert stream.codec_context.name == "h264"


def test_the_index_stands_in_front_for_browsers(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "v.mp4") as sink:
        sink.open(make_run("a"))
        sink.write(make_step([grey_frame(0)]))
    data = (tmp_path / "v.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


def test_odd_sizes_become_even_and_a_new_resolution_is_scaled(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "v.mp4") as sink:
        sink.open(make_run("a"))
        sink.write(make_step([grey_frame(0, size=(97, 63))]))
        sink.write(make_step([grey_frame(1, size=(48, 32), level=200)]))
    _, pictures, _ = decode(tmp_path / "v.mp4")
    assert [p.shape for p in pictures] == [(64, 98, 3)] * 2
    assert abs(float(pictures[0].mean()) - 90) < 3
    assert abs(float(pictures[1].mean()) - 200) < 3


@pytest.mark.parametrize("height", [480, 720])
def test_colours_come_back_whichever_matrix_the_size_asks_for(tmp_path: Path, height: int) -> None:
    picture = np.zeros((height, 640, 3), np.uint8)
    picture[:] = (200, 60, 30)
    from poseact_engine._core import Frame

    with VideoSink(tmp_path / "v.mp4") as sink:
        sink.open(make_run("a"))
        sink.write(make_step([Frame.from_rgb(picture)]))
    with av.open(str(tmp_path / "v.mp4")) as container:
        frame = next(container.decode(video=0))
        assert frame.colorspace == (1 if height == 720 else 5)  # BT.709, BT.601 as in H.273
        matrix = "ITU709" if height == 720 else "ITU601"
        rgb = frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()
    assert np.abs(rgb.reshape(-1, 3).mean(axis=0) - (200, 60, 30)).max() < 4


def test_several_streams_get_a_file_each_and_an_empty_one_none(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "v.mp4") as sink:
        sink.open(make_run("left cam", "right", "silent"))
        sink.write(make_step([grey_frame(0), grey_frame(0, stream=1), grey_frame(1, stream=1)]))
        made = sink.files
    assert sorted(p.name for p in tmp_path.iterdir()) == ["v-left_cam.mp4", "v-right.mp4"]
    assert made == [tmp_path / "v-left_cam.mp4", tmp_path / "v-right.mp4"]
    assert [len(decode(path)[0]) for path in made] == [1, 2]


def test_names_that_become_alike_stay_apart() -> None:
    paths = video_paths(Path("v.mp4"), ["a b", "a_b", "c"])
    assert len(set(paths)) == 3


def test_files_in_the_way_are_refused_before_any_is_written(tmp_path: Path) -> None:
    (tmp_path / "v-b.mp4").write_text("mine")
    sink = VideoSink(tmp_path / "v.mp4")
    with pytest.raises(SinkError, match="--overwrite"):
        sink.open(make_run("a", "b"))
    assert [p.name for p in tmp_path.iterdir()] == ["v-b.mp4"]
    with pytest.raises(SinkError, match=r"ends in \.mp4"):
        VideoSink(tmp_path / "v.avi")


@contextlib.contextmanager
def room_for_1000_bytes() -> Iterator[None]:
    """Writing past it fails, as on a full disk; in any file, so keep it around one call."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_is_a_sink_error(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "v.mp4")
    sink.open(make_run("a"))
    with room_for_1000_bytes():
        sink.write(make_step([grey_frame(i, level=40 * i) for i in range(6)]))
        with pytest.raises(SinkError, match=r"v\.mp4: the video cannot .*File too large"):
            sink.close()
    sink.close()


def test_a_stream_that_came_after_open_is_refused(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "v.mp4") as sink:
        sink.open(make_run("a"))
        with pytest.raises(SinkError, match=r"that open\(\) was told of, got 1"):
            sink.write(make_step([grey_frame(0, stream=1)]))


def test_an_incident_is_shown_from_its_time_on(tmp_path: Path) -> None:
    size = (320, 240)
    event = make_event(time_s=0.5, start_s=0.4, track=1)
    end = make_event(kind="end", time_s=0.7, track=1)
    with VideoSink(tmp_path / "v.mp4") as sink:
        sink.open(make_run("a", rate=10))
        frames = [grey_frame(i, time_base=(1, 10), size=size) for i in range(40)]
        sink.write(make_step(frames, events=[event, end]))
    times, pictures, _ = decode(tmp_path / "v.mp4")
    red = [np.abs(p[4, 310] - np.array(ALARM, int)).max() < 25 for p in pictures]
    # Seen for two seconds, although it ended after a fifth of one.
    assert [t for t, r in zip(times, red, strict=True) if r] == times[5:25]


def test_left_and_right_limbs_have_their_colours() -> None:
    picture = np.zeros((200, 200, 3), np.uint8)
    step = make_step([grey_frame(0)], rows=[(0, 1)], known=False)
    joints = step.poses.keypoints_px[0]
    joints[:] = 0
    joints[COCO_JOINTS.index("left_knee")] = (150, 100, 0.9)
    joints[COCO_JOINTS.index("left_ankle")] = (150, 180, 0.9)
    joints[COCO_JOINTS.index("right_knee")] = (100, 100, 0.9)
    joints[COCO_JOINTS.index("right_ankle")] = (100, 180, 0.9)
    joints[COCO_JOINTS.index("right_hip")] = (60, 120, 0.1)  # too weak to be drawn
    Painter(COCO_JOINTS).draw(picture, step.results(), [])
    assert tuple(picture[140, 150]) == LEFT
    assert tuple(picture[140, 100]) == RIGHT
    assert not picture[110:125, 50:70].any()


def test_the_rgb_of_a_frame_is_the_frame() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (33, 47, 3), np.uint8)
    from poseact_engine._core import Frame

    assert np.array_equal(frame_rgb(Frame.from_rgb(picture)), picture)


def test_without_its_packages_the_error_names_the_line_to_type(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "av":
            raise ImportError("No module named 'av'", name="av")
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DependencyError, match=r"pip install 'poseact-engine\[video\]'"):
        VideoSink(tmp_path / "v.mp4")
