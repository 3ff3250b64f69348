# SPDX-License-Identifier: Apache-2.0
"""Splits sequences by subject or trial, never by frame, so that no person's take is on both
sides; all cameras of a take stay together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from poseact_engine.errors import ConfigError
from poseact_engine.training.clip_names import CAMERA
from poseact_engine.training.keypoints import PoseSequence

GROUP_RULES: tuple[tuple[str, str], ...] = (
    (r"utkinect/(s\d+)_.*", r"utkinect/\1"),
    (r"upfall/activity\d+_(subject\d+_trial\d+)cam\d+", r"upfall/\1"),
    (rf"(.+?){CAMERA}", r"\1"),
)
"""Name to group, the first that fits: utkinect by subject; upfall by subject and trial, all
activities and both cameras together; anything else by sequence, less a camera's suffix (so each
clip of urfd, whose names tell no subject, is a group)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Names of sequences; no group is on both sides."""

    train: tuple[str, ...]
    validation: tuple[str, ...]


def group_of(name: str) -> str:
    """The subject or trial that a sequence's name tells; see GROUP_RULES."""
    for pattern, group in GROUP_RULES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, group, name)
    return name


def groups_of(sequences: Sequence[PoseSequence]) -> dict[str, str]:
    """Name of a sequence to the group that it is in.

    Sequences of the same subject are in one, and so are those of the same clip: if a clip shows
    two subjects, all that either of them did is. A sequence of which neither is known is grouped
    by its name.
    """
    marks = {s.name: _marks(s) for s in sequences}
    sharing: dict[str, set[str]] = defaultdict(set)
    for found in marks.values():
        for mark in found:
            sharing[mark] |= found
    group: dict[str, str] = {}
    for first in sorted(sharing):
        if first in group:
            continue
        reached = [first]
        while reached:
            mark = reached.pop()
            if mark not in group:
                group[mark] = first
                reached += sharing[mark]
    return {name: group[min(found)] for name, found in marks.items()}


def _marks(s: PoseSequence) -> set[str]:
    """What a sequence may have in common with others that are to stay on its side."""
    origins = (("subject", s.subject), ("clip", s.clip))
    return {f"{kind} {text}" for kind, text in origins if text} or {group_of(s.name)}


def split_by_group(
    labels: Mapping[str, Set[int]],
    *,
    validation: float,
    seed: int,
    groups: Mapping[str, str] | None = None,
) -> Split:
    """Split the sequences of ``labels`` (name to the labels that its windows have).

    About ``validation`` of the groups of each stratum (a class in a source) are held out, at
    least one where it has two, and never all. The strata with the fewest groups choose first.
    Sequences without a label are on neither side. ``groups`` is what ``groups_of`` says of the
    sequences; without it the names tell.
    """
    if not 0 <= validation < 1:
        raise ConfigError(f"validation: expected 0 <= validation < 1, got {validation!r}")
    group = {name: groups[name] if groups else group_of(name) for name in labels}
    strata: dict[tuple[str, int], set[str]] = defaultdict(set)
    for name, found in labels.items():
        for label in found:
            strata[name.split("/", 1)[0], label].add(group[name])
    held = _hold_out(strata, validation, np.random.default_rng(seed)) if validation else set()
    used = [name for name in sorted(labels) if labels[name]]
    return Split(
        train=tuple(n for n in used if group[n] not in held),
        validation=tuple(n for n in used if group[n] in held),
    )


def _hold_out(
    strata: Mapping[tuple[str, int], set[str]], validation: float, rng: np.random.Generator
) -> set[str]:
    held: set[str] = set()
    for _, groups in sorted(strata.items(), key=lambda item: (len(item[1]), item[0])):
        if len(groups) < 2:
            continue
        wanted = min(max(1, round(validation * len(groups))), len(groups) - 1)
        order: Sequence[str] = [str(g) for g in rng.permutation(sorted(groups - held))]
        for group in order:
            if len(groups & held) >= wanted:
                break
            if not _empties_a_stratum(strata, held | {group}):
                held.add(group)
    return held


def _empties_a_stratum(strata: Mapping[tuple[str, int], set[str]], held: set[str]) -> bool:
    return any(groups <= held for groups in strata.values())
