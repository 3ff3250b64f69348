# SPDX-License-Identifier: Apache-2.0
"""Scores of an action model against the same counted one window at a time, in float64."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, ManifestError, ShapeError, SinkError, SourceError
from poseact_engine.evaluation.action_eval import ActionEvalConfig, evaluate_action
from poseact_engine.evaluation.action_plots import plots, write_plots, write_tensorboard
from poseact_engine.evaluation.action_scores import ActionScores, score_actions
from poseact_engine.training.keypoints import read_sequences
from poseact_engine.training.keypoints import write_sequences as write_keypoints
from poseact_engine.training.windows import cut_windows
from tests.models import make_action
from tests.poses import CLASSES, write_sequences

NAMES = ("a", "b", "c", "d")


def made(count: int = 500, seed: int = 0) -> tuple[Any, Any, Any]:
    """Truth without class c; answers without d; some ties and some certain mistakes."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([0, 1, 3], count, p=[0.5, 0.3, 0.2])
    chances = rng.dirichlet([0.6, 0.6, 0.6, 1e-3], count)
    chances[::7] = (0.5, 0.5, 0, 0)
    chances[3::11] = (0, 0, 1, 0)
    chances[:, 3] = np.minimum(chances[:, 3], chances[:, 0])
    chances /= chances.sum(axis=1, keepdims=True)
    sources = np.where(np.arange(count) % 3 == 0, "x", "y")
    return truth.astype(np.int64), chances.astype(np.float32), sources


def test_scores_are_those_counted_one_by_one() -> None:
    truth, chances, sources = made()
    scores = score_actions(truth, chances, sources, classes=NAMES)
    matrices = {"x": np.zeros((4, 4), int), "y": np.zeros((4, 4), int)}
    loss, bins = 0.0, [[0, 0.0, 0] for _ in range(10)]
    for t, row, source in zip(truth, chances.astype(np.float64).tolist(), sources, strict=True):
        said = row.index(max(row))
        matrices[str(source)][t, said] += 1
        loss -= math.log(max(row[t], 1e-12))
        number = next(i for i in range(10) if max(row) <= (i + 1) / 10)
        bins[number][0] += 1
        bins[number][1] += max(row)
        bins[number][2] += int(said == t)
    for name, matrix in matrices.items():
        np.testing.assert_array_equal(scores.counts.by_source[name], matrix)
    m = matrices["x"] + matrices["y"]
    assert scores.windows == 500
    assert scores.loss == pytest.approx(loss / 500)
    assert scores.counts.accuracy == pytest.approx(sum(m[i, i] for i in range(4)) / 500)
    for c in range(4):
        right, said, true = int(m[c, c]), int(m[:, c].sum()), int(m[c].sum())
        precision = right / said if said else math.nan
        recall = right / true if true else math.nan
        both = said + true
        f1 = 2 * right / both if both else math.nan
        found = (scores.precision[c], scores.recall[c], scores.f1[c])
        np.testing.assert_allclose(found, (precision, recall, f1))
        assert scores.support[c] == true
    assert np.isnan(scores.recall[2])
    assert np.isnan(scores.precision[3])
    np.testing.assert_array_equal(scores.calibration.count, [b[0] for b in bins])
    there = [b for b in bins if b[0]]
    error = sum(b[0] * abs(b[1] / b[0] - b[2] / b[0]) for b in there) / 500
    assert scores.calibration.error == pytest.approx(error)


def test_a_perfect_model_and_one_that_is_always_wrong() -> None:
    truth = np.array([0, 1, 2, 3] * 5)
    sources = np.full(20, "x")
    sure = np.eye(4, dtype=np.float32)
    right = score_actions(truth, sure[truth], sources, classes=NAMES)
    assert (right.loss, right.counts.accuracy, right.calibration.error) == (0, 1, 0)
    np.testing.assert_array_equal(right.f1, np.ones(4))
    wrong = score_actions(truth, sure[(truth + 1) % 4], sources, classes=NAMES)
    assert wrong.loss == pytest.approx(-math.log(1e-12))
    assert (wrong.counts.accuracy, wrong.calibration.error) == (0, 1)
    with pytest.raises(ShapeError, match="W >= 1"):
        score_actions(truth[:0], sure[truth[:0]], sources[:0], classes=NAMES)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("eval") / "made.npz"
    write_sequences(path, takes=4, seconds=1.0)
    return path


def answers(model: Path, windows: NDArray[np.float32]) -> Any:
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return session.run(None, {"windows": windows})[0]


def test_every_labelled_window_is_scored(data: Path, tmp_path: Path) -> None:
    model = make_action(tmp_path / "a.onnx")
    seen: list[tuple[int, int]] = []
    config = ActionEvalConfig(data=(data,), action=model)
    report = evaluate_action(config, on_progress=lambda *now: seen.append(now))
    windows = cut_windows(read_sequences([data])).labelled()
    expected = np.zeros((6, 6), int)
    np.add.at(expected, (windows.labels, answers(model, windows.poses_px).argmax(axis=1)), 1)
    np.testing.assert_array_equal(report.scores.counts.confusion, expected)
    assert expected[CLASSES.index("lying_down"), 5] > 0
    assert list(report.scores.counts.by_source) == ["made"]
    assert report.sequences == 24
    assert seen[-1] == (len(windows), len(windows))


def test_classes_in_another_order_are_the_same_classes(data: Path, tmp_path: Path) -> None:
    one = make_action(tmp_path / "a.onnx")
    other = make_action(tmp_path / "b.onnx", CLASSES[::-1])
    scores = [
        evaluate_action(ActionEvalConfig(data=(data,), action=m)).scores for m in (one, other)
    ]
    np.testing.assert_array_equal(scores[0].counts.confusion, scores[1].counts.confusion)
    assert scores[0].loss == pytest.approx(scores[1].loss)


@pytest.mark.needs_torch
def test_the_sides_of_the_split_are_those_of_the_training(data: Path, tmp_path: Path) -> None:
    from poseact_engine.training.action import TrainConfig, prepare
    from poseact_engine.training.loop import LoopConfig

    training = TrainConfig(
        data=(data,), exclude=("made/walking-0",), validation=0.4, loop=LoopConfig(seed=3)
    )
    prepared = prepare(training)
    both = 0
    for side, names in (("held-out", "validation"), ("trained-on", "train")):
        config = ActionEvalConfig(
            data=(data,),
            action=make_action(tmp_path / "a.onnx"),
            split=side,  # type: ignore[arg-type]
            exclude=("made/walking-0",),
            validation=0.4,
            seed=3,
        )
        report = evaluate_action(config)
        assert report.sequences == len(getattr(prepared.split, names))
        both += report.scores.windows
        if side == "held-out":
            np.testing.assert_array_equal(
                report.scores.support, np.bincount(prepared.validation.labels, minlength=6)
            )
    windows = cut_windows(read_sequences([data])).labelled()
    left_out = np.array(windows.names)[windows.sequence] == "made/walking-0"
    assert both == len(windows) - left_out.sum()


def test_harmless_windows_are_counted_apart_and_groups_stay_on_a_side(
    data: Path, tmp_path: Path
) -> None:
    sequences = [
        replace(
            s,
            labels=np.full_like(s.labels, -2) if "lifting" in s.name else s.labels,
            clip=s.name[-1],  # takes 0 to 3 of all actions belong together
        )
        for s in read_sequences([data])
    ]
    path, model = tmp_path / "h.npz", make_action(tmp_path / "a.onnx")
    write_keypoints(path, sequences)
    report = evaluate_action(ActionEvalConfig(data=(path,), action=model))
    windows = cut_windows(sequences)
    said = answers(model, windows.poses_px).argmax(axis=1)
    harmless = windows.labels == -2
    scores = report.scores
    assert scores.windows == (~harmless).sum()
    assert scores.counts.harmless == harmless.sum() > 0
    assert scores.counts.false_alarm == np.isin(said[harmless], (1, 5)).mean()
    assert scores.counts.accuracy == (said == windows.labels)[~harmless].mean()
    assert scores.as_json()["harmless"]["windows"] == harmless.sum()
    sides = [
        evaluate_action(ActionEvalConfig(data=(path,), action=model, split=side)).sequences
        for side in ("held-out", "trained-on")
    ]
    assert sides == [6, 18]  # one take of four, of six actions


def test_what_cannot_be_scored_says_so(data: Path, tmp_path: Path) -> None:
    good = make_action(tmp_path / "a.onnx")
    for options, kind, message in (
        ({"classes": ("standing", "lying_down")}, ManifestError, "got standing, lying_down"),
        ({"length": 7}, ManifestError, "7 at 30/1 Hz"),
        ({"rate": (15, 1)}, ManifestError, "9 at 15/1 Hz"),
    ):
        model = make_action(tmp_path / "b.onnx", **options)  # type: ignore[arg-type]
        with pytest.raises(kind, match=message):
            evaluate_action(ActionEvalConfig(data=(data,), action=model))
    with pytest.raises(SourceError, match="no such keypoint file"):
        evaluate_action(ActionEvalConfig(data=(tmp_path / "no.npz",), action=good))
    with pytest.raises(ConfigError, match=r"--exclude 'x\*' matches none"):
        evaluate_action(ActionEvalConfig(data=(data,), action=good, exclude=("x*",)))
    with pytest.raises(ConfigError, match=r"labelled windows in made\.npz \(all\), found none"):
        evaluate_action(ActionEvalConfig(data=(data,), action=good, exclude=("*",)))


# ---------------------------------------------------------------- plots


@pytest.fixture(scope="module")
def scores() -> ActionScores:
    return score_actions(*made(), classes=NAMES)


def decoded(png: bytes) -> Any:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture


def test_plots_are_pictures_of_these_scores(scores: ActionScores, tmp_path: Path) -> None:
    found = plots(scores)
    assert list(found) == ["confusion", "classes", "calibration"]
    truth = np.array([0, 1, 2, 3] * 5)
    perfect = score_actions(
        truth, np.eye(4, dtype=np.float32)[truth], np.full(20, "x"), classes=NAMES
    )
    for name, png in plots(perfect).items():
        one, other = decoded(found[name]), decoded(png)
        assert min(one.shape[:2]) > 400
        assert np.abs(one.astype(int) - other).mean() > 1, name
    assert plots(scores) == found  # nothing is kept from plot to plot
    paths = write_plots(found, tmp_path / "new" / "folder")
    assert {p.name: p.read_bytes() for p in paths} == {f"{n}.png": d for n, d in found.items()}
    with pytest.raises(SinkError, match="cannot be written to"):
        write_plots(found, paths[0])


def test_tensorboard_reads_the_scores_and_plots(scores: ActionScores, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    picture = np.full((30, 50, 3), 90, np.uint8)
    png = cv2.imencode(".png", picture)[1].tobytes()
    write_tensorboard(scores, {"confusion": png}, tmp_path / "tb")
    events = EventAccumulator(str(tmp_path / "tb"))
    events.Reload()
    values = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    assert values["eval/accuracy"] == pytest.approx(scores.counts.accuracy)
    assert values["eval/loss"] == pytest.approx(scores.loss, rel=1e-6)
    assert values["eval/recall/b"] == pytest.approx(scores.recall[1])
    assert "eval/recall/c" not in values  # nothing out of nothing
    (image,) = events.Images("eval/confusion")
    assert (image.width, image.height) == (50, 30)
    np.testing.assert_array_equal(decoded(io.BytesIO(image.encoded_image_string).read()), picture)
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError):
        write_tensorboard(scores, {}, tmp_path / "file" / "tb")
