# SPDX-License-Identifier: Apache-2.0
"""The loop, its state and what stops it: a run that is broken off ends as one that is not."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseact_engine.errors import ConfigError, DependencyError, SinkError, SourceError

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch
    from torch import nn

    from poseact_engine.training.average import WeightAverage
    from poseact_engine.training.board import Board
    from poseact_engine.training.device import resolve_device, resolve_precision
    from poseact_engine.training.loader import Loader
    from poseact_engine.training.session import load_state, resume_path, save_state
    from poseact_engine.training.stopping import EarlyStopping
    from poseact_engine.training.trainer import Outcome, Trainer, Watch
    from poseact_engine.training.trainer_config import TrainerConfig
    from tests.official_networks import one_thread

    one_thread = pytest.fixture(autouse=True, scope="module")(one_thread)


class Points:
    """Numbers and what is to be said of them; noise by the example's own random numbers."""

    def __len__(self) -> int:
        return 22

    def make(self, index: int, rng: np.random.Generator) -> Any:
        x = np.array([[index / 22, rng.normal()]], np.float32).reshape(2, 1, 1)
        return torch.from_numpy(x), torch.tensor(float(index > 11))


class PointJob:
    """A small convolutional network with everything that has a state."""

    score = "score"

    def __init__(self, scores: list[float] | None = None, *, workers: int = 0) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            self.net: nn.Module = nn.Sequential(
                nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1), nn.Flatten()
            )
        self.loader = Loader(Points(), batch_size=4, seed=0, workers=workers)
        self.scores = scores
        self.looks = 0

    @property
    def steps(self) -> int:
        return self.loader.steps

    def batches(self, epoch: int, first: int, *, pin: bool) -> Iterator[Any]:
        return self.loader.batches(epoch, first, pin=pin)

    def losses(self, batch: Any, _epoch: int) -> dict[str, torch.Tensor]:
        said = self.net(batch[0])[:, 0]
        return {"of": nn.functional.binary_cross_entropy_with_logits(said, batch[1])}

    def validate(self, net: nn.Module, _device: torch.device) -> dict[str, float]:
        assert not net.training
        self.looks += 1
        return {"score": self.scores[self.looks - 1]} if self.scores else {}


CONFIG: dict[str, Any] = {
    "epochs": 4, "batch_size": 4, "lr": 1e-2, "optimiser": "adam", "device": "cpu", "average": 0.9,
}  # fmt: skip


def trainer(job: PointJob, folder: Path, **changes: Any) -> Trainer:
    config = TrainerConfig(**(CONFIG | changes))
    return Trainer(job, config, state_path=folder / "m.pt.resume", options={"seed": 0})


def same(a: Outcome, b: Outcome) -> None:
    assert a.state.keys() == b.state.keys()
    for name, value in a.state.items():
        assert torch.equal(value, b.state[name]), name
    assert (a.epoch, a.history, a.scores) == (b.epoch, b.history, b.scores)


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("after", [1, 5, 8])
def test_a_run_that_is_broken_off_ends_as_one_that_is_not(
    tmp_path: Path, optimiser: str, after: int
) -> None:
    scores = [0.1, 0.5, 0.3, 0.4]
    options = {"optimiser": optimiser, "patience": 3, "weight_decay": 0.01}
    whole = trainer(PointJob(scores), tmp_path, **options).run(Watch())
    assert (whole.finished, whole.epoch, whole.scores) == (True, 2, {"score": 0.5})
    steps: list[int] = []
    watch = Watch(on_step=lambda _epoch, step: steps.append(step), stop=lambda: len(steps) == after)
    first = PointJob(scores)
    stopped = trainer(first, tmp_path, **options).run(watch)
    assert not stopped.finished
    torch.manual_seed(77)  # what the program drew meanwhile must not matter
    job = PointJob(scores)
    job.looks = first.looks
    again = trainer(job, tmp_path, **options)
    again.resume(tmp_path / "m.pt.resume")
    same(again.run(Watch()), whole)


def test_workers_change_nothing(tmp_path: Path) -> None:
    alone = trainer(PointJob(), tmp_path, epochs=2).run(Watch())
    helped = trainer(PointJob(workers=1), tmp_path, epochs=2, workers=1).run(Watch())
    same(helped, alone)


def test_an_epoch_is_every_example_once_in_an_order_of_its_own() -> None:
    loader = Loader(Points(), batch_size=4, seed=1)
    assert loader.steps == 5
    epochs = [
        [round(float(x) * 22) for xs, _ in loader.batches(epoch) for x in xs[:, 0, 0, 0]]
        for epoch in (1, 2, 1)
    ]
    assert epochs[0] == epochs[2] != epochs[1]
    assert all(len(set(rows)) == len(rows) == 20 for rows in epochs)
    rest = [round(float(x) * 22) for xs, _ in loader.batches(1, 3) for x in xs[:, 0, 0, 0]]
    assert rest == epochs[0][12:]


def test_it_stops_when_nothing_becomes_better_and_keeps_the_best(tmp_path: Path) -> None:
    job = PointJob([0.2, 0.6, 0.5, 0.6, 0.9])
    seen: dict[int, Any] = {}
    run = trainer(job, tmp_path, epochs=5, patience=2)
    watch = Watch(
        on_epoch=lambda e: seen.update(
            {e.number: {k: v.clone() for k, v in run.average.net.state_dict().items()}}
        )
    )
    outcome = run.run(watch)
    assert (list(seen), outcome.epoch) == ([1, 2, 3, 4], 2)
    for name, value in outcome.state.items():
        assert torch.equal(value, seen[2][name])


@pytest.mark.parametrize(
    ("mode", "scores", "best", "stops"),
    [
        ("max", [1.0, 2.0, 1.5, 1.9], 2, 4),
        ("min", [3.0, 2.0, 2.5, 1.0, 9.0, 9.0], 4, 6),
        ("max", [math.nan, math.nan], 0, 2),
        ("max", [math.nan, 0.0, 0.0, 0.0], 2, 4),
    ],
)
def test_early_stopping(mode: Any, scores: list[float], best: int, stops: int) -> None:
    stopping = EarlyStopping(2, mode)
    for epoch, value in enumerate(scores, start=1):
        assert not stopping.stop
        stopping.update(value, epoch)
    assert (stopping.stop, stopping.best_epoch, len(scores)) == (True, best, stops)
    other = EarlyStopping(2, mode)
    other.load_state_dict(stopping.state_dict())
    assert (other.stop, other.best_epoch) == (True, best)
    with pytest.raises(ConfigError, match="patience"):
        EarlyStopping(0)


def test_the_rate_rises_and_falls() -> None:
    config = TrainerConfig(**(CONFIG | {"lr": 0.5, "warm_up": 0.1}))
    rates = [config.rate(step, 200) for step in range(200)]
    assert rates[:20] == pytest.approx([0.5 * (k + 1) / 21 for k in range(20)])
    assert max(rates) == rates[20] == pytest.approx(0.5)
    assert rates[110] == pytest.approx(0.5 * (0.02 + 0.98 * 0.5))
    assert rates[-1] == pytest.approx(0.01, rel=0.02)
    steps = replace(config, schedule="step")
    assert [steps.rate(k, 200) for k in (100, 161, 162, 189, 190)] == pytest.approx(
        [0.5, 0.5, 0.05, 0.05, 0.005]
    )


def test_the_mean_of_weights_follows_its_recurrence() -> None:
    net = nn.BatchNorm1d(1)
    average = WeightAverage(net, 0.5)
    want = 1.0
    for step in range(1, 8):
        nn.init.constant_(net.weight, float(step))
        average.update(net)
        keep = min(0.5, (1 + step) / (10 + step))
        want = keep * want + (1 - keep) * step
        assert float(average.net.state_dict()["weight"]) == pytest.approx(want, rel=1e-6)
    last = WeightAverage(net, 0.0)
    nn.init.constant_(net.weight, 42.0)
    last.update(net)
    assert float(last.net.state_dict()["weight"]) == 42.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0}, {"batch_size": True}, {"lr": math.nan}, {"optimiser": "lion"},
        {"schedule": "x"}, {"warm_up": 1.0}, {"average": 1.0}, {"weight_decay": -1.0},
        {"patience": 0}, {"workers": -1}, {"max_gradient": 0.0}, {"validate_every": 0},
    ],
)  # fmt: skip
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"train.{next(iter(wrong))}"):
        TrainerConfig(**(CONFIG | wrong))


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    job = PointJob()
    nn.init.constant_(job.net[0].bias, math.nan)  # type: ignore[index]
    with pytest.raises(ConfigError, match="the loss became nan in epoch 1; try a smaller --lr"):
        trainer(job, tmp_path).run(Watch())


# ---------------------------------------------------------------- the state's file


def test_random_numbers_go_on_where_they_were(tmp_path: Path) -> None:
    own, layer = torch.Generator().manual_seed(4), nn.Linear(1, 1)
    torch.manual_seed(5)
    path = tmp_path / "a.resume"
    save_state(path, options={}, values={"n": 3}, parts={"net": layer}, generators={"own": own})
    want = (torch.rand(3), torch.rand(3, generator=own))
    other, fresh = torch.Generator(), nn.Linear(1, 1)
    values = load_state(path, options={}, parts={"net": fresh}, generators={"own": other})
    assert values == {"n": 3}
    assert torch.equal(torch.rand(3), want[0])
    assert torch.equal(torch.rand(3, generator=other), want[1])
    assert torch.equal(fresh.weight, layer.weight)
    assert [p.name for p in tmp_path.iterdir()] == ["a.resume"]


def test_a_state_is_only_gone_on_with_under_the_same_options(tmp_path: Path) -> None:
    path = resume_path(tmp_path / "m.pt")
    assert path.name == "m.pt.resume"
    layer = nn.Linear(1, 1)
    save_state(path, options={"seed": 0, "lr": 1.0}, values={}, parts={"net": layer})
    newer = {"seed": 0, "lr": 1.0, "augment": {"cover": 0.1}}
    with pytest.raises(SourceError, match=r"augment: .* instead of nothing \(of another version\)"):
        load_state(path, options=newer, parts={"net": layer})
    with pytest.raises(SourceError, match=r"got another lr: 2\.0 instead of 1\.0"):
        load_state(path, options={"seed": 0, "lr": 2.0}, parts={"net": layer})
    with pytest.raises(SourceError, match="another's"):
        load_state(path, options={"seed": 0, "lr": 1.0}, parts={"other": layer})
    with pytest.raises(SourceError, match="malformed training state"):
        load_state(path, options={"seed": 0, "lr": 1.0}, parts={"net": nn.Linear(2, 1)})


def test_other_files_are_no_state(tmp_path: Path) -> None:
    path = tmp_path / "x.resume"
    layer = nn.Linear(1, 1)
    with pytest.raises(SourceError, match="no such training state"):
        load_state(path, options={}, parts={"net": layer})
    path.write_bytes(b"nothing")
    with pytest.raises(SourceError, match="expected a training state"):
        load_state(path, options={}, parts={"net": layer})
    torch.save({"weight": layer.weight}, path)
    with pytest.raises(SourceError, match="got another file"):
        load_state(path, options={}, parts={"net": layer})
    save_state(path, options={}, values={}, parts={"net": layer})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SourceError, match="cut off"):
        load_state(path, options={}, parts={"net": layer})
    with pytest.raises(SinkError, match="cannot be written"):
        save_state(tmp_path / "no" / "x", options={}, values={}, parts={"net": layer})


# ---------------------------------------------------------------- where, and who looks on


def test_what_was_asked_for_and_is_not_there_is_an_error(monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ConfigError, match="expected a CUDA device"):
        resolve_device("cuda")
    with pytest.raises(ConfigError, match="auto, cpu or cuda"):
        resolve_device("tpu")  # type: ignore[arg-type]
    assert resolve_precision("auto", torch.device("cpu")) == "fp32"
    assert resolve_precision("bf16", torch.device("cpu")) == "bf16"


def test_without_tensorboard_curves_are_refused_and_no_curves_are_no_error(
    monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(DependencyError, match=r"poseact-engine\[eval\]"):
        Board(tmp_path / "curves")
    with Board(None) as board:
        board.write({"a": 1.0}, 1)
    assert not list(tmp_path.iterdir())
