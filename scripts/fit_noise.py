# SPDX-License-Identifier: Apache-2.0
"""Measures what a real pose estimator does to true joints: the figures behind ``PoseNoise``.

    .venv/bin/python scripts/fit_noise.py --data DIR --pose tinypose.onnx

DIR (default: $POSEACT_DATA) holds ``coco/`` (pictures and ``person_keypoints_val88.json``) and
``keypoints/real_poses.npz``. Errors are in units of the longer side of the true box; the person's
size is that side in pixels. Prints figures; writes nothing.
"""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.config import PoseConfig
from poseact_engine.evaluation.coco_file import CocoFile, read_coco
from poseact_engine.evaluation.pose_eval import as_tracks
from poseact_engine.evaluation.walk import Where, truth_batches
from poseact_engine.pose import PoseStage
from poseact_engine.types import ACTIONS, COCO_JOINTS

Array = NDArray[np.float64]
SWAPPED = np.array([0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15])
FAR = 0.5
"""Of the longer side: joints further off are lost, not shifted, and stand apart."""
LABELLED = 8
"""Joints that a person must have in COCO for its box to be a measure of its size."""
LAGS_S = (0.056, 0.11, 0.22, 0.44, 0.89, 1.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("POSEACT_DATA"))
    parser.add_argument("--pose", type=Path, required=True, help="an exported pose model")
    options = parser.parse_args()
    if options.data is None:
        parser.error("expected --data DIR or $POSEACT_DATA")
    errors_of_pictures(Path(options.data) / "coco", options.pose)
    jitter_of_videos(Path(options.data) / "keypoints" / "real_poses.npz")


def errors_of_pictures(folder: Path, pose: Path) -> None:
    """Against COCO's joints, in true boxes."""
    file = read_coco(folder / "person_keypoints_val88.json")
    found = _poses(file, folder / "images", pose)  # [P, 17, 3]
    people = _people(file)
    truth = np.array([p["keypoints"] for p in people], np.float64).reshape(-1, 17, 3)
    size = np.array([max(p["bbox"][2:]) for p in people], np.float64)
    whole = (truth[..., 2] > 0).sum(axis=1) >= LABELLED
    found, truth, size = found[whole], truth[whole], size[whole]
    off = (found[..., :2] - truth[..., :2]) / size[:, None, None]
    error = np.hypot(off[..., 0], off[..., 1])
    flag, score = truth[..., 2], found[..., 2]
    print(f"{len(size)} people with {LABELLED} or more labelled joints\n")
    print("errors, share of the longer side: mixture of two round Gaussians (sigma per axis)")
    sizes = np.broadcast_to(size[:, None], error.shape)
    for name, chosen in (
        ("seen", flag == 2),
        ("hidden", flag == 1),
        ("seen, below 100 px", (flag == 2) & (sizes < 100)),
        ("seen, 100 to 200 px", (flag == 2) & (sizes >= 100) & (sizes < 200)),
        ("seen, above 200 px", (flag == 2) & (sizes >= 200)),
    ):
        _print_mixture(name, error[chosen])
    print("\nper joint, seen: median error, share above 0.1 of the side")
    for k, joint in enumerate(COCO_JOINTS):
        e = error[:, k][flag[:, k] == 2]
        print(f"  {joint:15} {np.median(e):.4f} {np.mean(e > 0.1):.3f} of {len(e)}")
    _print_swaps(found, truth, size)
    print("\nscores by error (of the side): 5th, 50th, 95th percentile")
    for low, high in ((0, 0.01), (0.01, 0.02), (0.02, 0.04), (0.04, 0.1), (0.1, 0.3), (0.3, 9)):
        s = score[(flag > 0) & (error >= low) & (error < high)]
        print(f"  {low:.2f}-{high:.2f}: {np.quantile(s, [0.05, 0.5, 0.95]).round(3)} of {len(s)}")
    for name, chosen in (("seen", flag == 2), ("hidden", flag == 1), ("not in it", flag == 0)):
        print(f"  {name}: {np.quantile(score[chosen], [0.05, 0.25, 0.5, 0.75, 0.95]).round(3)}")


def jitter_of_videos(path: Path) -> None:
    """Structure functions of joints over time, of people who hold still and of those who walk."""
    with np.load(path, allow_pickle=False) as data:
        arrays = {key: data[key] for key in data.files}
    names = sorted({key.rsplit("/", 1)[0] for key in arrays})
    for title, prefix, label in (
        ("standing", "upfall/", 4),
        ("lying", "upfall/", 5),
        ("lying", "urfd/", 5),
        ("walking", "upfall/", 2),
        ("walking", "utkinect/", 2),
    ):
        chosen = [n for n in names if n.startswith(prefix)]
        print(f"\n{prefix} {title}: rms of half the squared change after so many seconds, by axis")
        _print_structure([_labelled(arrays, n, label) for n in chosen])
    _print_scores(arrays, names)
    _print_missed([arrays[f"{n}/keypoints"] for n in names if not n.startswith("utkinect/")])


def _people(file: CocoFile) -> list[dict[str, Any]]:
    return [
        a
        for picture in file.pictures
        for a in file.annotations()
        if a["image_id"] == picture.id and a.get("num_keypoints") and not a["iscrowd"]
    ]


def _poses(file: CocoFile, folder: Path, pose: Path) -> NDArray[np.float32]:
    by_picture: dict[int, list[NDArray[np.float32]]] = {}
    for person in _people(file):
        x, y, w, h = person["bbox"]
        by_picture.setdefault(person["image_id"], []).append(
            np.array([x, y, x + w, y + h], np.float32)
        )
    found = []
    with closing(Where(threads=1).open(pose, "pose")) as model:
        stage = PoseStage(model, PoseConfig(model=pose))
        for entries, frames in truth_batches(file, folder):
            rows = [by_picture.get(entry.id, []) for entry in entries]
            frame = np.repeat(np.arange(len(rows)), [len(r) for r in rows]).astype(np.int32)
            boxes = np.array([b for r in rows for b in r], np.float32).reshape(-1, 4)
            tracks = as_tracks(boxes, np.ones(len(frame), np.float32), frame)
            found.append(stage(frames, tracks).keypoints_px)
    return np.concatenate(found)


def _print_mixture(name: str, error: Array) -> None:
    """EM of two round Gaussians in two dimensions (Rayleigh radii), joints beyond FAR apart."""
    near = error[error < FAR]
    if len(near) < 30:
        print(f"  {name:20} {len(error)} joints: too few")
        return
    share, sigma = np.array([0.8, 0.2]), np.array([0.02, 0.1])
    for _ in range(200):
        density = share * near[:, None] / sigma**2 * np.exp(-(near[:, None] ** 2) / (2 * sigma**2))
        belongs = density / density.sum(axis=1, keepdims=True)
        share = belongs.mean(axis=0)
        sigma = np.sqrt((belongs * near[:, None] ** 2).sum(axis=0) / (2 * belongs.sum(axis=0)))
    print(
        f"  {name:20} {len(error):5} joints: {share[0]:.2f} x {sigma[0]:.4f} + {share[1]:.2f} x "
        f"{sigma[1]:.4f}; beyond {FAR}: {np.mean(error >= FAR):.3f}; median {np.median(error):.4f}"
    )


def _print_swaps(found: NDArray[np.float32], truth: Array, size: Array) -> None:
    """Joints of the limbs that lie nearer to the other side's true place than to their own."""
    own = np.hypot(*np.moveaxis(found[..., :2] - truth[..., :2], -1, 0)) / size[:, None]
    other = found[..., :2] - truth[:, SWAPPED, :2]
    across = np.hypot(*np.moveaxis(other, -1, 0)) / size[:, None]
    apart = truth[..., :2] - truth[:, SWAPPED, :2]
    wide = np.hypot(*np.moveaxis(apart, -1, 0)) / size[:, None] > 0.08
    known = (truth[..., 2] > 0) & (truth[:, SWAPPED, 2] > 0) & wide
    known[:, 0] = False
    swapped = known & (across < 0.05) & (own > 0.08)
    print("\nshare of joints on the other side's place (sides more than 0.08 apart)")
    for name, part in (
        ("shoulders", [5, 6]),
        ("arms", [7, 8, 9, 10]),
        ("hips, legs", [11, 12, 13, 14, 15, 16]),
    ):
        print(f"  {name}: {swapped[:, part].sum() / known[:, part].sum():.3f}")
    flipped = swapped[:, 5:].sum(axis=1) >= np.maximum(3, known[:, 5:].sum(axis=1) / 2)
    print(f"  whole people: {flipped.mean():.3f}")


def _labelled(
    arrays: dict[str, NDArray[np.generic]], name: str, label: int
) -> tuple[Array, Array, Array]:
    rows = np.flatnonzero(arrays[f"{name}/labels"] == label)
    poses = arrays[f"{name}/keypoints"].astype(np.float64)[rows]
    found = (poses[..., 2] > 0).any(axis=1)
    return (
        poses[found, :, :2],
        poses[found, :, 2],
        arrays[f"{name}/times_s"].astype(np.float64)[rows][found],
    )


def _print_structure(parts: list[tuple[Array, Array, Array]]) -> None:
    changes: dict[float, list[Array]] = {lag: [] for lag in LAGS_S}
    for xy, score, times in parts:
        if len(times) < 3:
            continue
        size = np.median(np.ptp(xy, axis=1).max(axis=1))
        for lag in LAGS_S:
            after = np.searchsorted(times, times + lag - 0.03)
            ok = after < len(times)
            ok[ok] &= np.abs(times[after[ok]] - times[ok] - lag) < 0.035
            pairs = np.flatnonzero(ok)
            sure = (score[pairs] > 0.3) & (score[after[pairs]] > 0.3)
            moved = (xy[after[pairs]] - xy[pairs]) / size
            changes[lag].append(moved[sure].ravel())
    for lag, found in changes.items():
        moved = np.concatenate([np.zeros(0), *found])
        if len(moved) > 200:
            share = np.quantile(np.abs(moved), [0.5, 0.683, 0.9, 0.99]) / np.sqrt(2)
            print(
                f"  {lag:5.2f} s: rms {np.sqrt(np.mean(moved**2) / 2):.4f}; quantiles 50, 68, 90, "
                f"99 %: {share.round(4)}; of {len(moved)}"
            )


def _print_scores(arrays: dict[str, NDArray[np.generic]], names: list[str]) -> None:
    print("\nscores by action, estimators' poses: percentiles 5, 25, 50, 75, 95")
    for label, action in enumerate(ACTIONS):
        poses = np.concatenate(
            [
                arrays[f"{n}/keypoints"][arrays[f"{n}/labels"] == label].astype(np.float64)
                for n in names
                if not n.startswith("utkinect/")
            ]
        )
        scores = poses[(poses[..., 2] > 0).any(axis=1)][..., 2]
        if scores.size:
            print(f"  {action:13} {np.percentile(scores, [5, 25, 50, 75, 95]).round(3)}")


def _print_missed(parts: list[NDArray[np.generic]]) -> None:
    """Spells in which nobody was found, between the first and the last frame with somebody."""
    spells: list[int] = []
    for poses in parts:
        seen = np.flatnonzero((poses.astype(np.float64)[..., 2] > 0).any(axis=1))
        gaps = np.diff(seen) - 1
        spells += gaps[gaps > 0].tolist()
    frames = sum(len(poses) for poses in parts)
    lengths = np.percentile(spells, [25, 50, 75, 95])
    print(f"\nwhole poses missed: {sum(spells) / frames:.4f} of {frames} frames")
    print(f"  {len(spells)} spells; frames of each, percentiles 25, 50, 75, 95: {lengths}")


if __name__ == "__main__":
    main()
