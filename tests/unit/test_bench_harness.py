# SPDX-License-Identifier: Apache-2.0
"""The bench harness: order of runs, statistics, the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from poseact_engine.bench.harness import (
    Report,
    Timing,
    describe_machine,
    need,
    rows_of,
    time_interleaved,
)
from poseact_engine.errors import DependencyError, SinkError


def _timing(median_s: float) -> Timing:
    return Timing(median_s=median_s, low_s=median_s, high_s=median_s, n=1)


def test_variants_run_in_turn_and_the_warm_up_is_not_timed() -> None:
    calls: list[tuple[str, int]] = []
    timings = time_interleaved(
        {"a": lambda i: calls.append(("a", i)), "b": lambda i: calls.append(("b", i))},
        repeats=2,
        warmup=1,
    )
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert {name: t.n for name, t in timings.items()} == {"a": 2, "b": 2}


@pytest.mark.parametrize("n", [1, 2, 9, 10])
def test_the_median_is_numpys(n: int) -> None:
    samples = np.random.default_rng(n).random(n)
    timing = Timing.from_samples(samples.tolist())
    assert timing.median_s == pytest.approx(np.median(samples))
    assert timing.low_s <= timing.median_s <= timing.high_s


def test_the_interval_holds_the_median_of_its_source_95_times_in_100() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(2000):
        t = Timing.from_samples(rng.exponential(1.0, 60).tolist())
        held += t.low_s <= np.log(2) <= t.high_s  # the exponential distribution's median
    assert 0.94 <= held / 2000 <= 0.985


def test_ratios_say_how_much_faster_ours_is() -> None:
    rows = rows_of("c", {"ours": _timing(0.5), "theirs": _timing(2.0)}, ours="ours", left_out="x")
    assert [row.ratio for row in rows] == [None, 4.0]


def test_a_report_prints_and_writes_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of("case", {"ours": _timing(0.5), "peer": _timing(2.0)}, ours="ours", left_out="")
    report = Report(benchmark="b", rows=rows, summary={"ratio": 4.0}, machine=describe_machine())
    report.show(tmp_path / "b.json")
    printed = capsys.readouterr().out
    assert "peer" in printed
    assert "4.00" in printed
    written = json.loads((tmp_path / "b.json").read_text())
    assert set(written) == {"benchmark", "machine", "rows", "summary"}
    assert written["summary"]["ratio"] == 4.0
    assert written["rows"][1]["median_ms"] == 2000.0
    assert written["machine"]["cores"] >= 1
    with pytest.raises(SinkError, match=r"cannot write .*no/b\.json"):
        report.show(tmp_path / "no" / "b.json")


def test_a_missing_package_is_named_with_the_line_that_installs_it() -> None:
    with pytest.raises(DependencyError, match=r'pip install "poseact-engine\[bench\]"'):
        need("no_such_module_for_sure", "no-such-package")
