# SPDX-License-Identifier: Apache-2.0
"""``poseact train``: models from keypoint files. torch is imported when a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from poseact_engine.cli.train_detector import detector_app
from poseact_engine.cli.train_pose import pose_app

DATA, NETWORK, LEARNING, RUN = "Data", "Network", "Learning", "Run"

Data = Annotated[list[Path], typer.Argument(help="Keypoint files (.npz).", metavar="DATA...")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Checkpoint to write (.pt).")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", "-y", help="Replace the checkpoint if it is there.")
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        help="Leave out sequences of this name (shell pattern, repeatable).", rich_help_panel=DATA
    ),
]
Epochs = Annotated[int, typer.Option(help="Rounds of training.", min=1, rich_help_panel=LEARNING)]
EpochWindows = Annotated[
    int, typer.Option(help="Windows drawn per epoch.", min=1, rich_help_panel=LEARNING)
]
BatchSize = Annotated[int, typer.Option(help="Windows per step.", min=1, rich_help_panel=LEARNING)]
Seed = Annotated[
    int,
    typer.Option(
        help="The same seed gives the same model.", min=0, max=2**63 - 1, rich_help_panel=LEARNING
    ),
]
Hidden = Annotated[
    int | None,
    typer.Option(
        help="LSTM units per layer (default: 128, or --init's).", min=1, rich_help_panel=NETWORK
    ),
]
Layers = Annotated[
    int | None,
    typer.Option(help="LSTM layers (default: 3, or --init's).", min=1, rich_help_panel=NETWORK),
]
Dropout = Annotated[
    float, typer.Option(help="Between LSTM layers.", min=0, max=0.9, rich_help_panel=NETWORK)
]
Rate = Annotated[float, typer.Option(help="Highest learning rate.", rich_help_panel=LEARNING)]
Optimiser = Annotated[
    Literal["adam", "rmsprop", "sgd"],
    typer.Option("--optimizer", help="sgd: momentum 0.9.", rich_help_panel=LEARNING),
]
Validation = Annotated[
    float,
    typer.Option(
        help="Share of subjects or trials held out.", min=0, max=0.9, rich_help_panel=DATA
    ),
]
ValidationData = Annotated[
    list[Path] | None,
    typer.Option(
        help="Hold out this keypoint file (repeatable) and learn from all of DATA.",
        rich_help_panel=DATA,
    ),
]
SplitRule = Annotated[
    Literal["group", "random"],
    typer.Option(
        "--split",
        help="group: no subject or clip on both sides; random: windows, as the paper (flatters).",
        rich_help_panel=DATA,
    ),
]
Every = Annotated[
    int,
    typer.Option(
        help="Use one in so many windows of a sequence; saves memory.", min=1, rich_help_panel=DATA
    ),
]
LeastFall = Annotated[
    float,
    typer.Option(
        help="Learn falls where the body moves this far within a window (pose heights).",
        rich_help_panel=DATA,
    ),
]
SwingArm = Annotated[
    float,
    typer.Option(
        help="Chance that an arm is turned anyhow, so that no class is told by arms alone.",
        min=0, max=1, rich_help_panel=DATA,
    ),
]  # fmt: skip
NoFallShare = Annotated[
    float,
    typer.Option(
        help="How often what is labelled as no fall is learnt from, against a class. More: fewer"
        " false falls; less: fewer are missed.",
        min=0, rich_help_panel=DATA,
    ),
]  # fmt: skip
Normalise = Annotated[
    Literal["body", "paper"] | None,
    typer.Option(
        help="body: free of the camera; paper: plain pixels, standardised"
        " (default: body, or --init's).",
        rich_help_panel=NETWORK,
    ),
]
Init = Annotated[
    Path | None,
    typer.Option(
        help="Checkpoint to go on from: its weights, not its options.", rich_help_panel=NETWORK
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        help="Stop when the held-out accuracy (mean of classes) has not risen for so many epochs,"
        " and keep the best.",
        min=1,
        rich_help_panel=LEARNING,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with a run that was broken off (OUTPUT.resume).",
        rich_help_panel=RUN,
    ),
]
TensorBoard = Annotated[
    Path | None, typer.Option(help="Folder for TensorBoard's curves.", rich_help_panel=RUN)
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute.", rich_help_panel=RUN)
]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1, rich_help_panel=RUN)]

train_app = typer.Typer(
    name="train", help="Train models.", no_args_is_help=True, add_completion=False
)


@train_app.callback()
def _train() -> None:
    """Train models."""


train_app.add_typer(detector_app)
train_app.add_typer(pose_app)


@train_app.command("action")
def train_action(
    data: Data,
    output: Output,
    *,
    exclude: Exclude = None,
    validation: Validation = 0.25,
    validation_data: ValidationData = None,
    split: SplitRule = "group",
    epochs: Epochs = 20,
    epoch_windows: EpochWindows = 8192,
    batch_size: BatchSize = 128,
    optimiser: Optimiser = "adam",
    lr: Rate = 1e-3,
    patience: Patience = None,
    seed: Seed = 0,
    hidden: Hidden = None,
    layers: Layers = None,
    dropout: Dropout = 0.0,
    normalise: Normalise = None,
    every: Every = 1,
    least_fall: LeastFall = 0.25,
    swing_arm: SwingArm = 0.2,
    no_fall_share: NoFallShare = 1.0,
    init: Init = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    tensorboard: TensorBoard = None,
    device: Device = "auto",
    threads: Threads = 2,
) -> None:
    """Train the action model (an LSTM, six actions) on sequences of poses.

    Sequences are split by subject or clip, all cameras together; accuracy is of those held out.
    """
    from poseact_engine.training.dependency import import_torch

    import_torch().set_num_threads(threads)
    from poseact_engine.cli import train_action as command
    from poseact_engine.training.action import TrainConfig
    from poseact_engine.training.augment import AugmentConfig
    from poseact_engine.training.loop import LoopConfig

    loop = LoopConfig(
        epochs=epochs,
        epoch_windows=epoch_windows,
        batch_size=batch_size,
        lr=lr,
        optimiser=optimiser,
        patience=patience,
        seed=seed,
        no_fall_share=no_fall_share,
        augment=AugmentConfig(swing_arm=swing_arm),
    )
    config = TrainConfig(
        data=tuple(data),
        exclude=tuple(exclude or ()),
        validation=validation,
        validation_data=tuple(validation_data or ()),
        split=split,
        every=every,
        least_fall=least_fall,
        init=init,
        model=command.model_config(init, hidden, layers, normalise, dropout=dropout),
        loop=loop,
    )
    command.run(
        config,
        output,
        device=device,
        overwrite=overwrite,
        resume=resume,
        tensorboard=tensorboard,
    )
