# SPDX-License-Identifier: Apache-2.0
"""Windows of which is known only what they are not: loss, counts, learning."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from poseact_engine.errors import ConfigError
from poseact_engine.training.keypoints import read_sequences
from poseact_engine.training.keypoints import write_sequences as write_keypoints
from tests.poses import CLASSES, write_sequences

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.training import action
    from poseact_engine.training.loop import LoopConfig, train
    from poseact_engine.training.loss import action_loss
    from poseact_engine.training.metrics import score
    from poseact_engine.training.models.lstm import LstmConfig
    from poseact_engine.training.windows import balance

FALL, LIE = CLASSES.index("falling_down"), CLASSES.index("lying_down")


def test_the_loss_is_that_of_its_formula_in_float64() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (200, 6))
    labels = rng.choice([-3, -2, 0, 1, 2, 3, 4, 5], 200)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = np.arange(200)
    costs = np.select(
        [labels == -2, labels == -3],
        [-np.log(1 - chances[:, FALL] - chances[:, LIE]), -np.log(1 - chances[:, FALL])],
        -np.log(chances[rows, labels]),
    )
    found = action_loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert float(found) == pytest.approx(costs.mean(), rel=1e-12)
    named = torch.from_numpy(logits[labels >= 0]), torch.from_numpy(labels[labels >= 0])
    assert float(action_loss(*named)) == pytest.approx(costs[labels >= 0].mean(), rel=1e-12)


def test_the_loss_stays_a_number_and_pulls_where_the_model_is_sure() -> None:
    logits = torch.tensor([[-200.0, 300.0, -200.0, -200.0, -200.0, 250.0]], requires_grad=True)
    loss = action_loss(logits, torch.tensor([-2]))
    loss.backward()
    # Of four equal others only their sum counts: 500 less log 4.
    assert float(loss.detach()) == pytest.approx(500 - math.log(4), rel=1e-6)
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad[0, [FALL, 0, 2, 3, 4]], [1, *[-0.25] * 4], atol=1e-6)


def test_harmless_windows_are_counted_apart() -> None:
    truth = np.array([0, 1, -2, -2, -2, -2, 1])
    said = np.array([0, 5, 1, 5, 0, 4, 1])
    found = score(truth, said, np.array(list("aabbbba")), classes=6)
    assert found.confusion.sum() == 3
    assert found.accuracy == pytest.approx(2 / 3)
    assert (found.harmless, found.false_alarm) == (4, 0.5)
    assert found.harmless_by_source["b"].tolist() == [1, 1, 0, 0, 1, 1]
    assert math.isnan(score(truth[:2], said[:2], np.array(list("aa")), classes=6).false_alarm)


def test_windows_of_no_fall_are_drawn_as_often_as_they_are_asked_to_be(tmp_path: Path) -> None:
    path = tmp_path / "k.npz"
    write_sequences(path)
    made = action.prepare(action.TrainConfig(data=(path,))).train
    labels = made.labels.copy()
    labels[labels == 2] = -3
    windows = replace(made, labels=labels)
    for share in (0.0, 0.5, 1.0, 3.0):
        chances = balance(windows, no_fall=share)
        classes = len(set(labels.tolist()) - {-3})
        assert chances.sum() == pytest.approx(1)
        assert chances[labels == -3].sum() == pytest.approx(share / (share + classes))
        assert chances[labels == FALL].sum() == pytest.approx(1 / (share + classes))
    with pytest.raises(ConfigError, match=r"train\.no_fall_share: expected a number, 0 or more"):
        LoopConfig(no_fall_share=-1.0)


def test_windows_of_no_fall_are_counted_apart() -> None:
    truth = np.array([0, -3, -3, -3, -2, -3, 1])
    said = np.array([0, 5, 1, 4, 0, 1, 1])
    found = score(truth, said, np.array(list("aabbbbb")), classes=6)
    assert found.confusion.sum() == 2
    assert (found.harmless, found.false_alarm) == (1, 0.0)
    assert (found.no_fall, found.false_fall) == (4, 0.5)
    assert found.no_fall_by_source["b"].tolist() == [0, 2, 0, 0, 1, 0]
    assert math.isnan(score(truth[:1], said[:1], np.array(["a"]), classes=6).false_fall)


def test_who_sits_down_is_learnt_to_be_harmless(tmp_path: Path) -> None:
    """Made people who "lift" are relabelled: no class is right for them, and lying is wrong."""
    torch.set_num_threads(1)
    write_sequences(tmp_path / "made.npz", takes=4)
    sequences = [
        replace(s, labels=np.full_like(s.labels, -2)) if "lifting" in s.name else s
        for s in read_sequences([tmp_path / "made.npz"])
    ]
    write_keypoints(tmp_path / "a.npz", sequences)
    loop = LoopConfig(epochs=4, epoch_windows=768, batch_size=64, lr=5e-3)
    model = LstmConfig(hidden=32, layers=1)
    config = action.TrainConfig(data=(tmp_path / "a.npz",), model=model, loop=loop)
    prepared = action.prepare(config)
    chances = balance(prepared.train)
    for label in (-2, 0, 1, 2, 4, 5):
        assert chances[prepared.train.labels == label].sum() == pytest.approx(1 / 6)
    trained = action.learn(config, prepared)
    scores = trained.last.validation
    assert scores is not None
    assert scores.harmless > 10
    assert scores.false_alarm < 0.1
    assert scores.macro > 0.9
    unknown = prepared.train.select(np.arange(4))
    unknown.labels[0] = -1
    with pytest.raises(ConfigError, match="some without a label"):
        train(unknown, unknown, model=LstmConfig(), loop=LoopConfig())
