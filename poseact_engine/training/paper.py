# SPDX-License-Identifier: Apache-2.0
"""What "LSTM-Based Abnormal Behavior Recognition Using AlphaPose" fixes: actions, window, network.

The grid of 30 poses a second is ours; the paper takes its poses frame by frame.
"""

from __future__ import annotations

from poseact_engine.types import ACTIONS, COCO_JOINTS

CLASSES = ACTIONS
FALLING, LYING = (CLASSES.index(name) for name in ("falling_down", "lying_down"))
ABNORMAL = (FALLING, LYING)
"""The classes that are to be reported."""
JOINTS = len(COCO_JOINTS)
LENGTH = 9
RATE = (30, 1)
HIDDEN = 128
LAYERS = 3
