# SPDX-License-Identifier: Apache-2.0
"""Keypoints that other estimators found, as keypoint files. ``convert.py`` is the way in."""
