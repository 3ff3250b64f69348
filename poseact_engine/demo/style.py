# SPDX-License-Identifier: Apache-2.0
"""The page's looks: one style sheet, no font or script from elsewhere."""

STYLE = """
:root { --ink: #1b1f24; --soft: #57606a; --line: #d8dde3; --red: #b3261e;
  --green: #1a7f37; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 66rem;
  padding: 1.5rem 1rem 4rem; color: var(--ink); background: #fff; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; }
h3 { font-size: 1.05rem; margin: 0 0 .4rem; }
p { margin: .4rem 0 .8rem; max-width: 46rem; }
a { color: #0b57d0; }
code, pre { font: .9em/1.5 ui-monospace, monospace; background: #f4f6f8; border-radius: 4px; }
code { padding: .1em .3em; overflow-wrap: anywhere; } pre { padding: .8rem 1rem; overflow-x: auto; }
.soft { color: var(--soft); } .right { color: var(--green); } .false { color: var(--red); }
.right, .false { font-weight: 600; }
.note { border-left: 4px solid #e3b341; background: #fff9e8; padding: .6rem 1rem;
  max-width: 46rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem;
  margin: 1.4rem 0; padding: 0; list-style: none; }
.tiles li { border: 1px solid var(--line); border-radius: 8px; padding: .7rem 1rem; }
.tiles b { display: block; font-size: 1.6rem; line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0 1rem; min-width: 30rem; }
td { font-variant-numeric: tabular-nums; } .falls td { white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
video { width: 100%; border-radius: 8px; background: #000; }
.incident { border: 1px solid var(--line); border-radius: 8px; padding: 1rem; margin: 0 0 1.2rem; }
.strip { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; margin: .6rem 0; }
figure { margin: 0; } img { display: block; width: 100%; height: auto; border-radius: 4px; }
figcaption { color: var(--soft); font-size: .9rem; padding-top: .2rem; }
details { margin-top: .4rem; } summary { cursor: pointer; color: #0b57d0; }
.timeline { display: block; width: 100%; min-width: 44rem; height: auto;
  font: 12px system-ui, sans-serif; }
.timeline .grid { stroke: #e4e8ec; } .timeline .tick { fill: #57606a; text-anchor: middle; }
.timeline .name { fill: #1b1f24; font-weight: 600; } .timeline .who { fill: #57606a; }
.timeline .on-dark { fill: #fff; } .timeline .on-light { fill: #1b1f24; }
.timeline .mark { fill: #1b1f24; } .timeline .mark-line { stroke: #1b1f24; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; margin: .4rem 0 1rem;
  list-style: none; font-size: .9rem; }
.legend i { display: inline-block; width: 1.1rem; height: .8rem; margin-right: .4rem;
  border-radius: 2px; }
@media (max-width: 34rem) { .strip { gap: .25rem; } figcaption { font-size: .8rem; } }
"""
