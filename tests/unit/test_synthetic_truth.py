# SPDX-License-Identifier: Apache-2.0
"""What is said of made frames is what was drawn, and what geometry says of it.

The oracles are pictures (silhouettes in glaring light) and lines of sight that are walked in small
steps through capsules, heads and boxes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.synthetic.area import Area
from poseact_engine.synthetic.body import random_body
from poseact_engine.synthetic.camera import Camera
from poseact_engine.synthetic.render import Renderer, interpolated
from poseact_engine.synthetic.rig import RIG_JOINTS, Take
from poseact_engine.synthetic.scene import Scene, SceneConfig
from poseact_engine.synthetic.stage import Backdrop
from poseact_engine.synthetic.stance import TORSO_PAIRS, solid_of, stance_of
from poseact_engine.synthetic.things import Box
from poseact_engine.synthetic.truth import FrameTruth
from poseact_engine.synthetic.visibility import HEAD_SHARE, TORSO_SHARE
from poseact_engine.types import ACTIONS, COCO_JOINTS

Points = NDArray[np.float64]
AREA = Area(-2.5, 2.5, -2.0, 2.0)
# Level with people's hips, 6 m before them: a person is about 130 of 360 pixels high.
CAMERA = Camera(
    position_m=(0.0, -6.0, 1.0), yaw_rad=0.0, pitch_rad=0.0, roll_rad=0.0, focal_px=460.0,
    size=(640, 360),
)  # fmt: skip
TORSO, FACE, ANKLES = (5, 6, 11, 12), (0, 1, 2, 3, 4), (15, 16)


# A person of 1.70 m who faces +y, arms a little away from the body: x is to the right, so the left
# side has negative x. Height and half width of the joints in pairs, and what is in the middle.
PAIRS = {
    "eye": (1.59, 0.03, 0.09), "ear": (1.57, 0.07, 0.0), "shoulder": (1.40, 0.18, 0.0),
    "elbow": (1.13, 0.28, -0.02), "wrist": (0.89, 0.31, 0.03), "hip": (0.91, 0.10, 0.0),
    "knee": (0.50, 0.11, 0.02), "ankle": (0.08, 0.11, 0.0), "hand": (0.80, 0.31, 0.05),
    "heel": (0.04, 0.11, -0.06), "toe": (0.03, 0.12, 0.18),
}  # fmt: skip
MIDDLE = {"nose": (1.55, 0.11), "neck": (1.40, 0.0), "pelvis": (0.91, 0.0), "head_top": (1.62, 0.0)}


@pytest.fixture(scope="module")
def stander() -> Take:
    """Upright on the origin, for a second."""
    joints = np.zeros((len(RIG_JOINTS), 3))
    for k, name in enumerate(RIG_JOINTS):
        side, _, joint = name.partition("_")
        if name in MIDDLE:
            height, ahead = MIDDLE[name]
            joints[k] = 0.0, ahead, height
        else:
            height, aside, ahead = PAIRS[joint]
            joints[k] = aside if side == "right" else -aside, ahead, height
    return Take(
        body=random_body(np.random.default_rng(0)),
        joints_m=np.repeat(joints[None], 61, axis=0).astype(np.float32),
        actions=np.full(61, ACTIONS.index("standing"), np.int8),
    )


def renderer_of(*takes: Take, boxes: tuple[Box, ...] = (), camera: Camera = CAMERA) -> Renderer:
    """Without the things that stand about by chance, and without shadows."""
    rngs = [np.random.default_rng(k) for k in (1, 2, 3)]
    renderer = Renderer(camera, AREA, takes, rngs)
    renderer._boxes = boxes
    renderer._light = dataclasses.replace(renderer._light, shadow=0.0)
    return renderer


def drawn(renderer: Renderer, time_s: float = 0.0) -> tuple[NDArray[np.uint8], FrameTruth]:
    """The picture before the sensor."""
    picture = renderer._backdrop.picture.copy()
    return picture, renderer._compose(0, time_s, picture)


def moved(take: Take, by: tuple[float, float, float], turn_rad: float = 0.0) -> Take:
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    joints = take.joints_m.astype(np.float64) @ turn.T + by
    return dataclasses.replace(take, joints_m=joints.astype(np.float32))


def silhouette(*takes: Take, boxes: tuple[Box, ...] = ()) -> NDArray[np.uint8]:
    """Everything that is drawn, white on black: the light is glaring and the room is dark."""
    renderer = renderer_of(*takes, boxes=boxes)
    renderer._light = dataclasses.replace(renderer._light, gain=np.full(3, 1e3), gamma=1.0)
    picture = np.zeros((360, 640, 3), np.uint8)
    renderer._backdrop = Backdrop(picture=picture, floor=picture[..., 0])
    return drawn(renderer)[0][..., 0]


@pytest.mark.parametrize("turn", [0.0, 1.2, 2.5, 4.0])
def test_boxes_and_areas_are_those_of_the_picture(stander: Take, turn: float) -> None:
    person = moved(stander, (0.4, 0.3, 0.0), turn)
    body = silhouette(person) > 127
    _, truth = drawn(renderer_of(person))
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    seen = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    np.testing.assert_allclose(truth.boxes_px[0], seen, atol=1.3)
    np.testing.assert_array_equal(truth.boxes_px, truth.full_boxes_px)
    assert truth.areas_px[0] == pytest.approx(body.sum(), rel=0.06)
    assert truth.visible[0] == 1.0
    x, y = np.rint(truth.keypoints_px[0, :, :2]).astype(int).T
    # A nose seen from the side lies on the outline.
    assert cv2.dilate(body.astype(np.uint8), np.ones((3, 3)))[y, x].all()


def steps_to(eye: Points, joint: Points) -> Points:
    """Points of a line of sight, 4 mm apart, up to just before the joint."""
    length = float(np.linalg.norm(joint - eye))
    return eye + np.linspace(0, 1 - 1e-6, int(length / 0.004))[:, None] * (joint - eye)


def in_capsule(points: Points, a: Points, b: Points, ra: float, rb: float) -> NDArray[np.bool_]:
    axis = b - a
    t = np.clip((points - a) @ axis / max(float(axis @ axis), 1e-12), 0, 1)
    gap = np.linalg.norm(points - a - t[:, None] * axis, axis=1)
    return np.asarray(gap < ra + t * (rb - ra))


def walked(scene: Scene, time_s: float, boxes: list[Box]) -> dict[tuple[int, int], bool]:
    """Whether each joint (row of the take, joint) is hidden, by walking its line of sight."""
    eye = np.asarray(scene.camera.position_m)
    solids = [solid_of(take.body) for take in scene.takes]
    stances = [
        stance_of(interpolated(take.joints_m, time_s), solid)
        for take, solid in zip(scene.takes, solids, strict=True)
    ]
    found = {}
    for row in range(len(stances)):
        for k in range(17):
            way = steps_to(eye, stances[row].joints_m[k])
            behind = any(in_box(way, box).any() for box in boxes)
            found[row, k] = behind or any(
                blocked(way, stances[p], solids[p], k if p == row else -1)
                for p in range(len(stances))
            )
    return found


def blocked(way: Points, stance: Any, solid: Any, own: int) -> bool:
    """``own``: the joint, when it belongs to this body; else -1."""
    for i, part in enumerate(solid.part):
        touches = own in (solid.a[i], solid.b[i]) or (own in ANKLES and part == "foot")
        if own >= 0 and (touches or part == "neck"):
            continue
        a, b = stance.joints_m[solid.a[i]], stance.joints_m[solid.b[i]]
        if in_capsule(way, a, b, solid.radius_a_m[i], solid.radius_b_m[i]).any():
            return True
    share = TORSO_SHARE if own in TORSO else 1.0
    for i, j in TORSO_PAIRS:
        radii = share * stance.torso_radii_m[[i, j]]
        inside = in_capsule(way, stance.torso_m[i], stance.torso_m[j], *radii)
        if inside.any() and not (own in TORSO and inside[-1]):
            return True
    share = HEAD_SHARE if own in FACE else 1.0
    lengths = np.linalg.norm(stance.head_axes_m, axis=1)
    local = (way - stance.head_m) @ (stance.head_axes_m / lengths[:, None]).T / lengths
    return bool((np.linalg.norm(local, axis=1) < share).any())


def in_box(points: Points, box: Box) -> NDArray[np.bool_]:
    cos, sin = np.cos(box.yaw_rad), np.sin(box.yaw_rad)
    off = points - np.asarray(box.centre_m)
    local = np.stack(
        [cos * off[:, 0] + sin * off[:, 1], cos * off[:, 1] - sin * off[:, 0], off[:, 2]], axis=1
    )
    return np.asarray((np.abs(local) < np.asarray(box.size_m) / 2).all(axis=1))


@pytest.mark.parametrize("seed", [2, 6, 21])
def test_hidden_joints_are_those_whose_line_of_sight_is_blocked(seed: int) -> None:
    scene = Scene(SceneConfig(seconds=5, fps=(1, 2), seed=seed, people=3))
    renderer = scene._renderer
    flags, expected = [], []
    for truth in scene.truths():
        boxes = [*renderer._boxes, *renderer._load_boxes(truth.time_s)]
        answer = walked(scene, truth.time_s, boxes)
        for person, keypoints in zip(truth.ids, truth.keypoints_px, strict=True):
            for k in np.flatnonzero(keypoints[:, 2] > 0):
                flags.append(keypoints[k, 2] == 1)
                expected.append(answer[int(person) - 1, int(k)])
    assert len(flags) > 60
    # Steps of 4 mm miss what a line only grazes.
    assert np.mean(np.array(flags) == np.array(expected)) > 0.985
    assert 0.05 < np.mean(flags) < 0.7


@pytest.mark.parametrize("top_m", [0.0, 0.5, 0.9, 1.3, 2.5])
def test_a_wall_before_a_person_hides_as_much_as_it_covers(stander: Take, top_m: float) -> None:
    wall = Box(
        centre_m=(0.0, -2.0, top_m / 2), size_m=(4.0, 0.2, max(top_m, 0.01)), yaw_rad=0.0,
        colour=(0.5, 0.5, 0.5),
    )  # fmt: skip
    picture, truth = drawn(renderer_of(stander, boxes=(wall,)))
    free, unhidden = drawn(renderer_of(stander))
    np.testing.assert_array_equal(truth.boxes_px, unhidden.boxes_px)
    np.testing.assert_array_equal(truth.areas_px, unhidden.areas_px)
    # The wall's upper edge, 4 m from a camera at 1 m, cuts the picture at this row.
    edge = CAMERA.centre_px[1] + 460 * (1.0 - top_m) / 3.9
    body = silhouette(stander) > 127
    above = body[: max(round(edge), 0)].sum() / body.sum()
    assert truth.visible[0] == pytest.approx(above, abs=0.02)
    below = truth.keypoints_px[0, :, 1] > edge
    assert (truth.keypoints_px[0, below, 2] == 1).all()
    np.testing.assert_array_equal(truth.keypoints_px[0, ~below], unhidden.keypoints_px[0, ~below])
    if top_m == 2.5:
        x0, y0, x1, y1 = truth.boxes_px[0].astype(int)
        empty, _ = drawn(renderer_of(boxes=(wall,)))
        np.testing.assert_array_equal(picture[y0:y1, x0:x1], empty[y0:y1, x0:x1])
        assert not np.array_equal(free[y0:y1, x0:x1], empty[y0:y1, x0:x1])


def test_the_nearer_of_two_people_hides_the_other(stander: Take) -> None:
    near, far = moved(stander, (0.0, -1.0, 0.0)), moved(stander, (0.1, 1.0, 0.0))
    for takes in ((near, far), (far, near)):
        _, truth = drawn(renderer_of(*takes))
        shares = dict(zip(truth.ids.tolist(), truth.visible.tolist(), strict=True))
        front = 1 if takes[0] is near else 2
        assert shares[front] == 1.0
        assert shares[3 - front] < 0.5


def test_the_far_side_of_a_body_is_hidden(stander: Take) -> None:
    """Seen from the left, the right shoulder, hip, ear and eye are behind the body."""
    for turn, seen, other in ((np.pi / 2, "left", "right"), (-np.pi / 2, "right", "left")):
        # Turned to the left, towards -x, somebody shows the camera at -y the left side.
        _, truth = drawn(renderer_of(moved(stander, (0.0, 0.0, 0.0), turn)))
        hidden = {COCO_JOINTS[k] for k in np.flatnonzero(truth.keypoints_px[0, :, 2] == 1)}
        far = {f"{other}_{joint}" for joint in ("eye", "ear", "shoulder", "elbow", "hip", "knee")}
        near = {f"{seen}_{joint}" for joint in ("eye", "ear", "shoulder", "elbow", "wrist", "knee")}
        assert far <= hidden
        assert not near & hidden


def test_the_back_of_a_head_hides_the_face(stander: Take) -> None:
    _, behind = drawn(renderer_of(stander))
    _, before = drawn(renderer_of(moved(stander, (0.0, 0.0, 0.0), np.pi)))
    np.testing.assert_array_equal(behind.keypoints_px[0, :3, 2], 1)
    np.testing.assert_array_equal(before.keypoints_px[0, :3, 2], 2)


def test_people_leave_and_enter(stander: Take) -> None:
    """Somebody is carried through the picture, from beyond its left to beyond its right edge."""
    x = np.linspace(-6.0, 6.0, 121)
    joints = stander.joints_m[0] + np.stack([x, 0 * x, 0 * x], axis=1)[:, None]
    walker = dataclasses.replace(
        stander, joints_m=joints.astype(np.float32), actions=np.full(121, 2, np.int8)
    )
    renderer = renderer_of(walker)
    truths = [renderer.truth(k, k / 60) for k in range(121)]
    there = np.array([len(t.ids) for t in truths])
    assert there[0] == there[-1] == 0
    assert np.abs(np.diff(there)).sum() == 2
    seen = [t for t in truths if len(t.ids)]
    full = np.concatenate([t.full_boxes_px for t in seen])
    cut = np.concatenate([t.boxes_px for t in seen])
    np.testing.assert_array_equal(cut, np.clip(full, 0, [640, 360, 640, 360]))
    inside = (full[:, 0] >= 0) & (full[:, 2] <= 640)
    share = np.concatenate([t.visible for t in seen])
    assert inside.any()
    assert (share[inside] == 1).all()
    assert (share[~inside] < 1).all()
    assert (np.diff(share[: int(np.flatnonzero(inside)[0])]) >= -1e-6).all()  # he comes in
    for truth in seen:
        x, y, flag = truth.keypoints_px[0].T
        outside = (x < -0.5) | (x >= 639.5) | (y < -0.5) | (y >= 359.5)
        np.testing.assert_array_equal(flag == 0, outside)
        assert truth.actions[0] == 2
