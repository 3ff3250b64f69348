# SPDX-License-Identifier: Apache-2.0
"""A comparison as one page that needs nothing else: tables, and plots as PNG inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence

from export.parity.compare import Verdict
from export.parity.plots import Plot, plots_of
from export.parity.pose import PoseComparison
from export.parity.report import MADE_INPUTS, describe, joint_rows, known_metrics

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem;
  color: #1b1f24; background: #fff; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { padding: .25rem .9rem .25rem 0; text-align: left; border-bottom: 1px solid #d8dde3;
  vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.met { color: #1a7f37; } .missed, .note { color: #b3261e; } .missed { font-weight: 600; }
figure { margin: 1rem 0 2rem; } img { max-width: 100%; height: auto; }
figcaption { color: #57606a; }
"""


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
        *map(_figure, plots),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{chr(10).join(parts)}\n</body></html>\n"
    )


def _models(verdict: Verdict) -> str:
    rows = [
        ("reference", f"{describe(verdict.reference)} on {verdict.backends[0]}"),
        ("new", f"{describe(verdict.new)} on {verdict.backends[1]}"),
        ("inputs", verdict.inputs.what),
    ]
    note = "" if verdict.inputs.real else f'<p class="note">{html.escape(MADE_INPUTS)}</p>'
    return _table((), [[html.escape(a), html.escape(b)] for a, b in rows]) + note


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
    return _table(("metric", "what", "got", "expected", ""), rows, numbers={2})


def _joints(comparison: PoseComparison) -> str:
    rows = []
    for row in joint_rows(comparison):
        values = [row["median_px"], row["p99_px"], row["share_moved"]]
        cells = ["" if v is None else f"{v:.4g}" for v in values]
        rows.append([html.escape(row["joint"]), str(row["judged"]), *cells])
    head = ("joint", "judged", "median px", "p99 px", "share moved")
    return "<h2>Joints</h2>" + _table(head, rows, numbers={1, 2, 3, 4})


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()
) -> str:
    """Cells are HTML already."""
    right = set(numbers)
    lines = []
    for row in rows:
        cells = (
            f"<td{' class=number' if i in right else ''}>{cell}</td>" for i, cell in enumerate(row)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    top = f"<tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>\n" if head else ""
    return f"<table>\n{top}{chr(10).join(lines)}\n</table>"


def _figure(plot: Plot) -> str:
    data = base64.b64encode(plot.png).decode("ascii")
    return (
        f'<figure><img alt="{html.escape(plot.title, quote=True)}" '
        f'src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(plot.title)}</figcaption></figure>"
    )
