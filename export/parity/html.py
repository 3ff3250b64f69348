# SPDX-License-Identifier: Apache-2.0
"""A comparison as one page that needs nothing else: tables, and plots as PNG inside."""

from __future__ import annotations

import html

from export.parity.compare import Verdict
from export.parity.plots import plots_of
from export.parity.pose import PoseComparison
from export.parity.report import MADE_INPUTS, describe, joint_rows, known_metrics
from poseact_engine import html_page


def page(verdict: Verdict) -> str:
    """The whole page; DependencyError without matplotlib or OpenCV."""
    plots = plots_of(verdict)
    word = "passed" if verdict.passed else "failed"
    title = f"Parity {word}: {verdict.reference.task}"
    parts = [
        f'<h1>Parity <span class="{"met" if verdict.passed else "missed"}">{word}</span></h1>',
        _models(verdict),
        _failures(verdict),
        "<h2>Figures</h2>",
        _metrics(verdict),
        *([_joints(verdict.comparison)] if isinstance(verdict.comparison, PoseComparison) else []),
        "<h2>Plots</h2>",
        *(html_page.figure(plot.title, plot.png) for plot in plots),
    ]
    return html_page.page(title, parts)


def _models(verdict: Verdict) -> str:
    rows = [
        ("reference", f"{describe(verdict.reference)} on {verdict.backends[0]}"),
        ("new", f"{describe(verdict.new)} on {verdict.backends[1]}"),
        ("inputs", verdict.inputs.what),
    ]
    note = "" if verdict.inputs.real else f'<p class="note">{html.escape(MADE_INPUTS)}</p>'
    return html_page.table((), [[html.escape(a), html.escape(b)] for a, b in rows]) + note


def _failures(verdict: Verdict) -> str:
    lines = "".join(f'<li class="missed">{html.escape(str(j))}</li>' for j in verdict.failures)
    return f"<ul>{lines}</ul>" if lines else ""


def _metrics(verdict: Verdict) -> str:
    judged = {j.bound.metric.name: j for j in verdict.judgements}
    rows = []
    for metric, value in known_metrics(verdict):
        found = judged.get(metric.name)
        verdict_cell = ""
        if found is not None:
            kind, word = ("met", "met") if found.met else ("missed", "not met")
            verdict_cell = f'<span class="{kind}">{word}</span>'
        rows.append(
            [
                html.escape(metric.name),
                html.escape(metric.what),
                f"{value:.6g}",
                "" if found is None else html.escape(found.bound.expected),
                verdict_cell,
            ]
        )
    return html_page.table(("metric", "what", "got", "expected", ""), rows, numbers={2})


def _joints(comparison: PoseComparison) -> str:
    rows = []
    for row in joint_rows(comparison):
        values = [row["median_px"], row["p99_px"], row["share_moved"]]
        cells = ["" if v is None else f"{v:.4g}" for v in values]
        rows.append([html.escape(row["joint"]), str(row["judged"]), *cells])
    head = ("joint", "judged", "median px", "p99 px", "share moved")
    return "<h2>Joints</h2>" + html_page.table(head, rows, numbers={1, 2, 3, 4})
