# SPDX-License-Identifier: Apache-2.0
"""What a person does in a take, and in which order; how likely each thing is stands here alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from poseact_engine.errors import ConfigError
from poseact_engine.types import ACTIONS

OTHERS = ("sitting", "kneeling", "crouching", "bending", "lowering", "getting_up")
ACTIVITIES: tuple[str, ...] = (*ACTIONS, *OTHERS)

FALLS_IN_8_S = 0.38
"""Chance that a fall is planned in so long a take, and more in a longer one; about one in ten of
them no longer fits."""
LIES_AT_FIRST = 0.09
RISES_AGAIN = 0.3
"""Chance that somebody who fell gets up again, where the take is long enough."""
BLOCKS: tuple[tuple[tuple[str, ...], float, float], ...] = (
    (("walking",), 0.22, 4.0),
    (("standing",), 0.19, 4.0),
    (("walking", "standing"), 0.10, 6.0),
    (("carrying",), 0.15, 4.0),
    (("standing", "lifting"), 0.07, 4.5),
    (("lifting", "carrying"), 0.11, 6.0),
    (("sitting",), 0.04, 5.0),
    (("kneeling",), 0.025, 4.5),
    (("crouching",), 0.03, 4.0),
    (("bending",), 0.035, 4.0),
    (("lowering", "lying_down"), 0.03, 7.0),
)
"""Activities that go together, their weight, and about how many seconds they take."""
FALL_S = 4.0
"""For a fall and some lying afterwards."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Activities in their order. What has to come between two of them is added by itself: who lies
    gets up before walking, who carries puts the load down before sitting, who falls lies
    afterwards. What no longer fits into the take is left out; the last lasts to the take's end."""

    activities: tuple[str, ...]

    def __post_init__(self) -> None:
        wrong = [name for name in self.activities if name not in ACTIVITIES]
        if wrong or not self.activities:
            raise ConfigError(
                f"synthetic: expected activities among {', '.join(ACTIVITIES)}, "
                f"got {', '.join(map(repr, wrong)) or 'none'}"
            )

    @classmethod
    def from_names(cls, names: Iterable[str]) -> Plan:
        """In this order."""
        return cls(tuple(names))

    @classmethod
    def draw(cls, rng: np.random.Generator, seconds: float, *, allowed: Sequence[str] = ()) -> Plan:
        """A likely one for so long a take; of ``allowed`` activities only, where there are any."""
        names = cls(tuple(allowed)).activities if allowed else ACTIVITIES
        chance = 1.0 - (1.0 - FALLS_IN_8_S) ** (seconds / 8.0)
        if allowed:
            chance = max(chance, 1.0 / len(names)) if "falling_down" in names else 0.0
        if rng.random() >= chance:
            return cls(_chain(rng, seconds, names))
        before = _chain(rng, rng.uniform(0.15, 0.75) * max(seconds - FALL_S, 1.0), names)
        plan = (*(name for name in before if name != "lying_down"), "falling_down")
        if seconds > 14.0 and rng.random() < RISES_AGAIN and "getting_up" in names:
            plan = (*plan, "getting_up", *_chain(rng, 0.3 * seconds, names))
        return cls(plan)


def _chain(rng: np.random.Generator, seconds: float, names: Sequence[str]) -> tuple[str, ...]:
    """Blocks until the time is full; at least one."""
    blocks = [block for block in BLOCKS if set(block[0]) <= set(names)]
    if not blocks:
        single = [name for name in names if name != "falling_down"] or list(names)
        blocks = [((name,), 1.0, 4.0) for name in single]
    weights = np.array([weight for _, weight, _ in blocks])
    weights /= weights.sum()
    plan: list[str] = []
    gone = 0.0
    if "lying_down" in names and rng.random() < LIES_AT_FIRST:
        plan, gone = ["lying_down"], float(rng.uniform(0.5, 1.3) * seconds)
    while gone < 0.7 * seconds or not plan:
        chosen, _, length = blocks[rng.choice(len(blocks), p=weights)]
        plan += [name for name in chosen if not plan or name != plan[-1]]
        gone += length
    return tuple(plan)
