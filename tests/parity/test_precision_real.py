# SPDX-License-Identifier: Apache-2.0
"""Trained networks in fp16 and int8 on real pictures: what they find against fp32.

Calibrated on frames of videos, compared on other pictures. The search for layers that stay fp32
has tests of its own on a network that it takes less time on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export.body import find_body
from export.precision import PrecisionOptions, convert
from poseact_engine.evaluation.inputs import DataOptions, inputs_for
from poseact_engine.manifest_io import load_model
from tests.parity.test_precision_fp16 import FP16, LEAST_DB, check_types
from tests.precision_models import decibels, inside
from tests.real_models import adapt_rtmdet, adapt_tinypose, adapt_yolox

pytestmark = pytest.mark.needs_data

# All layers in int8 and one video, so far below what a search reaches (24 dB or more); TinyPose,
# which needs one most, is left out: it takes a minute.
CASES = [(adapt_tinypose, None), (adapt_rtmdet, 7.0), (adapt_yolox, 5.0)]


@pytest.mark.parametrize(("adapt", "least_db"), CASES)
def test_real_network(
    adapt: Callable[[Path, Path], Path], least_db: float | None, data_dir: Path, tmp_path: Path
) -> None:
    _, model, manifest = load_model(adapt(data_dir, tmp_path))
    seen = inputs_for(manifest, DataOptions(data=(data_dir / "coco" / "images",), most=4)).batch
    ends = find_body(model, manifest.task).last
    expected = inside(model, ends, seen)

    half, _ = convert(model, manifest, FP16)
    check_types(model, manifest, half)
    assert half.ByteSize() < 0.6 * model.ByteSize()
    noise = [decibels(a, b) for a, b in zip(expected, inside(half, ends, seen), strict=True)]
    assert min(noise) > LEAST_DB - 5

    if least_db is None:
        return
    video = data_dir / "videos" / "one_by_one_h264_432p.mp4"
    options = PrecisionOptions(
        precision="int8", target="cpu", most_kept=0,
        calibration=DataOptions(data=(video,), per_video=12),
    )  # fmt: skip
    small, _ = convert(model, manifest, options)
    assert small.ByteSize() < 0.45 * model.ByteSize()
    noise = [decibels(a, b) for a, b in zip(expected, inside(small, ends, seen), strict=True)]
    assert np.mean(noise) > least_db
