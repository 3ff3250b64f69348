# SPDX-License-Identifier: Apache-2.0
"""The paper's loop against one written out by hand; forest and SVM against scikit-learn."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError, DependencyError
from poseact_engine.evaluation.reproduce.baselines import TREES, fit_forest, fit_svm
from poseact_engine.training.windows import WindowSet
from tests.poses import random_windows

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.training.models.lstm import ActionLstm, LstmConfig
    from poseact_engine.training.paper_loop import PaperConfig, train_paper


def made(count: int, seed: int) -> WindowSet:
    return WindowSet(
        poses_px=random_windows(count, seed),
        labels=np.arange(count) % 6,
        sequence=np.zeros(count, dtype=np.int64),
        end_s=np.arange(count, dtype=np.float64),
        names=("made/a",),
    )


TRAIN, TEST = made(90, 0), made(36, 1000)


def small(**options: Any) -> PaperConfig:
    model = LstmConfig(hidden=16, layers=3, normalise="paper")
    return PaperConfig(model=model, epochs=3, batch_size=32, **options)


def by_hand(config: PaperConfig, optimiser: Any) -> tuple[list[float], list[float], Any]:
    """Losses of training, accuracies of the test side, and the network."""
    torch.manual_seed(config.seed)
    net = ActionLstm(config.model)
    plain = torch.from_numpy(TRAIN.poses_px[..., :2].reshape(90, 9, 34))
    flat = plain.double().reshape(-1, 34)
    mean, std = flat.mean(0).float(), flat.std(0, unbiased=False).clamp(min=1e-3).float()

    def logits(windows: NDArray[np.float32]) -> Any:
        features = torch.from_numpy(windows[..., :2].reshape(len(windows), 9, 34))
        steps, _ = net.lstm((features - mean) / std)
        return net.head(steps[:, -1])

    step = optimiser(net.parameters(), lr=config.lr)
    shuffle = torch.Generator().manual_seed(config.seed)
    losses, accuracies = [], []
    for _ in range(config.epochs):
        order = torch.randperm(90, generator=shuffle).numpy()
        total = 0.0
        for start in range(0, 90, 32):
            rows = order[start : start + 32]
            loss = torch.nn.CrossEntropyLoss()(
                logits(TRAIN.poses_px[rows]), torch.from_numpy(TRAIN.labels[rows])
            )
            step.zero_grad()
            loss.backward()
            step.step()
            total += loss.item() * len(rows)
        losses.append(total / 90)
        with torch.no_grad():
            said = logits(TEST.poses_px).argmax(1).numpy()
        accuracies.append(float((said == TEST.labels).mean()))
    return losses, accuracies, net


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_the_loop_is_the_papers_with_either_optimiser(name: Any) -> None:
    torch.set_num_threads(1)
    optimiser = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}[name]
    config = small(optimiser=name, lr=3e-3, seed=4)
    trained = train_paper(TRAIN, TEST, config)
    losses, accuracies, net = by_hand(config, optimiser)
    assert [e.number for e in trained.epochs] == [1, 2, 3]
    np.testing.assert_allclose([e.train_loss for e in trained.epochs], losses, rtol=1e-5)
    np.testing.assert_allclose([e.test_accuracy for e in trained.epochs], accuracies)
    for key, value in net.lstm.state_dict().items():
        torch.testing.assert_close(trained.model.lstm.state_dict()[key], value)


def test_the_curves_last_point_is_the_models() -> None:
    trained = train_paper(TRAIN, TEST, small())
    chances = trained.model.probabilities(torch.from_numpy(TEST.poses_px)).double().numpy()
    last = trained.epochs[-1]
    assert last.test_accuracy == pytest.approx((chances.argmax(1) == TEST.labels).mean())
    of_truth = chances[np.arange(36), TEST.labels]
    assert last.test_loss == pytest.approx(-np.log(of_truth).mean(), rel=1e-5)
    assert trained.epochs[-1].train_loss < trained.epochs[0].train_loss


def test_the_same_seed_gives_the_same_model_whatever_was_drawn_before() -> None:
    first = train_paper(TRAIN, TEST, small()).model.state_dict()
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = train_paper(TRAIN, TEST, small()).model.state_dict()
    assert torch.equal(before, torch.get_rng_state())
    other = train_paper(TRAIN, TEST, small(seed=1)).model.state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimiser": "adamw"}, "expected one of adam, rmsprop, sgd, got 'adamw'"),
        ({"epochs": 0}, "paper.epochs: expected a whole number, 1 or more, got 0"),
        ({"batch_size": True}, "paper.batch_size: expected a whole number"),
        ({"lr": float("nan")}, "paper.lr: expected a number above 0"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PaperConfig(**options)


def test_both_sides_need_labelled_windows() -> None:
    nothing = TRAIN.select(np.zeros(0, dtype=np.int64))
    with pytest.raises(ConfigError, match="expected labelled test windows"):
        train_paper(TRAIN, nothing, small())
    with pytest.raises(ConfigError, match="expected labelled train windows"):
        train_paper(replace(TRAIN, labels=np.full(90, -1)), TEST, small())


def test_forest_and_svm_are_scikit_learns_on_standardised_pixels() -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.svm import SVC

    flat = TRAIN.poses_px[..., :2].reshape(90, -1).astype(np.float64)
    tests = TEST.poses_px[..., :2].reshape(36, -1).astype(np.float64)
    mean, std = flat.mean(0), flat.std(0)
    forest = RandomForestClassifier(n_estimators=TREES, random_state=3)
    forest.fit((flat - mean) / std, TRAIN.labels)
    said = fit_forest(TRAIN, seed=3, threads=1)(TEST.poses_px)
    np.testing.assert_array_equal(said, forest.predict((tests - mean) / std))
    svm = SVC().fit((flat - mean) / std, TRAIN.labels)
    said = fit_svm(TRAIN, seed=3)(TEST.poses_px)
    np.testing.assert_array_equal(said, svm.predict((tests - mean) / std))


def test_without_scikit_learn_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(
        DependencyError, match=r"scikit-learn.*pip install 'poseact-engine\[eval\]'"
    ):
        fit_svm(TRAIN, seed=0)
