# SPDX-License-Identifier: Apache-2.0
"""Training, end to end on made people; checkpoints; the command."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from poseact_engine.errors import ConfigError, DependencyError, SinkError, SourceError
from poseact_engine.files import file_sha256
from tests.poses import CLASSES, make_poses, random_windows, write_sequences

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.cli.train import train_app
    from poseact_engine.training import action, report
    from poseact_engine.training.checkpoint import load_checkpoint, save_checkpoint
    from poseact_engine.training.loop import LoopConfig, train
    from poseact_engine.training.models.lstm import LstmConfig


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("train") / "made.npz"
    write_sequences(path)
    return path


def small(data: Path, **options: Any) -> action.TrainConfig:
    loop = LoopConfig(epochs=4, epoch_windows=768, batch_size=64, lr=5e-3)
    config = action.TrainConfig(data=(data,), model=LstmConfig(hidden=32, layers=1), loop=loop)
    return replace(config, **options)


@pytest.fixture(scope="module")
def learnt(data: Path) -> tuple[action.TrainConfig, action.Prepared, Any]:
    torch.set_num_threads(1)  # such small steps are slower on two
    config = small(data)
    prepared = action.prepare(config)
    return config, prepared, action.learn(config, prepared)


def test_actions_that_differ_are_learnt_by_people_never_seen(learnt: Any) -> None:
    _, prepared, trained = learnt
    assert not set(prepared.split.train) & set(prepared.split.validation)
    assert len(prepared.split.validation) == 6
    assert trained.last.validation.macro > 0.95
    assert trained.last.validation.confusion.sum() == len(prepared.validation)


def test_the_same_seed_gives_the_same_model_and_another_another(data: Path, learnt: Any) -> None:
    config, prepared, _ = learnt
    loop = replace(config.loop, epochs=1, epoch_windows=128)
    first = action.learn(replace(config, loop=loop), prepared).model.state_dict()
    torch.manual_seed(12345)  # what the program drew before must not matter
    again = action.learn(replace(config, loop=loop), action.prepare(config)).model.state_dict()
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
    other = small(data, loop=replace(loop, seed=1))
    assert action.prepare(other).split != prepared.split
    assert not torch.equal(action.learn(other, prepared).model.head.weight, first["head.weight"])


def test_training_does_not_disturb_the_programs_random_numbers(learnt: Any) -> None:
    config, prepared, _ = learnt
    torch.manual_seed(0)
    before = torch.get_rng_state()
    action.learn(replace(config, loop=replace(config.loop, epochs=1, epoch_windows=64)), prepared)
    assert torch.equal(before, torch.get_rng_state())


def test_falls_in_which_nobody_moves_are_not_learnt_from(tmp_path: Path) -> None:
    arrays = write_sequences(tmp_path / "still.npz", takes=2)
    still = make_poses("standing", np.arange(45) / 30, seed=0)
    arrays["made/falling_down-0/keypoints"] = still
    np.savez(tmp_path / "still.npz", **arrays)  # type: ignore[arg-type]
    config = small(tmp_path / "still.npz", validation=0.0)
    counts = {}
    for least in (0.0, 0.1):
        prepared = action.prepare(replace(config, least_fall=least))
        of_fall = prepared.train.labels == CLASSES.index("falling_down")
        names = np.array(prepared.train.names)[prepared.train.sequence[of_fall]]
        counts[least] = {n: int((names == n).sum()) for n in np.unique(names)}
        assert (prepared.train.labels == CLASSES.index("standing")).sum() > 100
    assert counts[0.0].keys() == {"made/falling_down-0", "made/falling_down-1"}
    assert counts[0.1] == {"made/falling_down-1": counts[0.0]["made/falling_down-1"]}


def test_nothing_to_learn_from_is_an_error(data: Path, learnt: Any) -> None:
    config, prepared, _ = learnt
    with pytest.raises(ConfigError, match="found none"):
        action.prepare(small(data, exclude=("made/*",)))
    others = tuple(f"made/{name}*" for name in CLASSES if name != "falling_down")
    with pytest.raises(ConfigError, match="falls alone in which nobody moves"):
        action.prepare(small(data, exclude=others, least_fall=99.0))
    empty = prepared.train.select(np.zeros(0, dtype=np.int64))
    with pytest.raises(ConfigError, match="expected labelled windows"):
        train(empty, empty, model=config.model, loop=config.loop)


@pytest.mark.parametrize(
    "options", [{"epochs": 0}, {"batch_size": True}, {"lr": 0.0}, {"seed": 2**63}]
)
def test_wrong_loops_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"train.{next(iter(options))}"):
        LoopConfig(**options)


def test_a_loss_that_is_no_number_ends_the_training(learnt: Any) -> None:
    config, prepared, _ = learnt
    loop = replace(config.loop, lr=1e38, optimiser="sgd", epoch_windows=256)
    with pytest.raises(ConfigError, match=r"the loss became (nan|inf) in epoch \d; try a smaller"):
        action.learn(replace(config, loop=loop), prepared)


# ---------------------------------------------------------------- checkpoints


def test_a_checkpoint_gives_the_same_answers_and_says_how_it_came_about(
    tmp_path: Path, data: Path, learnt: Any
) -> None:
    config, prepared, trained = learnt
    save_checkpoint(action.make_checkpoint(config, prepared, trained), tmp_path / "a.pt")
    found = load_checkpoint(tmp_path / "a.pt")
    windows = torch.from_numpy(random_windows(12, seed=0))
    answers = (m.probabilities(windows) for m in (found.make_model(), trained.model))
    torch.testing.assert_close(*answers, atol=0, rtol=0)
    assert (found.classes, found.length, found.rate) == (CLASSES, 9, (30, 1))
    assert found.training["data"][0]["file"] == data.name
    assert found.training["held_out"] == list(prepared.split.validation)
    assert found.training["macro_accuracy"] == trained.last.validation.macro


def test_what_the_first_checkpoint_learnt_from_is_not_held_out(tmp_path: Path, learnt: Any) -> None:
    config, prepared, _ = learnt
    save_checkpoint(action.make_checkpoint(*learnt), tmp_path / "a.pt")
    config = replace(config, init=tmp_path / "a.pt")
    assert action.learnt_before(config, prepared) == []
    config = replace(config, loop=replace(config.loop, seed=5))
    other = action.prepare(config)
    both = set(prepared.split.train) & set(other.split.validation)
    assert both
    assert set(action.learnt_before(config, other)) == both
    (said,) = report.caveats(split="group", patience=None, epoch=1, learnt_before=len(both))
    assert f"{len(both)} of the held-out sequences were learnt from by --init" in said


def test_data_may_go_while_a_model_learns_from_it(tmp_path: Path, learnt: Any) -> None:
    path = tmp_path / "gone.npz"
    write_sequences(path, takes=2)
    sha256 = file_sha256(path)
    prepared = action.prepare(small(path))
    path.unlink()
    made = action.make_checkpoint(small(path), prepared, learnt[2])
    assert made.training["data"] == [{"file": "gone.npz", "sha256": sha256}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "expected an action checkpoint"),
        ({"version": 99}, "expected version 1, got 99"),
        ({"classes": None}, "missing .'classes'."),
        ({"extra": 1}, "unknown .'extra'."),
        ({"classes": ("a", "b")}, "weights do not fit"),
        ({"hidden": 33}, "weights do not fit"),
        ({"length": 8}, "odd number"),
        ({"rate": (30, 0)}, "rate"),
        ({"joints": ("nose",)}, "joints"),
        ({"normalise": "none"}, "normalise"),
        ({"state": 5}, "malformed"),
    ],
)
def test_a_malformed_checkpoint_is_refused(
    tmp_path: Path, learnt: Any, change: dict[str, Any], message: str
) -> None:
    save_checkpoint(action.make_checkpoint(*learnt), tmp_path / "a.pt")
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    content |= {k: v for k, v in change.items() if v is not None}
    for key in (k for k, v in change.items() if v is None):
        del content[key]
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(SourceError, match=message) as error:
        load_checkpoint(tmp_path / "a.pt")
    assert "a.pt" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.pt"):
        load_checkpoint(tmp_path / "a.pt")
    with pytest.raises(SourceError, match="no such"):
        load_checkpoint(tmp_path / "gone.pt")


# ---------------------------------------------------------------- the command


SHORT = [
    "--threads",
    "1",
    "--epochs",
    "1",
    "--epoch-windows",
    "256",
    "--hidden",
    "16",
    "--layers",
    "1",
]


def test_the_command_trains_and_reports(tmp_path: Path, data: Path) -> None:
    output = tmp_path / "a.pt"
    args = ["action", str(data), "-o", str(output), "--exclude", "made/*-3", "--seed", "3", *SHORT]
    result = CliRunner().invoke(train_app, args, env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    for text in ("accuracy on held-out windows", "confusion", *CLASSES, "seed 3"):
        assert text in result.output
    found = load_checkpoint(output)
    assert found.training["exclude"] == ["made/*-3"]
    assert (found.hidden, found.layers, found.training["loop"]["seed"]) == (16, 1, 3)
    names = [*found.training["held_out"], *found.training["trained_on"]]
    assert len(names) == 18
    assert not [n for n in names if n.endswith("-3")]


@pytest.mark.parametrize(
    ("extra", "kind", "message"),
    [
        (["--exclude", "made/gone*"], ConfigError, "matches none of 24 sequences"),
        (["--lr", "0"], ConfigError, r"train\.lr"),
        (["--least-fall", "nan"], ConfigError, "least_fall"),
        (["-o", "gone/a.pt"], SinkError, "expected an existing folder, got gone"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, data: Path, extra: list[str], kind: type[Exception], message: str
) -> None:
    args = ["action", str(data), "-o", str(tmp_path / "a.pt"), *SHORT, *extra]
    with pytest.raises(kind, match=message):
        CliRunner().invoke(train_app, args, catch_exceptions=False)
    assert not (tmp_path / "a.pt").exists()


def test_data_and_folders_are_refused_as_output_before_any_training(
    tmp_path: Path, data: Path
) -> None:
    before = data.read_bytes()
    earlier = tmp_path / "earlier.pt"
    earlier.write_bytes(b"weeks of work")
    for output, message in (
        (data, "is a file to be read"),
        (tmp_path, "got a folder"),
        (earlier, "exists; .* --overwrite"),
    ):
        with pytest.raises(SinkError, match=message):
            CliRunner().invoke(
                train_app, ["action", str(data), "-o", str(output)], catch_exceptions=False
            )
    assert data.read_bytes() == before
    assert earlier.read_bytes() == b"weeks of work"


def test_without_torch_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DependencyError, match=r"pip install 'poseact-engine\[train\]'"):
        CliRunner().invoke(train_app, ["action", str(data), "-o", "a.pt"], catch_exceptions=False)
