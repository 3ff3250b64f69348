# SPDX-License-Identifier: Apache-2.0
"""``poseact train detector``: YOLOX with one class, from COCO boxes or made scenes."""

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

if TYPE_CHECKING:
    from poseact_engine.training.detector import BoxScorer
    from poseact_engine.training.models.yolox import Yolox, YoloxConfig

detector_app = typer.Typer()

Size = Annotated[
    str, typer.Option(help="HEIGHTxWIDTH of the input, multiples of 32.", rich_help_panel="Network")
]
Depth = Annotated[
    float | None,
    typer.Option(
        help="YOLOX's depth (nano to s 0.33, m 0.67, l 1). Default: 0.33, or --init's.",
        rich_help_panel="Network",
    ),
]
Width = Annotated[
    float | None,
    typer.Option(
        help="YOLOX's width (nano 0.25, tiny 0.375, s 0.5, m 0.75, l 1). Default: 0.125, or"
        " --init's.",
        rich_help_panel="Network",
    ),
]
Depthwise = Annotated[
    bool, typer.Option("--depthwise", help="As YOLOX nano.", rich_help_panel="Network")
]

Zoom = Annotated[
    float,
    typer.Option(
        help="Pictures are shown up to so many times as large, or as small.",
        min=1, max=4, rich_help_panel=opt.LEARNING,
    ),
]  # fmt: skip


@detector_app.command("detector")
def train_detector(
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
    size: Size = "256x416",
    depth: Depth = None,
    width: Width = None,
    depthwise: Depthwise = False,
    zoom: Zoom = 1.5,
    init: opt.Init = None,
    epochs: opt.Epochs = 30,
    batch_size: opt.BatchSize = 16,
    lr: opt.Rate = 2e-3,
    optimizer: opt.Optimiser = "adamw",
    schedule: opt.Schedule = "cosine",
    warm_up: opt.WarmUp = 0.05,
    weight_decay: opt.WeightDecay = 0.01,
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
    """Train a person detector (YOLOX, one class) on COCO boxes or made scenes."""
    from poseact_engine.training.dependency import import_torch

    import_torch().set_num_threads(threads)
    from poseact_engine.training.detector import DetectorConfig, DetectorJob
    from poseact_engine.training.detector_data import DetectorAugment
    from poseact_engine.training.detector_save import save_detector
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
    net, network = _network(init, depth=depth, width=width, depthwise=depthwise, seed=seed)
    config = DetectorConfig(
        network=network, size=parse_sides("--size", size), trainer=trainer,
        augment=DetectorAugment(scale=(1 / zoom, zoom)),
    )  # fmt: skip
    target = Target(
        output=output, overwrite=overwrite, resume=resume, tensorboard=tensorboard, init=init
    )
    target.check(choice)
    found = find_data(choice, Console(), joints=False)
    job = DetectorJob(net, found.train, config, validation=found.validation, scorer=_scorer(found))
    run_training(job, config, found, target, partial(save_detector, licence=licence))


def _network(
    init: Path | None, *, depth: float | None, width: float | None, depthwise: bool, seed: int
) -> tuple[Yolox, YoloxConfig]:
    from poseact_engine.training.detector import make_network, person_alone
    from poseact_engine.training.models.yolox import YoloxConfig
    from poseact_engine.training.official import load_yolox

    if init is not None:
        refuse_with_init(depth=depth, width=width, depthwise=depthwise or None)
        net = person_alone(load_yolox(init))
        return net, net.config
    network = YoloxConfig(
        depth=0.33 if depth is None else depth,
        width=0.125 if width is None else width,
        depthwise=depthwise,
        classes=1,
    )
    return make_network(network, seed), network


def _scorer(found: Found) -> BoxScorer | None:
    """COCO's figures of the held-out pictures; None where there are none."""
    if found.validation is None:
        return None
    from poseact_engine.evaluation.coco import DetectorEvaluation

    evaluation = DetectorEvaluation(found.validation.file)

    def score(boxes: Any, scores: Any, ids: list[int]) -> dict[str, float]:
        figures = evaluation.scores(evaluation.results(boxes, scores, ids))
        return {"ap": figures.ap, "ap_50": figures.ap_50, "ar": figures.ar}

    return score
