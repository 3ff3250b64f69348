# SPDX-License-Identifier: Apache-2.0
"""``poseact train pose``: HRNet with heat maps, from COCO keypoints or made scenes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from poseact_engine.cli import train_options as opt
from poseact_engine.cli.train_pictures import (
    DataChoice,
    Found,
    Target,
    find_data,
    refuse_with_init,
    run_training,
)
from poseact_engine.cli.train_scenes import MadeOptions, parse_sides
from poseact_engine.errors import ConfigError

if TYPE_CHECKING:
    from poseact_engine.training.models.hrnet import Hrnet, HrnetConfig
    from poseact_engine.training.pose import PoseScorer

pose_app = typer.Typer()

Size = Annotated[
    str, typer.Option(help="HEIGHTxWIDTH of crops, multiples of 32.", rich_help_panel="Network")
]
Width = Annotated[
    int | None,
    typer.Option(
        help="HRNet's width (paper: 32, 48). Default: 32, or --init's.",
        min=4,
        rich_help_panel="Network",
    ),
]
Stem = Annotated[
    int | None,
    typer.Option(
        help="Channels before layer1. Default: 64 as in the paper, or --init's.",
        min=4, rich_help_panel="Network",
    ),
]  # fmt: skip
Modules = Annotated[
    str | None,
    typer.Option(
        help="Of stages 2, 3 and 4. Default: 1,4,3 as in the paper, or --init's.",
        rich_help_panel="Network",
    ),
]
Sigma = Annotated[
    float | None,
    typer.Option(
        help="Of targets, in cells of the heat map. Default: crop height / 128, 1 at least.",
        rich_help_panel=opt.LEARNING,
    ),
]
HiddenWeight = Annotated[
    float,
    typer.Option(help="Of joints that are known but not seen.", rich_help_panel=opt.LEARNING),
]
Rotate = Annotated[
    float, typer.Option("--rotate-deg", help="Crops turn by up to this.",
                        rich_help_panel=opt.LEARNING)
]  # fmt: skip
Zoom = Annotated[
    float, typer.Option("--scale", help="Crops zoom by 1 ± this.", rich_help_panel=opt.LEARNING)
]

HalfBody = Annotated[
    float,
    typer.Option(
        help="Chance that a crop shows only what is above, or below, the hips.",
        min=0, max=1, rich_help_panel=opt.LEARNING,
    ),
]  # fmt: skip
Cover = Annotated[
    float,
    typer.Option(
        help="Chance that patches cover a part of a crop.",
        min=0, max=1, rich_help_panel=opt.LEARNING,
    ),
]  # fmt: skip


@pose_app.command("pose")
def train_pose(
    output: opt.Output,
    *,
    overwrite: opt.Overwrite = False,
    data: opt.Data = None,
    images: opt.Images = None,
    validation: opt.Validation = None,
    validation_images: opt.ValidationImages = None,
    licence: opt.Licence = None,
    synthetic: opt.Synthetic = 0,
    first_seed: opt.FirstSeed = None,
    synthetic_validation: opt.SyntheticValidation = 0,
    validation_seed: opt.ValidationSeed = None,
    seconds: opt.Seconds = None,
    pictures: opt.Pictures = None,
    people: opt.PeopleInScene = None,
    picture_size: opt.PictureSize = None,
    cache: opt.Cache = None,
    size: Size = "256x192",
    width: Width = None,
    stem: Stem = None,
    modules: Modules = None,
    sigma: Sigma = None,
    hidden_weight: HiddenWeight = 1.0,
    rotate_deg: Rotate = 40.0,
    scale: Zoom = 0.35,
    half_body: HalfBody = 0.2,
    cover: Cover = 0.35,
    init: opt.Init = None,
    epochs: opt.Epochs = 30,
    batch_size: opt.BatchSize = 32,
    lr: opt.Rate = 1e-3,
    optimizer: opt.Optimiser = "adam",
    schedule: opt.Schedule = "cosine",
    warm_up: opt.WarmUp = 0.05,
    weight_decay: opt.WeightDecay = 0.0,
    average: opt.Average = 0.998,
    patience: opt.Patience = None,
    validate_every: opt.ValidateEvery = 1,
    seed: opt.Seed = 0,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    workers: opt.Workers = 0,
    threads: opt.Threads = 2,
    tensorboard: opt.TensorBoard = None,
    resume: opt.Resume = False,
) -> None:
    """Train a pose model (HRNet, 17 joints) on COCO keypoints or made scenes."""
    from poseact_engine.training.dependency import import_torch

    import_torch().set_num_threads(threads)
    from poseact_engine.training.pose import PoseConfig, PoseJob
    from poseact_engine.training.pose_data import PoseAugment
    from poseact_engine.training.pose_save import save_pose
    from poseact_engine.training.trainer_config import TrainerConfig

    trainer = TrainerConfig(
        epochs=epochs, batch_size=batch_size, lr=lr, optimiser=optimizer,
        schedule=schedule, warm_up=warm_up, weight_decay=weight_decay, average=average,
        patience=patience, validate_every=validate_every, seed=seed, workers=workers,
        device=device, precision=precision,
    )  # fmt: skip
    scenes = MadeOptions(
        synthetic=synthetic, synthetic_validation=synthetic_validation, first_seed=first_seed,
        validation_seed=validation_seed, seconds=seconds, pictures=pictures, people=people,
        picture_size=picture_size, cache=cache,
    )  # fmt: skip
    choice = DataChoice(
        data=data or [], images=images or [], validation=validation,
        validation_images=validation_images, made=scenes.train(), made_validation=scenes.held_out(),
        cache=scenes.folder(output), workers=workers,
    )  # fmt: skip
    net, network = _network(init, width=width, stem=stem, modules=modules, seed=seed)
    config = PoseConfig(
        network=network, size=parse_sides("--size", size), trainer=trainer, sigma=sigma,
        hidden_weight=hidden_weight,
        augment=PoseAugment(rotate_deg=rotate_deg, scale=scale, half_body=half_body, cover=cover),
    )  # fmt: skip
    target = Target(
        output=output, overwrite=overwrite, resume=resume, tensorboard=tensorboard, init=init
    )
    target.check(choice)
    found = find_data(choice, Console(), joints=True)
    job = PoseJob(net, found.train, config, validation=found.validation, scorer=_scorer(found))
    run_training(job, config, found, target, partial(save_pose, licence=licence))


def _network(
    init: Path | None, *, width: int | None, stem: int | None, modules: str | None, seed: int
) -> tuple[Hrnet, HrnetConfig]:
    from poseact_engine.training.models.hrnet import HrnetConfig
    from poseact_engine.training.official import load_hrnet
    from poseact_engine.training.pose import make_network

    if init is not None:
        refuse_with_init(width=width, stem=stem, modules=modules)
        net = load_hrnet(init)
        return net, net.config
    counts = (modules or "1,4,3").split(",")
    if len(counts) != 3 or not all(c.isdecimal() and len(c) < 3 for c in counts):
        raise ConfigError(f"--modules: expected three whole numbers as 1,4,3, got {modules!r}")
    network = HrnetConfig(
        width=width or 32,
        stem=stem or 64,
        modules=(int(counts[0]), int(counts[1]), int(counts[2])),
    )
    return make_network(network, seed), network


def _scorer(found: Found) -> PoseScorer | None:
    """COCO's figures of the held-out pictures; None where there are none."""
    if found.validation is None:
        return None
    from poseact_engine.evaluation.coco import PoseEvaluation, mean_joint_scores

    evaluation = PoseEvaluation(found.validation.file)

    def score(poses: Any, ids: list[int]) -> dict[str, float]:
        figures = evaluation.scores(evaluation.results(poses, mean_joint_scores(poses), ids))
        return {"ap": figures.ap, "ap_50": figures.ap_50, "ap_75": figures.ap_75}

    return score
