# SPDX-License-Identifier: Apache-2.0
"""JSON lines: what stands in them is what stands in the step, and files are whole at any time."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from poseact_engine.errors import SinkError
from poseact_engine.sinks.base import check_target
from poseact_engine.sinks.jsonl import EventsSink, ResultsSink
from poseact_engine.sinks.video import VideoSink
from tests.unit.made_steps import CLASSES, grey_frame, make_event, make_run, make_step


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_what_the_step_says(tmp_path: Path) -> None:
    frames = [grey_frame(7, pts=1001 * 7, time_base=(1, 30000)), grey_frame(8, stream=1)]
    step = make_step(frames, rows=[(0, 3), (0, 4), (1, 3)], seed=1)
    with ResultsSink(tmp_path / "r.jsonl") as sink:
        sink.open(make_run("a", "b"))
        sink.write(step)
    header, *lines = read(tmp_path / "r.jsonl")
    assert (header["schema"], header["version"]) == ("poseact.results", 1)
    assert header["classes"] == list(CLASSES)
    assert header["streams"] == [
        {"stream": 0, "name": "a", "uri": "a.mp4"},
        {"stream": 1, "name": "b", "uri": "b.mp4"},
    ]
    assert header["models"] == {"detector": {"file": "det.onnx", "sha256": "ab"}}
    assert [(x["stream"], x["frame"], x["track"]) for x in lines] == [
        (0, 7, 3),
        (0, 7, 4),
        (1, 8, 3),
    ]
    assert lines[0]["pts_s"] == round(7 * 1001 / 30000, 6)
    for m, line in enumerate(lines):
        assert np.abs(np.array(line["box"]) - step.tracks.boxes_px[m]).max() <= 0.0051
        got = np.array(line["keypoints"])
        assert got.shape == (17, 3)
        assert np.abs(got - step.poses.keypoints_px[m]).max() <= 0.0051
        assert np.abs(got[:, 2] - step.poses.keypoints_px[m, :, 2]).max() <= 0.000051
        probabilities = step.actions.probabilities[m]
        assert line["action"] == CLASSES[int(np.argmax(probabilities))]
        assert np.abs(np.array(line["probabilities"]) - probabilities).max() <= 0.000051
        assert line["observed"] is bool(step.tracks.observed[m])
        # Short numbers: a rounded float32 must not come back as 0.30000001192092896.
        assert all(len(repr(v)) <= 7 for joint in got.tolist() for v in joint)


def test_before_the_first_window_action_and_probabilities_are_null(tmp_path: Path) -> None:
    with ResultsSink(tmp_path / "r.jsonl") as sink:
        sink.open(make_run("a"))
        sink.write(make_step([grey_frame(0)], rows=[(0, 1)], known=False))
    line = read(tmp_path / "r.jsonl")[1]
    assert line["action"] is None
    assert line["probabilities"] is None


def test_a_number_that_json_does_not_know_is_an_error_not_a_line(tmp_path: Path) -> None:
    step = make_step([grey_frame(0)], rows=[(0, 1)])
    step.poses.keypoints_px[0, 0, 0] = np.inf
    with ResultsSink(tmp_path / "r.jsonl") as sink:
        sink.open(make_run("a"))
        with pytest.raises(ValueError, match="JSON compliant"):
            sink.write(step)
    assert len(read(tmp_path / "r.jsonl")) == 1


def test_events_are_one_line_each(tmp_path: Path) -> None:
    events = [make_event(), make_event(kind="end", time_s=2.5, box_px=None)]
    with EventsSink(tmp_path / "e.jsonl") as sink:
        sink.open(make_run("a"))
        sink.write(make_step([], events=events))
        sink.write(make_step([grey_frame(0)]))
    header, first, second = read(tmp_path / "e.jsonl")
    assert (header["schema"], header["version"]) == ("poseact.events", 1)
    assert first == {
        "kind": "new",
        "incident": "0-3-1",
        "stream": 0,
        "track": 3,
        "action": "falling_down",
        "start_s": 1.1,
        "time_s": 1.3,
        "score": 0.8765,
        "box": [1.0, 2.0, 30.13, 40.0],
    }
    assert (second["kind"], second["time_s"], second["box"]) == ("end", 2.5, None)


def test_a_file_is_whole_after_every_write_without_a_close(tmp_path: Path) -> None:
    sink = ResultsSink(tmp_path / "r.jsonl")
    sink.open(make_run("a"))
    for i in range(5):
        sink.write(make_step([grey_frame(i)], rows=[(0, 1), (0, 2)]))
        text = (tmp_path / "r.jsonl").read_text()
        assert text.endswith("\n")
        assert len(text.splitlines()) == 1 + 2 * (i + 1)
    sink.close()


def test_a_folder_that_may_not_be_written_into_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write everywhere, so the answer of the system is made."""
    asked: list[Path] = []
    monkeypatch.setattr("os.access", lambda *call: asked.append(call[0]))
    with pytest.raises(SinkError, match="nothing may be written into"):
        check_target(tmp_path / "new", overwrite=True)
    assert asked == [tmp_path]
    check_target(Path("/dev/null"), overwrite=False)


def test_a_file_that_exists_is_only_replaced_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("mine")
    with pytest.raises(SinkError, match="--overwrite"):
        ResultsSink(path)
    assert path.read_text() == "mine"
    sink = ResultsSink(path, overwrite=True)
    assert path.read_text() == "mine"  # not before there is something to write
    sink.open(make_run("a"))
    sink.close()
    assert len(read(path)) == 1


def test_targets_that_cannot_be_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="make it first"):
        ResultsSink(tmp_path / "none" / "r.jsonl")
    with pytest.raises(SinkError, match="got a folder"):
        EventsSink(tmp_path, overwrite=True)
    with pytest.raises(SinkError, match="expected a file name of"):
        EventsSink(tmp_path / ("x" * 300))
    with pytest.raises(SinkError, match=r"open\(\) comes before"):
        EventsSink(tmp_path / "e.jsonl").write(make_step([], events=[make_event()]))


def test_a_full_disk_is_a_sink_error() -> None:
    with ResultsSink("/dev/full") as sink, pytest.raises(SinkError, match="No space left"):
        sink.open(make_run("a"))


@pytest.mark.parametrize("kind", [ResultsSink, EventsSink, VideoSink])
def test_a_file_that_is_read_is_not_written(
    kind: type[ResultsSink | EventsSink | VideoSink], tmp_path: Path
) -> None:
    source = tmp_path / "out.mp4"
    source.write_text("mine")
    run = make_run("a")
    stream = dataclasses.replace(run.streams[0], uri=str(tmp_path / "." / "out.mp4"))
    with (
        kind(source, overwrite=True) as sink,
        pytest.raises(SinkError, match="is a source and would be overwritten"),
    ):
        sink.open(dataclasses.replace(run, streams=(stream,)))
    assert source.read_text() == "mine"


def test_a_dash_is_standard_output_and_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw))
    with ResultsSink("-") as sink:
        sink.open(make_run("a"))
        sink.write(make_step([grey_frame(0)], rows=[(0, 1)]))
        assert sink.files == []
    assert [json.loads(x)["stream"] for x in raw.getvalue().splitlines()[1:]] == [0]
    assert not sys.stdout.closed
