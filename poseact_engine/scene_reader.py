# SPDX-License-Identifier: Apache-2.0
"""A made scene as a source: a thread that renders pictures, with the surface of a ``Reader``."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine._core import Frame, Mux
from poseact_engine.config import SourceConfig
from poseact_engine.errors import ConfigError, DependencyError, PoseActError, SourceError
from poseact_engine.synthetic.scene import Scene, require_opencv
from poseact_engine.synthetic.url import SceneRequest, parse_scene_url

_log = logging.getLogger(__name__)


class SceneReader:
    """Renders one scene on a thread of its own, from ``start`` to its end or ``stop``.

    Gives its frames to the mux that it is attached to, or by ``next``. Behaves as a file does: it
    waits while the queue is full; with ``live=1`` it keeps to real time and the oldest frames are
    dropped. Any thread may call anything.
    """

    def __init__(self, uri: str, config: SourceConfig) -> None:
        """Raises SourceError for a wrong URL or a missing package; renders nothing."""
        self._request = parse_scene_url(uri)
        try:
            require_opencv()
        except DependencyError as error:
            raise SourceError(f"{uri}: {error}") from error
        self._uri = uri
        self._config = config
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._own = Mux()
        self._feed = self._feed_to(self._own)
        # The thread knows the feed, never this object: letting go of it is enough to end it.
        weakref.finalize(self, self._feed.stop)

    def _feed_to(self, mux: Mux) -> _Feed:
        live = self._request.live
        index = mux.add_stream(queue_frames=self._config.queue_frames, live=live)
        return _Feed(mux, index, live=live)

    def attach(self, mux: Mux) -> int:
        """Frames go to a new stream of ``mux``, whose number it gives; before ``start``, once."""
        with self._lock:
            if self._feed.mux is not self._own or self._thread is not None or self._stopped:
                raise ConfigError(f"{self._uri}: expected a reader that nobody reads yet")
            self._feed = self._feed_to(mux)
            weakref.finalize(self, self._feed.stop)
            return self._feed.index

    def start(self) -> None:
        """Starts the thread; does nothing the second time or after ``stop``."""
        with self._lock:
            if self._thread is not None or self._stopped:
                return
            self._thread = threading.Thread(
                target=_render,
                args=(self._feed, self._uri, self._request, self._config),
                name="poseact-scene",
                daemon=True,
            )
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the picture in hand and waits for it. Final."""
        with self._lock:
            self._stopped = True
            thread = self._thread
        self._feed.stop()
        if thread is None:
            self._feed.end()
        # Garbage that holds a run may be collected on any thread, on this one too.
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def next(self, timeout_s: float | None = None) -> Frame | None:
        """The next frame; None at the end or when the time is over (see ``ended``)."""
        if self._feed.mux is not self._own:
            raise ConfigError(f"{self._uri}: feeds a mux; ask the mux for its frames")
        if self._thread is None and not self._stopped:
            raise ConfigError(f"{self._uri}: expected a started reader, got one before start()")
        return self._feed.take(timeout_s)

    @property
    def uri(self) -> str:
        return self._uri

    @property
    def ended(self) -> bool:
        """Nothing comes any more and, unless a mux has them, all frames have been taken."""
        feed = self._feed
        return feed.done and (feed.mux is not self._own or feed.waiting() <= 0)

    @property
    def error(self) -> str | None:
        """The fault that ended the stream, or None."""
        return self._feed.error

    @property
    def info(self) -> dict[str, Any]:
        """As ``Reader.info``."""
        scene = self._request.config
        num, den = scene.fps
        return {
            "codec": "synthetic",
            "container": "synthetic",
            "pixel_format": "yuv420p",
            "size": scene.size,
            "stored_size": scene.size,
            "orientation": "normal",
            "time_base": (den, num),
            "fps": (num, den),
            "duration_s": scene.frame_count * den / num,
            "frames": scene.frame_count,
            "live": self._request.live,
        }

    @property
    def counts(self) -> dict[str, int]:
        """As ``Reader.counts``; those skipped by ``every`` are never rendered."""
        feed = self._feed
        counts = feed.mux.counts(feed.index)
        skipped = feed.passed - -(-feed.passed // self._config.every)
        return counts | {"frames": counts["delivered"] + skipped, "skipped": skipped}

    @property
    def cpu_s(self) -> float:
        """CPU seconds of the thread so far."""
        return self._feed.cpu_s


class _Stopped(Exception):
    """While a scene is made, before its first frame."""


class _Feed:
    """What the thread and its reader share: one stream of a mux, and how it fares."""

    def __init__(self, mux: Mux, index: int, *, live: bool) -> None:
        self.mux = mux
        self.index = index
        self.error: str | None = None
        self.passed = 0
        """Frames of the scene that were rendered or skipped so far."""
        self.cpu_s = 0.0
        self._live = live
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self.done = False
        self._taken = 0
        self._began_s: float | None = None

    def check(self) -> None:
        """Raises _Stopped once nobody wants a frame any more."""
        if self._stop.is_set():
            raise _Stopped

    def waiting(self) -> int:
        """Frames in the queue, if nobody takes any but ``take``."""
        counts = self.mux.counts(self.index)
        return counts["delivered"] - counts["dropped"] - self._taken

    def push(self, frame: Frame) -> bool:
        """Waits for room, and when live for the frame's time. False: nobody wants it."""
        if self._live:
            self._pace(frame.pts * frame.time_base[0] / frame.time_base[1])
        if self._stop.is_set() or not self.mux.push(self.index, frame):
            return False
        with self._changed:
            self._changed.notify_all()
        return True

    def _pace(self, time_s: float) -> None:
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s = now_s - time_s
        self._stop.wait(max(self._began_s + time_s - now_s, 0.0))

    def take(self, timeout_s: float | None) -> Frame | None:
        with self._changed:
            if not self._changed.wait_for(lambda: self.done or self.waiting() > 0, timeout_s):
                return None
            if self.waiting() <= 0:
                return None
            batch = self.mux.next_batch(1, 0.0)
            self._taken += 0 if batch is None else 1
        return None if batch is None else batch[0]

    def end(self) -> None:
        """No more frames; those that wait are still given out."""
        self.mux.end_stream(self.index)
        with self._changed:
            self.done = True
            self._changed.notify_all()

    def stop(self) -> None:
        self._stop.set()
        self.mux.end_stream(self.index)


def _render(feed: _Feed, uri: str, request: SceneRequest, config: SourceConfig) -> None:
    try:
        for frame in _frames(feed, request, config):
            if not feed.push(frame):
                break
            del frame  # it must not live on until the next one comes
    except _Stopped:
        pass
    except PoseActError as error:
        feed.error = str(error)
    except Exception as error:  # the other streams go on, whatever it is
        _log.debug("%s", uri, exc_info=True)
        feed.error = f"{uri}: the scene cannot be rendered: {type(error).__name__}: {error}"
    finally:
        feed.end()


def _frames(feed: _Feed, request: SceneRequest, config: SourceConfig) -> Iterator[Frame]:
    num, den = request.config.fps
    scene = Scene(request.config, on_person=feed.check)
    for made in islice(scene.frames(config.every), config.max_frames):
        feed.passed = made.truth.index + 1
        yield as_frame(made.picture, index=made.truth.index, time_base=(den, num))
        feed.cpu_s = time.thread_time()


def as_frame(
    picture: NDArray[np.uint8], *, index: int, time_base: tuple[int, int], stream: int = 0
) -> Frame:
    """uint8 BGR ``[H, W, 3]``, sides even, as a frame in 4:2:0."""
    import cv2

    height, width = picture.shape[:2]
    planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    return Frame.from_planes(
        [planes[:height], chroma[0], chroma[1]],
        format="i420",
        matrix="bt601",
        range="limited",
        siting="topleft",  # OpenCV takes the colour of each block's first pixel
        pts=index,
        time_base=time_base,
        stream=stream,
        index=index,
    )
