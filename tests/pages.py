# SPDX-License-Identifier: Apache-2.0
"""Reads HTML pages that need nothing else, and refuses those that do."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np


class Page(HTMLParser):
    """Images, tables and text of a page; its tags must close in order."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.rows: list[list[str]] = []
        """Cells of all rows of all tables, in order."""
        self.headings: list[str] = []
        self._words: list[str] = []
        self._open: list[str] = []
        self._balanced = True
        self.feed(content)
        self.close()
        assert self._balanced
        assert not self._open
        assert not re.search(r"https?://|@import|url\(|<script|<link", content)

    @property
    def text(self) -> str:
        return " ".join(self._words)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [v or "" for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "img"):
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        self._balanced &= bool(self._open) and self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._words.append(data)
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data
        if {"h1", "h2", "h3"} & set(self._open):
            self.headings[-1] += data

    def check_pictures(self, count: int) -> None:
        """All that the page shows is inside it: PNG with something drawn."""
        assert len(self.sources) == count
        for source in self.sources:
            head, data = source.split(",", 1)
            assert head == "data:image/png;base64"
            coded = np.frombuffer(base64.b64decode(data, validate=True), np.uint8)
            picture = cv2.imdecode(coded, cv2.IMREAD_COLOR)
            assert picture is not None
            assert picture.std() > 1
