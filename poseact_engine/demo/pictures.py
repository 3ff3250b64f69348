# SPDX-License-Identifier: Apache-2.0
"""Pictures of incidents, read back from the annotated video as JPEG (extra ``[video]``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseact_engine.demo.record import Incident, TrackRecord
from poseact_engine.errors import SinkError

BEFORE_S, AFTER_S = 1.0, 1.5
"""How long before its start and after its report an incident is shown."""
CROP_PX, FRAME_PX, QUALITY = 360, 960, 82
"""Edge of a square cut-out, widest whole frame, JPEG's quality."""
ROOM = 1.5
"""A cut-out is this much larger than the person, who moves."""
Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture of a strip."""

    when: str
    time_s: float
    jpeg: bytes
    size: tuple[int, int]
    """Width, height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """What an incident looked like: the person before, at the report and after, and the frame."""

    crops: tuple[Shot, ...]
    frame: Shot


@dataclass(frozen=True, slots=True)
class _Wish:
    incident: str
    when: str
    time_s: float
    centre_px: tuple[float, float]
    side_px: float


def strips(
    video: Path,
    incidents: Sequence[Incident],
    tracks: Sequence[TrackRecord],
    *,
    span_s: tuple[float, float],
) -> dict[str, Strip]:
    """A strip for each incident, by its name; the video begins at ``span_s[0]`` of the stream."""
    by_id = {track.id: track for track in tracks}
    wishes = [w for i in incidents if i.track in by_id for w in _wishes(i, by_id[i.track], span_s)]
    crops: dict[str, list[Shot]] = {}
    frames: dict[str, Shot] = {}
    for wish, picture in _pick(video, wishes, first_s=span_s[0]):
        crops.setdefault(wish.incident, []).append(_shot(wish, _cut(picture, wish), CROP_PX))
        if wish.when == "reported":
            frames[wish.incident] = _shot(wish, picture, FRAME_PX)
    return {name: Strip(crops=tuple(crops[name]), frame=frames[name]) for name in frames}


def _wishes(incident: Incident, track: TrackRecord, span_s: tuple[float, float]) -> list[_Wish]:
    times = {
        "before": max(span_s[0], incident.start_s - BEFORE_S),
        "reported": incident.told_s,
        "after": min(span_s[1], incident.told_s + AFTER_S),
    }
    boxes = {when: track.box_at(time_s) for when, time_s in times.items()}
    # One scale for the whole strip, so that a fall looks like one.
    side = ROOM * max(float((box[2:] - box[:2]).max()) for box in boxes.values())
    return [
        _Wish(incident.name, when, time_s, _middle(boxes[when]), side)
        for when, time_s in times.items()
    ]


def _middle(box: NDArray[np.float32]) -> tuple[float, float]:
    return float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2


def _pick(
    video: Path, wishes: Sequence[_Wish], *, first_s: float
) -> Iterator[tuple[_Wish, Picture]]:
    """The last frame at or before each wished time, in one pass; RGB."""
    import av

    waiting = sorted(wishes, key=lambda wish: wish.time_s)
    if not waiting:
        return  # a stream without a frame leaves no file
    try:
        with av.open(str(video)) as container:
            shown = None
            for frame in container.decode(video=0):
                time_s = first_s + float(frame.time or 0.0)
                # Half a millisecond: the file's ticks are coarser than the stream's.
                while waiting and shown is not None and waiting[0].time_s < time_s - 5e-4:
                    yield waiting.pop(0), np.asarray(shown.to_ndarray(format="rgb24"), np.uint8)
                if not waiting:
                    return
                shown = frame
            while waiting and shown is not None:
                yield waiting.pop(0), np.asarray(shown.to_ndarray(format="rgb24"), np.uint8)
    except (OSError, ValueError) as error:
        raise SinkError(f"{video}: cannot be read back for the page: {error}") from error


def _cut(picture: Picture, wish: _Wish) -> Picture:
    """A square about the person, moved to where all of it is inside the picture."""
    height, width = picture.shape[:2]
    side = round(min(max(wish.side_px, 48.0), height, width))
    x = int(np.clip(round(wish.centre_px[0] - side / 2), 0, width - side))
    y = int(np.clip(round(wish.centre_px[1] - side / 2), 0, height - side))
    return picture[y : y + side, x : x + side]


def _shot(wish: _Wish, picture: Picture, longest_px: int) -> Shot:
    """Cut-outs are brought to one size, whole frames only made smaller."""
    import cv2

    height, width = picture.shape[:2]
    scale = longest_px / max(height, width)
    if longest_px == FRAME_PX:
        scale = min(scale, 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(picture, size, interpolation=how)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return Shot(when=wish.when, time_s=wish.time_s, jpeg=data.tobytes(), size=size)
