# SPDX-License-Identifier: Apache-2.0
"""The demo's page: one HTML file with its pictures inside; only the video lies beside it."""

from __future__ import annotations

import html
from collections.abc import Iterator

from poseact_engine.demo.incidents import fall_table, incident_cards
from poseact_engine.demo.show import Show, StreamShow
from poseact_engine.demo.style import STYLE
from poseact_engine.demo.timeline import COLOURS, HARMLESS_COLOUR, timeline
from poseact_engine.html_page import page as whole_page
from poseact_engine.html_page import table
from poseact_engine.manifest import ActionManifest, DetectorManifest, Manifest, PoseManifest

TITLE = "poseact demo: a made scene, watched"
ABOUT_MODELS = (
    "The bundled detector and pose network know scenes that were made by code, like this one. They "
    "are for demonstration and tests, not for real cameras."
)
UNSEEN = "This very scene they have not seen: scenes with numbers so high are kept for measuring."
PERHAPS_SEEN = "Training draws scenes with numbers as low as this one's: they may have seen it."
NEXT_STEPS = """\
poseact models list       # official weights; `poseact models pull NAME` verifies and exports them
poseact run entrance.mp4 --detector det.onnx --pose pose.onnx --video annotated.mp4
poseact run 'synthetic://?people=4&seed=1&seconds=30' --video another.mp4
poseact doctor            # what is there, and what to install for the rest"""


def page(show: Show) -> str:
    """The whole page."""
    parts = [
        f"<h1>{TITLE}</h1>",
        f'<p class="soft">poseact_engine {html.escape(show.version)}, '
        f"<code>{html.escape(show.command)}</code></p>",
        _lead(show),
        _tiles(show),
        *(_video(stream) for stream in show.streams),
        "<h2>Falls: what happened and what was reported</h2>",
        fall_table(show.streams),
        "<h2>Incidents</h2>",
        *(incident_cards(stream) for stream in show.streams),
        "<h2>Who did what when</h2>",
        _legend(),
        *(_timeline(stream, show) for stream in show.streams),
        "<h2>Models</h2>",
        _models(show),
        "<h2>With cameras of your own</h2>",
        _next_steps(),
    ]
    return whole_page(TITLE, parts, style=STYLE)


def _lead(show: Show) -> str:
    cameras = "One camera" if len(show.streams) == 1 else f"{len(show.streams)} cameras"
    length_s = max((s.span_s[1] - s.span_s[0] + s.step_s for s in show.streams), default=0.0)
    about = [ABOUT_MODELS] if show.bundled & {"detector", "pose"} else []
    if about:
        about.append(UNSEEN if show.unseen else PERHAPS_SEEN)
    note = f'<p class="note">{" ".join(about)}</p>' if about else ""
    return (
        f"<p>{cameras} watched people whom code had drawn, for {length_s:.0f} seconds. The engine "
        "got the pictures and nothing else: it found the people, followed them, found their "
        "joints, named what they do and reported incidents. Since the scene was made, the truth is "
        "known and stands beside what was found.</p>" + note
    )


def _tiles(show: Show) -> str:
    rate = show.frames / show.elapsed_s if show.elapsed_s > 0 else 0.0
    tiles = [
        (f"{show.frames}", "frames"),
        (f"{rate:.0f}", "frames/s, drawing the scene and writing the video included"),
        (f"{show.people}", f"people in the scene; {show.tracks} tracks"),
        (f"{show.told} of {show.falls}", "falls reported"),
        (f"{show.incidents}", f"incidents, {show.false} of them false"),
    ]
    items = "".join(f"<li><b>{value}</b><span>{what}</span></li>" for value, what in tiles)
    return f'<ul class="tiles">{items}</ul>'


def _video(stream: StreamShow) -> str:
    name, file = html.escape(stream.name), html.escape(stream.video, quote=True)
    return (
        f'<p>{name}: the annotated video, <a href="{file}">{file}</a>.</p>'
        f'<video controls preload="metadata" src="{file}" aria-label="annotated video of {name}">'
        "</video>"
    )


def _legend() -> str:
    kinds = [(name.replace("_", " "), colour) for name, colour in COLOURS.items()]
    kinds.append(("sitting, kneeling, bending (truth only)", HARMLESS_COLOUR))
    items = "".join(
        f'<li><i style="background:{colour}"></i>{html.escape(name)}</li>' for name, colour in kinds
    )
    return (
        "<p>A bar for each track: the action the engine named. The thin line beneath is the truth "
        "of the person it followed; where there is none, that person was out of the picture or "
        "between two actions. A pointer is a report.</p>"
        f'<ul class="legend">{items}</ul>'
    )


def _timeline(stream: StreamShow, show: Show) -> str:
    title = f"{stream.name}: actions found and true actions over time"
    svg = timeline(stream, show.classes, title=title)
    return f'<h3>{html.escape(stream.name)}</h3><div class="scroll" tabindex="0">{svg}</div>'


def _models(show: Show) -> str:
    head = ("task", "from", "licence", "input", "precision", "weights (sha256)")
    rows = []
    for task, manifest in show.manifests.items():
        name = f"{task}, bundled" if task in show.bundled else task
        cells = [name, manifest.source, manifest.licence, _input(manifest), manifest.precision]
        rows.append([html.escape(cell) for cell in (*cells, manifest.sha256[:12])])
    return f'<div class="scroll" tabindex="0">{table(head, rows)}</div>'


def _input(manifest: Manifest) -> str:
    if isinstance(manifest, DetectorManifest | PoseManifest):
        return f"{manifest.width} x {manifest.height}"
    if isinstance(manifest, ActionManifest):
        rate = manifest.rate[0] / manifest.rate[1]
        return f"{manifest.length} poses at {rate:g}/s"
    return ""


def _next_steps() -> str:
    return "".join(_steps())


def _steps() -> Iterator[str]:
    yield "<p>Real cameras need a detector and a pose network that were trained on real people; "
    yield "the bundled action network takes the joints of any of them.</p>"
    yield f"<pre>{html.escape(NEXT_STEPS)}</pre>"
    yield "<p>Beside this page lie <code>results.jsonl</code> (every person in every frame) and "
    yield "<code>events.jsonl</code> (the incidents). Five of the last six windows must agree "
    yield "before something is reported, so an eighth of a second or more passes.</p>"
