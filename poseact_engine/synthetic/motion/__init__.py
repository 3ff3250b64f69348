# SPDX-License-Identifier: Apache-2.0
"""How made people move: takes of one person with known joints, actions and falls."""

from poseact_engine.synthetic.body import random_body
from poseact_engine.synthetic.motion.area import Area
from poseact_engine.synthetic.motion.plan import ACTIVITIES, Plan
from poseact_engine.synthetic.motion.take import make_take

__all__ = ["ACTIVITIES", "Area", "Plan", "make_take", "random_body"]
