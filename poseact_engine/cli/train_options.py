# SPDX-License-Identifier: Apache-2.0
"""The options that `poseact train detector` and `train pose` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from poseact_engine.cli.train_scenes import (
    FIRST_SEED,
    PICTURE_SIZE,
    PICTURES,
    SECONDS,
    VALIDATION_SEED,
)
from poseact_engine.synthetic import FIRST_EVALUATION_SEED

DATA, MADE, LEARNING, RUN = "Data", "Made scenes", "Learning", "Run"

Output = Annotated[Path, typer.Option("--output", "-o", help="Checkpoint to write (.pt).")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", "-y", help="Replace the output if it is there.")
]
Data = Annotated[
    list[Path] | None,
    typer.Option(help="COCO JSON (repeatable).", rich_help_panel=DATA),
]
Images = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of its pictures; one for each --data, in their order.", rich_help_panel=DATA
    ),
]
Validation = Annotated[
    Path | None,
    typer.Option(help="COCO JSON of held-out pictures.", rich_help_panel=DATA),
]
ValidationImages = Annotated[
    Path | None, typer.Option(help="Folder of its pictures.", rich_help_panel=DATA)
]
Licence = Annotated[
    str | None,
    typer.Option(
        help="Licence of the weights, for the manifest; else the export asks.", rich_help_panel=DATA
    ),
]
Synthetic = Annotated[
    int, typer.Option(help="Scenes of the made world to learn from.", min=0, rich_help_panel=MADE)
]
FirstSeed = Annotated[
    int | None,
    typer.Option(
        help=f"Of these scenes; seeds from {FIRST_EVALUATION_SEED} on are for evaluation alone.",
        min=0, show_default=str(FIRST_SEED), rich_help_panel=MADE,
    ),
]  # fmt: skip
SyntheticValidation = Annotated[
    int, typer.Option(help="Held-out scenes of the made world.", min=0, rich_help_panel=MADE)
]
ValidationSeed = Annotated[
    int | None,
    typer.Option(
        help="Seed of the first of them.",
        min=0, show_default=str(VALIDATION_SEED), rich_help_panel=MADE,
    ),
]  # fmt: skip
Seconds = Annotated[
    int | None,
    typer.Option(
        help="Length of a scene.",
        min=1, max=3600, show_default=str(SECONDS), rich_help_panel=MADE,
    ),
]  # fmt: skip
Pictures = Annotated[
    int | None,
    typer.Option(
        help="Of each scene, evenly over its seconds.",
        min=1, show_default=str(PICTURES), rich_help_panel=MADE,
    ),
]  # fmt: skip
PeopleInScene = Annotated[
    int | None,
    typer.Option(
        "--people",
        help="In each scene to learn from. Default: drawn, 1 to 4, as in held-out scenes.",
        min=1, max=20, rich_help_panel=MADE,
    ),
]  # fmt: skip
PictureSize = Annotated[
    str | None,
    typer.Option(
        help="WIDTHxHEIGHT of made pictures.", show_default=PICTURE_SIZE, rich_help_panel=MADE
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder in which made pictures are kept for the next time. Default: made-scenes"
        " beside the output.",
        rich_help_panel=MADE,
    ),
]
Init = Annotated[
    Path | None,
    typer.Option(
        help="Begin with these weights, ours or official ones; the network has their shape.",
        rich_help_panel=LEARNING,
    ),
]
Epochs = Annotated[int, typer.Option(help="Rounds of training.", min=1, rich_help_panel=LEARNING)]
BatchSize = Annotated[int, typer.Option(help="Examples a step.", min=1, rich_help_panel=LEARNING)]
Rate = Annotated[
    float, typer.Option("--lr", help="Highest learning rate.", rich_help_panel=LEARNING)
]
Optimiser = Annotated[
    Literal["adam", "adamw", "sgd"], typer.Option("--optimizer", rich_help_panel=LEARNING)
]
Schedule = Annotated[
    Literal["cosine", "step"],
    typer.Option(
        help="After warm-up: cosine, or step (a tenth at 81 and 95 %).",
        rich_help_panel=LEARNING,
    ),
]  # fmt: skip
WarmUp = Annotated[
    float, typer.Option(help="Share of the steps in which the rate rises.",
                        rich_help_panel=LEARNING)
]  # fmt: skip
WeightDecay = Annotated[
    float, typer.Option(help="Of convolutions' weights.", rich_help_panel=LEARNING)
]
Average = Annotated[
    float,
    typer.Option(
        help="Decay of the mean of the weights that is kept as the model; 0: the last weights.",
        rich_help_panel=LEARNING,
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        help="Stop after this many looks at held-out pictures without a better score, and keep the"
        " best epoch. That score has then chosen the model and flatters it.",
        min=1, rich_help_panel=LEARNING,
    ),
]  # fmt: skip
ValidateEvery = Annotated[
    int,
    typer.Option(help="Epochs between looks at held-out pictures.", min=1,
                 rich_help_panel=LEARNING),
]  # fmt: skip
Seed = Annotated[
    int, typer.Option(help="The same seed gives the same model.", min=0, rich_help_panel=LEARNING)
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.", rich_help_panel=RUN)
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16"],
    typer.Option(
        help="Of activations; weights stay fp32. auto: bf16 on CUDA devices that have it. CPUs"
        " with AVX-512 BF16 or AMX gain half as much again.",
        rich_help_panel=RUN,
    ),
]
Workers = Annotated[
    int,
    typer.Option(help="Processes that draw, read and change pictures.", min=0, rich_help_panel=RUN),
]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1, rich_help_panel=RUN)]
TensorBoard = Annotated[
    Path | None, typer.Option("--tensorboard", help="Folder for curves.", rich_help_panel=RUN)
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with a run that was broken off (OUTPUT.resume).",
        rich_help_panel=RUN,
    ),
]  # fmt: skip
