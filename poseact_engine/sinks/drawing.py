# SPDX-License-Identifier: Apache-2.0
"""Draws what was found of a frame into its RGB picture, with OpenCV (extra ``[video]``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from poseact_engine.types import Result

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

# RGB. Left and right differ in hue and in lightness, so that colour-blind people can tell them.
LEFT: Colour = (64, 200, 255)
RIGHT: Colour = (255, 150, 40)
MIDDLE: Colour = (240, 240, 240)
ALARM: Colour = (214, 30, 30)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
# Tracks: distinct from the limbs and from the alarm.
TRACKS: tuple[Colour, ...] = (
    (120, 190, 70),
    (170, 110, 220),
    (230, 200, 60),
    (70, 130, 210),
    (60, 170, 150),
    (220, 120, 170),
)
CHAINS: tuple[tuple[str, ...], ...] = (
    ("left_shoulder", "left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow", "right_wrist"),
    ("left_shoulder", "left_hip", "left_knee", "left_ankle"),
    ("right_shoulder", "right_hip", "right_knee", "right_ankle"),
    ("left_shoulder", "right_shoulder"),
    ("left_hip", "right_hip"),
    ("nose", "left_eye", "left_ear"),
    ("nose", "right_eye", "right_ear"),
)
FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes in pixels that keep lines and text readable at a picture's height."""

    line: int
    text: float

    @classmethod
    def of(cls, height: int) -> Style:
        return cls(line=max(1, round(height / 400)), text=max(0.42, height / 1200))


class Painter:
    """Draws results of one run. Stateless after construction; any thread may use it."""

    def __init__(self, joints: Sequence[str], *, min_score: float = 0.2) -> None:
        index = {name: k for k, name in enumerate(joints)}
        self._limbs = [
            (index[a], index[b], _side(a, b))
            for chain in CHAINS
            for a, b in pairwise(chain)
            if a in index and b in index
        ]
        self._joint_colours = [_side(name, name) for name in joints]
        self._min_score = min_score

    def draw(
        self, picture: Picture, results: Sequence[Result], alarms: Sequence[tuple[int, str]]
    ) -> None:
        """Into ``picture`` (RGB ``[H, W, 3]``); ``alarms``: track and text of each incident."""
        style = Style.of(picture.shape[0])
        alarmed = {track for track, _ in alarms}
        for result in results:
            self._skeleton(picture, result, style)
        for result in results:
            _box(picture, result, style, alarm=result.track in alarmed)
        if alarms:
            _banner(picture, [text for _, text in alarms], style)

    def _skeleton(self, picture: Picture, result: Result, style: Style) -> None:
        joints = result.keypoints_px
        seen = joints[:, 2] >= self._min_score
        # Sixteenths of a pixel: whole ones make slow limbs jump.
        at = np.rint(joints[:, :2] * 16).astype(int)
        for a, b, colour in self._limbs:
            if seen[a] and seen[b]:
                ends = (tuple(at[a].tolist()), tuple(at[b].tolist()))
                cv2.line(picture, *ends, BLACK, style.line + 2, cv2.LINE_AA, 4)
                cv2.line(picture, *ends, colour, style.line + 1, cv2.LINE_AA, 4)
        for k in np.flatnonzero(seen).tolist():
            centre = tuple(at[k].tolist())
            colour = self._joint_colours[k]
            cv2.circle(picture, centre, 16 * (style.line + 1), colour, -1, cv2.LINE_AA, 4)


def _side(a: str, b: str) -> Colour:
    sides = {name.split("_")[0] for name in (a, b)} & {"left", "right"}
    if len(sides) != 1:
        return MIDDLE
    return LEFT if sides == {"left"} else RIGHT


def _box(picture: Picture, result: Result, style: Style, *, alarm: bool) -> None:
    colour = ALARM if alarm else TRACKS[result.track % len(TRACKS)]
    x0, y0, x1, y1 = (round(v) for v in result.box_px)
    # A thin box is a prediction: the detector did not see the person in this frame.
    width = style.line + 1 if result.observed else 1
    cv2.rectangle(picture, (x0, y0), (x1, y1), colour, width, cv2.LINE_AA)
    label = f"#{result.track}"
    if result.action is not None and result.probabilities is not None:
        label += f" {words(result.action)} {round(100 * float(result.probabilities.max()))}%"
    _label(picture, label, (x0, y0), colour, style)


def words(name: str) -> str:
    return name.replace("_", " ")


def _label(
    picture: Picture, text: str, corner: tuple[int, int], colour: Colour, style: Style
) -> None:
    """Text on a filled strip above the corner, moved to where all of it can be seen."""
    (width, height), under = cv2.getTextSize(text, FONT, style.text, style.line)
    pad = style.line + 2
    full_width, full_height = width + 2 * pad, height + under + 2 * pad
    x = max(0, min(corner[0], picture.shape[1] - full_width))
    y = max(0, min(corner[1] - full_height, picture.shape[0] - full_height))
    cv2.rectangle(picture, (x, y), (x + full_width - 1, y + full_height - 1), colour, -1)
    ink = WHITE if sum(colour) < 420 else BLACK
    origin = (x + pad, y + pad + height)
    cv2.putText(picture, text, origin, FONT, style.text, ink, style.line, cv2.LINE_AA)


def _banner(picture: Picture, texts: Sequence[str], style: Style) -> None:
    """A red strip along the upper edge, where cameras see no floor, with every open incident."""
    text = "   ".join(texts)
    size = style.text * 1.2
    (_, height), under = cv2.getTextSize(text, FONT, size, style.line)
    pad = 3 * style.line + 3
    bottom = height + under + 2 * pad
    cv2.rectangle(picture, (0, 0), (picture.shape[1] - 1, bottom - 1), ALARM, -1)
    origin = (2 * pad, pad + height)
    cv2.putText(picture, text, origin, FONT, size, WHITE, style.line + 1, cv2.LINE_AA)
