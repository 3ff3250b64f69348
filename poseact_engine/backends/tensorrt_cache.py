# SPDX-License-Identifier: Apache-2.0
"""Engines that fit this machine: the file's own, one built before, or one built now."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from poseact_engine.backends.base import ModelFile
from poseact_engine.backends.tensorrt_build import (
    DEFAULT_PROFILES,
    Recipe,
    build_engine,
    check_buildable,
    fingerprint_of,
)
from poseact_engine.backends.tensorrt_toolkit import Toolkit
from poseact_engine.engine_file import (
    MAGIC,
    EngineFile,
    Fingerprint,
    onnx_sha256,
    read_engine,
    unpack,
    write_engine,
)
from poseact_engine.errors import BackendError, ManifestError
from poseact_engine.manifest_io import load_model

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """``$POSEACT_CACHE``, else the user's cache folder (XDG)."""
    if named := os.environ.get("POSEACT_CACHE"):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification asks that relative paths be ignored.
    base = cache if cache.is_absolute() else Path.home() / ".cache"
    return base / "poseact_engine"


def engines(file: ModelFile, toolkit: Toolkit, capability: str) -> Iterator[EngineFile]:
    """Engines of a model for the GPU (as ``sm_86``), best first.

    Ask for the next one only where TensorRT refused the last: what follows is built. ``file`` is
    an ONNX file or an engine file. Raises BackendError if none can be had, and says why.
    """
    if not file.data.startswith(MAGIC):
        recipe = Recipe(profiles=DEFAULT_PROFILES[file.manifest.task], capabilities=(capability,))
        yield from _cached(file, toolkit, recipe)
        return
    engine = unpack(file.data)
    onnx = _beside(file, engine.fingerprint)
    reasons = _differences(engine.fingerprint, toolkit, capability, onnx)
    if not reasons:
        yield engine
        reasons = [f"{toolkit} refused it"]
    recipe = Recipe(
        profiles=engine.fingerprint.profiles,
        capabilities=(capability,),
        workspace_mib=engine.fingerprint.workspace_mib,
    )
    _log.warning("%s does not fit here: %s; an engine that does is needed", file, _and(reasons))
    if onnx is None:
        name = engine.fingerprint.onnx_name or "MODEL.onnx"
        raise BackendError(
            f"{file}: does not fit here ({_and(reasons)}), and {name} is not beside it to build it "
            f"anew; put it there, or run `python -m export engine {name} -o MODEL.engine` here"
        )
    yield from _cached(_load(onnx, file), toolkit, recipe)


def _and(reasons: list[str]) -> str:
    return ", ".join(reasons)


def _beside(file: ModelFile, fingerprint: Fingerprint) -> Path | None:
    """The ONNX file of an engine file, if it is there."""
    if file.path is None or not fingerprint.onnx_name:
        return None
    path = file.path.with_name(fingerprint.onnx_name)
    return path if path.is_file() else None


def _load(onnx: Path, engine: ModelFile) -> ModelFile:
    data, _, manifest = load_model(onnx, task=engine.manifest.task)
    return ModelFile(path=onnx, data=data, manifest=manifest)


def _differences(
    made: Fingerprint, toolkit: Toolkit, capability: str, onnx: Path | None
) -> list[str]:
    """In what an engine's fingerprint differs from this machine and from its ONNX file."""
    found = []
    if (made.flavour, made.version) != (toolkit.flavour, toolkit.version):
        found.append(
            f"made by {made.flavour} {made.version}, here is {toolkit.flavour} {toolkit.version}"
        )
    if capability not in made.capabilities:
        found.append(f"made for {_and(list(made.capabilities))}, this GPU is {capability}")
    if onnx is not None:
        try:
            changed = onnx_sha256(onnx.read_bytes()) != made.onnx_sha256
        except OSError as error:
            raise BackendError(f"{onnx}: cannot read it: {error.strerror}") from error
        if changed:
            found.append(f"{onnx.name} beside it was changed since")
    return found


# ---------------------------------------------------------------- the cache


def _cached(file: ModelFile, toolkit: Toolkit, recipe: Recipe) -> Iterator[EngineFile]:
    check_buildable(file)
    engine, built = _take(file, toolkit, recipe, refused=None)
    yield engine
    if not built:
        _log.warning("%s: %s refused the engine in the cache; it is built anew", file, toolkit)
        yield _take(file, toolkit, recipe, refused=engine.plan)[0]


def _take(
    file: ModelFile, toolkit: Toolkit, recipe: Recipe, *, refused: bytes | None
) -> tuple[EngineFile, bool]:
    """The cache's engine (unless it is the refused one), else one that is built and put there."""
    fingerprint = fingerprint_of(file, toolkit, recipe)
    folder = cache_folder() / "engines"
    path = folder / f"{fingerprint.key}.engine"
    with _locked(path):
        engine = _read(path, fingerprint)
        if engine is not None and engine.plan != refused:
            _log.info("%s: engine %s", file, path)
            return engine, False
        _log.warning("%s: building an engine with %s; this may take minutes", file, toolkit)
        before = time.monotonic()
        timing = None
        if not toolkit.is_rtx:
            names = (toolkit.flavour, toolkit.version, *recipe.capabilities)
            timing = folder / f"{'-'.join(names)}.timing"
        engine = build_engine(file, toolkit, recipe, timing_cache=timing)
        try:
            write_engine(engine, path)
        except OSError as error:
            raise _unwritable(error) from error
        took = time.monotonic() - before
        _log.warning("%s: built in %.0f s, kept as %s", file, took, path)
    return engine, True


def _read(path: Path, fingerprint: Fingerprint) -> EngineFile | None:
    """The cache's entry; None if there is none, or (said) none that is whole."""
    if not path.exists():
        return None
    try:
        engine = read_engine(path)
    except ManifestError as error:
        _log.warning("cache: %s; it is built anew", error)
        return None
    if engine.fingerprint.key != fingerprint.key:
        _log.warning("cache: %s holds another engine than its name says; it is built anew", path)
        return None
    return engine


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process (or thread) at a time per engine; the system unlocks for one that dies."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("w")
    except OSError as error:
        raise _unwritable(error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.warning("%s: waiting for the process that builds it", path)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise _unwritable(error) from error
        yield


def _unwritable(error: OSError) -> BackendError:
    return BackendError(
        f"engine cache: expected a folder that can be written, got {error.filename or ''}: "
        f"{error.strerror}; name another in $POSEACT_CACHE"
    )
