# SPDX-License-Identifier: Apache-2.0
"""The one way in which the engine puts work on a thread: an iterator that runs ahead."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """Runs an iterator on a thread of its own, at most ``depth`` items ahead of its reader.

    Owns the thread; one reader. An error of the iterator is raised to the reader after the items
    before it. ``close`` lets the iterator finish the item in hand, closes it and joins the thread.
    """

    def __init__(self, items: Iterator[T], *, depth: int, name: str) -> None:
        self._shared: _Shared[T] = _Shared(depth)
        # The thread knows what is shared, never this object: a reader that goes away ends it.
        self._thread = threading.Thread(
            target=_fill, args=(items, self._shared), name=name, daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return self._shared.take()

    def close(self) -> None:
        self._shared.stop()
        self._thread.join()


class _Shared(Generic[T]):
    """A bounded queue with an end, an error and a stop. Any thread may call anything."""

    def __init__(self, depth: int) -> None:
        self._changed = threading.Condition()
        self._items: deque[T] = deque()
        self._depth = depth
        self._stopped = False
        self._ended = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Waits for room. False: nobody will read it."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._items) < self._depth)
            if self._stopped:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def take(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended or self._stopped)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            raise StopIteration

    def end(self, error: BaseException | None = None) -> None:
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()


def _fill(items: Iterator[T], shared: _Shared[T]) -> None:
    try:
        for item in items:
            if not shared.put(item):
                break
            del item  # a frame must not live on until the next one comes
    except BaseException as error:  # raised again in the reader's thread
        shared.end(error)
    else:
        shared.end()
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
