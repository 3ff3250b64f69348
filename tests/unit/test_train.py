# SPDX-License-Identifier: Apache-2.0
"""Training, end to end on made people; augmentation, balance, scores, checkpoints, the command."""

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
from poseact_engine.training.metrics import score
from tests.poses import CLASSES, make_poses, random_windows, write_sequences

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.cli.train import train_app
    from poseact_engine.training import action, report
    from poseact_engine.training.augment import AugmentConfig, augment
    from poseact_engine.training.checkpoint import load_checkpoint, save_checkpoint
    from poseact_engine.training.loop import LoopConfig, balance, train
    from poseact_engine.training.models.lstm import LstmConfig
    from poseact_engine.training.windows import WindowSet

NOTHING = {
    "graft_face": 0.0,
    "drop_eyes_and_ears": 0.0,
    "drop_face": 0.0,
    "drop_joint": 0.0,
    "miss_joint": 0.0,
    "mirror": 0.0,
    "rotate_deg": 0.0,
    "stretch": 0.0,
    "shape_noise": 0.0,
    "pose_noise": 0.0,
}


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
    empty = prepared.train.select(np.zeros(0, dtype=np.int64))
    with pytest.raises(ConfigError, match="expected labelled windows"):
        train(empty, empty, model=config.model, loop=config.loop)


# ---------------------------------------------------------------- draws and augmentation


def window_set(labels: list[int], names: list[str]) -> WindowSet:
    return WindowSet(
        poses_px=random_windows(len(labels), seed=0),
        labels=np.array(labels),
        sequence=np.arange(len(labels)),
        end_s=np.zeros(len(labels)),
        names=tuple(names),
    )


def test_classes_are_drawn_alike_and_sources_alike_within_a_class() -> None:
    windows = window_set([0, 0, 0, 0, 2], ["a/1", "a/2", "a/3", "b/1", "a/4"])
    np.testing.assert_allclose(balance(windows), [1 / 12, 1 / 12, 1 / 12, 1 / 4, 1 / 2])


def augmented(windows: np.ndarray, seed: int = 0, **options: float) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed)
    config = AugmentConfig(**(NOTHING | options))
    return augment(torch.from_numpy(windows), config, generator).numpy()


def test_without_any_chance_nothing_changes() -> None:
    windows = random_windows(8, seed=0)
    before = windows.copy()
    np.testing.assert_allclose(augmented(windows), windows, atol=1e-3)
    augmented(windows, **dict.fromkeys(NOTHING, 0.5))
    np.testing.assert_array_equal(windows, before)


def test_mirrored_twice_is_the_same_and_left_becomes_right() -> None:
    windows = random_windows(8, seed=1)
    once = augmented(windows, mirror=1.0)
    np.testing.assert_allclose(augmented(once, mirror=1.0), windows, atol=1e-2)
    np.testing.assert_array_equal(once[..., 9, 1], windows[..., 10, 1])  # wrists keep their height
    np.testing.assert_array_equal(once[..., 2], windows[..., [0, 2, 1, *swapped(3)], 2])


def swapped(first: int) -> list[int]:
    return [k + 1 if (k - first) % 2 == 0 else k - 1 for k in range(first, 17)]


def test_unseen_joints_stay_unseen() -> None:
    windows = random_windows(8, seed=2)
    found = augmented(windows, mirror=0.0, rotate_deg=20, stretch=0.2, shape_noise=0.1)
    unseen = windows[..., 2] == 0
    assert unseen.any()
    np.testing.assert_array_equal(found[unseen], 0)
    assert np.abs(found - windows)[~unseen].max() > 1


def test_noise_is_in_pose_heights() -> None:
    times_s = np.zeros(9)
    windows = np.stack([make_poses("standing", times_s, seed=i) for i in range(200)])
    size = np.ptp(windows[..., 1], axis=(1, 2))
    moved = augmented(windows, pose_noise=0.02) - windows
    np.testing.assert_allclose((moved[..., 0] / size[:, None, None]).std(), 0.02, rtol=0.05)
    fixed = augmented(windows, shape_noise=0.02) - windows
    np.testing.assert_allclose((fixed[..., 1] / size[:, None, None]).std(), 0.02, rtol=0.05)
    np.testing.assert_allclose(np.ptp(fixed[..., :2], axis=1), 0, atol=1e-3)  # same in all poses


def test_faces_are_dropped_in_every_class_as_often_as_asked() -> None:
    windows = random_windows(3000, seed=3)
    windows[..., 2] = 0.5
    found = augmented(windows, drop_face=0.2, drop_eyes_and_ears=0.3)
    for label in range(6):  # made people come class by class in turn
        gone = found[label::6, :, :, 2] == 0
        np.testing.assert_allclose(gone[:, :, 0].mean(), 0.2, atol=0.06)
        np.testing.assert_allclose(gone[:, :, 1:5].mean(), 1 - 0.8 * 0.7, atol=0.07)
        assert not gone[:, :, 5:].any()


def test_a_bare_face_gets_the_eyes_and_ears_of_another_at_its_own_nose() -> None:
    times_s = np.zeros(9)
    bare, whole = (make_poses("standing", times_s, seed=i)[None] for i in (0, 1))
    bare[:, :, 1:5] = 0
    found = augmented(np.concatenate([bare, whole]), graft_face=1.0)
    offsets = [f[:, 1:5, :2] - f[:, :1, :2] for f in found]
    sizes = [np.ptp(w[0, :, [0, *range(5, 17)], 1]) for w in (bare, whole)]
    np.testing.assert_allclose(offsets[0] / sizes[0], offsets[1] / sizes[1], atol=0.01)
    np.testing.assert_array_equal(found[0, :, 1:5, 2], whole[0, :, 1:5, 2])
    np.testing.assert_array_equal(found[1], whole[0])


@pytest.mark.parametrize("options", [{"mirror": 1.5}, {"drop_face": -0.1}, {"pose_noise": -1}])
def test_wrong_amounts_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"augment.{next(iter(options))}"):
        AugmentConfig(**options)


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch_size": True}, {"lr": 0.0}])
def test_wrong_loops_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"train.{next(iter(options))}"):
        LoopConfig(**options)


# ---------------------------------------------------------------- scores


def test_scores_count_by_source() -> None:
    truth, said = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 1])
    found = score(truth, said, np.array(["a", "b", "b", "a", "a"]), classes=3)
    assert found.by_source["a"].tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert found.by_source["b"].tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert found.accuracy == pytest.approx(4 / 5)
    assert found.macro == pytest.approx((2 / 3 + 1) / 2)  # class 2 has no window
    assert np.isnan(score(truth[:0], said[:0], np.array([], dtype=str), classes=3).macro)


def test_warnings_name_what_the_numbers_cannot_tell() -> None:
    windows = window_set([0, 0, 1, 2], ["a/1", "b/1", "a/2", "b/2"])
    held_out = windows.select(np.array([0, 2]))
    found = report.warnings(windows, held_out, ("zero", "one", "two", "three"))
    assert [w.split(" ")[0] for w in found] == ["one", "two", "two", "three"]
    assert "one comes from a alone" in found[0]
    assert "two has no held-out window" in found[2]
    nothing = windows.select(np.zeros(0, dtype=np.int64))
    assert "nothing was held out" in report.warnings(windows, nothing, ("zero", "one", "two"))[-1]


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
        (["-o", "gone/a.pt"], SinkError, "the folder gone does not exist"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, data: Path, extra: list[str], kind: type[Exception], message: str
) -> None:
    args = ["action", str(data), "-o", str(tmp_path / "a.pt"), *SHORT, *extra]
    with pytest.raises(kind, match=message):
        CliRunner().invoke(train_app, args, catch_exceptions=False)
    assert not (tmp_path / "a.pt").exists()


def test_without_torch_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DependencyError, match=r"pip install 'poseact-engine\[train\]'"):
        CliRunner().invoke(train_app, ["action", str(data), "-o", "a.pt"], catch_exceptions=False)
