# SPDX-License-Identifier: Apache-2.0
"""``poseact synth --sequences HOURS``: a keypoint file of made poses, without pictures."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import typer
from rich.console import Console

from poseact_engine.errors import ConfigError

_FOR_BOTH = {"output", "sequences", "noise", "first_seed", "overwrite"}


def check_no_scene_options(context: typer.Context) -> None:
    """Raises ConfigError for options of scenes: sequences have none of them."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = [
        f"--{name.replace('_', '-')}"
        for name, source in sources.items()
        if name not in _FOR_BOTH and source is not None and source.name == "COMMANDLINE"
    ]
    if given:
        raise ConfigError(f"--sequences: expected no options of scenes, got {', '.join(given)}")


def make_sequences(
    output: Path, *, hours: float, seed: int, strength: float, overwrite: bool
) -> int:
    """Writes the file and gives the exit code. Ctrl-C keeps the sequences that are whole."""
    from poseact_engine.cli.eval_report import progress
    from poseact_engine.cli.stop import stop_on_signals
    from poseact_engine.synthetic.noise import PoseNoise
    from poseact_engine.synthetic.sequences import SequencesConfig
    from poseact_engine.training.keypoints import (
        PoseSequence,
        check_keypoint_target,
        write_sequences,
    )
    from poseact_engine.training.made_sequences import training_sequences

    check_keypoint_target(output, overwrite=overwrite)
    config = SequencesConfig(noise=PoseNoise(strength=strength))
    made: list[PoseSequence] = []
    began_s, done_s, total_s = time.monotonic(), 0.0, round(3600 * hours)
    with stop_on_signals(lambda: None) as stop, progress("seconds of sequences") as tell:
        for sequence in training_sequences(seed, hours=hours, config=config):
            made.append(sequence)
            done_s += float(sequence.times_s[-1])
            tell(min(round(done_s), total_s), total_s)
            if stop.code is not None:
                break
    if made:
        write_sequences(output, made)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    took_s = time.monotonic() - began_s
    console.print(
        f"{len(made)} sequences, {done_s / 3600:.2f} h in {took_s:.1f} s: {output}", markup=False
    )
    name = shlex.quote(str(output))
    console.print(f"to train on them: poseact train action {name} -o action.pt", markup=False)
    return stop.code or 0
