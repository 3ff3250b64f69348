# SPDX-License-Identifier: Apache-2.0
"""Whole runs with made models against a plain loop with PyAV, OpenCV and ONNX Runtime."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from poseact_engine import Engine, Result, SourceConfig, SourceError, Step
from poseact_engine._core import Frame
from poseact_engine.errors import ConfigError
from poseact_engine.sinks.jsonl import result_lines
from tests.integration.made_world import INPUT, SIZE, World, scene, write_scene
from tests.unit.made_steps import grey_frame


def results_of(steps: list[Step]) -> list[Result]:
    return [result for step in steps for result in step.results()]


def lines_of(steps: list[Step], stream: int) -> list[str]:
    """JSON of one stream's results, without the stream's number."""
    found = [line for step in steps for line in result_lines(step)]
    mine = f'{{"stream":{stream},'
    return [line.removeprefix(mine) for line in found if line.startswith(mine)]


def plain_loop(path: Path, world: World) -> list[list[NDArray[np.float64]]]:
    """Per frame, the boxes [N, 4] of the detector: decode, resize, run, scale; nothing of ours."""
    session = ort.InferenceSession(world.detector, providers=["CPUExecutionProvider"])
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            small = cv2.resize(picture, (INPUT[1], INPUT[0]), interpolation=cv2.INTER_LINEAR)
            images = small.transpose(2, 0, 1)[None].copy()
            boxes, scores = session.run(["boxes", "scores"], {"images": images})
            found.append(list(boxes[0][scores[0] >= 0.1].astype(np.float64) * SIZE[0] / INPUT[1]))
    return found


def plain_joints(picture: NDArray[np.uint8], box: Any, world: World) -> NDArray[np.float64]:
    """One person: crop by warpAffine with the box grown to 3:4 and by a quarter, run, map back."""
    session = ort.InferenceSession(world.pose, providers=["CPUExecutionProvider"])
    height, width = 64, 48
    x0, y0, x1, y1 = box
    w = max(x1 - x0, (y1 - y0) * width / height) * 1.25
    scale = w / width
    left, top = (x0 + x1) / 2 - scale * width / 2, (y0 + y1) / 2 - scale * height / 2
    matrix = np.array([[scale, 0, left], [0, scale, top]])
    crop = cv2.warpAffine(
        picture, matrix, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    (joints,) = session.run(["keypoints"], {"crops": crop.transpose(2, 0, 1)[None].copy()})
    found = joints[0].astype(np.float64)
    found[:, :2] = found[:, :2] * scale + (left, top)
    return found


def test_boxes_joints_and_times_equal_a_plain_loop(world: World, clip: Path) -> None:
    with Engine(world.config()) as engine:
        results = results_of(list(engine.run(clip)))
    expected = plain_loop(clip, world)
    by_frame: dict[int, list[Result]] = {}
    for result in results:
        by_frame.setdefault(result.frame_index, []).append(result)
    assert sorted(by_frame) == list(range(40))
    for index, rows in by_frame.items():
        assert len(rows) == len(expected[index]) == 2
        for row in rows:
            assert row.pts_s == pytest.approx(index / 30, abs=1e-9)
            # The tracker smooths: half a detector pixel more than the detector's own grid of two.
            nearest = min(np.abs(np.array(row.box_px) - b).max() for b in expected[index])
            assert nearest <= 3.0, (index, row)
            joints = plain_joints(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), row.box_px, world)
            assert np.abs(row.keypoints_px - joints).max() < 0.02
    ids = {row.track for row in results}
    assert ids == {1, 2}
    assert all({r.track for r in rows} == ids for rows in by_frame.values())


def test_actions_begin_with_the_ninth_pose(world: World, clip: Path) -> None:
    with Engine(world.config()) as engine:
        results = results_of(list(engine.run(clip)))
    for row in results:
        assert (row.action is None) == (row.frame_index < 8), row
        if row.action is not None:
            assert row.action == "standing"  # the made pose is upright
            assert row.probabilities is not None
            assert row.probabilities.sum() == pytest.approx(1, abs=1e-5)


def test_four_files_at_once_equal_each_alone(world: World, tmp_path: Path) -> None:
    clips = [
        write_scene(tmp_path / f"c{i}.mp4", 12 + 7 * i, speed=0.5 + i, start=8 * i, rate=rate)
        for i, rate in enumerate((30, 25, 15, 30))
    ]
    with Engine(world.config()) as engine:
        together = list(engine.run(clips))
        alone = [list(engine.run(clip)) for clip in clips]
        assert [stream.name for stream in engine.streams] == ["c3"]
    for i, steps in enumerate(alone):
        assert len(steps) > 0
        assert lines_of(together, i) == lines_of(steps, 0)


def test_every_and_max_frames_choose_frames_and_keep_their_times(world: World, clip: Path) -> None:
    config = world.config(source=SourceConfig(every=3, max_frames=5))
    with Engine(config) as engine:
        steps = list(engine.run(clip))
    frames = [i for step in steps for i in step.frames.index.tolist()]
    times = [t for step in steps for t in step.frames.pts_s.tolist()]
    assert frames == [0, 3, 6, 9, 12]
    assert times == pytest.approx([i / 30 for i in frames])


def test_a_dead_source_among_three_is_told_and_the_others_go_on(
    world: World, clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    with Engine(world.config()) as engine:
        steps = list(engine.run([clip, broken, clip]))
        errors = [stream.error for stream in engine.streams]
        names = [stream.name for stream in engine.streams]
    assert names == ["walk", "broken", "walk-2"]
    assert errors[0] is errors[2] is None
    assert "broken.mp4" in str(errors[1])
    assert "the other streams go on" in caplog.text
    assert lines_of(steps, 0) == lines_of(steps, 2) != []
    assert lines_of(steps, 1) == []


def test_a_camera_that_goes_away_is_told_while_the_others_go_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as nobody:  # bound, never listening: refuses
        nobody.bind(("127.0.0.1", 0))
        with Engine(world.config()) as engine:
            stream = engine.add_stream("mine")
            run = engine.run(f"http://127.0.0.1:{nobody.getsockname()[1]}/cam.ts")
            deadline = time.monotonic() + 10
            while "Connection refused" not in caplog.text:
                assert time.monotonic() < deadline
                assert engine.push(
                    stream, grey_frame(0, pts=time.monotonic_ns(), time_base=(1, 10**9))
                )
                next(run)
            run.close()


def test_only_dead_sources_are_an_error(world: World, tmp_path: Path) -> None:
    with Engine(world.config()) as engine:
        with pytest.raises(SourceError, match="none\\.mp4"):
            engine.run(tmp_path / "none.mp4")
        with pytest.raises(ConfigError, match="at least one source"):
            engine.run([])


def test_an_engine_runs_again_and_again_and_starts_afresh(world: World, clip: Path) -> None:
    with Engine(world.config()) as engine:
        runs = [lines_of(list(engine.run(clip)), 0) for _ in range(3)]
    assert runs[0] == runs[1] == runs[2] != []


def test_two_engines_at_once_equal_one(world: World, clip: Path) -> None:
    found: dict[int, list[str]] = {}

    def work(number: int) -> None:
        with Engine(world.config(threads=1)) as engine:
            found[number] = lines_of(list(engine.run(clip)), 0)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] != []


def test_pushed_frames_equal_the_same_frames_of_a_file(world: World, tmp_path: Path) -> None:
    path = write_scene(tmp_path / "c.mp4", 15)
    with Engine(world.config()) as engine:
        of_file = lines_of(list(engine.run(path)), 0)
        stream = engine.add_stream("mine")

        def feed() -> None:
            with av.open(str(path)) as container:
                for i, picture in enumerate(container.decode(video=0)):
                    planes = [
                        np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width]
                        for p in picture.planes
                    ]
                    frame = Frame.from_planes(
                        planes,
                        format="i420",
                        matrix="bt601",
                        range="limited",
                        pts=i,
                        time_base=(1, 30),
                        index=i,
                    )
                    assert engine.push(stream, frame, timeout_s=30)
            engine.end_stream(stream)

        feeder = threading.Thread(target=feed)
        feeder.start()
        pushed = lines_of(list(engine.run()), 0)
        feeder.join()
        assert [s.name for s in engine.streams] == ["mine"]
    assert pushed == of_file != []


def test_a_second_run_waits_for_the_first_to_end(world: World, clip: Path) -> None:
    with Engine(world.config()) as engine:
        run = engine.run(clip)
        next(run)
        with pytest.raises(ConfigError, match="close"):
            engine.run(clip)
        run.close()
        assert list(engine.run(clip))
    with pytest.raises(ConfigError, match="closed"):
        engine.run(clip)


def threads_of_runs() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("poseact-")]


def test_a_loop_that_is_left_ends_its_run(world: World, clip: Path) -> None:
    with Engine(world.config()) as engine:
        for _ in engine.run(clip):
            assert threads_of_runs()
            break
        assert threads_of_runs() == []
        assert [len(step.frames) for step in engine.run(clip)]


def test_a_push_after_the_run_is_refused_quietly(world: World) -> None:
    with Engine(world.config()) as engine:
        stream = engine.add_stream("cam")
        assert engine.push(stream, grey_frame(0))
        for _ in engine.run():
            break
        assert not engine.push(stream, grey_frame(1))
        engine.end_stream(stream)
    assert not engine.push(stream, grey_frame(2))
    with pytest.raises(ConfigError, match="got a closed one"):
        engine.add_stream("late")


def test_nothing_is_left_after_an_engine(world: World, clip: Path) -> None:
    before = threading.active_count()
    for _ in range(3):
        with Engine(world.config()) as engine:
            next(engine.run(clip))  # broken off in the middle
        del engine
    gc.collect()
    assert threading.active_count() == before


def test_the_engine_runs_without_torch(world: World, clip: Path) -> None:
    """Neither torch nor anything that only the export needs is imported."""
    code = (
        "import sys; from poseact_engine import Engine, EngineConfig\n"
        f"with Engine(EngineConfig.from_mapping({config_of(world)!r})) as engine:\n"
        f"    assert sum(len(s.frames) for s in engine.run({str(clip)!r})) == 40\n"
        "assert not {'torch', 'export', 'cv2', 'av', 'typer'} & set(sys.modules), sys.modules"
    )
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=60)


def config_of(world: World) -> dict[str, Any]:
    return {
        "detect": {"model": str(world.detector)},
        "pose": {"model": str(world.pose)},
        "action": {"model": str(world.action)},
    }


def test_the_scene_is_what_the_tests_think_it_is() -> None:
    first, *_, last = scene(10, speed=2)
    assert first[100, 25].tolist() == last[100, 45].tolist() == [230, 20, 20]
