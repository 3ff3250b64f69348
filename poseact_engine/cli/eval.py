# SPDX-License-Identifier: Apache-2.0
"""`poseact eval`: how well a model file does on data with truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from poseact_engine.cli.eval_report import (
    check_folders,
    check_outputs,
    print_action,
    print_scores,
    progress,
    write_json,
)
from poseact_engine.cli.eval_world import eval_world
from poseact_engine.config import BackendChoice, DeviceChoice, PoseNms
from poseact_engine.errors import ConfigError
from poseact_engine.evaluation.walk import Where

MIN_SCORE = 0.2

Truth = Annotated[
    Path, typer.Option("--data", metavar="JSON", help="COCO file that says what is true.")
]
Images = Annotated[Path, typer.Option(metavar="DIR", help="Folder of its pictures.")]
Pose = Annotated[Path, typer.Option(metavar="FILE", help="Pose model, an exported .onnx file.")]
Detector = Annotated[Path, typer.Option(metavar="FILE", help="Detector, an exported .onnx file.")]
MaybeDetector = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Detector that finds the people; without: true boxes."),
]
Action = Annotated[Path, typer.Option(metavar="FILE", help="Action model, an exported .onnx file.")]
Nms = Annotated[PoseNms, typer.Option(help="Leave out poses that double a better one.")]
MinScore = Annotated[float, typer.Option(min=0, max=1, help="Least score of a detector's box.")]
MaybeMinScore = Annotated[
    float | None,
    typer.Option(min=0, max=1, help=f"Least score of the detector's boxes [{MIN_SCORE}]."),
]
Results = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write what was found, in COCO's format.")
]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")
]
Backend = Annotated[BackendChoice, typer.Option(help="What runs the models.")]
Device = Annotated[DeviceChoice, typer.Option(help="Where they run.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads for inference.")]
Keypoints = Annotated[
    list[Path],
    typer.Option("--data", metavar="NPZ", help="Keypoint file with labels (repeatable)."),
]
Split = Annotated[
    Literal["all", "held-out", "trained-on"],
    typer.Option(
        help="Side of the split that `poseact train action` makes of the same files with the same"
        " --exclude, --validation and --seed, unless it was told --split random or"
        " --validation-data: of those, it tells nothing."
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(help="Leave out sequences of this name (shell pattern, repeatable)."),
]
Validation = Annotated[float, typer.Option(min=0, max=0.9, help="Share held out in training.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the training.")]
Plots = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write confusion.png, classes.png, calibration.png."),
]
TensorBoard = Annotated[
    Path | None, typer.Option("--tensorboard", metavar="DIR", help="Write scalars and plots.")
]

eval_app = typer.Typer(
    name="eval",
    help="Measure models on data with truth.",
    no_args_is_help=True,
    add_completion=False,
)


@eval_app.command("pose")
def eval_pose(
    *,
    data: Truth,
    images: Images,
    pose: Pose,
    detector: MaybeDetector = None,
    min_score: MaybeMinScore = None,
    nms: Nms = "none",
    results: Results = None,
    json: Json = None,
    backend: Backend = "auto",
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """COCO keypoint AP of a pose model, in true boxes or in a detector's.

    A person scores box score x mean joint score; in true boxes, mean joint score.
    """
    from poseact_engine.evaluation.pose_eval import PoseEvalConfig, evaluate_pose

    check_outputs([results, json], reads=[data, pose, detector])
    if detector is None and min_score is not None:
        raise ConfigError("--min-score: expected a --detector whose boxes it is for, got none")
    least = MIN_SCORE if min_score is None else min_score
    config = PoseEvalConfig(
        truth=data,
        images=images,
        pose=pose,
        detector=detector,
        min_score=least,
        nms=nms,
        where=Where(backend=backend, device=device, threads=threads),
    )
    with progress("pictures") as show:
        report = evaluate_pose(config, on_progress=show)
    facts = {
        "data": data.name,
        "pictures": report.pictures,
        "boxes": report.boxes,
        "boxes_of": report.boxes_of,
        "min_score": least if detector is not None else None,
        "nms": report.nms,
    }
    print_scores(report.scores, report, pose, facts, json)
    if results is not None:
        write_json(report.results, results)


@eval_app.command("detector")
def eval_detector(
    *,
    data: Truth,
    images: Images,
    detector: Detector,
    min_score: MinScore = 0.01,
    results: Results = None,
    json: Json = None,
    backend: Backend = "auto",
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """COCO AP of a detector's person boxes."""
    from poseact_engine.evaluation.detector_eval import DetectorEvalConfig, evaluate_detector

    check_outputs([results, json], reads=[data, detector])
    config = DetectorEvalConfig(
        truth=data,
        images=images,
        detector=detector,
        min_score=min_score,
        where=Where(backend=backend, device=device, threads=threads),
    )
    with progress("pictures") as show:
        report = evaluate_detector(config, on_progress=show)
    facts = {
        "data": data.name,
        "pictures": report.pictures,
        "boxes": len(report.results),
        "min_score": report.min_score,
    }
    print_scores(report.scores, report, detector, facts, json)
    if results is not None:
        write_json(report.results, results)


@eval_app.command("action")
def eval_action(
    *,
    data: Keypoints,
    action: Action,
    split: Split = "all",
    exclude: Exclude = None,
    validation: Validation = 0.25,
    seed: Seed = 0,
    plots: Plots = None,
    tensorboard: TensorBoard = None,
    json: Json = None,
    backend: Backend = "auto",
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Accuracy, loss and confusion of an action model on labelled sequences of poses."""
    from poseact_engine.evaluation import action_plots
    from poseact_engine.evaluation.action_eval import ActionEvalConfig, evaluate_action

    check_outputs([json], reads=[*data, action])
    check_folders(plots, tensorboard)
    if plots is not None or tensorboard is not None:
        action_plots.check_packages(tensorboard=tensorboard is not None)
    config = ActionEvalConfig(
        data=tuple(data),
        action=action,
        split=split,
        exclude=tuple(exclude or ()),
        validation=validation,
        seed=seed,
        where=Where(backend=backend, device=device, threads=threads),
    )
    with progress("windows") as show:
        report = evaluate_action(config, on_progress=show)
    facts = {
        "data": [path.name for path in data],
        "split": report.split,
        "sequences": report.sequences,
    }
    print_action(report, action, facts, json)
    if plots is not None or tensorboard is not None:
        pictures = action_plots.plots(report.scores)
        if plots is not None:
            action_plots.write_plots(pictures, plots)
        if tensorboard is not None:
            action_plots.write_tensorboard(report.scores, pictures, tensorboard)


eval_app.command("world")(eval_world)
