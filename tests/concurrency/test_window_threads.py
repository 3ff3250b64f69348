# SPDX-License-Identifier: Apache-2.0
"""One ``Windows`` in several threads: its pushes release the GIL, so they must take turns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from poseact_engine._core import Windows


def test_threads_take_turns() -> None:
    """Four threads, each with its own stream, push large batches into one object."""
    people, steps = 200, 40  # large enough that the GIL is released
    windows = Windows(length=9, rate=(30, 1), joints=17, stride=1, max_gap_s=0.4)

    def feed(stream: int) -> list[int]:
        ends = []
        for step in range(steps):
            poses, _, end_s = windows.push(
                np.full((people, 17, 3), stream + 1, np.float32),
                np.arange(people, dtype=np.int64),
                stream=np.full(people, stream, np.int32),
                pts=np.full(people, step, np.int64),
                time_base=np.tile(np.array([1, 30], np.int32), (people, 1)),
            )
            assert (poses == stream + 1).all()
            ends.append(len(end_s))
        return ends

    with ThreadPoolExecutor(4) as pool:
        for ends in pool.map(feed, range(4)):
            assert ends == [0] * 8 + [people] * (steps - 8)
    assert windows.counts["windows"] == 4 * people * (steps - 8)
