# SPDX-License-Identifier: Apache-2.0
"""Training's options: held-out data, other optimisers, patience, going on, the command."""

from __future__ import annotations

import importlib.util
import re
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine.errors import ConfigError, SinkError, SourceError
from poseact_engine.training.keypoints import read_sequences
from poseact_engine.training.keypoints import write_sequences as write_keypoints
from tests.poses import make_sequence, write_sequences

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.cli.train import train_app
    from poseact_engine.training import action
    from poseact_engine.training.checkpoint import load_checkpoint, save_checkpoint
    from poseact_engine.training.loop import LoopConfig, Run
    from poseact_engine.training.models.lstm import ActionLstm, LstmConfig

LOOP = {"epochs": 4, "epoch_windows": 256, "batch_size": 64, "lr": 5e-3}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)  # such small steps are slower on two
    path = tmp_path_factory.mktemp("train") / "made.npz"
    write_sequences(path, takes=3, seconds=0.8)
    return path


def small(data: Path, *, loop: dict[str, Any] | None = None, **options: Any) -> action.TrainConfig:
    made = {
        "model": LstmConfig(hidden=12, layers=2, dropout=0.2),
        "loop": LoopConfig(**LOOP | (loop or {})),
    }
    return action.TrainConfig(data=(data,), **made | options)


def weights_of(trained: Any) -> dict[str, Any]:
    state: dict[str, Any] = trained.model.state_dict()
    return state


def assert_same(one: Any, other: Any) -> None:
    assert one.last.loss == other.last.loss
    for name, value in weights_of(one).items():
        assert torch.equal(value, weights_of(other)[name]), name


# ---------------------------------------------------------------- what is held out


def test_given_files_are_held_out_and_all_else_is_learnt(data: Path, tmp_path: Path) -> None:
    write_sequences(tmp_path / "other.npz", takes=1, source="other")
    config = small(data, validation_data=(tmp_path / "other.npz",))
    prepared = action.prepare(config)
    assert len(prepared.split.train) == 18
    assert set(prepared.validation.sources()) == {"other"}
    assert prepared.split.validation == prepared.validation.names
    with pytest.raises(ConfigError, match=r"18 of 18 sequences .* learnt from, too: made/car"):
        action.prepare(replace(config, validation_data=(data,)))
    same = [replace(s, subject="p") for s in read_sequences([data])]
    write_keypoints(tmp_path / "a.npz", same)
    one = replace(make_sequence(np.arange(20) / 30, 2, name="b/one"), subject="p")
    write_keypoints(tmp_path / "b.npz", [one])
    with pytest.raises(ConfigError, match=r"subject or clip that is learnt from, too: b/one"):
        action.prepare(small(tmp_path / "a.npz", validation_data=(tmp_path / "b.npz",)))


def test_a_random_split_holds_out_windows_once_and_learns_none_of_them(data: Path) -> None:
    prepared = action.prepare(small(data, split="random", validation=0.2, least_fall=0.0))
    total = len(prepared.train) + len(prepared.validation)
    assert len(prepared.validation) == round(0.2 * total)
    both = {
        (w.names[i], float(end))
        for w in (prepared.train, prepared.validation)
        for i, end in zip(w.sequence, w.end_s, strict=True)
    }
    assert len(both) == total
    assert set(prepared.split.train) & set(prepared.split.validation)  # it flatters
    other = action.prepare(small(data, split="random", validation=0.2, loop={"seed": 1}))
    assert not np.array_equal(other.validation.end_s, prepared.validation.end_s)
    with pytest.raises(ConfigError, match="split: expected group beside validation data"):
        small(data, split="random", validation_data=(data,))


def test_fewer_windows_are_split_the_same_way(data: Path) -> None:
    whole, fewer = (action.prepare(small(data, every=n)) for n in (1, 3))
    assert fewer.split == whole.split
    assert len(fewer.validation) == pytest.approx(len(whole.validation) / 3, abs=6)
    assert len(fewer.train) < len(whole.train) / 2


# ---------------------------------------------------------------- how it is learnt


def test_the_first_step_is_that_of_each_optimisers_formula(data: Path) -> None:
    prepared = action.prepare(small(data))
    one = {"epochs": 1, "epoch_windows": 64, "lr": 1e-3}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = ActionLstm(small(data).model).head.weight.detach()
    moved = {
        name: action.learn(small(data, loop=one | {"optimiser": name}), prepared).model.head.weight
        for name in ("adam", "rmsprop", "sgd")
    }
    step = {name: (w.detach() - first).double() / 1e-3 for name, w in moved.items()}
    # SGD goes by the gradient g; Adam by g / |g|; RMSProp by g / sqrt((1 - 0.99) g^2).
    large = step["sgd"].abs() > 1e-3
    assert large.sum() > 20
    sign = step["sgd"].sign()[large]
    torch.testing.assert_close(step["adam"][large], sign, atol=1e-3, rtol=0)
    torch.testing.assert_close(step["rmsprop"][large], 10 * sign, atol=1e-2, rtol=0)
    with pytest.raises(ConfigError, match=r"train\.optimiser: expected adam, rmsprop, sgd"):
        LoopConfig(optimiser="lion")  # type: ignore[arg-type]


def test_patience_keeps_the_best_epoch_and_stops(data: Path) -> None:
    seen: list[float] = []
    config = small(data, loop={"epochs": 40, "patience": 3})
    prepared = action.prepare(config)
    trained = action.learn(config, prepared, on_epoch=lambda e: seen.append(e.validation.macro))
    best = int(np.argmax(seen))  # the first of equals
    assert trained.epochs == len(seen) == best + 1 + 3
    assert trained.last.number == best + 1
    assert trained.last.validation.macro == seen[best]
    endless = replace(config.loop, patience=None, epochs=3)
    kept = action.learn(replace(config, loop=endless), prepared)
    assert kept.epochs == kept.last.number == 3
    with pytest.raises(ConfigError, match="held-out windows to go by"):
        action.learn(config, action.prepare(replace(config, validation=0.0)))
    with pytest.raises(ConfigError, match="patience"):
        LoopConfig(patience=0)


def test_training_goes_on_from_a_checkpoint(data: Path, tmp_path: Path) -> None:
    config = small(data)
    prepared = action.prepare(config)
    first = action.learn(config, prepared)
    save_checkpoint(action.make_checkpoint(config, prepared, first), tmp_path / "a.pt")
    tiny = replace(config.loop, epochs=1, epoch_windows=64, lr=1e-9)
    again = action.learn(replace(config, init=tmp_path / "a.pt", loop=tiny), prepared)
    for name, value in weights_of(first).items():
        torch.testing.assert_close(weights_of(again)[name], value, atol=1e-6, rtol=0)
    other = replace(config, init=tmp_path / "a.pt", model=LstmConfig(hidden=13, layers=2))
    with pytest.raises(ConfigError, match=r"--init .*a\.pt: expected .* got \(12, 2, 'body'\)"):
        action.learn(other, prepared)


@pytest.mark.parametrize("patience", [None, 9])
def test_a_resumed_run_ends_as_one_that_never_stopped(
    data: Path, tmp_path: Path, patience: int | None
) -> None:
    config = small(data, loop={"patience": patience})
    prepared = action.prepare(config)
    whole = action.learn(config, prepared)
    state = tmp_path / "a.pt.resume"
    for steps in (6, 6, 1):  # four an epoch: stopped in the second, in the third, and there again
        should_stop = partial(lambda left: next(left, None) is None, iter(range(steps)))
        torch.manual_seed(steps)  # what the program drew before must not matter
        run = Run(state=state, resume=state.exists(), should_stop=should_stop)
        stopped = action.learn(config, prepared, run=run)
        assert not stopped.finished
    assert stopped.epochs == 2
    resumed = action.learn(config, prepared, run=Run(state=state, resume=True))
    assert resumed.finished
    assert_same(resumed, whole)
    done = action.learn(config, prepared, run=Run(state=state, resume=True))  # nothing is left
    assert_same(done, whole)
    slower = small(data, loop={"patience": patience, "lr": 1e-3})
    for changed, name in ((slower, "loop"), (replace(config, every=2), "every")):
        with pytest.raises(SourceError, match=f"began with, got another {name}"):
            action.learn(changed, prepared, run=Run(state=state, resume=True))


@pytest.mark.needs_cuda
def test_cuda_learns_the_same_things(data: Path) -> None:
    config = small(data, loop={"epochs": 8})
    prepared = action.prepare(config)
    trained = action.learn(config, prepared, run=Run(device=torch.device("cuda")))
    assert trained.model.head.weight.device.type == "cpu"
    assert trained.last.validation is not None
    assert trained.last.validation.macro > 0.9


# ---------------------------------------------------------------- the command

SHORT = [
    "--threads", "1", "--epochs", "3", "--epoch-windows", "128", "--hidden", "8", "--layers", "1",
    "--device", "cpu",
]  # fmt: skip


def command(*args: Any) -> str:
    words = ["action", *(str(a) for a in args)]
    result = CliRunner().invoke(train_app, words, env={"COLUMNS": "200"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return re.sub(r"\s+", " ", result.output)


def test_the_command_says_what_flatters_and_writes_curves(data: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output = tmp_path / "a.pt"
    said = command(
        data, "-o", output, *SHORT, "--split", "random", "--patience", 9, "--optimizer", "rmsprop",
        "--tensorboard", tmp_path / "tb",
    )  # fmt: skip
    for words in (
        "training on cpu",
        "epoch 3/3: loss",
        "so the accuracy flatters",
        "held-out score chose",
    ):
        assert words in said
    assert not (tmp_path / "a.pt.resume").exists()
    asked = load_checkpoint(output).training
    assert (asked["split"], asked["loop"]["optimiser"]) == ("random", "rmsprop")
    curves = EventAccumulator(str(tmp_path / "tb"))
    curves.Reload()
    assert [e.step for e in curves.Scalars("train/loss")] == [1, 2, 3]
    assert "held_out/mean_of_classes" in curves.Tags()["scalars"]
    said = command(data, "-o", tmp_path / "b.pt", *SHORT[:-6], "--init", output, "--device", "cpu")
    assert load_checkpoint(tmp_path / "b.pt").hidden == 8  # the first checkpoint's
    assert "were learnt from by --init's checkpoint, so the accuracy flatters" in said
    assert "held-out score chose" not in said


def test_the_command_goes_on_where_it_was_stopped(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from poseact_engine.cli import train_action

    outputs = tmp_path / "whole.pt", tmp_path / "stopped.pt"
    command(data, "-o", outputs[0], *SHORT)
    curves = train_action._curves

    def stopping(epoch: Any) -> Any:
        if epoch.number == 2:
            signal.raise_signal(signal.SIGINT)
        return curves(epoch)

    monkeypatch.setattr(train_action, "_curves", stopping)
    args = ["action", str(data), "-o", str(outputs[1]), *SHORT]
    result = CliRunner().invoke(train_app, args, env={"COLUMNS": "400"})
    assert result.exit_code == 130, result.output
    assert "stopped after 2 epochs" in result.output
    assert "--resume" in result.output
    assert not outputs[1].exists()
    monkeypatch.undo()
    with pytest.raises(SinkError, match="an earlier run was broken off there"):
        command(data, "-o", outputs[1], *SHORT)
    command(data, "-o", outputs[1], *SHORT, "--resume")
    one, other = (load_checkpoint(p) for p in outputs)
    for name, value in one.state.items():
        assert torch.equal(value, other.state[name]), name
    assert one.training == other.training


def test_wrong_options_are_said_before_any_training(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "a.pt"
    (tmp_path / "no.pt").write_text("none")
    wrong: tuple[tuple[list[str], type[Exception], str], ...] = (
        (["--resume"], SourceError, "no such training state to go on from"),
        (
            ["--init", str(tmp_path / "no.pt")],
            SourceError,
            r"no\.pt: expected an action checkpoint",
        ),
        (["--validation-data", str(tmp_path / "gone.npz")], SourceError, "no such keypoint file"),
        (["--tensorboard", str(data)], SinkError, "cannot be made a folder"),
    )
    for extra, kind, message in wrong:
        args = ["action", str(data), "-o", str(output), *SHORT, *extra]
        with pytest.raises(kind, match=message):
            CliRunner().invoke(train_app, args, catch_exceptions=False)
        assert not output.exists()
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="--device: expected a CUDA device"):
            CliRunner().invoke(
                train_app,
                ["action", str(data), "-o", str(output), *SHORT[:-1], "cuda"],
                catch_exceptions=False,
            )
