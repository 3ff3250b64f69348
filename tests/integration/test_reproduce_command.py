# SPDX-License-Identifier: Apache-2.0
"""``poseact reproduce`` on made people: the page, its numbers against scikit-learn's."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from poseact_engine.cli.reproduce import reproduce_command
from poseact_engine.errors import ConfigError, DependencyError, SinkError, SourceError
from poseact_engine.training.keypoints import read_sequences
from tests.pages import Page
from tests.poses import CLASSES, write_sequences

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    from poseact_engine.evaluation.reproduce.data import Sides, make_data_set
    from poseact_engine.evaluation.reproduce.experiment import (
        ReproduceConfig,
        check_sides,
        reproduce,
    )
    from poseact_engine.evaluation.reproduce.page import make_page, percent
    from poseact_engine.evaluation.reproduce.results import HONEST, OURS, PAPER, Findings
    from poseact_engine.training.loop import LoopConfig

app = Typer(add_completion=False)
app.command()(reproduce_command)
LITTLE = ["--synthetic-hours", "0", "--quick", "--epochs", "2", "--max-windows", "200"]


def run(*args: Any) -> Result:
    return CliRunner().invoke(app, [str(a) for a in args])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reproduce")
    write_sequences(folder / "made.npz")
    write_sequences(folder / "others.npz", takes=2, source="others")
    return folder


@pytest.fixture(scope="module")
def findings(folder: Path) -> Findings:
    sets = [
        make_data_set(f"<{name}>", read_sequences([folder / f"{name}.npz"]), seed=0)
        for name in ("made", "others")
    ]
    config = ReproduceConfig(
        epochs=3,
        max_windows=400,
        svm_windows=100,
        recipe=LoopConfig(epochs=3, epoch_windows=1024, batch_size=64, lr=5e-3),
        threads=1,
    )
    return reproduce(sets, config, say=lambda _: None)


@pytest.fixture(scope="module")
def page(findings: Findings) -> Page:
    return Page(make_page(findings, {"command": "poseact <reproduce>"}))


def test_the_page_needs_nothing_else_and_has_every_part(page: Page) -> None:
    page.check_pictures(2 * 6)
    expected = ["The paper, reproduced", "Accuracy:", "What each number means"]
    for name in ("<made>", "<others>"):
        expected += [f"Data: {name}", f"Learning curves: Adam and RMSProp ({name})"]
        expected += [f"Accuracy of each class, honest split ({name})", f"Confusion ({name})"]
        expected.append(f"Robustness ({name})")
    expected += ["Learnt on one data set, tested on another", "How it was made"]
    assert len(page.headings) == len(expected)
    for got, start in zip(page.headings, expected, strict=True):
        assert got.startswith(start)
    assert "95.63 %" in page.text
    assert ["command", "poseact <reproduce>"] in page.rows  # escaped in the page, whole to read


def test_every_figure_is_scikit_learns_on_the_same_answers(findings: Findings, page: Page) -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score

    for study in findings.studies:
        for outcome in study.outcomes:
            truth, said = outcome.truth, outcome.said
            row = next(r for r in page.rows if r[:2] == [study.data.name, outcome.model])
            accuracy = percent(accuracy_score(truth, said))
            assert row[2 if outcome.split == PAPER else 3] == accuracy
            if outcome.split == HONEST:
                falls = recall_score(truth == 1, said == 1)
                expected = [percent(balanced_accuracy_score(truth, said)), percent(falls)]
                assert row[4:6] == expected
        honest = [o for o in study.outcomes if o.split == HONEST]
        for label, name in enumerate(CLASSES):
            recalls = [
                percent(recall_score(o.truth, o.said, labels=[label], average="macro"))
                for o in honest
            ]
            assert [name.replace("_", " "), *recalls] in page.rows


def test_matrices_are_scikit_learns(findings: Findings) -> None:
    from sklearn.metrics import confusion_matrix

    for study in findings.studies:
        for outcome in study.outcomes:
            expected = confusion_matrix(outcome.truth, outcome.said, labels=range(6))
            np.testing.assert_array_equal(outcome.scores.confusion, expected)


def test_every_model_is_there_and_ours_learns_people_it_never_saw(findings: Findings) -> None:
    made = findings.studies[0]
    assert len(made.outcomes) == 9  # four models on both splits, ours on one
    for outcome in made.outcomes:
        assert bool(outcome.epochs) == outcome.model.startswith("LSTM, ") & (outcome.model != OURS)
    ours = made.of(OURS, HONEST)
    assert ours is not None
    assert ours.scores.accuracy > 0.6  # of six classes, after a few steps
    svm = made.of("SVM", HONEST)
    assert svm is not None
    assert svm.trained_on <= 100
    assert {(c.learnt, c.tested) for c in findings.crossings} == {
        ("<made>", "<others>"),
        ("<others>", "<made>"),
    }


def test_ours_is_blind_to_place_and_size_and_every_change_has_its_row(
    findings: Findings, page: Page
) -> None:
    rows = findings.studies[0].robustness
    kinds = [r.kind for r in rows]
    assert {k: kinds.count(k) for k in kinds} == {
        "nothing": 1, "missing joints": 5, "hidden": 3, "jitter": 4, "mirror": 1, "shift": 2,
        "scale": 3, "frame rate": 6,
    }  # fmt: skip
    for row in rows:
        if row.kind in ("shift", "scale"):
            assert row.results[OURS] == rows[0].results[OURS]
        shown = [r for r in page.rows if r[1:2] == [row.amount] and r[2] == str(row.windows)]
        values = [percent(v) for pair in row.results.values() for v in pair]
        assert values in [r[4:] for r in shown]


def test_one_command_writes_the_page(folder: Path) -> None:
    result = run(folder / "made.npz", "-o", folder / "r.html", "--threads", 1, *LITTLE)
    assert result.exit_code == 0, result.output
    assert "LSTM, RMSProp, the honest split: epoch 2 of 2" in result.output
    assert "r.html: 1 data sets, seed 0" in result.output.replace("\n", "")
    assert not list(folder.glob(".*.tmp"))
    page = Page((folder / "r.html").read_text(encoding="utf-8"))
    page.check_pictures(6)
    facts = {row[0]: row[1] for row in page.rows if len(row) == 2}
    assert facts["epochs of the paper's LSTM"] == "2"
    assert facts["windows of a data set, at most"] == "200"


def test_the_seed_decides_every_answer(folder: Path) -> None:
    def answers(seed: int) -> list[Any]:
        data = make_data_set("made", read_sequences([folder / "others.npz"]), seed=seed)
        recipe = LoopConfig(epochs=1, epoch_windows=64, batch_size=64)
        config = ReproduceConfig(epochs=1, max_windows=100, recipe=recipe, seed=seed, threads=1)
        study = reproduce([data], config, say=lambda _: None).studies[0]
        return [[o.said.tolist() for o in study.outcomes], study.robustness]

    first = answers(0)
    assert repr(answers(0)) == repr(first)
    assert repr(answers(1)) != repr(first)


def test_help_is_there_without_torch(folder: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['poseact', 'reproduce', *{0}]\n"
        "from poseact_engine.cli.main import main; main()"
    )
    line = [sys.executable, "-c", code.format(["--help"])]
    told = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "--synthetic-hours" in told.stdout
    options = [str(folder / "made.npz"), "-o", str(folder / "no.html")]
    line = [sys.executable, "-c", code.format(options)]
    told = subprocess.run(line, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert "pip install 'poseact-engine[train]'" in told.stderr
    assert "Traceback" not in told.stderr


def test_mistakes_are_told_before_the_work(folder: Path, tmp_path: Path) -> None:
    data, out = folder / "made.npz", tmp_path / "r.html"
    write_sequences(tmp_path / "gone.npz")
    cases: list[tuple[list[Any], type[Exception], str]] = [
        ([data, "-o", tmp_path / "r.txt"], ConfigError, "expected a name that ends in .html"),
        ([data, "-o", tmp_path / "no" / "r.html"], SinkError, "no"),
        ([tmp_path / "none.npz", "-o", out], SourceError, "no such keypoint file"),
        (["-o", out], ConfigError, "got neither; give DATA.npz, or --synthetic-hours"),
    ]
    for args, kind, message in cases:
        result = run(*args, *LITTLE)
        assert isinstance(result.exception, kind), (args, result.output)
        assert message in str(result.exception)
    assert not out.exists()


@pytest.mark.parametrize("module", ["sklearn", "matplotlib"])
def test_missing_packages_are_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    result = run(folder / "made.npz", "-o", tmp_path / "r.html", *LITTLE)
    assert isinstance(result.exception, DependencyError)
    assert "pip install 'poseact-engine[eval]'" in str(result.exception)
    assert "made.npz" not in result.output


def test_a_side_from_which_nothing_can_be_learnt_is_refused(findings: Findings) -> None:
    whole = findings.studies[0].paper
    for side in (
        Sides(train=whole.train.select(whole.train.labels == 2), test=whole.test),
        Sides(train=whole.train, test=whole.test.select(np.zeros(0, dtype=np.int64))),
    ):
        with pytest.raises(ConfigError, match="two actions to learn from and windows to test on"):
            check_sides("made", PAPER, side)


def test_one_class_alone_and_seeds_kept_for_measuring_are_refused(tmp_path: Path) -> None:
    arrays = write_sequences(tmp_path / "all.npz")
    one = {key: value for key, value in arrays.items() if "/walking-" in key}
    np.savez(tmp_path / "one.npz", **one)  # type: ignore[arg-type]
    result = run(tmp_path / "one.npz", "-o", tmp_path / "r.html", *LITTLE)
    assert isinstance(result.exception, ConfigError)
    assert "expected windows of two actions or more, got only walking" in str(result.exception)
    result = run("-o", tmp_path / "r.html", "--synthetic-hours", 0.01, "--seed", 1_000_000)
    assert isinstance(result.exception, ConfigError)
    assert "expected a seed below 1000000" in str(result.exception)
