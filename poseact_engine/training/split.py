# SPDX-License-Identifier: Apache-2.0
"""Splits sequences by subject or trial, never by frame, so that no person's take is on both
sides; both cameras of a take stay together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from poseact_engine.errors import ConfigError

GROUP_RULES: tuple[tuple[str, str], ...] = (
    (r"utkinect/(s\d+)_.*", r"utkinect/\1"),
    (r"upfall/activity\d+_(subject\d+_trial\d+)cam\d+", r"upfall/\1"),
    (r"(.*?)[_-]?cam(?:era)?\d+", r"\1"),
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
    """The subject or trial of a sequence; see GROUP_RULES."""
    for pattern, group in GROUP_RULES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, group, name)
    return name


def split_by_group(labels: Mapping[str, Set[int]], *, validation: float, seed: int) -> Split:
    """Split the sequences of ``labels`` (name to the labels that its windows have).

    About ``validation`` of the groups of each stratum (a class in a source) are held out, at
    least one where it has two, and never all. The strata with the fewest groups choose first.
    Sequences without a label are on neither side.
    """
    if not 0 <= validation < 1:
        raise ConfigError(f"validation: expected 0 <= validation < 1, got {validation!r}")
    strata: dict[tuple[str, int], set[str]] = defaultdict(set)
    for name, found in labels.items():
        for label in found:
            strata[name.split("/", 1)[0], label].add(group_of(name))
    held = _hold_out(strata, validation, np.random.default_rng(seed)) if validation else set()
    used = [name for name in sorted(labels) if labels[name]]
    return Split(
        train=tuple(n for n in used if group_of(n) not in held),
        validation=tuple(n for n in used if group_of(n) in held),
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
