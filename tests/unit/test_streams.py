# SPDX-License-Identifier: Apache-2.0
"""Names, numbers and refusals of the streams of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from poseact_engine.config import SourceConfig
from poseact_engine.errors import ConfigError
from poseact_engine.streams import Streams, without_login
from tests.integration.made_world import write_scene
from tests.unit.made_steps import grey_frame


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://me:secret@cam.local:554/a?x=1", "rtsp://cam.local:554/a?x=1"),
        ("rtsp://me@cam/a@b", "rtsp://cam/a@b"),
        ("rtsp://cam/a", "rtsp://cam/a"),
        ("films/me@home.mp4", "films/me@home.mp4"),
        ("rtsp://me:secret@[::1/a", "rtsp://[::1/a"),
    ],
)
def test_passwords_stay_out_of_files_and_logs(uri: str, shown: str) -> None:
    assert without_login(uri) == shown


def test_numbers_are_positions_and_names_are_unique(tmp_path: Path) -> None:
    film = write_scene(tmp_path / "a.mp4", 3, rate=25)
    streams = Streams(SourceConfig(every=2))
    streams.add_pushed("a", queue_frames=1, live=False)
    streams.add_sources([str(film), str(tmp_path / "gone.mp4"), str(film)])
    streams.stop()
    assert [(s.index, s.name) for s in streams.all] == [
        (0, "a"),
        (1, "a-2"),
        (2, "gone"),
        (3, "a-3"),
    ]
    assert [s.error is None for s in streams.all] == [True, True, False, True]
    infos = streams.infos()
    assert [info.rate for info in infos] == [None, 12.5, None, 12.5]
    assert [info.uri for info in infos] == [None, str(film), str(tmp_path / "gone.mp4"), str(film)]


def test_frames_go_only_to_streams_that_were_made_for_them(tmp_path: Path) -> None:
    film = write_scene(tmp_path / "a.mp4", 3)
    streams = Streams(SourceConfig())
    streams.add_sources([str(film)])
    mine = streams.add_pushed("mine", queue_frames=1, live=False)
    for wrong in (0, 2, -1):
        with pytest.raises(ConfigError, match=r"made by add_stream \[1\]"):
            streams.push(wrong, grey_frame(0), 0.0)
        with pytest.raises(ConfigError, match="made by add_stream"):
            streams.end(wrong)
    assert streams.push(mine.index, grey_frame(0), 0.0)
    assert not streams.push(mine.index, grey_frame(1), 0.0)  # full
    assert mine.counts["frames"] >= 1
    streams.stop()
