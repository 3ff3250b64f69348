# SPDX-License-Identifier: Apache-2.0
"""The ``poseact-bench`` command: ours against a named baseline, on the same input, in one run."""
