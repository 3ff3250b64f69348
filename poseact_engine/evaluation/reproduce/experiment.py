# SPDX-License-Identifier: Apache-2.0
"""Trains the paper's models and ours on one data set, and tests them in both ways. Needs torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.reproduce.baselines import Namer, fit_forest, fit_svm
from poseact_engine.evaluation.reproduce.data import (
    DataSet,
    Sides,
    draw,
    honest_sides,
    paper_sides,
)
from poseact_engine.evaluation.reproduce.results import (
    ADAM,
    FOREST,
    HONEST,
    OURS,
    PAPER,
    RMSPROP,
    SVM,
    Crossing,
    Findings,
    Outcome,
    Study,
)
from poseact_engine.evaluation.reproduce.robustness import measure_robustness
from poseact_engine.training.loop import Epoch, LoopConfig, Optimiser
from poseact_engine.training.paper_loop import (
    Device,
    PaperConfig,
    PaperEpoch,
    train_paper,
)
from poseact_engine.training.recipe import name_windows, train_by_recipe

LINES = 10
"""Lines of progress from one training run."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A model that has learnt, and what it took."""

    name: Namer
    trained_on: int
    """Windows that it learnt from."""
    epochs: tuple[PaperEpoch, ...] = ()
    """Curves, of the paper's LSTM alone."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceConfig:
    """How much work to do."""

    epochs: int = 200
    """Of the paper's LSTM."""
    max_windows: int = 5000
    """Of a data set, both sides together; drawn at random."""
    svm_windows: int = 2000
    """The SVM learns from this many of them: its time grows with their square."""
    recipe: LoopConfig = field(default_factory=LoopConfig)
    seed: int = 0
    threads: int = 2
    device: Device = "cpu"

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("max_windows", 50), ("svm_windows", 50)):
            if getattr(self, name) < least:
                raise ConfigError(
                    f"reproduce.{name}: expected {least} or more, got {getattr(self, name)}"
                )


def reproduce(data: Sequence[DataSet], config: ReproduceConfig, *, say: Say) -> Findings:
    """Every data set by itself, then the LSTMs of each on the test windows of the others."""
    found = [study(one, config, say=say) for one in data]
    return Findings(
        studies=tuple(one for one, _ in found),
        crossings=tuple(
            Crossing(
                learnt=learnt.data.name,
                tested=tested.data.name,
                outcome=_test((model, HONEST), fitted[model], tested.honest),
            )
            for learnt, fitted in found
            for tested, _ in found
            if learnt is not tested
            for model in (ADAM, OURS)
        ),
    )


def study(data: DataSet, config: ReproduceConfig, *, say: Say) -> tuple[Study, dict[str, Fitted]]:
    """Every model on both splits, then the LSTMs of the honest split on changed windows.

    Gives the models of the honest split besides.
    """
    paper = paper_sides(data, max_windows=config.max_windows, seed=config.seed)
    honest = honest_sides(data, max_windows=config.max_windows, seed=config.seed)
    for split, sides in ((PAPER, paper), (HONEST, honest)):
        check_sides(data.name, split, sides)
    outcomes, _ = _fit_all(data, (PAPER, paper), config, say)
    honest_outcomes, fitted = _fit_all(data, (HONEST, honest), config, say)
    say(f"{data.name}: robustness")
    tested = {model: fitted[model].name for model in (ADAM, OURS)}
    rows = measure_robustness(data, honest.test, tested, seed=config.seed)
    found = Study(
        data=data,
        paper=paper,
        honest=honest,
        outcomes=(*outcomes, *honest_outcomes),
        robustness=tuple(rows),
    )
    return found, fitted


def check_sides(name: str, split: str, sides: Sides) -> None:
    """ConfigError where a side has too little to say anything."""
    if len(np.unique(sides.train.labels)) < 2 or not len(sides.test):
        raise ConfigError(
            f"reproduce, {name}: expected two actions to learn from and windows to test on in"
            f" {split}, got {len(np.unique(sides.train.labels))} and {len(sides.test)};"
            " give more sequences"
        )


_Fit = Callable[[Sides, Say], Fitted]


def _fits(data: DataSet, split: str, config: ReproduceConfig) -> dict[str, _Fit]:
    fits: dict[str, _Fit] = {
        ADAM: lambda sides, say: _paper_lstm(sides, "adam", config, say),
        RMSPROP: lambda sides, say: _paper_lstm(sides, "rmsprop", config, say),
        FOREST: lambda sides, _: Fitted(
            name=fit_forest(sides.train, seed=config.seed, threads=config.threads),
            trained_on=len(sides.train),
        ),
        SVM: lambda sides, _: _svm(sides, config),
    }
    if split == HONEST:  # its thinned copies are of whole sequences
        fits[OURS] = lambda _, say: _ours(data, config, say)
    return fits


def _fit_all(
    data: DataSet, split: tuple[str, Sides], config: ReproduceConfig, say: Say
) -> tuple[list[Outcome], dict[str, Fitted]]:
    outcomes, found = [], {}
    for model, fit in _fits(data, split[0], config).items():
        title = f"{data.name}: {model}, {split[0]}"
        say(f"{title}: learning")
        start_s = time.monotonic()
        fitted = replace(fit(split[1], _prefixed(say, title)), seconds=time.monotonic() - start_s)
        outcome = _test((model, split[0]), fitted, split[1])
        say(f"{title}: {_percent(outcome.scores.accuracy)} in {outcome.seconds:.0f} s")
        outcomes.append(outcome)
        found[model] = fitted
    return outcomes, found


def _test(what: tuple[str, str], fitted: Fitted, sides: Sides) -> Outcome:
    return Outcome(
        model=what[0],
        split=what[1],
        trained_on=fitted.trained_on,
        truth=sides.test.labels,
        said=fitted.name(sides.test.poses_px),
        seconds=fitted.seconds,
        epochs=fitted.epochs,
    )


def _paper_lstm(sides: Sides, optimiser: Optimiser, config: ReproduceConfig, say: Say) -> Fitted:
    every = max(1, config.epochs // LINES)

    def show(epoch: PaperEpoch) -> None:
        if epoch.number % every == 0:
            say(
                f"epoch {epoch.number} of {config.epochs}, loss {epoch.train_loss:.3f},"
                f" test accuracy {_percent(epoch.test_accuracy)}"
            )

    options = PaperConfig(
        optimiser=optimiser, epochs=config.epochs, seed=config.seed, device=config.device
    )
    trained = train_paper(sides.train, sides.test, options, on_epoch=show)
    return Fitted(
        name=partial(name_windows, trained.model),
        trained_on=len(sides.train),
        epochs=trained.epochs,
    )


def _svm(sides: Sides, config: ReproduceConfig) -> Fitted:
    part = draw(sides.train, config.svm_windows, config.seed)
    return Fitted(name=fit_svm(part, seed=config.seed), trained_on=len(part))


def _ours(data: DataSet, config: ReproduceConfig, say: Say) -> Fitted:
    loop = replace(config.recipe, seed=config.seed)
    every = max(1, loop.epochs // LINES)

    def show(epoch: Epoch) -> None:
        if epoch.number % every == 0:
            say(f"epoch {epoch.number} of {loop.epochs}, loss {epoch.loss:.3f}")

    learnt = set(data.split.train)
    model, trained_on = train_by_recipe(
        [s for s in data.sequences if s.name in learnt],
        loop,
        device=config.device,
        on_epoch=show,
    )
    return Fitted(name=partial(name_windows, model), trained_on=trained_on)


def _prefixed(say: Say, title: str) -> Say:
    return lambda text: say(f"{title}: {text}")


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
