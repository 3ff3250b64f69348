# SPDX-License-Identifier: Apache-2.0
"""Models opened together are held against one another and against the config before any run."""

from __future__ import annotations

from pathlib import Path

import pytest

from poseact_engine.config import IncidentConfig
from poseact_engine.engine import Engine
from poseact_engine.errors import ConfigError
from tests.integration.made_world import make_world


def test_an_action_that_the_model_does_not_know_is_refused_at_once(tmp_path: Path) -> None:
    incident = IncidentConfig(actions={"dancing": (0.6, 0.4)})
    config = make_world(tmp_path).config(incident=incident)
    with pytest.raises(ConfigError, match=r"expected classes of the action model .*, got dancing"):
        Engine(config)
