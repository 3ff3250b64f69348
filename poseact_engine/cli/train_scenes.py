# SPDX-License-Identifier: Apache-2.0
"""The made scenes that `poseact train detector` and `train pose` are told to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from poseact_engine.config_checks import check
from poseact_engine.errors import ConfigError

if TYPE_CHECKING:
    from poseact_engine.training.made_pictures import MadeConfig

CACHE = "made-scenes"
FIRST_SEED, VALIDATION_SEED, SECONDS, PICTURES, PICTURE_SIZE = 0, 900_000, 8, 8, "640x360"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeOptions:
    """As given on the command line, None: not given. ConfigError for those that ask something of
    scenes which nobody asked for."""

    synthetic: int
    synthetic_validation: int
    first_seed: int | None
    validation_seed: int | None
    seconds: int | None
    pictures: int | None
    people: int | None
    picture_size: str | None
    cache: Path | None

    def __post_init__(self) -> None:
        needs = ["--synthetic"] * (not self.synthetic)
        _refuse(needs, first_seed=self.first_seed, people=self.people)
        needs_held = ["--synthetic-validation"] * (not self.synthetic_validation)
        _refuse(needs_held, validation_seed=self.validation_seed)
        if needs and needs_held:
            _refuse(
                needs + needs_held,
                seconds=self.seconds, pictures=self.pictures, picture_size=self.picture_size,
                cache=self.cache,
            )  # fmt: skip

    def train(self) -> MadeConfig | None:
        """None for no scenes; ConfigError for such as cannot be made."""
        seed = FIRST_SEED if self.first_seed is None else self.first_seed
        return self._config("--first-seed", self.synthetic, seed, self.people)

    def held_out(self) -> MadeConfig | None:
        """As ``train``; how many people they have is drawn, as where scenes are measured."""
        seed = VALIDATION_SEED if self.validation_seed is None else self.validation_seed
        return self._config("--validation-seed", self.synthetic_validation, seed, None)

    def folder(self, output: Path) -> Path:
        """In which pictures are kept."""
        return self.cache or output.parent / CACHE

    def _config(self, option: str, scenes: int, seed: int, people: int | None) -> MadeConfig | None:
        from poseact_engine.synthetic.scene import MOST_FPS
        from poseact_engine.training.made_pictures import MadeConfig, check_for_training

        if not scenes:
            return None
        check_for_training(option, range(seed, seed + scenes))
        seconds = SECONDS if self.seconds is None else self.seconds
        pictures = PICTURES if self.pictures is None else self.pictures
        most = MOST_FPS * seconds
        check(pictures <= most, "--pictures", f"at most {most} of {seconds} s", pictures)
        size = PICTURE_SIZE if self.picture_size is None else self.picture_size
        return MadeConfig(
            scenes=scenes, first_seed=seed, seconds=seconds, pictures=pictures,
            size=parse_sides("--picture-size", size), people=people,
        )  # fmt: skip


def _refuse(needs: list[str], **given: object) -> None:
    """ConfigError for the first option that is given while what it ``needs`` is not."""
    for name, value in given.items():
        if needs and value is not None:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option}: expected {' or '.join(needs)} with it, got none")


def parse_sides(option: str, text: str) -> tuple[int, int]:
    """Two whole numbers with an x between them."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdecimal() and len(p) < 6 and int(p) > 0 for p in parts):
        raise ConfigError(f"{option}: expected two whole numbers as 256x416, got {text!r}")
    return int(parts[0]), int(parts[1])
