# SPDX-License-Identifier: Apache-2.0
"""The usual Python loop, as a baseline: OpenCV capture, one frame and one person at a time.

It runs the same model files as the engine, on ONNX Runtime with as many threads, and does with
OpenCV and NumPy what people do: cvtColor, resize, warpAffine, a greedy tracker, a deque per track.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.bench.harness import need
from poseact_engine.errors import SourceError
from poseact_engine.manifest import ActionManifest, DetectorManifest, PoseManifest
from poseact_engine.manifest_io import load_model

Array = NDArray[Any]
MIN_SCORE = 0.4  # with which it follows as many people on real CCTV as the engine does
NEW_SCORE = 0.5
MATCH_IOU = 0.3
LOST_FRAMES = 30


def _session(path: Path, threads: int) -> Any:
    ort = need("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def overlaps(box: Array, boxes: Array) -> Array:
    """IoU of one box with boxes ``[N, 4]``: float64 ``[N]``."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    inter = np.prod(np.clip(high - low, 0, None), axis=1)
    area = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.asarray(inter / np.maximum(area - inter, 1e-9))


def suppress(boxes: Array, iou: float | None) -> list[int]:
    """Rows to keep of boxes that come best first."""
    if iou is None:
        return list(range(len(boxes)))
    kept: list[int] = []
    for i in range(len(boxes)):
        if not kept or overlaps(boxes[i], boxes[kept]).max() <= iou:
            kept.append(i)
    return kept


class _Tracks:
    """Greedy matching by overlap, as many examples do it."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._next = 1
        self._boxes: dict[int, Array] = {}
        self._missed: dict[int, int] = {}
        self.poses: dict[int, deque[Array]] = {}

    def update(self, boxes: Array, scores: Array) -> list[tuple[int, Array]]:
        found, free = [], set(self._boxes)
        for box, score in zip(boxes, scores, strict=True):
            names = sorted(free)
            ious = overlaps(box, np.array([self._boxes[n] for n in names]).reshape(-1, 4))
            if len(ious) and ious.max() >= MATCH_IOU:
                name = names[int(ious.argmax())]
                free.discard(name)
            elif score >= NEW_SCORE:
                name, self._next = self._next, self._next + 1
                self.poses[name] = deque(maxlen=self._length)
            else:
                continue
            self._boxes[name], self._missed[name] = box, 0
            found.append((name, box))
        for name in free:
            self._missed[name] += 1
            if self._missed[name] > LOST_FRAMES:
                del self._boxes[name], self._missed[name], self.poses[name]
        return found


class PlainLoop:
    """The loop around three models; ``run`` starts afresh each time."""

    def __init__(self, detector: Path, pose: Path, action: Path, *, threads: int) -> None:
        self._cv2: ModuleType = need("cv2", "opencv-python-headless")
        self._cv2.setNumThreads(threads)
        self._manifests = [load_model(path)[2] for path in (detector, pose, action)]
        self._detector, self._pose, self._action = (
            _session(path, threads) for path in (detector, pose, action)
        )

    def run(self, clip: Path, max_frames: int) -> tuple[int, int]:
        """Frames and poses done."""
        action = self._manifests[2]
        assert isinstance(action, ActionManifest)
        capture = self._cv2.VideoCapture(str(clip))
        if not capture.isOpened():
            raise SourceError(f"{clip}: OpenCV cannot open it")
        tracks = _Tracks(action.length)
        frames = poses = 0
        while frames < max_frames:
            ok, picture = capture.read()
            if not ok:
                break
            rgb = self._cv2.cvtColor(picture, self._cv2.COLOR_BGR2RGB)
            for name, box in tracks.update(*self.detect(rgb)):
                window = tracks.poses[name]
                window.append(self.find_pose(rgb, box))
                poses += 1
                if len(window) == action.length:
                    self._action.run(None, {"windows": np.stack(window)[None]})
            frames += 1
        capture.release()
        return frames, poses

    def detect(self, rgb: Array) -> tuple[Array, Array]:
        """Boxes ``[N, 4]`` in pixels of the frame, and their scores."""
        m = self._manifests[0]
        assert isinstance(m, DetectorManifest)
        height, width = rgb.shape[:2]
        scale = min(m.width / width, m.height / height)
        inner = (int(width * scale), int(height * scale))
        centred = m.placement == "center"
        left = (m.width - inner[0]) // 2 if centred else 0
        top = (m.height - inner[1]) // 2 if centred else 0
        image = np.full((m.height, m.width, 3), m.border, np.uint8)
        image[top : top + inner[1], left : left + inner[0]] = self._cv2.resize(rgb, inner)
        batch = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        boxes, scores = self._detector.run(["boxes", "scores"], {"images": batch})
        strong = scores[0] >= MIN_SCORE
        boxes, scores = boxes[0][strong], scores[0][strong]
        kept = suppress(boxes, m.nms_iou)
        return (boxes[kept] - (left, top, left, top)) / scale, scores[kept]

    def find_pose(self, rgb: Array, box: Array) -> Array:
        """float32 ``[K, 3]`` in pixels of the frame."""
        m = self._manifests[1]
        assert isinstance(m, PoseManifest)
        x0, y0, x1, y1 = box
        wide = max(x1 - x0, (y1 - y0) * m.width / m.height) * m.expansion
        scale = wide / (m.width - (m.geometry == "udp"))
        middle = np.array([m.width - (m.geometry == "udp"), m.height - (m.geometry == "udp")]) / 2
        origin = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) - scale * middle
        matrix = np.array([[scale, 0, origin[0]], [0, scale, origin[1]]])
        flags = self._cv2.INTER_LINEAR | self._cv2.WARP_INVERSE_MAP
        crop = self._cv2.warpAffine(
            rgb, matrix, (m.width, m.height), flags=flags, borderValue=m.border
        )
        batch = np.ascontiguousarray(crop.transpose(2, 0, 1)[None])
        (joints,) = self._pose.run(["keypoints"], {"crops": batch})
        found = joints[0].copy()
        found[:, :2] = found[:, :2] * scale + origin
        return np.asarray(found, np.float32)
