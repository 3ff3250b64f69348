# SPDX-License-Identifier: Apache-2.0
"""What an action model says of real poses: the figures of the bundled models' card.

    .venv/bin/python scripts/real_poses.py --data DIR [--action MODEL]

DIR (default: $POSEACT_DATA) holds ``keypoints/real_poses.npz``. Windows are cut and incidents are
made as the engine does. A clip of URFD's falls counts once it has an incident of falling down; in
its clips of daily life each is a false one. Prints figures; writes nothing.
"""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from pathlib import Path

from poseact_engine.action import ActionStage
from poseact_engine.bundled import bundled_model
from poseact_engine.config import ActionConfig
from poseact_engine.evaluation.action_eval import class_order
from poseact_engine.evaluation.incident_scores import Told
from poseact_engine.evaluation.walk import Where
from poseact_engine.evaluation.world_sequences import incidents_told
from poseact_engine.training.keypoints import read_sequences
from poseact_engine.training.windows import cut_windows
from poseact_engine.types import ACTIONS

FALLS, DAILY = "urfd/fall", "urfd/adl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("POSEACT_DATA"))
    parser.add_argument("--action", type=Path, default=bundled_model("action"))
    options = parser.parse_args()
    if options.data is None:
        parser.error("expected --data or $POSEACT_DATA, got neither")
    sequences = read_sequences([Path(options.data) / "keypoints" / "real_poses.npz"])
    windows = cut_windows(sequences)
    with closing(Where().open(options.action, "action")) as model:
        stage = ActionStage(model, ActionConfig(model=options.action))
        found = stage.classify(windows.poses_px)
        said = found[:, class_order(options.action, model.manifest)].argmax(axis=1)
        told = incidents_told(len(sequences), windows, found, stage.classes)
    known = windows.labels >= 0
    right = said == windows.labels
    print(f"{known.sum()} windows, {100 * right[known].mean():.1f} % right")
    for number, action in enumerate(ACTIONS):
        of = windows.labels == number
        print(f"  {action}: {100 * right[of].mean():.0f} % of {of.sum()}")
    clips = [(s.name, t) for s, t in zip(sequences, told, strict=True)]
    falls, daily = ([t for name, t in clips if name.startswith(k)] for k in (FALLS, DAILY))
    print(f"{FALLS}: {_with_fall(falls)} of {len(falls)} clips have an incident of falling")
    print(f"{DAILY}: {_with_fall(daily)} of {len(daily)} clips have one")


def _with_fall(clips: list[list[Told]]) -> int:
    return sum(any(t.action == "falling_down" for t in told) for told in clips)


if __name__ == "__main__":
    main()
