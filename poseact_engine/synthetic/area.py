# SPDX-License-Identifier: Apache-2.0
"""Where people of a scene may walk."""

from poseact_engine.synthetic.motion.area import Area

__all__ = ["Area"]
