# SPDX-License-Identifier: Apache-2.0
"""An iterator on a thread: order, bound, errors, ends. Waits are events, never sleeps."""

from __future__ import annotations

import gc
import itertools
import threading
import weakref
from collections.abc import Iterator

import pytest

from poseact_engine.prefetch import Prefetch

WAIT_S = 10.0  # only ever reached by a failure


def test_items_come_in_order_and_then_it_ends() -> None:
    ahead = Prefetch(iter(range(100)), depth=3, name="t")
    assert list(ahead) == list(range(100))
    assert list(ahead) == []
    ahead.close()


@pytest.mark.parametrize("depth", [1, 3])
def test_it_runs_at_most_depth_items_and_the_one_in_hand_ahead(depth: int) -> None:
    made = 0
    enough = threading.Event()

    def items() -> Iterator[int]:
        nonlocal made
        for i in itertools.count():
            made += 1
            if made == depth + 1:
                enough.set()
            yield i

    ahead = Prefetch(items(), depth=depth, name="t")
    assert enough.wait(WAIT_S)
    # The queue is full and one more is in hand: the thread cannot go on, however long we wait.
    assert not threading.Event().wait(0.05)
    assert made == depth + 1
    assert next(ahead) == 0
    ahead.close()


def test_an_error_comes_after_the_items_before_it_with_its_traceback() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    ahead = Prefetch(items(), depth=4, name="t")
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken") as caught:
        next(ahead)
    assert any(entry.name == "items" for entry in caught.traceback)
    with pytest.raises(StopIteration):
        next(ahead)
    ahead.close()


def test_close_ends_a_thread_that_waits_for_room_and_closes_its_iterator() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    before = threading.active_count()
    ahead = Prefetch(items(), depth=1, name="t")
    next(ahead)
    ahead.close()
    ahead.close()
    assert closed.is_set()
    assert threading.active_count() == before
    assert list(ahead) == []


def test_items_are_let_go_of_once_they_were_read() -> None:
    class Item:
        pass

    made: list[weakref.ref[Item]] = []

    def items() -> Iterator[Item]:
        for _ in range(3):
            item = Item()
            made.append(weakref.ref(item))
            yield item
            del item

    ahead = Prefetch(items(), depth=1, name="t")
    for item in ahead:
        del item
    ahead.close()
    gc.collect()
    assert [ref() for ref in made] == [None] * 3
