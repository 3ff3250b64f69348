# SPDX-License-Identifier: Apache-2.0
"""Pages that need nothing else: one HTML file, with its style and its pictures inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence

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


def page(title: str, parts: Iterable[str], *, style: str = "") -> str:
    """The whole file; ``parts`` are HTML already, ``title`` is plain text, ``style`` more CSS."""
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}{style}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Iterable[int] = ()
) -> str:
    """Cells are HTML already; the columns ``numbers`` stand to the right."""
    right = set(numbers)
    lines = []
    for row in rows:
        cells = (
            f"<td{' class=number' if i in right else ''}>{cell}</td>" for i, cell in enumerate(row)
        )
        lines.append(f"<tr>{''.join(cells)}</tr>")
    top = f"<tr>{''.join(f'<th>{h}</th>' for h in head)}</tr>\n" if head else ""
    return f"<table>\n{top}{chr(10).join(lines)}\n</table>"


def figure(title: str, png: bytes) -> str:
    """A picture with its title (plain text) below it."""
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><img alt="{html.escape(title, quote=True)}" '
        f'src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(title)}</figcaption></figure>"
    )
