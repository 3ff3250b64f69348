# SPDX-License-Identifier: Apache-2.0
"""The report: one HTML page, with its plots inside, that says what each number means."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from itertools import groupby

import numpy as np

from poseact_engine import html_page
from poseact_engine.evaluation.reproduce import plots, words
from poseact_engine.evaluation.reproduce.results import (
    ADAM,
    HONEST,
    PAPER,
    REPORTED_ACCURACY,
    Findings,
    Study,
)
from poseact_engine.training.paper import CLASSES
from poseact_engine.training.report import percent, warnings

TITLE = "The paper, reproduced"


def make_page(findings: Findings, facts: Mapping[str, str]) -> str:
    """The whole page; ``facts`` (how it was made) are plain text. DependencyError: no matplotlib.

    Every share in a table is rounded from the answers that the findings hold.
    """
    plots.require_matplotlib()
    return html_page.page(TITLE, _parts(findings, facts))


def _parts(findings: Findings, facts: Mapping[str, str]) -> Iterator[str]:
    yield f"<h1>{TITLE}</h1>"
    yield _paragraphs(words.OPENING)
    yield "<h2>Accuracy: the paper's split, the honest one, and ours</h2>"
    yield _summary(findings)
    yield "<h2>What each number means</h2>"
    yield _list(words.MEANINGS)
    for study in findings.studies:
        yield from _study(study)
    if findings.crossings:
        yield "<h2>Learnt on one data set, tested on another</h2>"
        yield _paragraphs(words.ACROSS)
        yield _crossings(findings)
    yield "<h2>How it was made</h2>"
    yield _paragraphs(words.METHOD)
    rows = [[html.escape(a), html.escape(b)] for a, b in facts.items()]
    yield html_page.table((), rows)


def _summary(findings: Findings) -> str:
    head = ("data", "model", "paper's split", "honest split", "mean of classes, honest",
            "falls found, honest", "learnt from", "time")  # fmt: skip
    rows = [["the paper's own", html.escape(ADAM), percent(REPORTED_ACCURACY), *["-"] * 5]]
    for study in findings.studies:
        for model in dict.fromkeys(o.model for o in study.outcomes):
            flattered, honest = study.of(model, PAPER), study.of(model, HONEST)
            shown = honest or flattered
            assert shown is not None
            rows.append(
                [
                    html.escape(study.data.name),
                    html.escape(model),
                    "-" if flattered is None else percent(flattered.scores.accuracy),
                    "-" if honest is None else f"<b>{percent(honest.scores.accuracy)}</b>",
                    "-" if honest is None else percent(honest.scores.macro),
                    "-" if honest is None else percent(honest.fall_recall),
                    f"{shown.trained_on} windows",
                    f"{shown.seconds:.0f} s",
                ]
            )
    return html_page.table(head, rows, numbers=range(2, 8))


def _study(study: Study) -> Iterator[str]:
    name = html.escape(study.data.name)
    yield f"<h2>Data: {name}</h2>"
    yield _counts(study)
    yield _paragraphs((words.shared(study.paper.shared(), study.honest.shared()),))
    found = warnings(study.honest.train, study.honest.test, CLASSES)
    if found:
        yield _list([f"Mind: {text}." for text in found], kind="note")
    yield html_page.figure(
        f"{study.data.name}: accuracy on both splits", plots.draw_overview(study)
    )
    yield f"<h3>Learning curves: Adam and RMSProp ({name})</h3>"
    yield html_page.figure(words.CURVES, plots.draw_curves(study))
    yield f"<h3>Accuracy of each class, honest split ({name})</h3>"
    yield _classes(study)
    yield html_page.figure("Share of each class's windows named right", plots.draw_classes(study))
    yield f"<h3>Confusion ({name})</h3>"
    for split in (HONEST, PAPER):
        title = f"Confusion on {split}: rows are the truth, columns what was said, % of the row"
        yield html_page.figure(title, plots.draw_confusions(study, split))
    yield f"<h3>Robustness ({name})</h3>"
    yield _paragraphs(words.ROBUSTNESS)
    yield _robustness(study)
    yield html_page.figure(words.ROBUST_PLOT, plots.draw_robustness(study))


def _counts(study: Study) -> str:
    paper, honest = study.paper, study.honest
    sides = (study.data.windows, paper.train, paper.test, honest.train, honest.test)
    head = ("windows", "all", "paper's split: learn", "test", "honest split: learn", "test")
    columns = [np.bincount(w.labels, minlength=len(CLASSES)) for w in sides]
    rows = [
        [html.escape(_word(name)), *(str(c[index]) for c in columns)]
        for index, name in enumerate(CLASSES)
    ]
    rows.append(["all", *(str(c.sum()) for c in columns)])
    rows.append(["sequences", *(str(len(np.unique(w.sequence))) for w in sides)])
    return html_page.table(head, rows, numbers=range(1, 6))


def _classes(study: Study) -> str:
    outcomes = [o for o in study.outcomes if o.split == HONEST]
    rows = [
        [html.escape(_word(name)), *(percent(float(o.recalls[c])) for o in outcomes)]
        for c, name in enumerate(CLASSES)
    ]
    rows.append(["all windows", *(percent(o.scores.accuracy) for o in outcomes)])
    head = ("class", *(html.escape(o.model) for o in outcomes))
    return html_page.table(head, rows, numbers=range(1, len(head)))


def _robustness(study: Study) -> str:
    models = list(study.robustness[0].results)
    head = ["change", "", "windows", "falls"]
    for model in models:
        head += [f"{html.escape(model)}: accuracy", "falls found"]
    rows = []
    for kind, group in groupby(study.robustness, key=lambda row: row.kind):
        for number, row in enumerate(group):
            cells = [html.escape(kind) if number == 0 else "", html.escape(row.amount)]
            cells += [str(row.windows), str(row.falls)]
            for model in models:
                cells += [percent(value) for value in row.results[model]]
            rows.append(cells)
    return html_page.table(head, rows, numbers=range(2, len(head)))


def _crossings(findings: Findings) -> str:
    rows = [
        [
            html.escape(c.learnt),
            html.escape(c.tested),
            html.escape(c.outcome.model),
            percent(c.outcome.scores.accuracy),
            percent(c.outcome.scores.macro),
            percent(c.outcome.fall_recall),
            str(len(c.outcome.truth)),
        ]
        for c in findings.crossings
    ]
    head = ("learnt on", "tested on", "model", "accuracy", "mean of classes", "falls found",
            "windows")  # fmt: skip
    return html_page.table(head, rows, numbers=range(3, 7))


def _word(name: str) -> str:
    return name.replace("_", " ")


def _paragraphs(texts: tuple[str, ...]) -> str:
    return "".join(f"<p>{html.escape(text)}</p>" for text in texts)


def _list(texts: list[str] | tuple[str, ...], *, kind: str = "") -> str:
    mark = f' class="{kind}"' if kind else ""
    return f"<ul>{''.join(f'<li{mark}>{html.escape(text)}</li>' for text in texts)}</ul>"
