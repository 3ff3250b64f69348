# SPDX-License-Identifier: Apache-2.0
"""What `poseact train detector` and `train pose` have in common: data, the run, what is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from poseact_engine.cli.stop import stop_on_signals
from poseact_engine.errors import ConfigError, PoseActError, SinkError
from poseact_engine.evaluation.coco_file import read_coco
from poseact_engine.files import file_sha256
from poseact_engine.sinks.base import check_target

if TYPE_CHECKING:
    from poseact_engine.training.made_pictures import MadeConfig
    from poseact_engine.training.pictures import PictureSet
    from poseact_engine.training.trainer import Epoch, Job, Outcome
    from poseact_engine.training.trainer_config import TrainerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChoice:
    """What to learn from and what to hold out; ConfigError where it does not add up."""

    data: Sequence[Path]
    images: Sequence[Path]
    validation: Path | None
    validation_images: Path | None
    made: MadeConfig | None
    made_validation: MadeConfig | None
    cache: Path
    workers: int = 0
    """Processes that draw."""

    def __post_init__(self) -> None:
        if len(self.data) != len(self.images):
            raise ConfigError(
                f"--images: expected one for each --data, got {len(self.images)} for"
                f" {len(self.data)}"
            )
        if (self.validation is None) != (self.validation_images is None):
            raise ConfigError("--validation and --validation-images: expected both or none")
        if not self.data and self.made is None:
            raise ConfigError("train: expected --data with --images, or --synthetic, got neither")
        if self.validation is not None and self.made_validation is not None:
            raise ConfigError("--validation: expected it or --synthetic-validation, got both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Pictures, and where they came from as plain data."""

    train: list[PictureSet]
    validation: PictureSet | None
    origin: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the model and the state of the run go."""

    output: Path
    overwrite: bool
    resume: bool
    tensorboard: Path | None
    init: Path | None

    def check(self, choice: DataChoice) -> None:
        """Raises SinkError before the long work, where it could not be written, or would destroy
        what is read or what an earlier run has done."""
        from poseact_engine.training.session import resume_path

        read = {p.resolve() for p in (*choice.data, choice.validation, self.init) if p is not None}
        state = resume_path(self.output)
        for path in (self.output, state):
            if path.resolve() in read:
                raise SinkError(f"{path}: is a file to be read and would be overwritten")
        # Who resumes has begun it, and may have been broken off between the model and its state.
        check_target(self.output, overwrite=self.overwrite or (self.resume and state.exists()))
        if state.exists() and not self.resume:
            raise SinkError(
                f"{state}: an earlier run was broken off there; go on with it by --resume, or"
                " delete it"
            )


def refuse_with_init(**given: object) -> None:
    """ConfigError for options of the network's shape, which --init's weights fix."""
    for name, value in given.items():
        if value is not None:
            raise ConfigError(f"--{name}: expected it or --init, whose weights fix it, got both")


def find_data(choice: DataChoice, console: Console, *, joints: bool) -> Found:
    """Reads COCO files, draws made scenes; raises what they raise."""
    from poseact_engine.training.made_pictures import check_apart
    from poseact_engine.training.pictures import check_people, from_coco

    check_apart(choice.made, choice.made_validation)
    pairs = list(zip(choice.data, choice.images, strict=True))
    train = [from_coco(read_coco(file), images) for file, images in pairs]
    validation = None
    if choice.validation is not None and choice.validation_images is not None:
        validation = from_coco(read_coco(choice.validation), choice.validation_images)
        _check_apart("--validation", train, validation)  # before scenes are drawn
    if choice.made is not None:
        train.append(_make(choice.made, choice, console, "training"))
    if choice.made_validation is not None:
        validation = _make(choice.made_validation, choice, console, "held-out")
        _check_apart("--synthetic-validation", train, validation)
    elif validation is not None and choice.made is not None:
        _check_apart("--validation", train[-1:], validation)
    check_people(train, joints=joints)
    if validation is not None:
        check_people([validation], joints=joints)
    pictures, people = sum(len(s.pictures) for s in train), sum(s.people() for s in train)
    held = "nothing held out" if validation is None else f"held out {len(validation.pictures)}"
    tell(console, f"{pictures} pictures, {people} people; {held}")
    return Found(train=train, validation=validation, origin=_origin(choice, train, validation))


def _origin(
    choice: DataChoice, train: Sequence[PictureSet], validation: PictureSet | None
) -> dict[str, Any]:
    made = {"made": choice.made, "made_held_out": choice.made_validation}
    return {
        "data": [_named(s) for s in train],
        "held_out": None if validation is None else _named(validation),
    } | {name: None if config is None else asdict(config) for name, config in made.items()}


def _named(pictures: PictureSet) -> dict[str, str]:
    return {"file": pictures.file.name, "sha256": pictures.sha256}


def _check_apart(option: str, train: Sequence[PictureSet], validation: PictureSet) -> None:
    from poseact_engine.training.pictures import shared_pictures

    both = shared_pictures(train, validation)
    if both:
        held, other = next(iter(both.items()))
        raise ConfigError(
            f"{option}: expected pictures that training does not have, got {len(both)} that it has;"
            f" the first is {held}, in training {other}"
        )


def _make(config: MadeConfig, choice: DataChoice, console: Console, what: str) -> PictureSet:
    from poseact_engine.training.made_pictures import made_pictures
    from poseact_engine.training.pictures import from_coco

    with _bar(console) as bar, stop_on_signals(lambda: None) as stop:
        task = bar.add_task(f"drawing {what} scenes", total=config.scenes)

        def on_scene(done: int) -> None:
            bar.update(task, completed=done)
            if stop.code is not None:
                raise typer.Exit(stop.code)

        try:
            made = made_pictures(config, choice.cache, workers=choice.workers, on_scene=on_scene)
        except PoseActError:
            if stop.code is None:
                raise
            # The signal went to the processes that draw, too, and their death was noticed first.
            raise typer.Exit(stop.code) from None
    return from_coco(read_coco(made.truth), made.images)


def run_training(
    job: Job, config: Any, found: Found, target: Target, save: Callable[..., None]
) -> None:
    """``save(config, state, training, path)`` writes the checkpoint of what was learnt; only then
    the state of the run may go."""
    from poseact_engine.training.session import resume_path

    console = Console()
    options = _run_options(config, found.origin, target.init)
    outcome = _train(job, config.trainer, target, options, console)
    training = _summary(outcome, options, chosen=config.trainer.patience is not None)
    save(config, outcome.state, training, target.output)
    resume_path(target.output).unlink(missing_ok=True)
    scores = ", ".join(f"{name} {value:.3f}" for name, value in outcome.scores.items())
    tell(console, f"{target.output}: epoch {outcome.epoch}{f', held out: {scores}' * bool(scores)}")


def _train(
    job: Job, config: TrainerConfig, target: Target, options: Mapping[str, Any], console: Console
) -> Outcome:
    """Runs the training; typer.Exit with the signal's code where it was stopped."""
    from poseact_engine.training.session import resume_path
    from poseact_engine.training.trainer import Trainer, Watch

    state = resume_path(target.output)
    trainer = Trainer(job, config, state_path=state, options=options)
    if target.resume:
        trainer.resume(state)
    tell(console, f"on {trainer.device}, {trainer.precision}, {job.steps} steps an epoch")
    asked: list[bool] = []
    with _bar(console) as bar, stop_on_signals(lambda: asked.append(True)) as stop:
        task = bar.add_task("training", total=config.epochs * job.steps)

        def on_epoch(epoch: Epoch) -> None:
            tell(bar.console, epoch_line(epoch, config.epochs))

        outcome = trainer.run(
            Watch(
                on_step=lambda epoch, step: bar.update(
                    task, completed=(epoch - 1) * job.steps + step
                ),
                on_epoch=on_epoch,
                stop=lambda: bool(asked),
                tensorboard=target.tensorboard,
            )
        )
    if not outcome.finished:
        tell(console, f"stopped; its state is in {state}; go on by adding --resume")
        raise typer.Exit(stop.code or 130)
    return outcome


def epoch_line(epoch: Epoch, epochs: int) -> str:
    parts = [f"{name} {value:.4f}" for name, value in epoch.losses.items()]
    scores = [f"{name} {value:.3f}" for name, value in epoch.scores.items()]
    held = f" | held out: {', '.join(scores)}" if scores else ""
    return f"epoch {epoch.number}/{epochs}: {', '.join(parts)}{held}"


def _run_options(config: Any, origin: Mapping[str, Any], init: Path | None) -> dict[str, Any]:
    """What a run was asked for, as plain data: all that its result depends on."""
    plain = asdict(config)
    for name in ("workers", "device"):
        del plain["trainer"][name]
    begun = None if init is None else {"file": init.name, "sha256": file_sha256(init)}
    return plain | dict(origin) | {"init": begun}


def _summary(outcome: Outcome, options: Mapping[str, Any], *, chosen: bool) -> dict[str, Any]:
    """How a model came about, for its checkpoint."""
    return {
        **options,
        "epoch": outcome.epoch,
        "chosen_by_held_out_score": chosen,
        "scores": dict(outcome.scores),
        "history": outcome.history,
        "device": outcome.device,
        "precision": outcome.precision,
    }


def tell(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    )
