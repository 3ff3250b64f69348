# SPDX-License-Identifier: Apache-2.0
"""From an ONNX model file to a TensorRT engine. Strongly typed: precision is the file's own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from poseact_engine.backends.base import ModelFile
from poseact_engine.backends.tensorrt_names import (
    Builder,
    IBuilderConfig,
    INetworkDefinition,
    OnnxParser,
    RtxBuilderConfig,
)
from poseact_engine.backends.tensorrt_progress import Progress, Report, native_monitor
from poseact_engine.backends.tensorrt_toolkit import TensorRtLog, Toolkit, one_line
from poseact_engine.engine_file import (
    EngineFile,
    Fingerprint,
    Profile,
    onnx_sha256,
)
from poseact_engine.errors import BackendError
from poseact_engine.files import write_atomically
from poseact_engine.manifest import Task

_log = logging.getLogger(__name__)

DEFAULT_PROFILES: dict[Task, tuple[Profile, ...]] = {
    "detector": ((1, 4, 16),),
    "pose": ((1, 16, 64),),
    "action": ((1, 64, 256),),
}
"""Batch buckets where none are asked for."""


MOST_ITEMS = 1 << 16
"""Of one batch: far above what memory holds."""
MOST_WORKSPACE_MIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How an engine is to be built."""

    profiles: tuple[Profile, ...]
    capabilities: tuple[str, ...]
    """GPUs as ``sm_86``. Of TensorRT other than RTX: the one GPU of this machine."""
    workspace_mib: int | None = None

    def __post_init__(self) -> None:
        check_profiles(self.profiles)
        if self.workspace_mib is not None and not 1 <= self.workspace_mib <= MOST_WORKSPACE_MIB:
            raise BackendError(
                f"--workspace-mib: expected 1 to {MOST_WORKSPACE_MIB}, got {self.workspace_mib}"
            )


def check_profiles(profiles: tuple[Profile, ...]) -> None:
    """Raises BackendError unless the buckets serve every batch from 1 to the largest."""
    wrong = [p for p in profiles if not 1 <= p[0] <= p[1] <= p[2]]
    if wrong or not profiles:
        raise BackendError(
            f"batch buckets: expected MIN,OPT,MAX with 1 <= MIN <= OPT <= MAX, got {wrong}"
        )
    most = max(p[2] for p in profiles)
    if most > MOST_ITEMS:  # larger ones would wrap to other numbers in TensorRT's 32 bits
        raise BackendError(f"batch buckets: expected MAX of {MOST_ITEMS} at most, got {most}")
    served = 0
    for least, _, most in sorted(profiles):
        if least > served + 1:
            raise BackendError(
                f"batch buckets: expected to serve every batch from 1 on, got none that serves "
                f"{served + 1}; let one begin there"
            )
        served = max(served, most)


def fingerprint_of(file: ModelFile, toolkit: Toolkit, recipe: Recipe) -> Fingerprint:
    """What the engine that :func:`build_engine` makes will say of itself."""
    return Fingerprint(
        onnx_name=file.path.name if file.path else "",
        onnx_sha256=onnx_sha256(file.data),
        initialiser_sha256=file.manifest.sha256,
        flavour=toolkit.flavour,
        version=toolkit.version,
        capabilities=recipe.capabilities,
        profiles=recipe.profiles,
        precision=file.manifest.precision,
        workspace_mib=recipe.workspace_mib,
    )


def build_engine(
    file: ModelFile,
    toolkit: Toolkit,
    recipe: Recipe,
    *,
    timing_cache: Path | None = None,
    report: Report | None = None,
) -> EngineFile:
    """Takes seconds (RTX) to many minutes. Ctrl-C ends it at TensorRT's next step.

    ``timing_cache`` is read if it is there, and written. Raises BackendError with TensorRT's
    reasons; RTX has no timing cache.
    """
    check_buildable(file)
    if timing_cache is not None and toolkit.is_rtx:
        raise BackendError(f"{toolkit}: has no timing cache; build without one")
    log = TensorRtLog(toolkit)
    try:
        builder = toolkit.module.Builder(log.native)
    except (TypeError, RuntimeError) as error:  # pybind11's words for "no builder, see the log"
        raise BackendError(f"{toolkit}: no builder to be had: {log.take_errors()}") from error
    network = _strongly_typed(builder, toolkit)
    parser = toolkit.module.OnnxParser(network, log.native)
    if not parser.parse(file.data):
        raise BackendError(f"{file}: {toolkit} cannot parse it: {_parser_errors(parser)}")
    config = builder.create_builder_config()
    config.clear_flag(toolkit.member("BuilderFlag", "TF32"))  # it keeps 10 of fp32's 23 bits
    if recipe.workspace_mib is not None:
        pool = toolkit.member("MemoryPoolType", "WORKSPACE")
        config.set_memory_pool_limit(pool, recipe.workspace_mib << 20)
    _add_profiles(builder, config, network, recipe.profiles)
    if toolkit.is_rtx:
        _set_capabilities(cast(RtxBuilderConfig, config), toolkit, recipe.capabilities)
    _use_timing_cache(config, timing_cache)
    plan = _build(toolkit, builder, network, config, report)
    if plan is None:
        reasons = log.take_errors()
        hint = "; it multiplies no fp32 matrices on sm_75: leave that out" * ("Turing" in reasons)
        raise BackendError(f"{file}: {toolkit} cannot build it: {reasons}{hint}")
    _save_timing_cache(config, timing_cache)
    fingerprint = fingerprint_of(file, toolkit, recipe)
    return EngineFile(manifest=file.manifest, fingerprint=fingerprint, plan=plan)


def check_buildable(file: ModelFile) -> None:
    """Raises BackendError for int8 graphs with uint8 activations.

    TensorRT refuses their zero points, or takes the bytes for signed ones where those are zero.
    """
    if file.manifest.target == "cpu":
        raise BackendError(
            f"{file}: expected symmetric int8 for TensorRT, got an int8 file for CPUs (uint8 "
            "activations); export it with `--precision int8 --target tensorrt`"
        )


# ---------------------------------------------------------------- the steps of a build


def _strongly_typed(builder: Builder, toolkit: Toolkit) -> INetworkDefinition:
    flag = toolkit.member("NetworkDefinitionCreationFlag", "STRONGLY_TYPED")
    return builder.create_network(1 << int(flag))


def _parser_errors(parser: OnnxParser) -> str:
    """One line: which nodes, and why."""

    def lines() -> Iterator[str]:
        for i in range(parser.num_errors):
            error = parser.get_error(i)
            reason = one_line(error.desc())
            where = f"{error.node_operator()} {error.node_name()!r}: " * bool(error.node_operator())
            yield where + ("not supported" if reason == "false" else reason)

    return "; ".join(dict.fromkeys(lines())) or "no reason given"


def _add_profiles(
    builder: Builder,
    config: IBuilderConfig,
    network: INetworkDefinition,
    profiles: tuple[Profile, ...],
) -> None:
    tensor = network.get_input(0)
    rest = tuple(tensor.shape)[1:]
    for least, typical, most in profiles:
        profile = builder.create_optimization_profile()
        profile.set_shape(tensor.name, (least, *rest), (typical, *rest), (most, *rest))
        if config.add_optimization_profile(profile) < 0:
            raise BackendError(f"tensorrt: batch bucket {least},{typical},{most} was refused")


def _set_capabilities(
    config: RtxBuilderConfig, toolkit: Toolkit, capabilities: tuple[str, ...]
) -> None:
    members = [toolkit.capability(name) for name in capabilities]
    config.num_compute_capabilities = len(members)
    for index, member in enumerate(members):
        if not config.set_compute_capability(member, index):
            raise BackendError(f"{toolkit}: the GPUs {', '.join(capabilities)} were refused")


def _use_timing_cache(config: IBuilderConfig, path: Path | None) -> None:
    if path is None:
        return
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise BackendError(f"{path}: cannot read the timing cache: {error.strerror}") from error
    cache = config.create_timing_cache(data)
    if cache is None or not config.set_timing_cache(cache, False):
        _log.warning("%s: the timing cache is of another TensorRT or GPU; a new one begins", path)
        cache = config.create_timing_cache(b"")
        if cache is None or not config.set_timing_cache(cache, False):
            raise BackendError(f"{path}: TensorRT takes no timing cache")


def _save_timing_cache(config: IBuilderConfig, path: Path | None) -> None:
    if path is None:
        return
    try:
        write_atomically(bytes(config.get_timing_cache().serialize()), path)
    except OSError as error:
        raise BackendError(f"{path}: cannot write the timing cache: {error.strerror}") from error


def _build(
    toolkit: Toolkit,
    builder: Builder,
    network: INetworkDefinition,
    config: IBuilderConfig,
    report: Report | None,
) -> bytes | None:
    stop = threading.Event()
    monitor = native_monitor(toolkit, Progress(report, stop))
    config.progress_monitor = monitor
    # A thread of its own, since Ctrl-C is raised in the main one and must not pass through C++.
    with ThreadPoolExecutor(1, thread_name_prefix="tensorrt-build") as pool:
        future = pool.submit(builder.build_serialized_network, network, config)
        try:
            plan = future.result()
        except BaseException:
            stop.set()
            raise
    return None if plan is None else bytes(plan)
