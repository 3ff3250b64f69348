# SPDX-License-Identifier: Apache-2.0
"""The `poseact` command. Subcommands are imported when they are called, so that help is instant."""

from __future__ import annotations

import importlib
import sys
from typing import Annotated

import typer

from poseact_engine.errors import ParityError, PoseActError

USER_ERROR = 2
PARITY_FAILED = 3

# What a lazily imported command does with its arguments is its own business, --help included.
_FORWARD = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}

app = typer.Typer(
    name="poseact",
    help="People, poses and actions in videos; falls and other incidents as events.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        from poseact_engine.version import __version__

        typer.echo(f"poseact {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    del version  # eager: handled before any command


def _call(module: str, attribute: str, name: str, args: list[str]) -> None:
    """Runs another module's typer app or command function with the rest of the line."""
    target = getattr(importlib.import_module(module), attribute)
    if not isinstance(target, typer.Typer):
        command, target = target, typer.Typer(add_completion=False)
        target.command()(command)
    code = target(args=args, prog_name=f"poseact {name}", standalone_mode=False)
    if isinstance(code, int) and code:  # typer returns what an Exit carries
        raise typer.Exit(code)


@app.command("run", context_settings=_FORWARD, add_help_option=False)
def _run(context: typer.Context) -> None:
    """Find people, poses, actions and incidents in video files and images."""
    _call("poseact_engine.cli.run", "run_app", "run", context.args)


@app.command("models", context_settings=_FORWARD, add_help_option=False)
def _models(context: typer.Context) -> None:
    """Fetch official weights; show and check model files (models list, pull, info, check)."""
    _call("poseact_engine.cli.models", "models_app", "models", context.args)


@app.command("export", context_settings=_FORWARD, add_help_option=False)
def _export(context: typer.Context) -> None:
    """Turn foreign or trained weights into model files (detector, pose, action)."""
    _call("export.cli", "app", "export", context.args)


@app.command("train", context_settings=_FORWARD, add_help_option=False)
def _train(context: typer.Context) -> None:
    """Train a model (train action DATA.npz)."""
    _call("poseact_engine.cli.train", "train_app", "train", context.args)


@app.command("eval", context_settings=_FORWARD, add_help_option=False)
def _eval(context: typer.Context) -> None:
    """Measure a model on data with truth (eval pose, detector, action)."""
    _call("poseact_engine.cli.eval", "eval_app", "eval", context.args)


@app.command("synth", context_settings=_FORWARD, add_help_option=False)
def _synth(context: typer.Context) -> None:
    """Make scenes with known truth: videos, COCO and MOT annotations, keypoints."""
    _call("poseact_engine.cli.synth", "synth_app", "synth", context.args)


@app.command("extract", context_settings=_FORWARD, add_help_option=False)
def _extract(context: typer.Context) -> None:
    """Take the poses out of videos in a folder per class, to train an action model on."""
    _call("poseact_engine.cli.extract", "extract_app", "extract", context.args)


@app.command("convert", context_settings=_FORWARD, add_help_option=False)
def _convert(context: typer.Context) -> None:
    """Turn other estimators' keypoints into a keypoint file."""
    _call("poseact_engine.cli.convert", "convert_command", "convert", context.args)


@app.command("reproduce", context_settings=_FORWARD, add_help_option=False)
def _reproduce(context: typer.Context) -> None:
    """Repeat the paper's experiments, with the honest test beside each, as one HTML page."""
    _call("poseact_engine.cli.reproduce", "reproduce_command", "reproduce", context.args)


@app.command("demo", context_settings=_FORWARD, add_help_option=False)
def _demo(context: typer.Context) -> None:
    """Play a made CCTV scene through the whole engine; writes a video, events and a page."""
    _call("poseact_engine.cli.demo", "demo_command", "demo", context.args)


@app.command("doctor", context_settings=_FORWARD, add_help_option=False)
def _doctor(context: typer.Context) -> None:
    """Say what was built and what is available, and what to install."""
    _call("poseact_engine.cli.doctor", "doctor_command", "doctor", context.args)


def main() -> None:
    """Errors a user can act on are one line and exit code 2, or 3 where an export is past a bound
    of the parity gate; others keep their traceback."""
    try:
        app()
    except PoseActError as error:
        typer.echo(f"poseact: error: {error}", err=True)
        sys.exit(PARITY_FAILED if isinstance(error, ParityError) else USER_ERROR)


if __name__ == "__main__":
    main()
