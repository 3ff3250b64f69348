# SPDX-License-Identifier: Apache-2.0
"""Pictures of made scenes, drawn once into a folder and read from there like any COCO data.

The folder's name follows from what was asked for and from the code that draws, so that pictures of
an older world are never taken for those of the present one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from poseact_engine import synthetic
from poseact_engine.config_checks import check
from poseact_engine.errors import PoseActError, SinkError
from poseact_engine.synthetic import FIRST_EVALUATION_SEED
from poseact_engine.synthetic.coco import CocoTruth
from poseact_engine.synthetic.files import encode_picture, scene_name
from poseact_engine.synthetic.scene import Scene, SceneConfig
from poseact_engine.synthetic.truth import FrameTruth

TRUTH = "person_keypoints.json"
IMAGES = "images"
UNFINISHED = ".scenes-"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeConfig:
    """Which scenes, and how many pictures of each."""

    scenes: int
    first_seed: int = 0
    seconds: int = 8
    pictures: int = 8
    """Of each scene, evenly over its seconds."""
    size: tuple[int, int] = (640, 360)
    """Width and height."""
    people: int | None = None
    """In each scene; None: drawn, as where scenes are measured."""

    def __post_init__(self) -> None:
        for name, least in (("scenes", 1), ("seconds", 1), ("pictures", 1), ("first_seed", 0)):
            value = getattr(self, name)
            ok = not isinstance(value, bool) and isinstance(value, int) and value >= least
            check(ok, f"synthetic.{name}", f"a whole number, {least} or more", value)
        check_for_training("synthetic.first_seed", self.seeds)
        self.scene(self.first_seed)

    def scene(self, seed: int) -> SceneConfig:
        """A slow camera, of one frame a second at least: hardly more frames than pictures."""
        fps = (max(self.pictures, self.seconds), self.seconds)
        return SceneConfig(
            seed=seed, seconds=float(self.seconds), size=self.size, fps=fps, people=self.people
        )

    @property
    def seeds(self) -> range:
        return range(self.first_seed, self.first_seed + self.scenes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadePictures:
    """Where they are."""

    truth: Path
    images: Path


def check_for_training(where: str, seeds: range) -> None:
    """ConfigError where scenes are for evaluation; ``where``: the option that asks for them."""
    check(
        seeds.stop <= FIRST_EVALUATION_SEED,
        where,
        f"seeds below {FIRST_EVALUATION_SEED}, as those from there on are for evaluation alone",
        f"{seeds.start} to {seeds.stop - 1}",
    )


def check_apart(train: MadeConfig | None, validation: MadeConfig | None) -> None:
    """ConfigError where a scene is on both sides."""
    if train is None or validation is None:
        return
    a, b = train.seeds, validation.seeds
    check(
        a.stop <= b.start or b.stop <= a.start,
        "--validation-seed",
        f"seeds that training does not have ({a.start} to {a.stop - 1})",
        f"{b.start} to {b.stop - 1}",
    )


def made_pictures(
    config: MadeConfig,
    cache: Path,
    *,
    workers: int = 0,
    on_scene: Callable[[int], None] = lambda _: None,
) -> MadePictures:
    """Draws what is not yet in ``cache``; SinkError where it cannot be written, PoseActError where
    a drawing process dies.

    ``workers`` processes draw (0: this one), which changes nothing in the result. ``on_scene`` is
    told the scenes done so far; what it raises ends the drawing. A folder is there whole or not at
    all.
    """
    folder = cache / f"scenes-{config.first_seed}-{config.scenes}-{_key(config)}"
    found = MadePictures(truth=folder / TRUTH, images=folder / IMAGES)
    if found.truth.is_file():
        on_scene(config.scenes)
        return found
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _folder_of_this_run(cache) as temporary:
            _draw(config, temporary, workers, on_scene)
            if not found.truth.is_file():  # another run may have been faster
                shutil.rmtree(folder, ignore_errors=True)
                temporary.rename(folder)
    except OSError as error:
        if isinstance(error, PoseActError):
            raise
        raise SinkError(f"{cache}: cannot be written: {error.strerror or error}") from error
    return found


@contextmanager
def _folder_of_this_run(cache: Path) -> Generator[Path]:
    """Locked while it is drawn into: a lock ends with its process, however that ends. Those that
    commands left behind which were killed are removed first."""
    with ExitStack() as own:
        with _locked(cache):  # a folder is not yet locked when it is made
            for left in cache.glob(f"{UNFINISHED}*"):
                with suppress(OSError), _locked(left, wait=False):
                    shutil.rmtree(left, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=cache))
            own.callback(shutil.rmtree, folder, ignore_errors=True)
            own.enter_context(_locked(folder))
        folder.chmod(0o755)  # was made for its owner alone
        yield folder


@contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Generator[None]:
    """OSError where it is not there, or, without ``wait``, could not be locked; with it, a file
    system without locks does without."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(*([OSError] if wait else [])):
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(handle)


def _draw(config: MadeConfig, folder: Path, workers: int, on_scene: Callable[[int], None]) -> None:
    images = folder / IMAGES
    images.mkdir()
    truth = CocoTruth()
    with closing(_drawn(config, images, workers)) as drawn:
        for done, (seed, truths) in enumerate(drawn, start=1):
            for frame in truths:
                truth.add(_name(seed, frame.index), config.size, frame, scene=scene_name(seed))
            on_scene(done)
    data = json.dumps(truth.content(), separators=(",", ":"), allow_nan=False)
    (folder / TRUTH).write_text(data, encoding="utf-8")


def _drawn(
    config: MadeConfig, images: Path, workers: int
) -> Generator[tuple[int, list[FrameTruth]]]:
    """Seeds and the truths of their pictures, in order, as they are written."""
    draw = partial(_draw_scene, config, images)
    if workers == 0:
        yield from zip(config.seeds, map(draw, config.seeds), strict=True)
        return
    count = min(workers, config.scenes)
    pool = ProcessPoolExecutor(
        count,
        # Forking a program that has threads, torch's or OpenCV's, may hang.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_end_with_parent,
    )
    try:
        yield from zip(config.seeds, pool.map(draw, config.seeds), strict=True)
    except BrokenProcessPool as error:
        raise PoseActError(
            f"made scenes: one of {count} drawing processes died, perhaps for lack of memory;"
            " try fewer workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """In a process that draws: whoever started it ends it, not a terminal's Ctrl-C, which reaches
    it too; it ends by itself when that one was killed and can end nobody."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_for, args=(parent,), daemon=True).start()


def _wait_for(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _draw_scene(config: MadeConfig, images: Path, seed: int) -> list[FrameTruth]:
    scene = Scene(config.scene(seed))
    wanted = {k * len(scene) // config.pictures for k in range(config.pictures)}
    truths = []
    for frame in scene.frames():
        if frame.truth.index in wanted:
            data = encode_picture(frame.picture, "jpg")
            (images / _name(seed, frame.truth.index)).write_bytes(data)
            truths.append(frame.truth)
    return truths


def _name(seed: int, frame: int) -> str:
    return f"{scene_name(seed)}_{frame:06d}.jpg"


def _key(config: MadeConfig) -> str:
    """Of the configuration, of all code of the made world, and of this file."""
    known = hashlib.sha256(repr(asdict(config)).encode())
    known.update(Path(__file__).read_bytes())
    for folder in synthetic.__path__:
        for path in sorted(Path(folder).rglob("*.py")):
            known.update(path.read_bytes())
    return known.hexdigest()[:12]
